// SPDX-License-Identifier: Apache-2.0
#include "hip_kernels.h"

namespace pirn::device::hip {

const KernelImage &copy_kernels() {
#ifdef PIRN_HIP_KERNELS_MISSING
  static const KernelImage image{{}, PIRN_HIP_KERNELS_MISSING};
#else
  alignas(16) static const unsigned char bytes[] = {
#include "copy_kernels_hip.inc"
  };
  static const KernelImage image{bytes, nullptr};
#endif
  return image;
}

}  // namespace pirn::device::hip
