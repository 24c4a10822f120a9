// SPDX-License-Identifier: Apache-2.0
#include "hip_chunks.h"
#include "hip_table.h"

#include <cstring>
#include <unistd.h>

namespace pirn::device::hip {
namespace {

static_assert(sizeof(IpcHandle) == handle_bytes);

unsigned ipc_flags() {
  return runtime_version() < types_renumbered_since ? ipc_lazy_peer_access_before_6 : ipc_lazy_peer_access;
}

Status no_fabric(const char *what) {
  return fail(PIRN_ERR_UNAVAILABLE, "%s has no fabric handle: the HIP runtime knows none", what);
}

Result<Handle> share_legacy(const Allocation &allocation) {
  if (allocation.backing != Backing::plain) {
    return fail(PIRN_ERR_UNAVAILABLE, "%s has no legacy handle, only plain device memory has",
                backing_name(allocation.backing));
  }
  IpcHandle raw{};
  const Status status = call(runtime().hipIpcGetMemHandle, &raw, allocation.address);
  if (!status.is_ok()) return fail(PIRN_ERR_UNAVAILABLE, "%s", status.text.c_str());
  Handle handle;
  handle.kind = HandleKind::legacy;
  std::memcpy(handle.bytes.data(), &raw, sizeof raw);
  return handle;
}

Result<Handle> share_file(const Allocation &allocation) {
  const Result<int> file = export_chunk(allocation);
  if (!file.is_ok()) return file.status();
  Handle handle;
  handle.kind = HandleKind::file;
  handle.file = file.value();
  return handle;
}

// A legacy mapping is always writable: the runtime knows no other. The handle does not tell its length, and a wrong one
// would be found out by a kernel only.
Result<void *> map_legacy(const Handle &handle, uint64_t length) {
  IpcHandle raw;
  std::memcpy(&raw, handle.bytes.data(), sizeof raw);
  void *address = nullptr, *base = nullptr;
  const Status opened = call(runtime().hipIpcOpenMemHandle, &address, raw, ipc_flags());
  if (!opened.is_ok()) return opened;
  size_t there = 0;
  const Status known = call(runtime().hipMemGetAddressRange, &base, &there, address);
  if (known.is_ok() && length <= there) return address;
  runtime().hipIpcCloseMemHandle(address);
  if (!known.is_ok()) return known;
  return fail(PIRN_ERR_RANGE, "a legacy handle of %zu bytes is to be mapped for %llu", there,
              static_cast<unsigned long long>(length));
}

}  // namespace

bool can_share_legacy() {
  return runtime().hipIpcGetMemHandle && runtime().hipIpcOpenMemHandle && runtime().hipIpcCloseMemHandle;
}

Result<Handle> share(const Allocation &allocation, HandleKind kind) {
  const OnDevice current(allocation.device);
  if (!current.is_ok()) return current.status();
  switch (kind) {
    case HandleKind::file: return share_file(allocation);
    case HandleKind::legacy: return share_legacy(allocation);
    case HandleKind::fabric: break;
  }
  return no_fabric(backing_name(allocation.backing));
}

Result<void *> map(uint32_t device, const Handle &handle, uint64_t length, bool writable) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  switch (handle.kind) {
    case HandleKind::file: return map_chunk(device, handle.file, length, writable);
    case HandleKind::legacy: return map_legacy(handle, length);
    case HandleKind::fabric: break;
  }
  return no_fabric("memory of a HIP device");
}

Status unmap(uint32_t device, void *address, uint64_t length, HandleKind kind) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  switch (kind) {
    case HandleKind::file: return unmap_chunk(address, length);
    case HandleKind::legacy: return call(runtime().hipIpcCloseMemHandle, address);
    case HandleKind::fabric: break;
  }
  return no_fabric("memory of a HIP device");
}

Status enable_peer(uint32_t device, uint32_t peer) {
  if (device == peer) return check_device(device);
  const Status known = check_device(peer);
  if (!known.is_ok()) return known;
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  int can = 0;
  const Status asked =
      call(runtime().hipDeviceCanAccessPeer, &can, static_cast<int>(device), static_cast<int>(peer));
  if (!asked.is_ok()) return asked;
  if (can == 0) return fail(PIRN_ERR_UNAVAILABLE, "hip:%u cannot reach the memory of hip:%u", device, peer);
  const int error = runtime().hipDeviceEnablePeerAccess(static_cast<int>(peer), 0);
  if (error == error_peer_access_already_enabled) return Status::ok();
  return status_of(runtime().hipDeviceEnablePeerAccess, error);
}

Result<DmaBuf> dma_buf(const Allocation &allocation) {
  if (!allocation.on_device()) {
    return fail(PIRN_ERR_UNAVAILABLE, "%s has no dma-buf, only device memory has", backing_name(allocation.backing));
  }
  const OnDevice current(allocation.device);
  if (!current.is_ok()) return current.status();
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t start = reinterpret_cast<uintptr_t>(allocation.address);
  const uint64_t first = start / page * page;
  const uint64_t length = (start + allocation.length + page - 1) / page * page - first;
  int file = -1;
  const Status status = call(runtime().hipMemGetHandleForAddressRange, &file, reinterpret_cast<void *>(first), length,
                             range_dma_buf, 0u);
  if (!status.is_ok()) {
    return fail(PIRN_ERR_UNAVAILABLE, "hip:%u gave no dma-buf: %s", allocation.device, status.text.c_str());
  }
  return DmaBuf{file, start - first};
}

// HIP has no attribute for it.
Status order_with_nics(const Allocation &) { return Status::ok(); }

}  // namespace pirn::device::hip
