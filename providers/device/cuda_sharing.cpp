// SPDX-License-Identifier: Apache-2.0
#include "cuda_table.h"

#include <array>
#include <cstring>

#include <unistd.h>

namespace pirn::device::cuda {
namespace {

Status check_range(const Allocation &allocation) {
  if (allocation.on_device()) return Status::ok();
  return fail(PIRN_ERR_UNAVAILABLE, "%s has no handle for other processes", backing_name(allocation.backing));
}

// What the memory's creator has asked for.
Result<uint64_t> handle_types(const void *address) {
  uint64_t types = 0;
  int kind = pointer_handle_types;
  void *value = &types;
  const Status status = call(driver().cuPointerGetAttributes, 1, &kind, &value, pointer_to(address));
  if (!status.is_ok()) return status;
  return types;
}

Result<Handle> share_chunk(const Allocation &allocation, HandleKind kind) {
  const char *how = kind == HandleKind::file ? "file descriptor" : "fabric handle";
  const int type = kind == HandleKind::file ? handle_file : handle_fabric;
  if (allocation.backing != Backing::chunks) {
    return fail(PIRN_ERR_UNAVAILABLE, "%s has no %s; only memory mapped from chunks has",
                backing_name(allocation.backing), how);
  }
  const Result<uint64_t> types = handle_types(allocation.address);
  if (!types.is_ok()) return types.status();
  if ((types.value() & static_cast<uint64_t>(type)) == 0) {
    return fail(PIRN_ERR_UNAVAILABLE, "the chunk at %p was created without the right to be shared by %s",
                allocation.address, how);
  }
  Chunk chunk = 0;
  Status status = call(driver().cuMemRetainAllocationHandle, &chunk, allocation.address);
  if (!status.is_ok()) return status;
  Handle handle;
  handle.kind = kind;
  void *out = kind == HandleKind::file ? static_cast<void *>(&handle.file) : handle.bytes.data();
  status = call(driver().cuMemExportToShareableHandle, out, chunk, type, 0);
  driver().cuMemRelease(chunk);
  if (!status.is_ok()) return status;
  return handle;
}

Result<Handle> share_legacy(const Allocation &allocation) {
  if (allocation.backing != Backing::plain) {
    return fail(PIRN_ERR_UNAVAILABLE, "%s has no legacy handle", backing_name(allocation.backing));
  }
  IpcHandle named{};
  const Status status = call(driver().cuIpcGetMemHandle, &named, pointer_to(allocation.address));
  if (!status.is_ok()) return status;
  Handle handle;
  handle.kind = HandleKind::legacy;
  static_assert(sizeof(named.bytes) == handle_bytes);
  std::memcpy(handle.bytes.data(), named.bytes, handle_bytes);
  return handle;
}

// The handle says nothing of the length, and a wrong one would be found out by a kernel only.
Result<void *> map_legacy(const Handle &handle, uint64_t length) {
  IpcHandle named{};
  std::memcpy(named.bytes, handle.bytes.data(), handle_bytes);
  Pointer start = 0;
  const Status opened = call(driver().cuIpcOpenMemHandle_v2, &start, named, ipc_lazy_peer);
  if (!opened.is_ok()) return opened;
  const Result<std::optional<Allocation>> found = identify(address_of(start));
  const uint64_t there = found.is_ok() && found.value().has_value() ? found.value()->length : 0;
  if (length <= there) return address_of(start);
  driver().cuIpcCloseMemHandle(start);
  return fail(PIRN_ERR_RANGE, "a legacy handle of %llu bytes is to be mapped for %llu",
              static_cast<unsigned long long>(there), static_cast<unsigned long long>(length));
}

Result<Chunk> import_chunk(const Handle &handle) {
  const bool file = handle.kind == HandleKind::file;
  std::array<std::byte, handle_bytes> bytes = handle.bytes;
  void *named = file ? reinterpret_cast<void *>(static_cast<uintptr_t>(handle.file)) : bytes.data();
  if (file && handle.file < 0) {
    return fail(PIRN_ERR_INVALID, "file descriptor %d in a handle of kind file", handle.file);
  }
  Chunk chunk = 0;
  const Status status =
      call(driver().cuMemImportFromShareableHandle, &chunk, named, file ? handle_file : handle_fabric);
  if (!status.is_ok()) return status;
  return chunk;
}

Result<void *> map_imported(uint32_t device, Chunk chunk, uint64_t length, bool writable) {
  const Result<uint64_t> rounded = rounded_to_chunks(device, length);
  if (!rounded.is_ok()) return rounded.status();
  std::vector<Access> access = {{{location_device, static_cast<int>(device)}, access_read_write}};
  if (!writable) {
    access[0].flags = access_read;
    const Result<void *> read_only = map_chunk(chunk, rounded.value(), access);
    if (read_only.is_ok()) return read_only;
    access[0].flags = access_read_write;  // drivers that do not do this courtesy say so in different ways
  }
  return map_chunk(chunk, rounded.value(), access);
}

}  // namespace

Result<Handle> share(const Allocation &allocation, HandleKind kind) {
  const Status range = check_range(allocation);
  if (!range.is_ok()) return range;
  const Bound bound(allocation.device);
  if (!bound.is_ok()) return bound.status();
  return kind == HandleKind::legacy ? share_legacy(allocation) : share_chunk(allocation, kind);
}

Result<void *> map(uint32_t device, const Handle &handle, uint64_t length, bool writable) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  if (handle.kind == HandleKind::legacy) return map_legacy(handle, length);
  const Result<Chunk> chunk = import_chunk(handle);
  if (!chunk.is_ok()) return chunk.status();
  Result<void *> address = map_imported(device, chunk.value(), length, writable);
  driver().cuMemRelease(chunk.value());  // the mapping keeps it
  return address;
}

