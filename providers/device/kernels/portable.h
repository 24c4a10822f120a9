// SPDX-License-Identifier: Apache-2.0
// What the kernels' source needs of its compiler: nvcc, hipcc, or the test that runs it on a CPU (which defines
// PIRN_KERNEL_HOST and all of this by itself).
#pragma once

#if defined(__HIPCC__)
#include <hip/hip_runtime.h>
#endif

#if !defined(PIRN_KERNEL_HOST)

#include <stdint.h>

#define PIRN_DEVICE __device__ __forceinline__
#define PIRN_UNROLL _Pragma("unroll")

namespace pirn::kernels {

#if defined(__HIPCC__)
using Word16 = uint32_t __attribute__((ext_vector_type(4)));
template <typename T>
PIRN_DEVICE T load(const T *from) {
  return __builtin_nontemporal_load(from);
}
template <typename T>
PIRN_DEVICE void store(T *to, T value) {
  __builtin_nontemporal_store(value, to);
}
#else
using Word16 = uint4;
// Each byte is touched once: it should not push out what the model next to us has in the caches.
template <typename T>
PIRN_DEVICE T load(const T *from) {
  return __ldcs(from);
}
template <typename T>
PIRN_DEVICE void store(T *to, T value) {
  __stcs(to, value);
}
#endif

PIRN_DEVICE unsigned thread() { return threadIdx.x; }
PIRN_DEVICE unsigned cta() { return blockIdx.x; }
PIRN_DEVICE unsigned ctas() { return gridDim.x; }
PIRN_DEVICE void barrier() { __syncthreads(); }
PIRN_DEVICE bool any(bool mine) { return __syncthreads_or(mine) != 0; }  // of the CTA; a barrier, too
PIRN_DEVICE void raise_to(unsigned *shared, unsigned value) { atomicMax(shared, value); }
PIRN_DEVICE void lower_to(unsigned *shared, unsigned value) { atomicMin(shared, value); }

}  // namespace pirn::kernels

#endif
