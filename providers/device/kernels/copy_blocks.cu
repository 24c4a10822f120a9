// SPDX-License-Identifier: Apache-2.0
// The entries that the library launches; see kernel_image.h for names and arguments.
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

extern "C" __global__ void __launch_bounds__(threads)
    pirn_copy_selected(const pirn::kernels::Block *list, const uint32_t *to, const uint32_t *from, uint64_t count,
                       uint64_t length) {
  __shared__ pirn::kernels::Shared<threads> shared;
  const pirn::kernels::Selected selected{list, to, from, length};
  pirn::kernels::copy_list<threads, unroll>(selected, static_cast<unsigned>(count), across_below, shared);
}
