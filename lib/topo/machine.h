// SPDX-License-Identifier: Apache-2.0
// A machine as far as distances need it: plain data, made once, immutable afterwards, any thread.
//
// A memory domain is a set of CPUs with memory of their own: usually one NUMA node, more where
// a node of fast memory belongs to the same CPUs.
#pragma once

#include "base/pci_address.h"
#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pirn::topo {

constexpr uint32_t nowhere = UINT32_MAX;

struct Domain {
  uint32_t package = nowhere;
  std::vector<uint32_t> nodes;  // NUMA nodes by the system's numbers
  std::vector<uint32_t> cpus;   // by the system's numbers, ascending
};

struct Device {
  PciAddress address;
  uint16_t class_code = 0;        // PCI base class and subclass
  double link = 0;                // bytes per ns; 0: unknown
  std::vector<uint32_t> bridges;  // ids, from the host bridge down to the nearest one; empty: unknown
  uint32_t domain = nowhere;      // index into Machine::domains
  uint32_t package = nowhere;

  bool is_accelerator() const;
};

struct Machine {
  std::vector<Domain> domains;
  std::vector<Device> devices;  // by PCI address
  bool this_system = false;     // false: read from a file that describes another machine

  const Device *find(const PciAddress &address) const;  // nullptr if there is none
  uint32_t domain_of_node(uint32_t node) const;         // `nowhere` if there is none
};

// This machine, or the one that HWLOC_XMLFILE describes. CPUs and memory that a cgroup forbids are part of it:
// devices keep their place. Takes tens of milliseconds. Error: UNAVAILABLE with the reason.
Result<Machine> load_machine();
// Error: INVALID if the file is no description of a machine.
Result<Machine> load_machine(const std::string &xml_file);

// The domain that all CPUs of the calling thread belong to; nothing if there are several, only one exists, or
// the machine is another one.
std::optional<uint32_t> bound_domain(const Machine &machine);
// The same for CPUs given in any order.
std::optional<uint32_t> common_domain(const Machine &machine, const std::vector<uint32_t> &cpus);

}  // namespace pirn::topo
