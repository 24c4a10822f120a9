// SPDX-License-Identifier: Apache-2.0
// Physical memory mapped into reserved addresses, and handles that cross processes. All need the engine's lock.
#pragma once

#include "memory.h"

namespace pirn::fake_gpu {

constexpr uint32_t share_file = 1, share_fabric = 8;

Code create_physical(uint32_t unit, uint64_t length, uint32_t handle_types, uint64_t &handle);
Code release_physical(uint64_t handle);
uint64_t hold_physical(const std::shared_ptr<Chunk> &chunk);
Code reserve_range(uint64_t length, uint64_t alignment, uint64_t wish, uint64_t &address);
Code free_range(const char *name, uint64_t address, uint64_t length);
Code map_physical(uint64_t address, uint64_t length, uint64_t offset, uint64_t handle);
Code unmap_physical(const char *name, uint64_t address, uint64_t length);
Code grant_access(uint64_t address, uint64_t length, uint32_t unit, uint32_t rights);

struct FabricHandle {
  uint64_t mark;
  ChunkName name;
  uint8_t unused[40];
};
struct LegacyHandle {
  uint64_t mark;
  ChunkName name;
  int32_t pid;
  uint32_t unit;
  uint8_t unused[32];
};
static_assert(sizeof(FabricHandle) == 64 && sizeof(LegacyHandle) == 64);

Code export_file(uint64_t handle, int &file);
Code export_fabric(uint64_t handle, FabricHandle &out);
// A dma-buf of a part of one allocation or chunk, in whole pages: a new descriptor of the file behind it. Its position
// says which part, (first page << 32) + number of pages; simulated NICs map that.
Code export_dma_buf(Range part, int &file);
// Flags of the call that ask for it on behalf of a NIC, which needs no permission of the device.
constexpr uint64_t for_a_nic = 0x7069726e;
Code import_file(int file, uint64_t &handle);
Code import_fabric(const FabricHandle &in, uint64_t &handle);
Code export_legacy(uint64_t address, LegacyHandle &out);
Code import_legacy(Context &context, const LegacyHandle &in, uint64_t &address);
Code close_legacy(Call &call, uint64_t address);

}  // namespace pirn::fake_gpu
