// SPDX-License-Identifier: Apache-2.0
#include "device/operations.h"

namespace pirn::device {

std::span<const Operations *const> tables() { return {}; }

}  // namespace pirn::device
