// SPDX-License-Identifier: Apache-2.0
#include "shim.h"

const char *const pirn::shim::driver_library = "libcuda.so.1";
