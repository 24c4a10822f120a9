// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include "report.h"
#include "worker.h"

#include <sys/mman.h>
#include <unistd.h>

namespace pirn::fake_gpu {

namespace {

constexpr uint64_t page = 4096;

uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

// A range that was freed and fits. Like the drivers, this gives addresses away again soon; until then nothing else
// comes to lie there, so that a use of them is known for what it is.
uint64_t take_freed(uint64_t length, uint64_t alignment, uint64_t wish) {
  auto &freed = engine().freed;
  for (auto it = freed.begin(); it != freed.end(); ++it) {
    if (it->second != length || it->first % alignment || (wish && it->first != wish)) continue;
    uint64_t base = it->first;
    freed.erase(it);
    return base;
  }
  return 0;
}

bool overlaps_mapping(uint64_t base, uint64_t length) {
  auto &mappings = engine().mappings;
  auto next = mappings.lower_bound(base);
  if (next != mappings.end() && next->first < base + length) return true;
  return next != mappings.begin() && std::prev(next)->first + std::prev(next)->second.length > base;
}

}  // namespace

Mapping *find_mapping(uint64_t address) {
  auto &mappings = engine().mappings;
  auto next = mappings.upper_bound(address);
  if (next == mappings.begin()) return nullptr;
  Mapping &mapping = std::prev(next)->second;
  return address - mapping.base < mapping.length ? &mapping : nullptr;
}

bool was_device_memory(uint64_t address) {
  for (const auto *ranges : {&engine().reservations, &engine().freed}) {
    auto next = ranges->upper_bound(address);
    if (next != ranges->begin() && address - std::prev(next)->first < std::prev(next)->second) return true;
  }
  return false;
}

uint64_t reserve(uint64_t length, uint64_t alignment, uint64_t wish) {
  if (uint64_t base = take_freed(length, alignment, wish)) return base;
  uint64_t room = length + alignment;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (wish && wish % alignment == 0) {
    void *at = mmap(reinterpret_cast<void *>(wish), length, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != MAP_FAILED && reinterpret_cast<uint64_t>(at) == wish) return wish;
    if (at != MAP_FAILED) munmap(at, length);
  }
  void *at = mmap(nullptr, room, PROT_NONE, flags, -1, 0);
  if (at == MAP_FAILED) return 0;
  uint64_t start = reinterpret_cast<uint64_t>(at), base = round_up(start, alignment);
  if (base > start) munmap(at, base - start);
  if (start + room > base + length) munmap(reinterpret_cast<void *>(base + length), start + room - base - length);
  return base;
}

void unreserve(uint64_t base, uint64_t length) { engine().freed[base] = length; }

Mapping &add_mapping(Mapping mapping) {
  mapping.id = engine().next_id++;
  return engine().mappings[mapping.base] = std::move(mapping);
}

Code allocate(Context &context, uint64_t length, Kind kind, uint64_t &address) {
  if (length == 0) return invalid_value;
  uint64_t room = round_up(length, page);
  std::shared_ptr<Chunk> chunk = Chunk::create(context.unit, room, 0);
  uint64_t base = chunk ? reserve(room, page, 0) : 0;
  if (!base) return out_of_memory;
  Mapping mapping;
  mapping.base = base;
  mapping.length = length;
  mapping.kind = kind;
  mapping.context = &context;
  mapping.bytes = chunk->bytes();
  mapping.chunk = std::move(chunk);
  add_mapping(std::move(mapping));
  address = base;
  return ok;
}

uint64_t map_imported(Context &context, const std::shared_ptr<Chunk> &chunk, const ChunkName &name) {
  uint64_t base = reserve(chunk->size(), granularity, 0);
  if (!base) return 0;
  Mapping mapping;
  mapping.base = base;
  mapping.length = chunk->size();
  mapping.kind = Kind::imported;
  mapping.context = &context;
  mapping.chunk = chunk;
  mapping.bytes = chunk->bytes();
  mapping.opened = 1;
  mapping.name = name;
  add_mapping(std::move(mapping));
  return base;
}

void drop_mapping(const char *name, uint64_t base) {
  auto found = engine().mappings.find(base);
  Mapping &mapping = found->second;
  if (const char *user = user_of({base, mapping.length}))
    report("misuse", "%s of %s memory at %#llx while %s in a stream uses it", name, kind_name(mapping.kind),
           static_cast<unsigned long long>(base), user);
  engine().mappings.erase(found);
}

Code release(Call &call, uint64_t address) {
  if (!address) return ok;
  Mapping *mapping = find_mapping(address);
  if (!mapping || mapping->base != address ||
      (mapping->kind != Kind::plain && mapping->kind != Kind::managed && mapping->kind != Kind::pool)) {
    report("misuse", "%s of %#llx, which is no allocation%s", call.name, static_cast<unsigned long long>(address),
           was_device_memory(address) ? " any more" : "");
    return invalid_value;
  }
  wait_for_device(call.lock, mapping->context->unit);
  mapping = find_mapping(address);
  if (!mapping || mapping->base != address) return invalid_value;  // another thread was faster
  bool managed = mapping->kind == Kind::managed;
  uint64_t room = round_up(mapping->length, page);
  if (mapping->chunk) mapping->chunk->tell_freed();
  drop_mapping(call.name, address);
  if (managed) munmap(reinterpret_cast<void *>(address), room);
  else unreserve(address, room);
  return ok;
}

Code allocate_host(Context &context, uint64_t length, Kind kind, void *&address) {
  if (length == 0) return invalid_value;
  void *at = mmap(nullptr, round_up(length, page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return out_of_memory;
  Mapping mapping;
  mapping.base = reinterpret_cast<uint64_t>(at);
  mapping.length = length;
  mapping.kind = kind;
  mapping.context = &context;
  mapping.bytes = static_cast<std::byte *>(at);
  add_mapping(std::move(mapping));
  address = at;
  return ok;
}

Code release_host(Call &call, void *address) {
  if (!address) return ok;
  auto base = reinterpret_cast<uint64_t>(address);
  Mapping *mapping = find_mapping(base);
  if (!mapping || mapping->base != base || mapping->kind != Kind::pinned) {
    report("misuse", "%s of %p, which is no page-locked allocation", call.name, address);
    return invalid_value;
  }
  wait_for_device(call.lock, mapping->context->unit);
  mapping = find_mapping(base);
  if (!mapping || mapping->base != base) return invalid_value;
  uint64_t room = round_up(mapping->length, page);
  drop_mapping(call.name, base);
  munmap(address, room);
  return ok;
}

Code register_host(Context &context, void *address, uint64_t length) {
  auto base = reinterpret_cast<uint64_t>(address);
  if (!address || length == 0 || base + length < base) return invalid_value;
  if (overlaps_mapping(base, length)) return find_mapping(base) && find_mapping(base)->on_device() ? invalid_value
                                                                                                    : already_registered;
  uint64_t first = base / page * page;
  std::vector<unsigned char> present((round_up(base + length, page) - first) / page);
  if (mincore(reinterpret_cast<void *>(first), present.size() * page, present.data()) != 0) return invalid_value;
  Mapping mapping;
  mapping.base = base;
  mapping.length = length;
  mapping.kind = Kind::registered;
  mapping.context = &context;
  mapping.bytes = static_cast<std::byte *>(address);
  add_mapping(std::move(mapping));
  return ok;
}

Code unregister_host(const char *name, void *address) {
  auto base = reinterpret_cast<uint64_t>(address);
  Mapping *mapping = find_mapping(base);
  if (!mapping || mapping->base != base || mapping->kind != Kind::registered) return not_registered;
  drop_mapping(name, base);
  return ok;
}

}  // namespace pirn::fake_gpu
