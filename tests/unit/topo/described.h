// SPDX-License-Identifier: Apache-2.0
// Machines from files, and what ranking says about them as text.
#pragma once

#include "../check.h"
#include "topo/rank.h"

#include <string>
#include <vector>

struct Described {
  pirn::topo::Machine machine;
  std::vector<pirn::topo::NicAddress> nics;
};

// Loads a file, or fails the test. The NICs are the PCI functions in it whose ids ("1d0f:efa1") are in the list, in
// the order of their addresses.
Described describe(const std::string &file, const std::vector<std::string> &nic_ids);

std::vector<pirn::PciAddress> accelerators(const pirn::topo::Machine &machine);

// One word per accelerator in the order of addresses: "0,1 2,3": indices of its NICs.
std::string nearest_of_all(const Described &machine);
std::string preferred_of_all(const Described &machine);
// One word per accelerator: level of its nearest NICs, as a letter: s(witch) h(ost bridge) n(uma) p(ackage) m(achine)
// u(nknown).
std::string levels_of_all(const Described &machine);
// What host memory of each domain prefers: one word per domain.
std::string preferred_of_domains(const Described &machine);
std::string indices(const std::vector<size_t> &list);  // "0,1"

// What is expected of a machine, whoever describes it.
struct Expected {
  const char *name;  // of the file, without ".xml"
  std::vector<std::string> nic_ids;
  size_t nics;
  const char *nearest;
  const char *preferred;
  const char *levels;
  const char *host_memory;
};
void check_machine(const std::string &file, const Expected &expected);
