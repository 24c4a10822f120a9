// SPDX-License-Identifier: Apache-2.0
// Variants of the copy kernel for bench_copy to choose from, and what it needs to fill and check memory.
#include "../../providers/device/kernels/copy_blocks.h"

using pirn::kernels::Block;

#define VARIANT(threads, unroll)                                                                             \
  extern "C" __global__ void __launch_bounds__(threads)                                                      \
      copy_t##threads##_u##unroll(const Block *blocks, uint32_t count, uint64_t across_below) {              \
    __shared__ pirn::kernels::Shared<threads> shared;                                                        \
    pirn::kernels::copy_blocks<threads, unroll>(blocks, count, across_below, shared);                        \
  }

VARIANT(256, 4)
VARIANT(256, 8)
VARIANT(256, 16)
VARIANT(512, 2)
VARIANT(512, 4)
VARIANT(512, 8)
VARIANT(1024, 2)
VARIANT(1024, 4)

__device__ uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

extern "C" __global__ void fill(uint64_t *words, uint64_t count, uint64_t seed) {
  for (uint64_t i = blockIdx.x * uint64_t{blockDim.x} + threadIdx.x; i < count; i += gridDim.x * uint64_t{blockDim.x})
    words[i] = mixed(i + seed);
}

// Adds to *wrong how many words of the blocks differ; and of the blocks whose source is null, how many are not zero.
extern "C" __global__ void check(const Block *blocks, uint32_t count, unsigned long long *wrong) {
  for (uint32_t b = blockIdx.x; b < count; b += gridDim.x) {
    const uint64_t *to = reinterpret_cast<const uint64_t *>(blocks[b].to);
    const uint64_t *from = reinterpret_cast<const uint64_t *>(blocks[b].from);
    for (uint64_t i = threadIdx.x; i < blocks[b].length / 8; i += blockDim.x)
      if (to[i] != (from != nullptr ? from[i] : 0)) atomicAdd(wrong, 1ull);
  }
}
