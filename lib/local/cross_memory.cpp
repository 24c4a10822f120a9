// SPDX-License-Identifier: Apache-2.0
#include "local/cross_memory.h"

#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pirn::local {

namespace {

// What commonly forbids it; "" if nothing is known.
std::string what_forbids() {
  std::ifstream file("/proc/sys/kernel/yama/ptrace_scope");
  int scope = 0;
  if (!(file >> scope) || scope == 0) return "";
  return text("; kernel.yama.ptrace_scope is %d, 0 allows it to processes of one user", scope);
}

}  // namespace

Result<CrossMemory> CrossMemory::probe(const Peer &peer) {
  if (peer.holder.pid <= 0)
    return fail(PIRN_ERR_UNAVAILABLE, "the peer's process is not visible in this PID namespace");
  Fd process(static_cast<int>(syscall(SYS_pidfd_open, peer.holder.pid, 0)));
  if (!process.is_open())
    return fail(PIRN_ERR_UNAVAILABLE, "pidfd_open %d: %s", peer.holder.pid, std::strerror(errno));
  CrossMemory memory(peer.holder.pid, std::move(process));
  uint64_t found = 0;
  const iovec here{&found, sizeof found};
  const iovec there{reinterpret_cast<void *>(peer.word.address), sizeof found};
  const ssize_t copied = process_vm_readv(peer.holder.pid, &here, 1, &there, 1, 0);
  if (copied < 0)
    return fail(PIRN_ERR_UNAVAILABLE, "cannot read the peer's memory: %s",
                memory.blame(errno, reinterpret_cast<std::byte *>(&found), static_cast<std::byte *>(there.iov_base)).text.c_str());
  if (copied != sizeof found || found != peer.word.value)
    return fail(PIRN_ERR_UNAVAILABLE, "process %d does not hold the word that the peer told", peer.holder.pid);
  // It lived after the word was read, so the word was read in it.
  if (!memory.is_alive()) return fail(PIRN_ERR_UNAVAILABLE, "process %d has ended", peer.holder.pid);
  return memory;
}

bool CrossMemory::is_alive() const {
  pollfd ended{process_.get(), POLLIN, 0};
  return poll(&ended, 1, 0) == 0;
}

// Why nothing was read from `remote` on to `local`.
Status CrossMemory::blame(int error, const std::byte *local, const std::byte *remote) const {
  if (error == ESRCH) return fail(PIRN_ERR_PEER_LOST, "process_vm_readv: process %d has ended", pid_);
  if (error == EPERM)
    return fail(PIRN_ERR_UNAVAILABLE, "process_vm_readv of process %d: %s%s", pid_, std::strerror(error),
                what_forbids().c_str());
  if (error != EFAULT)
    return fail(error == ENOMEM ? PIRN_ERR_NO_MEMORY : PIRN_ERR_IO, "process_vm_readv of process %d: %s", pid_,
                std::strerror(error));
  // The kernel does not say whose memory it is, but has copied all before it, so the first byte there tells.
  std::byte byte{};
  const iovec room{&byte, sizeof byte}, first{const_cast<std::byte *>(remote), sizeof byte};
  if (process_vm_readv(pid_, &room, 1, &first, 1, 0) == 1)
    return fail(PIRN_ERR_INVALID, "process_vm_readv: this process has no memory at %p that may be written",
                static_cast<const void *>(local));
  return fail(PIRN_ERR_RANGE, "process_vm_readv: process %d has no memory at %p that may be read", pid_,
              static_cast<const void *>(remote));
}

// One call for both: the kernel copies parts in their order, and between those of different pages it takes and drops
// references to pages, which are full barriers. A guard that holds its value also tells whose memory it was, for nobody else
// has that value at that address; so no look at the process is needed when all goes well.
Status CrossMemory::read_window(std::byte *local, const std::byte *remote, uint64_t length,
                                const wire::ShareWord &guard) const {
  uint64_t done = 0, found = 0;
  for (;;) {
    const uint64_t left = length - done;
    const iovec ours[] = {{local + done, left}, {&found, sizeof found}};
    const iovec theirs[] = {{const_cast<std::byte *>(remote) + done, left},
                            {reinterpret_cast<void *>(guard.address), sizeof found}};
    const size_t first = left > 0 ? 0 : 1;
    const ssize_t copied = process_vm_readv(pid_, ours + first, 2 - first, theirs + first, 2 - first, 0);
    const int error = copied < 0 ? errno : EFAULT;
    if (copied == static_cast<ssize_t>(left + sizeof found)) break;
    if (!is_alive()) return blame(ESRCH, local + done, remote + done);
    if (left == 0 && error == EFAULT) {  // where it was
      found = ~guard.value;
      break;
    }
    if (copied <= 0) return blame(error, local + done, remote + done);
    done += std::min(left, static_cast<uint64_t>(copied));
  }
  if (found == guard.value) return Status::ok();
  return fail(PIRN_ERR_WINDOW_GONE, "the window was withdrawn by its owner while it was read");
}

wire::ShareHandle address_handle(const void *address) {
  const uint64_t value = reinterpret_cast<uintptr_t>(address);
  wire::ShareHandle handle{wire::ShareHandleKind::host_address, wire::ShareHandle::no_file, {}};
  for (unsigned shift = 0; shift < 64; shift += 8)
    handle.bytes.push_back(static_cast<std::byte>(value >> shift & 0xff));
  return handle;
}

std::optional<uint64_t> address_of(const wire::ShareChunk &chunk) {
  for (const wire::ShareHandle &handle : chunk.handles) {
    if (handle.kind != wire::ShareHandleKind::host_address || handle.bytes.size() != sizeof(uint64_t)) continue;
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof value; ++i) value |= std::to_integer<uint64_t>(handle.bytes[i]) << 8 * i;
    return value + chunk.allocation_offset;
  }
  return std::nullopt;
}

}  // namespace pirn::local
