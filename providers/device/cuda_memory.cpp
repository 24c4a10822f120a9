// SPDX-License-Identifier: Apache-2.0
#include "cuda_table.h"
#include "ranges.h"

namespace pirn::device::cuda {
namespace {

// Never destroyed: threads may still be at work when the process ends. The driver does not tell memory that it
// allocated from memory that it registered.
Ranges &pinned() {
  static Ranges *one = new Ranges;
  return *one;
}
Ranges &allocated() {
  static Ranges *one = new Ranges;
  return *one;
}

// The device itself and all that can reach it. What opens plain allocations to a peer (enable_peer) does nothing for
// mapped chunks, and a kernel that touches a chunk that is closed to its device takes the whole context down.
Result<std::vector<Access>> everybody(uint32_t device) {
  std::vector<Access> access;
  for (uint32_t other = 0; other < device_count(); ++other) {
    int can = other == device;
    if (other != device) {
      const Status status = call(driver().cuDeviceCanAccessPeer, &can, static_cast<Device>(other),
                                 static_cast<Device>(device));
      if (!status.is_ok()) return status;
    }
    if (can != 0) access.push_back({{location_device, static_cast<int>(other)}, access_read_write});
  }
  return access;
}

// Without a word about sharing between hosts if the driver refuses that: it depends on rights of the process.
Result<Chunk> create_chunk(uint32_t device, uint64_t length) {
  const Result<bool> rdma = has_attribute(device, attribute_chunk_rdma);
  const Result<bool> fabric = has_attribute(device, attribute_chunk_fabric);
  if (!rdma.is_ok()) return rdma.status();
  if (!fabric.is_ok()) return fabric.status();
  Chunk chunk = 0;
  Properties wanted = chunk_properties(device, handle_file);
  wanted.rdma = rdma.value();
  if (fabric.value() && has_fabric_channel()) {
    wanted.handle_types = handle_file | handle_fabric;
    if (driver().cuMemCreate(&chunk, length, &wanted, 0) == success) return chunk;
    wanted.handle_types = handle_file;
  }
  const Status status = call(driver().cuMemCreate, &chunk, length, &wanted, 0);
  if (!status.is_ok()) return status;
  return chunk;
}

}  // namespace

Result<Allocation> allocate(uint32_t device, uint64_t length) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  const Result<uint64_t> rounded = rounded_to_chunks(device, length);
  if (!rounded.is_ok()) return rounded.status();
  const Result<std::vector<Access>> access = everybody(device);
  if (!access.is_ok()) return access.status();
  const Result<Chunk> chunk = create_chunk(device, rounded.value());
  if (!chunk.is_ok()) return chunk.status();
  const Result<void *> address = map_chunk(chunk.value(), rounded.value(), access.value());
  driver().cuMemRelease(chunk.value());  // the mapping keeps it
  if (!address.is_ok()) return address.status();
  Result<std::optional<Allocation>> made = identify(address.value());
  if (made.is_ok() && made.value().has_value()) {
    allocated().add(address.value(), rounded.value());
    return *made.value();
  }
  const Status undone = unmap_chunk(address.value(), rounded.value());
  if (!undone.is_ok()) return undone;
  if (!made.is_ok()) return made.error();
  return fail(PIRN_ERR_IO, "cuPointerGetAttributes: nothing known of memory that cuMemMap has just mapped");
}

Status release(const Allocation &allocation) {
  const Bound bound(allocation.device);
  if (!bound.is_ok()) return bound.status();
  const uint64_t length = allocated().remove(allocation.address);
  if (length == 0) {
    return fail(PIRN_ERR_INVALID, "%p was not allocated here, or is released already", allocation.address);
  }
  return unmap_chunk(allocation.address, length);
}

Result<void *> allocate_host(uint64_t length) {
  const Bound bound(some_context());
  if (!bound.is_ok()) return bound.status();
  void *address = nullptr;
  const Status status = call(driver().cuMemHostAlloc, &address, length, host_portable | host_device_map);
  if (!status.is_ok()) return status;
  return address;
}

Status release_host(void *address) {
  const Bound bound(some_context());
  if (!bound.is_ok()) return bound.status();
  return call(driver().cuMemFreeHost, address);
}

Status pin(void *address, uint64_t length) {
  const Bound bound(some_context());
  if (!bound.is_ok()) return bound.status();
  const Status status = call(driver().cuMemHostRegister_v2, address, length, host_portable | host_device_map);
  if (status.is_ok()) pinned().add(address, length);
  return status;
}

Status unpin(void *address) {
  const Bound bound(some_context());
  if (!bound.is_ok()) return bound.status();
  const Status status = call(driver().cuMemHostUnregister, address);
  if (status.is_ok()) pinned().remove(address);
  return status;
}

bool is_pinned_by_us(const void *address) { return pinned().holds(address); }

}  // namespace pirn::device::cuda