Status unmap(uint32_t device, void *address, uint64_t length, HandleKind kind) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  if (kind == HandleKind::legacy) return call(driver().cuIpcCloseMemHandle, pointer_to(address));
  const Result<uint64_t> rounded = rounded_to_chunks(device, length);
  if (!rounded.is_ok()) return rounded.status();
  return unmap_chunk(address, rounded.value());
}

Status enable_peer(uint32_t device, uint32_t peer) {
  if (device == peer) return Status::ok();
  const Result<Context> other = primary_context(peer);
  if (!other.is_ok()) return other.status();
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  int can = 0;
  const Status asked =
      call(driver().cuDeviceCanAccessPeer, &can, static_cast<Device>(device), static_cast<Device>(peer));
  if (!asked.is_ok()) return asked;
  if (can == 0) return fail(PIRN_ERR_UNAVAILABLE, "cuda:%u cannot reach the memory of cuda:%u directly", device, peer);
  const int error = driver().cuCtxEnablePeerAccess(other.value(), 0);
  if (error == error_peer_already_enabled) return Status::ok();
  return status_of(driver().cuCtxEnablePeerAccess, error);
}

Result<DmaBuf> dma_buf(const Allocation &allocation) {
  const Status range = check_range(allocation);
  if (!range.is_ok()) return range;
  if (!driver().cuMemGetHandleForAddressRange) {
    return fail(PIRN_ERR_UNAVAILABLE, "libcuda.so.1 has no cuMemGetHandleForAddressRange: it is older than CUDA 11.7");
  }
  const Result<bool> has = has_attribute(allocation.device, attribute_dma_buf);
  if (!has.is_ok()) return has.status();
  if (!has.value()) {
    return fail(PIRN_ERR_UNAVAILABLE, "cuda:%u exports no dma-buf (the open kernel modules and Linux 5.12 are needed)",
                allocation.device);
  }
  const Bound bound(allocation.device);
  if (!bound.is_ok()) return bound.status();
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const Pointer start = pointer_to(allocation.address), first = start / page * page;
  const Pointer end = (start + allocation.length + page - 1) / page * page;
  DmaBuf exported;
  const Status status =
      call(driver().cuMemGetHandleForAddressRange, &exported.file, first, end - first, range_dma_buf, 0);
  if (!status.is_ok()) return status;
  exported.offset = start - first;
  return exported;
}

// Chunks and pools have no such attribute; their copies are asynchronous at all times, and the application orders them.
Status order_with_nics(const Allocation &allocation) {
  if (allocation.backing != Backing::plain) return Status::ok();
  const Bound bound(allocation.device);
  if (!bound.is_ok()) return bound.status();
  const unsigned on = 1;
  return call(driver().cuPointerSetAttribute, &on, pointer_sync_copies, pointer_to(allocation.address));
}

// An ordering for the device that owns the memory is enough: kernels of other devices that read it in place are the
// application's to order.
Result<RemoteWrites> remote_writes(uint32_t device) {
  const Result<int> ordering = attribute_of(device, attribute_writes_ordering);
  if (!ordering.is_ok()) return ordering.status();
  if (ordering.value() >= static_cast<int>(ordering_owner)) return RemoteWrites::seen;
  const Result<int> options = attribute_of(device, attribute_flush_options);
  if (!options.is_ok()) return options.status();
  const bool by_host = (static_cast<unsigned>(options.value()) & flush_by_host) != 0;
  return by_host && driver().cuFlushGPUDirectRDMAWrites ? RemoteWrites::flushed : RemoteWrites::unseen;
}

Status flush_remote_writes(uint32_t device) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  return call(driver().cuFlushGPUDirectRDMAWrites, static_cast<int>(flush_current_context), static_cast<int>(flush_to_owner));
}

}  // namespace pirn::device::cuda
