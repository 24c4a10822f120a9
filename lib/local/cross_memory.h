// SPDX-License-Identifier: Apache-2.0
// Memory of a peer's process, read by the kernel (process_vm_readv): for host memory that cannot be mapped. Available only
// where the kernel lets us and a word that the peer told over the proven channel is found in the process.
//
// A PID may be another process's once the peer is dead. That what was read came from the peer is shown by a guard
// (local/guard.h), which no other process has.
//
//   CrossMemory::probe(peer) when the channel is up; if it holds: ask with share_bit(ShareHandleKind::host_address)
//   address_of(chunk): where the chunk is in the owner's process
//   guard_of(chunk); read_window() of at most some MiB per round of progress: they run on the calling thread
//
// Not thread-safe: one thread at a time.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "local/channel.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <sys/uio.h>

namespace pirn::local {

class CrossMemory {
 public:
  // Of the process at the other end of a proven connection. UNAVAILABLE says why not.
  static Result<CrossMemory> probe(const Peer &peer);

  // `length` bytes that lie side by side in a window of the peer's. OK only if the window was still open when they had been
  // read; WINDOW_GONE: it was not, or the process runs another program by now. PEER_LOST: it died. RANGE: it has no memory there that
  // may be read. INVALID: this process has none that may be written. UNAVAILABLE: the kernel does not let us any more. After
  // an error an unknown part is copied.
  Status read_window(std::byte *local, const std::byte *remote, uint64_t length, const wire::ShareWord &guard) const;

 private:
  CrossMemory(pid_t pid, Fd process) : pid_(pid), process_(std::move(process)) {}
  bool is_alive() const;
  Status blame(int error, const std::byte *local, const std::byte *remote) const;

  pid_t pid_ = 0;
  Fd process_;  // pidfd
};

// The handle of an allocation that begins at `address` of this process.
wire::ShareHandle address_handle(const void *address);
// Where a chunk begins in its owner's process; nothing if the owner has not told.
std::optional<uint64_t> address_of(const wire::ShareChunk &chunk);

}  // namespace pirn::local
