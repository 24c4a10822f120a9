// SPDX-License-Identifier: Apache-2.0
// Moves bytes between any two places of the unified address space. Called without the engine's lock.
#pragma once

#include "engine.h"

namespace pirn::fake_gpu {

// In pieces, in an order that `seed` decides. `kernel`: by the rules of kernels, see Use.
Code transfer(Context &context, uint64_t to, uint64_t from, uint64_t length, bool kernel, uint64_t seed);
Code transfer_host(Context &context, uint64_t to, const std::byte *from, uint64_t length);  // `from`: the fake's own

}  // namespace pirn::fake_gpu
