// SPDX-License-Identifier: Apache-2.0
// What pirn itself says about the node: the document that `pirn-info --json` prints, taken apart.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace doctor {

struct Provider {
  std::string name, fabric, reason;
  bool usable;
};

struct Nic {
  std::string provider, name, address;
  uint64_t link_speed;  // bit/s; 0 unknown
};

struct DeviceKind {
  std::string name, version, reason;  // "cuda"; of driver and runtime; why no device of it is usable, "" if one is
  uint32_t devices;
};

struct Lack {
  std::string device, feature, reason;
};

struct DeviceLink {
  std::string from, to, kind;  // kind "" unknown
  bool peer_access;
};

struct PirnFacts {
  std::string missing;            // why there are none; "" if there are
  bool crashed = false;           // libfabric took the asking process with it, or never answered
  std::string settings_error;     // a setting in the environment that pirn refuses; "" if none
  std::string libfabric;          // "1.17.0"
  std::vector<Provider> providers;
  std::vector<Nic> nics;
  std::vector<std::string> settings;  // names: "PIRN_PROVIDER"

  std::string devices_missing;   // why nothing is known of devices; "" if something is
  bool devices_crashed = false;  // a device's runtime took the asking process with it, or never answered
  std::vector<DeviceKind> kinds;
  std::vector<Lack> lacks;
  std::vector<DeviceLink> links;
};

// From a document of `pirn-info --json`; anything else gives facts that are `missing`.
PirnFacts read_facts(const std::string &json);

// Asks the library in child processes, one for libfabric and one for devices: libfabric's providers abort on some
// settings, drivers may hang, and what is to be diagnosed must not end the diagnosis. Call it while the process has one
// thread.
PirnFacts ask_pirn();

// What is left of a child's answer: `json` as far as it got, the status of waitpid, whether time ran out.
PirnFacts facts_of_child(const std::string &json, int wait_status, bool timed_out);
void add_devices_of_child(const std::string &json, int wait_status, bool timed_out, PirnFacts &facts);

}  // namespace doctor
