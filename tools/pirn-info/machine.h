// SPDX-License-Identifier: Apache-2.0
// The machine as a tree to be drawn: packages, memory, PCI switches, and the devices that matter to transfers.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

struct Shape {
  enum class Kind { machine, package, memory, bridge, accelerator, nic, unused_nic };
  Kind kind = Kind::machine;
  std::string label;
  std::string pci_address;  // of devices
  std::vector<Shape> below;
};

struct Machine {
  Shape tree;
  std::vector<std::string> accelerators;  // PCI addresses, ascending
  std::vector<unsigned> nodes;            // NUMA nodes by the system's numbers
};

// Asks hwloc, which reads this machine or the one that HWLOC_XMLFILE describes. `facts` as of collect().
// Throws std::runtime_error.
Machine read_machine(const nlohmann::json &facts);

std::string speed_text(uint64_t bits_per_second);  // "200 Gb/s", "-" if unknown
