// SPDX-License-Identifier: Apache-2.0
// Copies between this process and a peer's, done by the kernel (process_vm_readv, process_vm_writev): for host memory
// that cannot be mapped. Available only where the kernel lets us and a word that the peer told over the proven channel
// is found in the process, so that no other process is ever written to.
//
// A PID may be another process's once the peer is dead. A descriptor of the process tells before each slice and after
// it whether it lives. What was read of a process that lives afterwards came from it; a write is misdirected only if
// the peer dies and its PID is given away between that look and the copy, microseconds later.
//
//   CrossMemory::probe(peer) when the channel is up; if it holds: ask with share_bit(ShareHandleKind::host_address)
//   address_of(chunk): where the chunk is in the owner's process
//   read_window() of at most some MiB per round of progress: they run on the calling thread
//
// Not thread-safe: one thread at a time.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "local/channel.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <sys/uio.h>

namespace pirn::local {

class CrossMemory {
 public:
  // Of the process at the other end of a proven connection. UNAVAILABLE says why not.
  static Result<CrossMemory> probe(const Peer &peer);

  // Copies `local` from / to the peer's `remote`, in order, at most `limit` bytes; returns how many. Both lists may
  // have any length; they are not changed. Fewer than the limit only if a list ended. PEER_LOST: it died. RANGE: the
  // peer has no memory there that may be read or written. INVALID: this process has none. UNAVAILABLE: the kernel
  // does not let us any more. After an error an unknown part is copied.
  Result<uint64_t> read(std::span<const iovec> local, std::span<const iovec> remote, uint64_t limit) const;
  // `length` bytes that lie side by side in a window of the peer's. OK only if the window was still open when they had been
  // read; WINDOW_GONE: it was not, or the process runs another program by now. Errors otherwise as of read().
  Status read_window(std::byte *local, const std::byte *remote, uint64_t length, const wire::ShareWord &guard) const;
  Result<uint64_t> write(std::span<const iovec> local, std::span<const iovec> remote, uint64_t limit) const;

 private:
  CrossMemory(pid_t pid, Fd process) : pid_(pid), process_(std::move(process)) {}
  bool is_alive() const;
  Result<uint64_t> copy(bool reads, std::span<const iovec> local, std::span<const iovec> remote, uint64_t limit) const;
  Status blame(bool reads, int error, const iovec &local, const iovec &remote) const;

  pid_t pid_ = 0;
  Fd process_;  // pidfd
};

// The handle of an allocation that begins at `address` of this process.
wire::ShareHandle address_handle(const void *address);
// Where a chunk begins in its owner's process; nothing if the owner has not told.
std::optional<uint64_t> address_of(const wire::ShareChunk &chunk);

}  // namespace pirn::local
