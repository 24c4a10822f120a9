// SPDX-License-Identifier: Apache-2.0
// Allocations, what is known of addresses, handles of plain allocations.
#include "shim.h"

#include <array>
#include <cstring>
#include <map>
#include <mutex>

namespace pirn::shim {
namespace {

struct Found {
  unsigned type = 0;
  int device = 0;
  unsigned managed = 0;
  uint64_t id = 0;
  uint64_t chunk = 0;  // likewise, of the chunk in a range; 0: it is no chunk
  cuda::Pointer start = 0;
  size_t length = 0;
  cuda::Pool pool = nullptr;
};

int look_up(const Driver &all, const void *address, Found &found) {
  std::array<int, 7> kinds = {cuda::pointer_memory_type, cuda::pointer_device,      cuda::pointer_is_managed,
                              cuda::pointer_buffer_id,   cuda::pointer_range_start, cuda::pointer_range_size,
                              cuda::pointer_pool};
  std::array<void *, 7> values = {&found.type,  &found.device, &found.managed, &found.id,
                                  &found.start, &found.length, &found.pool};
  return all.cuPointerGetAttributes(static_cast<unsigned>(kinds.size()), kinds.data(), values.data(),
                                    pointer_of(address));
}

// HIP numbers allocations by 32 bits and takes no number twice; the driver's are of 64.
uint32_t number_of(uint64_t range, uint64_t chunk) {
  struct Numbers {
    std::mutex mutex;
    std::map<std::pair<uint64_t, uint64_t>, uint32_t> all;
  };
  static Numbers *numbers = new Numbers;  // never destroyed: see shim.cpp
  const std::lock_guard lock(numbers->mutex);
  return numbers->all.try_emplace({range, chunk}, static_cast<uint32_t>(numbers->all.size()) + 1).first->second;
}

// HIP knows a range by its chunks: their place, and a number that a chunk mapped there later does not have.
void look_up_chunk(const Driver &all, const void *address, Found &found) {
  cuda::Chunk chunk = 0;
  if (all.cuMemRetainAllocationHandle(&chunk, const_cast<void *>(address)) != 0) return;
  all.cuMemRelease(chunk);
  uint64_t id = 0;
  std::array<int, 3> kinds = {cuda::pointer_block_id, cuda::pointer_mapping_start, cuda::pointer_mapping_size};
  std::array<void *, 3> values = {&id, &found.start, &found.length};
  if (all.cuPointerGetAttributes(3, kinds.data(), values.data(), pointer_of(address)) != 0) return;
  found.chunk = id;
}

int shown_type(const Found &found) {
  const bool host = found.type == cuda::memory_host;
  if (shown_version() < hip::types_renumbered_since) return host ? hip::memory_host_before_6 : hip::memory_device_before_6;
  if (found.managed != 0) return hip::memory_managed;
  return host ? hip::memory_host : hip::memory_device;
}

}  // namespace

int hipMalloc(void **address, size_t length) {
  cuda::Pointer start = 0;
  const int error = forward([&](const Driver &all) { return all.cuMemAlloc_v2(&start, length); });
  *address = address_of(start);
  return error;
}

int hipFree(void *address) {
  return forward([=](const Driver &all) { return all.cuMemFree_v2(pointer_of(address)); });
}

int hipMallocManaged(void **address, size_t length, unsigned flags) {
  cuda::Pointer start = 0;
  const int error = forward([&](const Driver &all) { return all.cuMemAllocManaged(&start, length, flags); });
  *address = address_of(start);
  return error;
}

int hipMemPoolCreate(void **pool, const hip::PoolProperties *properties) {
  cuda::PoolProperties wanted{};
  wanted.type = properties->type;
  wanted.handle_types = properties->handle_types;
  wanted.location = {properties->location.type, properties->location.id};
  return forward(
      [&](const Driver &all) { return all.cuMemPoolCreate(reinterpret_cast<cuda::Pool *>(pool), &wanted); });
}

int hipMemPoolDestroy(void *pool) {
  return forward([=](const Driver &all) { return all.cuMemPoolDestroy(static_cast<cuda::Pool>(pool)); });
}

int hipMallocFromPoolAsync(void **address, size_t length, void *pool, void *stream) {
  cuda::Pointer start = 0;
  const int error = forward([&](const Driver &all) {
    return all.cuMemAllocFromPoolAsync(&start, length, static_cast<cuda::Pool>(pool), stream_of(stream));
  });
  *address = address_of(start);
  return error;
}

int hipFreeAsync(void *address, void *stream) {
  return forward([=](const Driver &all) { return all.cuMemFreeAsync(pointer_of(address), stream_of(stream)); });
}

int hipHostMalloc(void **address, size_t length, unsigned flags) {
  const unsigned kept = flags & (hip::host_portable | hip::host_mapped);  // all of it is coherent here
  return forward([=](const Driver &all) { return all.cuMemHostAlloc(address, length, kept); });
}

int hipHostFree(void *address) {
  return forward([=](const Driver &all) { return all.cuMemFreeHost(address); });
}

int hipHostRegister(void *address, size_t length, unsigned flags) {
  return forward([=](const Driver &all) { return all.cuMemHostRegister_v2(address, length, flags); });
}

int hipHostUnregister(void *address) {
  return forward([=](const Driver &all) { return all.cuMemHostUnregister(address); });
}

int hipPointerGetAttributes(hip::PointerAttributes *attributes, const void *address) {
  return forward([=](const Driver &all) -> int {
    Found found;
    const int error = look_up(all, address, found);
    if (error != 0) return error;
    *attributes = {};
    if (found.type == 0) {
      return shown_version() < hip::types_renumbered_since ? static_cast<int>(hip::error_invalid_value) : 0;
    }
    void *const same = const_cast<void *>(address);
    const bool on_host = found.type == cuda::memory_host || found.managed != 0;
    *attributes = {shown_type(found), found.device, same, on_host ? same : nullptr, found.managed != 0, 0};
    return 0;
  });
}

int hipPointerGetAttribute(void *value, int attribute, void *address) {
  return forward([=](const Driver &all) -> int {
    Found found;
    const int error = look_up(all, address, found);
    if (error != 0) return error;
    if (found.type == 0) return hip::error_invalid_value;
    look_up_chunk(all, address, found);
    const uint32_t id = number_of(found.id, found.chunk);
    switch (attribute) {
      case hip::pointer_buffer_id: std::memcpy(value, &id, sizeof id); return 0;
      case hip::pointer_mempool:
        if (shown_version() < hip::types_renumbered_since) return hip::error_invalid_value;
        std::memcpy(value, &found.pool, sizeof found.pool);
        return 0;
      default: return hip::error_invalid_value;
    }
  });
}

int hipMemGetAddressRange(void **base, size_t *length, void *address) {
  return forward([=](const Driver &all) -> int {
    Found found;
    const int error = look_up(all, address, found);
    if (error != 0) return error;
    if (found.type == 0) return hip::error_not_found;
    look_up_chunk(all, address, found);
    *base = address_of(found.start);
    *length = found.length;
    return 0;
  });
}

int hipIpcGetMemHandle(hip::IpcHandle *handle, void *address) {
  cuda::IpcHandle named{};
  const int error = forward([&](const Driver &all) { return all.cuIpcGetMemHandle(&named, pointer_of(address)); });
  std::memcpy(handle->bytes, named.bytes, sizeof handle->bytes);
  return error;
}

int hipIpcOpenMemHandle(void **address, hip::IpcHandle handle, unsigned flags) {
  const bool before = shown_version() < hip::types_renumbered_since;
  if (flags != (before ? hip::ipc_lazy_peer_access_before_6 : hip::ipc_lazy_peer_access)) {
    return told(hip::error_invalid_value);
  }
  cuda::IpcHandle named{};
  std::memcpy(named.bytes, handle.bytes, sizeof named.bytes);
  cuda::Pointer start = 0;
  const int error =
      forward([&](const Driver &all) { return all.cuIpcOpenMemHandle_v2(&start, named, cuda::ipc_lazy_peer); });
  *address = address_of(start);
  return error;
}

int hipIpcCloseMemHandle(void *address) {
  return forward([=](const Driver &all) { return all.cuIpcCloseMemHandle(pointer_of(address)); });
}

int hipMemGetHandleForAddressRange(void *handle, void *address, size_t length, int kind, unsigned long long flags) {
  return forward([=](const Driver &all) -> int {
    if (!all.cuMemGetHandleForAddressRange) return hip::error_not_supported;
    return all.cuMemGetHandleForAddressRange(handle, pointer_of(address), length, kind, flags);
  });
}

}  // namespace pirn::shim
