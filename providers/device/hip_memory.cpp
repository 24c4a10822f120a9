// SPDX-License-Identifier: Apache-2.0
#include "hip_chunks.h"
#include "hip_table.h"
#include "ranges.h"

namespace pirn::device::hip {
namespace {

// Never destroyed: see hip_runtime.cpp. The runtime does not tell memory that it allocated from memory that it
// registered.
Ranges &pinned() {
  static Ranges *one = new Ranges;
  return *one;
}
// What allocate() took from hipMalloc().
Ranges &allocated() {
  static Ranges *one = new Ranges;
  return *one;
}

enum class Place { unknown, host, device, managed };

Place place_of(const PointerAttributes &attributes) {
  if (attributes.is_managed != 0) return Place::managed;
  if (runtime_version() < types_renumbered_since) {
    if (attributes.type == memory_host_before_6) return Place::host;
    return attributes.type == memory_device_before_6 ? Place::device : Place::unknown;
  }
  switch (attributes.type) {
    case memory_host: return Place::host;
    case memory_device: return Place::device;
    case memory_managed: return Place::managed;
    default: return Place::unknown;
  }
}

bool is_of_pool(void *address) {
  void *pool = nullptr;
  return runtime_version() >= types_renumbered_since &&
         runtime().hipPointerGetAttribute(&pool, pointer_mempool, address) == success && pool != nullptr;
}

Backing backing_of(Place place, void *address) {
  if (place == Place::managed) return Backing::managed;
  if (place == Place::host) return pinned().holds(address) ? Backing::registered : Backing::pinned;
  if (is_of_pool(address)) return Backing::pool;
  return is_chunk(address) ? Backing::chunks : Backing::plain;
}

// The allocation that `address` lies in, whose place is known already.
Result<Allocation> described(void *address, const PointerAttributes &attributes) {
  Allocation found;
  size_t length = 0;
  Status status = call(runtime().hipMemGetAddressRange, &found.address, &length, address);
  if (status.is_ok()) status = call(runtime().hipPointerGetAttribute, &found.id, pointer_buffer_id, address);
  if (!status.is_ok()) return status;
  found.length = length;
  found.device = attributes.device < 0 ? 0 : static_cast<uint32_t>(attributes.device);
  found.backing = backing_of(place_of(attributes), address);
  return found;
}

}  // namespace

Result<std::optional<Allocation>> identify(const void *address) {
  if (!load(true).is_ok()) return std::optional<Allocation>();
  const Unnoticed unnoticed;
  PointerAttributes attributes{};
  const int error = runtime().hipPointerGetAttributes(&attributes, address);
  // From 6 on, host memory that is nobody's is a success of type unregistered; before, this error.
  if (error == error_invalid_value) return std::optional<Allocation>();
  const Status status = status_of(runtime().hipPointerGetAttributes, error);
  if (!status.is_ok()) return status;
  if (place_of(attributes) == Place::unknown) return std::optional<Allocation>();
  Result<Allocation> found = described(const_cast<void *>(address), attributes);
  if (!found.is_ok()) return found.error();
  return std::optional<Allocation>(found.value());
}

Result<Allocation> allocate(uint32_t device, uint64_t length) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  if (can_share_files(device)) return allocate_chunk(device, length);
  if (length == 0) return fail(PIRN_ERR_RANGE, "0 bytes of device memory: 1 at least is allowed");
  void *address = nullptr;
  const Status status = call(runtime().hipMalloc, &address, length);
  if (!status.is_ok()) return status;
  Allocation made{address, length, device, Backing::plain, 0};
  const Status named = call(runtime().hipPointerGetAttribute, &made.id, pointer_buffer_id, address);
  if (!named.is_ok()) {
    runtime().hipFree(address);
    return named;
  }
  allocated().add(address, length);
  return made;
}

Status release(const Allocation &allocation) {
  const OnDevice current(allocation.device);
  if (!current.is_ok()) return current.status();
  const Result<bool> released = release_chunk(allocation.address);
  if (!released.is_ok() || released.value()) return released.status();
  if (allocated().remove(allocation.address) == 0) {
    return fail(PIRN_ERR_INVALID, "%p was not allocated here, or is released already", allocation.address);
  }
  return call(runtime().hipFree, allocation.address);
}

Result<void *> allocate_host(uint64_t length) {
  const Unnoticed unnoticed;
  void *address = nullptr;
  // Coherent: the words that streams wait for are written by the host while the stream waits.
  const Status status = call(runtime().hipHostMalloc, &address, length, host_portable | host_mapped | host_coherent);
  if (!status.is_ok()) return status;
  return address;
}

Status release_host(void *address) {
  const Unnoticed unnoticed;
  return call(runtime().hipHostFree, address);
}

Status pin(void *address, uint64_t length) {
  const Unnoticed unnoticed;
  const Status status = call(runtime().hipHostRegister, address, length, register_portable | register_mapped);
  if (status.is_ok()) pinned().add(address, length);
  return status;
}

Status unpin(void *address) {
  const Unnoticed unnoticed;
  const Status status = call(runtime().hipHostUnregister, address);
  if (status.is_ok()) pinned().remove(address);
  return status;
}

}  // namespace pirn::device::hip
