// SPDX-License-Identifier: Apache-2.0
#include "hip_chunks.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <unistd.h>

namespace pirn::device::hip {
namespace {

struct Own {
  void *chunk = nullptr;
  uint64_t length = 0;
};

// A descriptor that the runtime exported. It stays open as long as the chunk may be exported again: runtimes before
// ROCm/rocm-systems#8440 remember the number and duplicate it, whatever it names by then.
struct Exported {
  uint64_t id = 0;
  int file = -1;
};

struct Chunks {
  std::mutex mutex;
  std::map<uintptr_t, Own> own;
  std::map<uintptr_t, Exported> exported;
};

Chunks &chunks() {
  static Chunks *one = new Chunks;  // never destroyed: see hip_runtime.cpp
  return *one;
}

uintptr_t number_of(const void *address) { return reinterpret_cast<uintptr_t>(address); }

const Own *find_own(const Chunks &all, const void *address) {
  auto after = all.own.upper_bound(number_of(address));
  if (after == all.own.begin()) return nullptr;
  const auto &[start, own] = *--after;
  return number_of(address) - start < own.length ? &own : nullptr;
}

AllocationProperties properties_of(uint32_t device) {
  AllocationProperties properties{};
  properties.type = allocation_pinned;
  properties.handle_kinds = handle_file;
  properties.location = {location_device, static_cast<int>(device)};
  return properties;
}

Result<uint64_t> rounded(uint32_t device, uint64_t length) {
  const AllocationProperties properties = properties_of(device);
  size_t unit = 0;
  const Status status = call(runtime().hipMemGetAllocationGranularity, &unit, &properties, granularity_recommended);
  if (!status.is_ok()) return status;
  if (unit == 0) return fail(PIRN_ERR_IO, "hipMemGetAllocationGranularity: 0 bytes on hip:%u", device);
  if (length == 0 || length > UINT64_MAX - unit) {
    return fail(PIRN_ERR_RANGE, "%llu bytes of device memory: 1 to 2^64 - %zu are allowed",
                static_cast<unsigned long long>(length), unit);
  }
  return (length + unit - 1) / unit * unit;
}

bool reaches(uint32_t device, uint32_t peer) {
  int can = 0;
  return runtime().hipDeviceCanAccessPeer(&can, static_cast<int>(device), static_cast<int>(peer)) == success &&
         can != 0;
}

Status grant(void *address, uint64_t length, uint32_t device, int flags) {
  const Access access{{location_device, static_cast<int>(device)}, flags};
  return call(runtime().hipMemSetAccess, address, length, &access, 1u);
}

// A new range with `chunk` in it; the caller's reference to the chunk stays the caller's.
Result<void *> mapped(void *chunk, uint64_t length, uint32_t device, int flags) {
  void *address = nullptr;
  Status status = call(runtime().hipMemAddressReserve, &address, length, 0u, nullptr, 0u);
  if (!status.is_ok()) return status;
  status = call(runtime().hipMemMap, address, length, 0u, chunk, 0u);
  if (status.is_ok()) {
    status = grant(address, length, device, flags);
    if (status.is_ok()) return address;
    runtime().hipMemUnmap(address, length);
  }
  runtime().hipMemAddressFree(address, length);
  return status;
}

Status unmapped(void *address, uint64_t length) {
  const Status status = call(runtime().hipMemUnmap, address, length);
  if (!status.is_ok()) return status;
  return call(runtime().hipMemAddressFree, address, length);
}

Result<uint64_t> id_of(void *address) {
  uint64_t id = 0;
  const Status status = call(runtime().hipPointerGetAttribute, &id, pointer_buffer_id, address);
  if (!status.is_ok()) return status;
  return id;
}

// The chunk at `address`, to be released by the caller if `retained`.
struct Held {
  void *chunk = nullptr;
  bool retained = false;
};

Result<Held> hold(const Chunks &all, const Allocation &allocation) {
  if (const Own *own = find_own(all, allocation.address)) return Held{own->chunk, false};
  if (allocation.backing != Backing::chunks) {
    return fail(PIRN_ERR_UNAVAILABLE, "%s cannot be shared as a file, only memory mapped from chunks can",
                backing_name(allocation.backing));
  }
  if (runtime_version() < retains_since) {
    return fail(PIRN_ERR_UNAVAILABLE, "hipMemRetainAllocationHandle of HIP version %d takes no reference; %d is needed",
                runtime_version(), retains_since);
  }
  Held held{nullptr, true};
  const Status status = call(runtime().hipMemRetainAllocationHandle, &held.chunk, allocation.address);
  if (!status.is_ok()) return status;
  return held;
}

void forget_export(Chunks &all, void *address) {
  const auto found = all.exported.find(number_of(address));
  if (found == all.exported.end()) return;
  close(found->second.file);
  all.exported.erase(found);
}

Result<int> exported_file(Chunks &all, const Allocation &allocation) {
  const auto found = all.exported.find(number_of(allocation.address));
  if (found != all.exported.end() && found->second.id == allocation.id) return found->second.file;
  forget_export(all, allocation.address);
  const Result<Held> held = hold(all, allocation);
  if (!held.is_ok()) return held.status();
  int file = -1;
  const Status status = call(runtime().hipMemExportToShareableHandle, &file, held.value().chunk, handle_file, 0u);
  if (held.value().retained) runtime().hipMemRelease(held.value().chunk);
  if (!status.is_ok()) {
    return fail(PIRN_ERR_UNAVAILABLE, "the chunk at %p may have been made without the right to be shared: %s",
                allocation.address, status.text.c_str());
  }
  all.exported[number_of(allocation.address)] = {allocation.id, file};
  return file;
}

}  // namespace

bool can_share_files(uint32_t device) {
  const Runtime &all = runtime();
  int able = 0;
  return runtime_version() >= chunks_since && all.hipMemGetAllocationGranularity && all.hipMemCreate &&
         all.hipMemRelease && all.hipMemAddressReserve && all.hipMemAddressFree && all.hipMemMap && all.hipMemUnmap &&
         all.hipMemSetAccess && all.hipMemExportToShareableHandle && all.hipMemImportFromShareableHandle &&
         all.hipDeviceGetAttribute(&able, attribute_chunks, static_cast<int>(device)) == success && able != 0;
}

Result<Allocation> allocate_chunk(uint32_t device, uint64_t length) {
  Chunks &all = chunks();
  const std::lock_guard lock(all.mutex);
  const Result<uint64_t> size = rounded(device, length);
  if (!size.is_ok()) return size.status();
  const AllocationProperties properties = properties_of(device);
  void *chunk = nullptr;
  const Status made = call(runtime().hipMemCreate, &chunk, size.value(), &properties, 0u);
  if (!made.is_ok()) return made;
  const Result<void *> address = mapped(chunk, size.value(), device, access_read_write);
  if (!address.is_ok()) {
    runtime().hipMemRelease(chunk);
    return address.status();
  }
  for (uint32_t peer = 0; peer < device_count(); peer++) {
    // A peer that gets no access sees an error in its own copy, naming it; the memory is good for everybody else.
    if (peer != device && reaches(peer, device)) {
      static_cast<void>(grant(address.value(), size.value(), peer, access_read_write));
    }
  }
  const Result<uint64_t> id = id_of(address.value());
  if (!id.is_ok()) {
    static_cast<void>(unmapped(address.value(), size.value()));
    runtime().hipMemRelease(chunk);
    return id.status();
  }
  all.own[number_of(address.value())] = {chunk, size.value()};
  return Allocation{address.value(), size.value(), device, Backing::chunks, id.value()};
}

Result<bool> release_chunk(void *address) {
  Chunks &all = chunks();
  const std::lock_guard lock(all.mutex);
  const auto found = all.own.find(number_of(address));
  if (found == all.own.end()) return false;
  const Own own = found->second;
  all.own.erase(found);
  forget_export(all, address);
  const Status status = unmapped(address, own.length);
  const Status released = call(runtime().hipMemRelease, own.chunk);
  if (!status.is_ok()) return status;
  if (!released.is_ok()) return released;
  return true;
}

bool is_chunk(const void *address) {
  Chunks &all = chunks();
  const std::lock_guard lock(all.mutex);
  if (find_own(all, address) != nullptr) return true;
  if (runtime_version() < retains_since || !runtime().hipMemRetainAllocationHandle || !runtime().hipMemRelease) {
    return false;
  }
  void *chunk = nullptr;
  if (runtime().hipMemRetainAllocationHandle(&chunk, const_cast<void *>(address)) != success) return false;
  runtime().hipMemRelease(chunk);
  return true;
}

Result<int> export_chunk(const Allocation &allocation) {
  Chunks &all = chunks();
  const std::lock_guard lock(all.mutex);
  const Result<int> file = exported_file(all, allocation);
  if (!file.is_ok()) return file.status();
  const int copy = fcntl(file.value(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail(PIRN_ERR_NO_MEMORY, "duplicating the descriptor of a chunk: %s", std::strerror(errno));
  return copy;
}

Result<void *> map_chunk(uint32_t device, int file, uint64_t length, bool writable) {
  const std::lock_guard lock(chunks().mutex);
  // By value, descriptor 0 would be a null pointer.
  const int duplicate = file == 0 ? fcntl(file, F_DUPFD_CLOEXEC, 1) : -1;
  int named = duplicate >= 0 ? duplicate : file;
  void *handle = &named;
  if (runtime_version() >= file_by_value_since) handle = reinterpret_cast<void *>(static_cast<intptr_t>(named));
  void *chunk = nullptr;
  const Status imported = call(runtime().hipMemImportFromShareableHandle, &chunk, handle, handle_file);
  Result<void *> address = imported;
  if (imported.is_ok()) {
    // Runtimes before ROCm/rocm-systems#8440 use the descriptor until access has been granted.
    address = mapped(chunk, length, device, writable ? access_read_write : access_read);
    runtime().hipMemRelease(chunk);  // the mapping has its own reference
  }
  if (duplicate >= 0) close(duplicate);
  return address;
}

Status unmap_chunk(void *address, uint64_t length) {
  const std::lock_guard lock(chunks().mutex);
  return unmapped(address, length);
}

}  // namespace pirn::device::hip
