// SPDX-License-Identifier: Apache-2.0
#include "virtual.h"

#include "report.h"
#include "units.h"

#include <fcntl.h>
#include <unistd.h>

namespace pirn::fake_gpu {

namespace {

std::shared_ptr<Chunk> physical(uint64_t handle) {
  auto found = engine().handles.find(handle);
  if (found != engine().handles.end()) return found->second;
  report("misuse", "%#llx is no handle of physical memory", static_cast<unsigned long long>(handle));
  return nullptr;
}

// Bases of the mappings that lie in a range, which they must fill without gap if `whole`.
std::vector<uint64_t> mapped_in(Range range, bool whole) {
  std::vector<uint64_t> bases;
  uint64_t next = range.base, end = range.base + range.length;
  auto &mappings = engine().mappings;
  for (auto it = mappings.lower_bound(range.base); it != mappings.end() && it->first < end; ++it) {
    if (it->second.kind != Kind::chunk || it->first + it->second.length > end) return {};
    if (whole && it->first != next) return {};
    next = it->first + it->second.length;
    bases.push_back(it->first);
  }
  return whole && next != end ? std::vector<uint64_t>{} : bases;
}

bool is_reserved(Range range) {
  auto &reservations = engine().reservations;
  auto next = reservations.upper_bound(range.base);
  if (next == reservations.begin()) return false;
  return range.base + range.length <= std::prev(next)->first + std::prev(next)->second;
}

}  // namespace

uint64_t hold_physical(const std::shared_ptr<Chunk> &chunk) {
  for (const auto &[handle, known] : engine().handles)
    if (known == chunk) {
      chunk->handles++;
      return handle;
    }
  uint64_t handle = 0x7000000000ull + engine().next_id++ * 0x100;
  engine().handles[handle] = chunk;
  chunk->handles++;
  return handle;
}

Code create_physical(uint32_t unit, uint64_t length, uint32_t handle_types, uint64_t &handle) {
  if (length == 0 || length % granularity) return invalid_value;
  if (handle_types & ~(share_file | share_fabric)) return not_supported;
  if (handle_types & share_fabric && !settings().imex) return not_permitted;
  std::shared_ptr<Chunk> chunk = Chunk::create(unit, length, handle_types);
  if (!chunk || (handle_types & share_fabric && !chunk->name())) return out_of_memory;
  handle = hold_physical(chunk);
  return ok;
}

Code release_physical(uint64_t handle) {
  std::shared_ptr<Chunk> chunk = physical(handle);
  if (!chunk) return invalid_value;
  if (--chunk->handles == 0) engine().handles.erase(handle);
  return ok;
}

Code reserve_range(uint64_t length, uint64_t alignment, uint64_t wish, uint64_t &address) {
  if (length == 0 || length % granularity || (alignment & (alignment - 1))) return invalid_value;
  uint64_t base = reserve(length, std::max(alignment, granularity), wish);
  if (!base) return out_of_memory;
  engine().reservations[base] = length;
  address = base;
  return ok;
}

Code free_range(const char *name, uint64_t address, uint64_t length) {
  auto found = engine().reservations.find(address);
  if (found == engine().reservations.end() || found->second != length) {
    report("misuse", "%s of %#llx + %#llx, which is no reserved range", name, static_cast<unsigned long long>(address),
           static_cast<unsigned long long>(length));
    return invalid_value;
  }
  if (!mapped_in({address, length}, false).empty()) {
    report("misuse", "%s of %#llx, where memory is mapped", name, static_cast<unsigned long long>(address));
    return invalid_value;
  }
  engine().reservations.erase(found);
  unreserve(address, length);
  return ok;
}

Code map_physical(uint64_t address, uint64_t length, uint64_t offset, uint64_t handle) {
  std::shared_ptr<Chunk> chunk = physical(handle);
  if (!chunk || offset || length == 0 || length % granularity || address % granularity || length > chunk->size())
    return invalid_value;
  if (!is_reserved({address, length})) return invalid_value;
  auto &mappings = engine().mappings;
  auto next = mappings.lower_bound(address);
  if ((next != mappings.end() && next->first < address + length) || find_mapping(address)) return invalid_value;
  Mapping mapping;
  mapping.base = address;
  mapping.length = length;
  mapping.kind = Kind::chunk;
  mapping.context = primary_of_unit(chunk->unit());
  mapping.bytes = chunk->bytes();
  mapping.chunk = chunk;
  add_mapping(std::move(mapping));
  return ok;
}

Code unmap_physical(const char *name, uint64_t address, uint64_t length) {
  std::vector<uint64_t> bases = mapped_in({address, length}, true);
  if (bases.empty()) {
    report("misuse", "%s of %#llx + %#llx, which is not a row of whole mappings", name,
           static_cast<unsigned long long>(address), static_cast<unsigned long long>(length));
    return invalid_value;
  }
  for (uint64_t base : bases) drop_mapping(name, base);
  return ok;
}

Code grant_access(uint64_t address, uint64_t length, uint32_t unit, uint32_t rights) {
  std::vector<uint64_t> bases = mapped_in({address, length}, true);
  if (bases.empty()) return invalid_value;
  if (rights != 0 && rights != 1 && rights != 3) return invalid_value;
  for (uint64_t base : bases) {
    Mapping &mapping = engine().mappings[base];
    if (mapping.chunk->unit() != unit && !are_peers(mapping.chunk->unit(), unit)) return invalid_device;
    mapping.access[unit] = rights;
  }
  return ok;
}

Code export_file(uint64_t handle, int &file) {
  std::shared_ptr<Chunk> chunk = physical(handle);
  if (!chunk || !(chunk->handle_types() & share_file)) return invalid_value;
  file = chunk->export_file();
  return file < 0 ? operating_system : ok;
}

namespace {
constexpr uint64_t fabric_mark = 0x6661627269633031, legacy_mark = 0x6c65676163793031;
}

Code export_dma_buf(Range part, int &file) {
  constexpr uint64_t page = 4096;
  Mapping *mapping = find_mapping(part.base);
  if (!mapping || !mapping->chunk || part.length == 0 || part.base % page || part.length % page) return invalid_value;
  const uint64_t room = (mapping->length + page - 1) / page * page;
  if (part.base - mapping->base > room || part.length > room - (part.base - mapping->base)) return invalid_value;
  // A name would move the bytes to another file later.
  if (mapping->kind == Kind::plain && !mapping->chunk->name()) return out_of_memory;
  const int own = mapping->chunk->export_file();
  const std::string path = "/proc/self/fd/" + std::to_string(own);
  file = own < 0 ? -1 : open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (own >= 0) close(own);
  if (file < 0) return out_of_memory;
  const auto first = static_cast<uint64_t>(mapping->bytes - mapping->chunk->bytes()) + (part.base - mapping->base);
  lseek(file, static_cast<off_t>(first / page << 32 | part.length / page), SEEK_SET);
  return ok;
}

Code export_fabric(uint64_t handle, FabricHandle &out) {
  std::shared_ptr<Chunk> chunk = physical(handle);
  if (!chunk || !(chunk->handle_types() & share_fabric)) return invalid_value;
  const ChunkName *name = chunk->name();
  if (!name) return operating_system;
  out = {fabric_mark, *name, {}};
  return ok;
}

namespace {

Code import_chunk(const std::shared_ptr<Chunk> &chunk, uint64_t &handle) {
  if (!chunk) return invalid_value;
  if (!settings().has_node(chunk->unit())) return invalid_device;
  handle = hold_physical(chunk);
  return ok;
}

}  // namespace

Code import_file(int file, uint64_t &handle) { return import_chunk(Chunk::from_file(file), handle); }

Code import_fabric(const FabricHandle &in, uint64_t &handle) {
  if (in.mark != fabric_mark) return invalid_value;
  if (!settings().imex) return not_permitted;
  return import_chunk(Chunk::from_name(in.name), handle);
}

Code export_legacy(uint64_t address, LegacyHandle &out) {
  Mapping *mapping = find_mapping(address);
  if (!mapping || mapping->kind != Kind::plain) return invalid_value;
  const ChunkName *name = mapping->chunk->name();
  if (!name) return out_of_memory;
  out = {legacy_mark, *name, engine().pid, mapping->chunk->unit(), {}};
  return ok;
}

Code import_legacy(Context &context, const LegacyHandle &in, uint64_t &address) {
  if (in.mark != legacy_mark) return invalid_value;
  if (in.pid == engine().pid) return invalid_context;  // equal PIDs are taken for one process
  if (!settings().has_node(in.unit)) return invalid_value;
  for (auto &[base, mapping] : engine().mappings)
    if (mapping.kind == Kind::imported && mapping.context == &context && mapping.name == in.name) {
      mapping.opened++;
      address = base;
      return ok;
    }
  std::shared_ptr<Chunk> chunk = Chunk::from_name(in.name);
  if (!chunk || chunk->freed_by_owner()) return map_failed;
  if (chunk->unit() != context.unit && !are_peers(chunk->unit(), context.unit)) return peer_access_unsupported;
  address = map_imported(context, chunk, in.name);
  return address ? ok : out_of_memory;
}

Code close_legacy(Call &call, uint64_t address) {
  Mapping *mapping = find_mapping(address);
  if (!mapping || mapping->base != address || mapping->kind != Kind::imported) {
    report("misuse", "%s of %#llx, which is not what a handle was opened at", call.name,
           static_cast<unsigned long long>(address));
    return invalid_value;
  }
  if (--mapping->opened) return ok;
  uint64_t length = mapping->length;
  drop_mapping(call.name, address);
  unreserve(address, length);
  return ok;
}

}  // namespace pirn::fake_gpu
