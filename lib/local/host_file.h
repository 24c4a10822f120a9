// SPDX-License-Identifier: Apache-2.0
// Host memory that processes share: a memory file, mapped by each of them. An access behind the end of a mapped file is
// a SIGBUS, so only files are mapped that are long enough and sealed against shrinking. Any thread.
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <cstdint>

namespace pirn::local {

// A peer's memory file, from its first byte; ends with munmap(). The descriptor stays the caller's. INVALID: it could
// shrink under our hands, or is shorter than `length`. ACCESS: to be written, and the descriptor does not allow it.
Result<void *> map_host_file(int file, uint64_t length, bool writable);

}  // namespace pirn::local
