// SPDX-License-Identifier: Apache-2.0
// Which NICs serve a device or a piece of host memory best. Pure functions of the machine and the list of NICs; any
// thread. NICs are what the fabric offers, never all network devices of the machine.
#pragma once

#include "topo/machine.h"

#include <compare>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace pirn::topo {

// The lowest thing that two places have in common; nearer ones compare less.
enum class Level : uint8_t { pci_switch, host_bridge, numa, package, machine, unknown };
const char *level_name(Level level);  // "same PCIe switch", ...

struct Distance {
  Level level = Level::unknown;
  uint32_t climb = 0;  // bridges from the device up to the common one; 0 where the level is no PCI bridge

  auto operator<=>(const Distance &) const = default;
};

// What the NICs are to be near to.
struct Place {
  enum class Kind : uint8_t { device, domain, anywhere };
  Kind kind = Kind::anywhere;
  PciAddress device;
  uint32_t domain = nowhere;  // index into Machine::domains

  static Place at(const PciAddress &device) { return {Kind::device, device, nowhere}; }
  static Place in_domain(uint32_t domain) { return {Kind::domain, {}, domain}; }
};

using NicAddress = std::optional<PciAddress>;  // nothing: not a PCI device

Distance distance(const Machine &machine, const Place &place, const NicAddress &nic);

// Indices into the list of NICs, ascending. Neither list is empty unless the list of NICs is.
struct Ranking {
  std::vector<Distance> distances;  // one per NIC
  std::vector<size_t> nearest;      // all at the least distance
  std::vector<size_t> preferred;    // the part of `nearest` that this place should use first
};

// Accelerators with the same nearest NICs share them: with as many NICs as accelerators or more, each prefers a part
// of its own, in order of PCI addresses and of the list; with fewer, all prefer all. Of NICs equally near to host
// memory, a minority that is no accelerator's nearest is not preferred: it serves storage or management.
Ranking rank(const Machine &machine, const Place &place, std::span<const NicAddress> nics);

// At most `most` NICs to fall back on when none of the `chosen` ones works: the nearest ones that are not chosen, nearer
// ones first, equal ones in the order of the list from the last chosen one on, and round, so that places with different
// NICs do not all fall back on the same. Never one that serves storage or management (as above, of the whole list), nor
// one that the machine does not know.
std::vector<size_t> spares(const Machine &machine, const Place &place, std::span<const NicAddress> nics,
                           const std::vector<size_t> &chosen, size_t most);

}  // namespace pirn::topo
