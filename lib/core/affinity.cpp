// SPDX-License-Identifier: Apache-2.0
#include "core/affinity.h"

namespace pirn::core {

topo::Place here(const topo::Machine &machine) {
  const auto domain = topo::bound_domain(machine);
  return domain ? topo::Place::in_domain(*domain) : topo::Place{};
}

std::vector<topo::NicAddress> pci_addresses(const std::vector<fabric::Nic> &nics) {
  std::vector<topo::NicAddress> addresses;
  for (const fabric::Nic &nic : nics) addresses.push_back(parse_pci_address(nic.pci_address));
  return addresses;
}

std::vector<fabric::Nic> near(const topo::Machine &machine, const topo::Place &place, std::vector<fabric::Nic> nics) {
  if (nics.size() < 2 || nics.front().profile->ip_addressed) return nics;
  std::vector<fabric::Nic> chosen;
  for (size_t index : topo::rank(machine, place, pci_addresses(nics)).preferred)
    chosen.push_back(std::move(nics[index]));
  return chosen;
}

}  // namespace pirn::core
