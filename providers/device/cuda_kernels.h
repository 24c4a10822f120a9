// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "cuda_api.h"
#include "kernel_image.h"

#include <cstdint>

namespace pirn::device::cuda {

const KernelImage &copy_kernels();
// Compute capability that machine code or intermediate code is there from, 75 for 7.5; 0 without kernels.
uint32_t kernels_from();

struct CopyKernel {
  Function blocks = nullptr;
  Function selected = nullptr;
  uint32_t ctas = 0;  // more are of no use
};
// Loaded once per device and kept; the device's context is current. UNAVAILABLE says why there is none.
//
// Loading may wait for the device, for ever if that waits for a word that nobody writes before the kernel has run.
// Therefore make_stream() asks, and no transfer is the first to do so.
Result<CopyKernel> copy_kernel(uint32_t device);
Result<bool> runs_kernels(uint32_t device);  // whether its architecture is among those compiled for

}  // namespace pirn::device::cuda
