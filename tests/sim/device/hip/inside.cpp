// SPDX-License-Identifier: Apache-2.0
#include "../hip_over_cuda/shim.h"

// This very object: the fake driver is in it.
const char *const pirn::shim::driver_library = "libamdhip64.so.5";

// It does by itself what the entry of the name does; any image will do, and this is an empty one of PTX.
const void *pirn::shim::stand_in_image() { return "// pirn"; }
