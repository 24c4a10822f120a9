// SPDX-License-Identifier: Apache-2.0
#include "local/mappings.h"

namespace pirn::local {

Mappings::Key Mappings::key_of(const wire::Instance &owner, uint64_t allocation, const Importer &importer,
                               bool writable) {
  return {owner, allocation, importer.operations, importer.device, writable};
}

Mappings::~Mappings() {
  for (const auto &[id, entry] : entries_) (void)unmap_(entry.mapping);
}

MappingId Mappings::find(const wire::Instance &owner, uint64_t allocation, const Importer &importer) {
  for (const bool writable : {true, false}) {
    if (importer.writable && !writable) continue;
    const auto found = valid_.find(key_of(owner, allocation, importer, writable));
    if (found == valid_.end()) continue;
    ++entries_.at(found->second).users;
    return found->second;
  }
  return 0;
}

MappingId Mappings::add(const wire::Instance &owner, uint64_t allocation, const Importer &importer,
                        const Mapping &mapping) {
  const Key key = key_of(owner, allocation, importer, importer.writable);
  const auto older = valid_.find(key);
  if (older != valid_.end()) invalidate(older->second);
  const MappingId id = ++last_id_;
  entries_[id] = {key, mapping, 1, false};
  valid_[key] = id;
  return id;
}

const Mapping &Mappings::get(MappingId id) const { return entries_.at(id).mapping; }

Status Mappings::lock(MappingId id, const device::Operations &table) {
  Mapping &mapping = entries_.at(id).mapping;
  if (mapping.operations != nullptr) return fail(PIRN_ERR_INVALID, "device memory is not page-locked");
  if (mapping.pinned_by != nullptr) return Status::ok();
  const Status status = table.pin(mapping.address, mapping.length);
  if (status.is_ok()) mapping.pinned_by = &table;
  return status;
}

bool Mappings::is_stale(MappingId id) const { return entries_.at(id).stale; }

void Mappings::release(MappingId id) {
  Entry &entry = entries_.at(id);
  --entry.users;
  if (entry.stale) drop_unused(id);
}

void Mappings::gone(const wire::Instance &owner, uint64_t allocation) {
  auto next = valid_.lower_bound(Key{owner, allocation, nullptr, 0, false});
  while (next != valid_.end() && std::get<0>(next->first) == owner && std::get<1>(next->first) == allocation) {
    const MappingId id = (next++)->second;
    invalidate(id);
  }
}

void Mappings::lost(const wire::Instance &owner) {
  auto next = valid_.lower_bound(Key{owner, 0, nullptr, 0, false});
  while (next != valid_.end() && std::get<0>(next->first) == owner) {
    const MappingId id = (next++)->second;
    invalidate(id);
  }
}

void Mappings::invalidate(MappingId id) {
  Entry &entry = entries_.at(id);
  entry.stale = true;
  valid_.erase(entry.key);
  drop_unused(id);
}

void Mappings::drop_unused(MappingId id) {
  const Entry &entry = entries_.at(id);
  if (entry.users > 0) return;
  if (!unmap_(entry.mapping).is_ok()) ++failed_;
  entries_.erase(id);
}

}  // namespace pirn::local
