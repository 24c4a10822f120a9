// SPDX-License-Identifier: Apache-2.0
#include "cuda_kernels.h"

namespace pirn::device::cuda {

const KernelImage &copy_kernels() {
#ifdef PIRN_CUDA_KERNELS_MISSING
  static const KernelImage image{{}, PIRN_CUDA_KERNELS_MISSING};
#else
  alignas(16) static const unsigned char bytes[] = {
#include "copy_kernels_cuda.inc"
  };
  static const KernelImage image{bytes, nullptr};
#endif
  return image;
}

}  // namespace pirn::device::cuda
