// SPDX-License-Identifier: Apache-2.0
#include "cuda_table.h"

namespace pirn::device::cuda {
namespace {

// Undoes, in reverse, what map_chunk() had done when it failed.
struct Range {
  Pointer start = 0;
  uint64_t length = 0;
  bool filled = false;

  void drop() const {
    if (filled) driver().cuMemUnmap(start, length);
    if (start != 0) driver().cuMemAddressFree(start, length);
  }
};

}  // namespace

Properties chunk_properties(uint32_t device, int handle_types) {
  Properties wanted{};
  wanted.type = chunk_pinned;
  wanted.handle_types = handle_types;
  wanted.location = {location_device, static_cast<int>(device)};
  return wanted;
}

Result<uint64_t> rounded_to_chunks(uint32_t device, uint64_t length) {
  const Properties wanted = chunk_properties(device, handle_file);
  size_t unit = 0;
  const Status status = call(driver().cuMemGetAllocationGranularity, &unit, &wanted, granularity_minimum);
  if (!status.is_ok()) return status;
  if (unit == 0) return fail(PIRN_ERR_IO, "cuMemGetAllocationGranularity: 0 bytes for cuda:%u", device);
  if (length == 0 || length > INT64_MAX - unit) {
    return fail(PIRN_ERR_RANGE, "%llu bytes of device memory: 1 to %llu are allowed",
                static_cast<unsigned long long>(length), static_cast<unsigned long long>(INT64_MAX - unit));
  }
  return (length + unit - 1) / unit * unit;
}

Result<void *> map_chunk(Chunk chunk, uint64_t length, const std::vector<Access> &access) {
  Range range;
  range.length = length;
  Status status = call(driver().cuMemAddressReserve, &range.start, length, 0, 0, 0);
  if (status.is_ok()) status = call(driver().cuMemMap, range.start, length, 0, chunk, 0);
  range.filled = status.is_ok();
  if (status.is_ok()) {
    status = call(driver().cuMemSetAccess, range.start, length, access.data(), access.size());
  }
  if (status.is_ok()) return address_of(range.start);
  range.drop();
  return status;
}

Status unmap_chunk(void *address, uint64_t length) {
  const Status status = call(driver().cuMemUnmap, pointer_to(address), length);
  if (!status.is_ok()) return status;
  return call(driver().cuMemAddressFree, pointer_to(address), length);
}

bool is_chunk(const void *address) {
  Chunk chunk = 0;
  if (driver().cuMemRetainAllocationHandle(&chunk, const_cast<void *>(address)) != success) return false;
  driver().cuMemRelease(chunk);
  return true;
}

}  // namespace pirn::device::cuda
