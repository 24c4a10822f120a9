// SPDX-License-Identifier: Apache-2.0
// Host memory that processes share: a memory file, mapped by each of them. An access behind the end of a mapped file is
// a SIGBUS, so only files are mapped that are long enough and sealed against shrinking. Any thread.
//
//   owner: make_host_file(), map_host_file() for itself; in an answer, a handle of kind host_file with host_file_for()
//   asker: local/imports.h, which calls map_host_file()
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <cstdint>

namespace pirn::local {

// A memory file of `length` bytes, all zero, whose length and seals nobody can change any more. NO_MEMORY, RANGE.
Result<Fd> make_host_file(uint64_t length);

// A descriptor of the same file to give away; for readers one that cannot be mapped to be written. That keeps an honest
// peer from mistakes: a process of the same user finds other ways to write. UNAVAILABLE: /proc is missing.
Result<Fd> host_file_for(int file, bool writable);

// A peer's memory file, from its first byte; ends with munmap(). The descriptor stays the caller's. INVALID: it could
// shrink under our hands, or is shorter than `length`. ACCESS: to be written, and the descriptor does not allow it.
Result<void *> map_host_file(int file, uint64_t length, bool writable);

}  // namespace pirn::local
