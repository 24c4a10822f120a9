// SPDX-License-Identifier: Apache-2.0
// Random bytes of the kernel, fit for keys, nonces and identities. Thread-safe. A kernel that
// refuses getrandom(2) raises std::system_error: going on with guessable bytes would be worse.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pirn {

void random_bytes(void *buffer, size_t size);
uint64_t random_u64();  // never 0

}  // namespace pirn
