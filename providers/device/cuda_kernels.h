// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernel_image.h"

namespace pirn::device::cuda {

const KernelImage &copy_kernels();

}  // namespace pirn::device::cuda
