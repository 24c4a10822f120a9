// SPDX-License-Identifier: Apache-2.0
// Kernels that the fake knows by name, and runs on the CPU whatever their image holds.
#pragma once

#include "call.h"
#include "engine.h"

namespace pirn::fake_gpu {

bool looks_like_image(const void *image);  // of a module
bool knows_kernel(const std::string &name);
struct Launch {
  uint32_t blocks = 1;   // of the grid
  uint32_t threads = 1;  // of each
  void **parameters = nullptr;
};
Code launch_kernel(Call &call, const std::shared_ptr<Stream> &stream, const std::string &name, const Launch &launch);

}  // namespace pirn::fake_gpu
