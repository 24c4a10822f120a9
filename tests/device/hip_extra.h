// SPDX-License-Identifier: Apache-2.0
// What the tests know of the HIP runtime's binary interface besides providers/device/hip_api.h.
#pragma once

#include "../../providers/device/hip_runtime.h"

namespace pirn::device::hip {

struct PoolProperties {  // hipMemPoolProps
  int type;
  int handle_types;
  Location location;
  void *security;
  size_t most;  // 5.2 reserves it
  unsigned char reserved[56];
};

constexpr unsigned attach_global = 1;

namespace type {
#define PIRN_HIP_NEEDED(name, ...) using name = __VA_ARGS__;
#include "hip_extra.inc"
#undef PIRN_HIP_NEEDED
}  // namespace type

struct Extra {
#define PIRN_HIP_NEEDED(symbol, ...) Function<type::symbol> symbol{{#symbol, true}};
#include "hip_extra.inc"
#undef PIRN_HIP_NEEDED
};

}  // namespace pirn::device::hip
