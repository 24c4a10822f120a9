// SPDX-License-Identifier: Apache-2.0
#include "persona.h"

namespace pirn::sim_nic {

std::span<const Persona> personas() { return {&verbs_persona, 1}; }

Device device(size_t index) {
  Device out;
  out.speed = verbs_persona.speed;
  out.pci = {0, static_cast<uint8_t>(0x1a + 0x22 * (index % 7) + index / 7), 0, 0};
  apply_lists(index, out);
  out.name = out.domain = "mlx5_" + std::to_string(index);
  return out;
}

}  // namespace pirn::sim_nic
