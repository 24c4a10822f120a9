// SPDX-License-Identifier: Apache-2.0
#include "core/affinity.h"

#include <algorithm>

namespace pirn::core {

topo::Place here(const topo::Machine &machine) {
  const auto domain = topo::bound_domain(machine);
  return domain ? topo::Place::in_domain(*domain) : topo::Place{};
}

Result<topo::Place> place_named(const topo::Machine &machine, const char *name) {
  if (!name) return here(machine);
  const std::string text = name, prefix = "numa:";
  if (auto address = parse_pci_address(text)) return topo::Place::at(*address);
  const bool numbered = text.size() > prefix.size() && text.size() <= prefix.size() + 9 && text.starts_with(prefix) &&
                        text.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
  if (!numbered) return fail(PIRN_ERR_INVALID, "\"%s\" is no place: a PCI address or numa:N is", name);
  return topo::Place::in_domain(machine.domain_of_node(static_cast<uint32_t>(std::stoul(text.substr(prefix.size())))));
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

std::vector<fabric::Nic> spares(const topo::Machine &machine, const topo::Place &place, std::vector<fabric::Nic> nics,
                                const std::vector<fabric::Nic> &chosen, size_t most) {
  if (chosen.empty() || chosen.front().profile->ip_addressed) return {};
  std::erase_if(nics, [&](const fabric::Nic &nic) {
    return std::none_of(chosen.begin(), chosen.end(), [&](const fabric::Nic &other) { return other.fabric == nic.fabric; });
  });
  std::vector<size_t> taken;
  for (size_t i = 0; i < nics.size(); ++i)
    if (std::any_of(chosen.begin(), chosen.end(), [&](const fabric::Nic &nic) { return same_nic(nic, nics[i]); }))
      taken.push_back(i);
  std::vector<fabric::Nic> found;
  for (size_t index : topo::spares(machine, place, pci_addresses(nics), taken, most)) found.push_back(nics[index]);
  return found;
}

std::vector<bool> far(const topo::Machine &machine, const topo::Place &place, const std::vector<fabric::Nic> &nics) {
  if (nics.size() < 2 || nics.front().profile->ip_addressed) return std::vector<bool>(nics.size());
  std::vector<bool> result(nics.size(), true);
  for (size_t index : topo::rank(machine, place, pci_addresses(nics)).nearest) result[index] = false;
  return result;
}

}  // namespace pirn::core
