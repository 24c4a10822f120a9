// SPDX-License-Identifier: Apache-2.0
// NICs near to memory: what the fabric offers, ranked by the machine's topology. Pure functions, any thread, apart
// from here().
#pragma once

#include "fabric/discovery.h"
#include "topo/rank.h"

#include <vector>

namespace pirn::core {

// The memory that the calling thread gets: its domain if all its CPUs are in one, anywhere otherwise.
topo::Place here(const topo::Machine &machine);

// A place by name: a PCI address, "numa:N", or nullptr for here(). INVALID for any other text.
Result<topo::Place> place_named(const topo::Machine &machine, const char *name);

std::vector<topo::NicAddress> pci_addresses(const std::vector<fabric::Nic> &nics);

// The NICs that `place` prefers, in the given order. NICs addressed by IP are interfaces, not devices: they stay.
std::vector<fabric::Nic> near(const topo::Machine &machine, const topo::Place &place, std::vector<fabric::Nic> nics);

// At most `most` of `nics` to fall back on when none of `chosen` works, on the same network as these (topo::spares says
// which). Of NICs addressed by IP there are none: which interface reaches whom is for the kernel to know.
std::vector<fabric::Nic> spares(const topo::Machine &machine, const topo::Place &place, std::vector<fabric::Nic> nics,
                                const std::vector<fabric::Nic> &chosen, size_t most);

// Of each NIC: others among them are nearer to `place`. NICs addressed by IP never are.
std::vector<bool> far(const topo::Machine &machine, const topo::Place &place, const std::vector<fabric::Nic> &nics);

}  // namespace pirn::core
