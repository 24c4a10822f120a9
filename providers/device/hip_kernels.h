// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernel_image.h"

namespace pirn::device::hip {

const KernelImage &copy_kernels();

}  // namespace pirn::device::hip
