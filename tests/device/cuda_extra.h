// SPDX-License-Identifier: Apache-2.0
// What the tests know of the CUDA driver's binary interface besides providers/device/cuda_api.h.
#pragma once

#include "../../providers/device/cuda_api.h"

namespace pirn::device::cuda {

using Graph = struct GraphState *;
using GraphExec = struct GraphExecState *;

struct PoolProperties {  // CUmemPoolProps
  int type;
  int handle_types;
  Location location;
  void *unused;
  size_t most;
  unsigned short usage;
  unsigned char reserved[54];
};

enum TestFlag : unsigned { capture_global = 0, attach_global = 1 };

struct Extra {
#define REQUIRED(symbol, ...) Entry<__VA_ARGS__> symbol{{#symbol, true}};
#include "cuda_extra.inc"
#undef REQUIRED
};

}  // namespace pirn::device::cuda
