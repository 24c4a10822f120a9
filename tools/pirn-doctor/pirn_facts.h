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

struct PirnFacts {
  std::string missing;            // why there are none; "" if there are
  bool crashed = false;           // libfabric took the asking process with it, or never answered
  std::string settings_error;     // a setting in the environment that pirn refuses; "" if none
  std::string libfabric;          // "1.17.0"
  std::vector<Provider> providers;
  std::vector<Nic> nics;
  std::vector<std::string> settings;  // names: "PIRN_PROVIDER"
};

// From a document of `pirn-info --json`; anything else gives facts that are `missing`.
PirnFacts read_facts(const std::string &json);

// Asks the library in a child process: libfabric's providers abort on some settings, and what is to be diagnosed must
// not end the diagnosis. Call it while the process has one thread.
PirnFacts ask_pirn();

// What is left of a child's answer: `json` as far as it got, the status of waitpid, whether time ran out.
PirnFacts facts_of_child(const std::string &json, int wait_status, bool timed_out);

}  // namespace doctor
