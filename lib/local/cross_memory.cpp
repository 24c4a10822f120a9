// SPDX-License-Identifier: Apache-2.0
#include "local/cross_memory.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pirn::local {

namespace {

constexpr size_t parts_at_once = 64;

// Walks a list of parts without changing it.
class Cursor {
 public:
  explicit Cursor(std::span<const iovec> list) : list_(list) {}

  // The next parts, together at most `limit` bytes; returns how many bytes.
  uint64_t take(uint64_t limit, std::array<iovec, parts_at_once> *parts, size_t *count) const {
    uint64_t total = 0, skip = offset_;
    *count = 0;
    for (size_t i = at_; i < list_.size() && *count < parts_at_once && total < limit; ++i) {
      const uint64_t length = std::min<uint64_t>(list_[i].iov_len - skip, limit - total);
      if (length > 0) (*parts)[(*count)++] = {static_cast<std::byte *>(list_[i].iov_base) + skip, length};
      total += length;
      skip = 0;
    }
    return total;
  }

  void advance(uint64_t bytes) {
    while (bytes > 0) {
      const uint64_t step = std::min<uint64_t>(bytes, list_[at_].iov_len - offset_);
      offset_ += step;
      bytes -= step;
      if (offset_ == list_[at_].iov_len) {
        ++at_;
        offset_ = 0;
      }
    }
  }

 private:
  std::span<const iovec> list_;
  size_t at_ = 0;
  uint64_t offset_ = 0;
};

const char *call_name(bool reads) { return reads ? "process_vm_readv" : "process_vm_writev"; }

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
  const Result<uint64_t> read = memory.read({&here, 1}, {&there, 1}, sizeof found);
  if (!read.is_ok())
    return fail(PIRN_ERR_UNAVAILABLE, "cannot read the peer's memory: %s", read.status().text.c_str());
  if (read.value() != sizeof found || found != peer.word.value)
    return fail(PIRN_ERR_UNAVAILABLE, "process %d does not hold the word that the peer told", peer.holder.pid);
  // It lived after the word was read, so the word was read in it.
  if (!memory.is_alive()) return fail(PIRN_ERR_UNAVAILABLE, "process %d has ended", peer.holder.pid);
  return memory;
}

bool CrossMemory::is_alive() const {
  pollfd ended{process_.get(), POLLIN, 0};
  return poll(&ended, 1, 0) == 0;
}

Result<uint64_t> CrossMemory::read(std::span<const iovec> local, std::span<const iovec> remote, uint64_t limit) const {
  return copy(true, local, remote, limit);
}

Result<uint64_t> CrossMemory::write(std::span<const iovec> local, std::span<const iovec> remote, uint64_t limit) const {
  return copy(false, local, remote, limit);
}

// Why nothing was copied between the beginnings of these two parts.
Status CrossMemory::blame(bool reads, int error, const iovec &local, const iovec &remote) const {
  const char *const name = call_name(reads);
  if (error == ESRCH) return fail(PIRN_ERR_PEER_LOST, "%s: process %d has ended", name, pid_);
  if (error == EPERM)
    return fail(PIRN_ERR_UNAVAILABLE, "%s of process %d: %s%s", name, pid_, std::strerror(error),
                what_forbids().c_str());
  if (error != EFAULT)
    return fail(error == ENOMEM ? PIRN_ERR_NO_MEMORY : PIRN_ERR_IO, "%s of process %d: %s", name, pid_,
                std::strerror(error));
  // The kernel does not say whose memory it is, but has copied all before it, so the first byte tells: look at the
  // side that can be looked at without changing anything.
  std::byte byte{};
  const iovec room{&byte, sizeof byte}, first{reads ? remote.iov_base : local.iov_base, sizeof byte};
  const bool is_read = process_vm_readv(reads ? pid_ : getpid(), &room, 1, &first, 1, 0) == 1;
  if (is_read == reads)
    return fail(PIRN_ERR_INVALID, "%s: this process has no memory at %p that may be %s", name, local.iov_base,
                reads ? "written" : "read");
  return fail(PIRN_ERR_RANGE, "%s: process %d has no memory at %p that may be %s", name, pid_, remote.iov_base,
              reads ? "read" : "written");
}

Result<uint64_t> CrossMemory::copy(bool reads, std::span<const iovec> local, std::span<const iovec> remote,
                                   uint64_t limit) const {
  Cursor here(local), there(remote);
  uint64_t done = 0;
  while (done < limit) {
    std::array<iovec, parts_at_once> ours, theirs;
    size_t our_count = 0, their_count = 0;
    const uint64_t wanted = std::min(here.take(limit - done, &ours, &our_count),
                                     there.take(limit - done, &theirs, &their_count));
    if (wanted == 0) break;
    if (here.take(wanted, &ours, &our_count) != there.take(wanted, &theirs, &their_count))
      return fail(PIRN_ERR_INTERNAL, "two lists of %llu bytes differ", static_cast<unsigned long long>(wanted));
    if (!is_alive()) return blame(reads, ESRCH, ours[0], theirs[0]);
    const ssize_t copied = reads ? process_vm_readv(pid_, ours.data(), our_count, theirs.data(), their_count, 0)
                                 : process_vm_writev(pid_, ours.data(), our_count, theirs.data(), their_count, 0);
    const int error = copied < 0 ? errno : EFAULT;
    if (!is_alive()) return blame(reads, ESRCH, ours[0], theirs[0]);
    if (copied <= 0) return blame(reads, error, ours[0], theirs[0]);
    here.advance(static_cast<uint64_t>(copied));
    there.advance(static_cast<uint64_t>(copied));
    done += static_cast<uint64_t>(copied);
  }
  return done;
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
    if (!is_alive()) return blame(true, ESRCH, ours[first], theirs[first]);
    if (left == 0 && error == EFAULT) {  // where it was
      found = ~guard.value;
      break;
    }
    if (copied <= 0) return blame(true, error, ours[first], theirs[first]);
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
