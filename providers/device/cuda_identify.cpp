// SPDX-License-Identifier: Apache-2.0
// What memory an address lies in. Asking costs no context and changes nothing.
#include "cuda_table.h"

#include <array>

namespace pirn::device::cuda {
namespace {

struct Attributes {
  unsigned memory_type = 0;
  int device = 0;
  unsigned managed = 0;
  uint64_t id = 0;
  Pointer start = 0;
  size_t length = 0;
  Pool pool = nullptr;
};

Status read(const void *address, Attributes &found) {
  std::array<int, 7> kinds = {pointer_memory_type, pointer_device,     pointer_is_managed, pointer_buffer_id,
                              pointer_range_start, pointer_range_size, pointer_pool};
  std::array<void *, 7> values = {&found.memory_type, &found.device, &found.managed, &found.id,
                                  &found.start,       &found.length, &found.pool};
  return call(driver().cuPointerGetAttributes, static_cast<unsigned>(kinds.size()), kinds.data(), values.data(),
              pointer_to(address));
}

// A range is reserved once and may get other chunks later, so a chunk is named by its physical memory, too; by both,
// because no manual says that the number of either is not used again. Drivers before CUDA 12.1 know the range only. The
// top bit keeps the two kinds of name apart.
void read_chunk(const void *address, Allocation &chunk) {
  constexpr uint64_t physical = uint64_t{1} << 63;
  uint64_t id = 0;
  Pointer start = 0;
  size_t length = 0;
  std::array<int, 3> kinds = {pointer_block_id, pointer_mapping_start, pointer_mapping_size};
  std::array<void *, 3> values = {&id, &start, &length};
  const int error = driver().cuPointerGetAttributes(static_cast<unsigned>(kinds.size()), kinds.data(), values.data(),
                                                    pointer_to(address));
  if (error != success) return;
  constexpr uint64_t odd = 0x9e3779b97f4a7c15;
  if (id != 0) chunk.id = (chunk.id ^ id * odd) | physical;
  if (length != 0) {
    chunk.address = address_of(start);
    chunk.length = length;
  }
}

Backing backing_of(const void *address, const Attributes &found) {
  if (found.managed != 0) return Backing::managed;
  if (found.memory_type == memory_host) return is_pinned_by_us(address) ? Backing::registered : Backing::pinned;
  if (found.pool != nullptr) return Backing::pool;
  return is_chunk(address) ? Backing::chunks : Backing::plain;
}

}  // namespace

Result<std::optional<Allocation>> identify(const void *address) {
  Attributes found;
  const Status status = read(address, found);
  if (!status.is_ok()) {
    if (status.code == PIRN_ERR_INVALID) return std::optional<Allocation>();
    return status;
  }
  if (found.memory_type == 0 || found.length == 0) return std::optional<Allocation>();
  Allocation allocation;
  allocation.address = address_of(found.start);
  allocation.length = found.length;
  allocation.device = found.device < 0 ? 0 : static_cast<uint32_t>(found.device);
  allocation.backing = backing_of(address, found);
  allocation.id = found.id;
  if (allocation.backing == Backing::chunks) read_chunk(address, allocation);
  return std::optional<Allocation>(allocation);
}

}  // namespace pirn::device::cuda
