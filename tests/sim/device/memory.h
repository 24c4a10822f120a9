// SPDX-License-Identifier: Apache-2.0
// The unified address space. All need the engine's lock.
#pragma once

#include "call.h"
#include "engine.h"

namespace pirn::fake_gpu {

constexpr uint64_t granularity = 2u << 20;  // of mapped memory

Mapping *find_mapping(uint64_t address);    // that `address` lies in
bool was_device_memory(uint64_t address);   // reserved, or freed and not used again
uint64_t reserve(uint64_t length, uint64_t alignment, uint64_t wish);  // addresses that fault; 0: none left
void unreserve(uint64_t base, uint64_t length);
Mapping &add_mapping(Mapping mapping);      // gives it an id

// Device memory of its own address range; `chunk` new or of another process.
Code allocate(Context &context, uint64_t length, Kind kind, uint64_t &address);
uint64_t map_imported(Context &context, const std::shared_ptr<Chunk> &chunk, const ChunkName &name);
// Waits for the work of its device, as the runtimes do.
Code release(Call &call, uint64_t address);
void drop_mapping(const char *name, uint64_t base);  // reports work that still uses it

Code allocate_host(Context &context, uint64_t length, Kind kind, void *&address);
Code release_host(Call &call, void *address);
Code register_host(Context &context, void *address, uint64_t length);
Code unregister_host(const char *name, void *address);

// -- Access

struct Span {
  std::byte *bytes = nullptr;
  uint64_t length = 0;
  std::shared_ptr<Chunk> chunk;
};
struct Use {
  bool write = false;
  bool kernel = false;  // without the driver's detours
};
// Where the bytes are, if `context` may reach them so.
Code resolve(const Context &context, Range range, Use use, std::vector<Span> &spans);
bool is_pageable(uint64_t address);  // host memory that the runtime does not know

}  // namespace pirn::fake_gpu
