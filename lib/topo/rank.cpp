// SPDX-License-Identifier: Apache-2.0
#include "topo/rank.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace pirn::topo {
namespace {

bool same(uint32_t a, uint32_t b) { return a != nowhere && a == b; }

Level by_memory(uint32_t domain, uint32_t package, const Device &nic) {
  if (same(domain, nic.domain)) return Level::numa;
  if (same(package, nic.package)) return Level::package;
  return Level::machine;
}

Distance between(const Device &device, const Device &nic) {
  auto [own, other] =
      std::mismatch(device.bridges.begin(), device.bridges.end(), nic.bridges.begin(), nic.bridges.end());
  const auto shared = own - device.bridges.begin();
  if (shared == 0) return {by_memory(device.domain, device.package, nic), 0};
  const auto climb = static_cast<uint32_t>(device.bridges.end() - own);
  return {shared == 1 ? Level::host_bridge : Level::pci_switch, climb};
}

std::vector<Distance> distances(const Machine &machine, const Place &place, std::span<const NicAddress> nics) {
  std::vector<Distance> all;
  for (const NicAddress &nic : nics) all.push_back(distance(machine, place, nic));
  return all;
}

std::vector<size_t> least(const std::vector<Distance> &distances) {
  std::vector<size_t> indices;
  if (distances.empty()) return indices;
  const Distance best = *std::min_element(distances.begin(), distances.end());
  for (size_t i = 0; i < distances.size(); ++i)
    if (distances[i] == best) indices.push_back(i);
  return indices;
}

std::vector<size_t> nearest(const Machine &machine, const Device &device, std::span<const NicAddress> nics) {
  return least(distances(machine, Place::at(device.address), nics));
}

// The part of `shared` that falls to `device` among the accelerators with the same nearest NICs.
std::vector<size_t> own_part(const Machine &machine, const PciAddress &device, std::span<const NicAddress> nics,
                             const std::vector<size_t> &shared) {
  size_t sharers = 0, position = 0;
  bool takes_part = false;
  for (const Device &other : machine.devices) {
    if (!other.is_accelerator() || nearest(machine, other, nics) != shared) continue;
    if (other.address == device) {
      takes_part = true;
      position = sharers;
    }
    ++sharers;
  }
  if (!takes_part || shared.size() < sharers) return shared;
  const auto begin = shared.begin() + static_cast<ptrdiff_t>(position * shared.size() / sharers);
  const auto end = shared.begin() + static_cast<ptrdiff_t>((position + 1) * shared.size() / sharers);
  return {begin, end};
}

std::vector<size_t> without_outsiders(const Machine &machine, std::span<const NicAddress> nics,
                                      const std::vector<size_t> &candidates) {
  std::vector<bool> serves(nics.size());
  for (const Device &device : machine.devices)
    if (device.is_accelerator())
      for (size_t index : nearest(machine, device, nics)) serves[index] = true;
  std::vector<size_t> insiders;
  for (size_t index : candidates)
    if (serves[index]) insiders.push_back(index);
  return 2 * insiders.size() > candidates.size() ? insiders : candidates;
}

}  // namespace

const char *level_name(Level level) {
  switch (level) {
    case Level::pci_switch:
      return "same PCIe switch";
    case Level::host_bridge:
      return "same host bridge";
    case Level::numa:
      return "same NUMA node";
    case Level::package:
      return "same package";
    case Level::machine:
      return "same machine";
    case Level::unknown:
      break;
  }
  return "unknown";
}

Distance distance(const Machine &machine, const Place &place, const NicAddress &nic) {
  if (place.kind == Place::Kind::anywhere) return {Level::machine, 0};
  const Device *there = nic ? machine.find(*nic) : nullptr;
  if (!there) return {};
  if (place.kind == Place::Kind::domain) {
    if (place.domain >= machine.domains.size()) return {};
    return {by_memory(place.domain, machine.domains[place.domain].package, *there), 0};
  }
  const Device *here = machine.find(place.device);
  return here ? between(*here, *there) : Distance{};
}

Ranking rank(const Machine &machine, const Place &place, std::span<const NicAddress> nics) {
  Ranking result;
  result.distances = distances(machine, place, nics);
  result.nearest = least(result.distances);
  result.preferred = place.kind == Place::Kind::device ? own_part(machine, place.device, nics, result.nearest)
                                                       : without_outsiders(machine, nics, result.nearest);
  return result;
}

std::vector<size_t> spares(const Machine &machine, const Place &place, std::span<const NicAddress> nics,
                           const std::vector<size_t> &chosen, size_t most) {
  std::vector<size_t> all(nics.size()), found;
  std::iota(all.begin(), all.end(), size_t{0});
  const std::vector<Distance> far = distances(machine, place, nics);
  const size_t after = chosen.empty() ? 0 : *std::max_element(chosen.begin(), chosen.end()) + 1;
  for (size_t index : without_outsiders(machine, nics, all))
    if (far[index].level != Level::unknown && std::find(chosen.begin(), chosen.end(), index) == chosen.end())
      found.push_back(index);
  std::sort(found.begin(), found.end(), [&](size_t a, size_t b) {
    const size_t turn_a = (a + nics.size() - after) % nics.size(), turn_b = (b + nics.size() - after) % nics.size();
    return std::tie(far[a], turn_a) < std::tie(far[b], turn_b);
  });
  if (found.size() > most) found.resize(most);
  return found;
}

}  // namespace pirn::topo
