// SPDX-License-Identifier: Apache-2.0
#include "persona.h"

namespace pirn::sim_nic {

std::span<const Persona> personas() { return {&cxi_persona, 1}; }

Device device(size_t index) {
  Device out;
  out.speed = cxi_persona.speed;
  out.pci = {0, static_cast<uint8_t>(0x21 + 0x40 * (index % 4) + index / 4), 0, 0};
  apply_lists(index, out);
  out.name = out.domain = "cxi" + std::to_string(index);
  return out;
}

}  // namespace pirn::sim_nic
