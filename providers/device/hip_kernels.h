// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "kernel_image.h"

#include <cstdint>

namespace pirn::device::hip {

const KernelImage &copy_kernels();

struct CopyKernel {
  void *blocks = nullptr;
  void *selected = nullptr;
  uint32_t ctas = 0;  // more are of no use
};
// Loaded once per device, which is current, and kept. UNAVAILABLE says why there is none. make_stream() asks first,
// because loading may wait for what the device is at work on.
Result<CopyKernel> copy_kernel(uint32_t device);
bool has_copy_kernels();

}  // namespace pirn::device::hip
