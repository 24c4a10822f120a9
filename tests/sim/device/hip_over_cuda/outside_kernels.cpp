// SPDX-License-Identifier: Apache-2.0
// The CUDA build of the source that AMD's code is compiled from: the same entries with the same arguments.
#include "../../../../providers/device/cuda_kernels.h"
#include "shim.h"

const void *pirn::shim::stand_in_image() { return device::cuda::copy_kernels().bytes.data(); }
