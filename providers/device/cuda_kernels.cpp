// SPDX-License-Identifier: Apache-2.0
#include "cuda_kernels.h"

namespace pirn::device::cuda {

#ifdef PIRN_CUDA_KERNELS_MISSING

const KernelImage &copy_kernels() {
  static const KernelImage image{{}, PIRN_CUDA_KERNELS_MISSING};
  return image;
}
uint32_t kernels_from() { return 0; }

#else

const KernelImage &copy_kernels() {
  alignas(16) static const unsigned char bytes[] = {
#include "copy_kernels_cuda.inc"
  };
  static const KernelImage image{bytes, nullptr};
  return image;
}
uint32_t kernels_from() { return PIRN_CUDA_KERNELS_FROM; }

#endif

}  // namespace pirn::device::cuda
