// SPDX-License-Identifier: Apache-2.0
#include "local/imports.h"

#include <algorithm>

namespace pirn::local {

namespace {

using ull = unsigned long long;

constexpr size_t max_ways = 8;  // chunks of one window mostly say the same

void note_way(const Mapping &mapping, std::vector<std::string> *ways) {
  std::string way = rung_name(mapping.kind);
  if (!mapping.why_not_better.empty()) way += " (" + mapping.why_not_better + ")";
  if (ways->size() < max_ways && std::find(ways->begin(), ways->end(), way) == ways->end()) ways->push_back(way);
}

}  // namespace

std::string Imported::words() const {
  std::string words;
  for (const std::string &way : ways) words += (words.empty() ? "" : "; ") + way;
  return words;
}

Status Imports::take(const wire::Instance &owner, std::span<const wire::ShareChunk> chunks, std::span<const Fd> files,
                     const Importer &importer, Imported *imported) {
  for (const wire::ShareChunk &chunk : chunks) {
    if (!imported->extents.empty() && chunk.offset != imported->end())
      return fail(PIRN_ERR_INVALID, "a chunk at offset %llu of the window does not follow on %llu", ull(chunk.offset),
                  ull(imported->end()));
    MappingId id = mappings_.find(owner, chunk.allocation, importer);
    if (id != 0 && mappings_.get(id).length != chunk.allocation_length) {
      const uint64_t had = mappings_.get(id).length;
      mappings_.release(id);
      return fail(PIRN_ERR_INVALID, "allocation %llu had %llu bytes and now has %llu", ull(chunk.allocation), ull(had),
                  ull(chunk.allocation_length));
    }
    if (id == 0) {
      const Result<Mapping> mapping = ladder_.climb(chunk, files, importer);
      if (!mapping.is_ok())
        return fail(mapping.status().code, "%llu bytes from %llu of the window: %s", ull(chunk.length),
                    ull(chunk.offset), mapping.status().text.c_str());
      id = mappings_.add(owner, chunk.allocation, importer, mapping.value());
    }
    const Mapping &mapping = mappings_.get(id);
    auto *const start = static_cast<std::byte *>(mapping.address) + chunk.allocation_offset;
    imported->extents.push_back({chunk.offset, chunk.length, start});
    imported->mappings.push_back(id);
    note_way(mapping, &imported->ways);
  }
  return Status::ok();
}

void Imports::release(Imported *imported) {
  for (const MappingId id : imported->mappings) mappings_.release(id);
  *imported = {};
}

Status Imports::lock(const Imported &imported, const device::Operations &table) {
  for (const MappingId id : imported.mappings)
    if (Status status = mappings_.lock(id, table); !status.is_ok()) return status;
  return Status::ok();
}

bool Imports::is_stale(const Imported &imported) const {
  for (const MappingId id : imported.mappings)
    if (mappings_.is_stale(id)) return true;
  return false;
}

}  // namespace pirn::local
