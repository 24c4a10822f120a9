// SPDX-License-Identifier: Apache-2.0
#include "tables.h"

#include <array>

namespace pirn::device {

std::span<const Operations *const> tables() {
  static const std::array all = {&cuda_table(), &hip_table()};
  return all;
}

}  // namespace pirn::device
