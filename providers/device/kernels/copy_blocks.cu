// SPDX-License-Identifier: Apache-2.0
// The entry that the library launches; see kernel_image.h for name and arguments.
#include "copy_blocks.h"

namespace {
constexpr unsigned threads = 512;
constexpr unsigned unroll = 8;
constexpr uint64_t across_below = 4096;
}  // namespace

extern "C" __global__ void __launch_bounds__(threads)
    pirn_copy_blocks(const pirn::kernels::Block *blocks, uint64_t count) {
  __shared__ pirn::kernels::Shared<threads> shared;
  pirn::kernels::copy_blocks<threads, unroll>(blocks, static_cast<unsigned>(count), across_below, shared);
}
