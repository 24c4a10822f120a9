// SPDX-License-Identifier: Apache-2.0
#include "core/allocations.h"

#include "local/host_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pirn::core {

using ull = unsigned long long;

Allocations &Allocations::of_process() {
  static Allocations *made = new Allocations;  // outlives whatever static destructors close
  return *made;
}

Result<void *> Allocations::make(const device::Operations *table, uint32_t device, uint64_t length) {
  if (length == 0) return fail(PIRN_ERR_INVALID, "length is 0; an allocation has at least 1 byte");
  if (!table) return make_host(length);
  auto allocation = table->allocate(device, length);
  if (!allocation.is_ok()) return allocation.status();
  std::lock_guard guard(mutex_);
  void *address = allocation.value().address;
  device_[address] = {table, allocation.take()};
  return address;
}

Result<void *> Allocations::make_host(uint64_t length) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (length > INT64_MAX - page) return fail(PIRN_ERR_RANGE, "length %llu is more than a file holds", static_cast<ull>(length));
  const uint64_t whole = (length + page - 1) / page * page;
  auto made = local::make_host_file(whole);
  if (!made.is_ok()) return made.status();
  Fd file = made.take();
  void *address = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED)
    return fail(PIRN_ERR_NO_MEMORY, "%llu bytes cannot be mapped: %s", static_cast<ull>(whole), strerror(errno));
  std::lock_guard guard(mutex_);
  auto *start = static_cast<std::byte *>(address);
  SharedHost shared{start, whole, next_id_++, file.get()};
  host_.emplace(start, Host{std::move(file), shared});
  return address;
}

Status Allocations::free(void *address) {
  std::unique_lock guard(mutex_);
  if (auto found = host_.find(static_cast<std::byte *>(address)); found != host_.end()) {
    munmap(address, found->second.shared.length);
    host_.erase(found);
    return Status::ok();
  }
  auto found = device_.find(address);
  if (found == device_.end())
    return fail(PIRN_ERR_INVALID, "%p was not allocated by pirn_memory_alloc, or has been freed", address);
  Device made = found->second;
  device_.erase(found);
  guard.unlock();
  return made.table->release(made.allocation);
}

std::optional<SharedHost> Allocations::host_at(const void *address) {
  std::lock_guard guard(mutex_);
  auto *at = static_cast<std::byte *>(const_cast<void *>(address));
  auto after = host_.upper_bound(at);
  if (after == host_.begin()) return {};
  const SharedHost &shared = std::prev(after)->second.shared;
  if (at >= shared.address + shared.length) return {};
  return shared;
}

}  // namespace pirn::core
