// SPDX-License-Identifier: Apache-2.0
// Mappings of peers' allocations, each made once. Counted: a mapping that its owner took back, or whose owner is lost,
// is found no more, and is unmapped when the last user lets go. Unused ones are kept for the next window of the same
// allocation until then; a device's memory stays in use by that, so owners must say gone().
// Not thread-safe: the endpoint calls it under its lock.
#pragma once

#include "local/ladder.h"

#include <functional>
#include <map>
#include <tuple>

namespace pirn::local {

using MappingId = uint64_t;  // never reused, 0 is none

class Mappings {
 public:
  // `unmap`: for tests; what ends a mapping. Its errors have nobody to go to but `failed`.
  using Unmap = std::function<Status(const Mapping &)>;
  explicit Mappings(Unmap unmap_with = unmap) : unmap_(std::move(unmap_with)) {}
  Mappings(const Mappings &) = delete;
  Mappings &operator=(const Mappings &) = delete;
  ~Mappings();  // unmaps all: nobody may use any of them any more

  // One more user of the mapping for this importer; 0 if there is none. A read-only mapping serves no writer.
  MappingId find(const wire::Instance &owner, uint64_t allocation, const Importer &importer);
  // Takes a fresh mapping, with one user. Takes the place of one found no more.
  MappingId add(const wire::Instance &owner, uint64_t allocation, const Importer &importer, const Mapping &mapping);
  const Mapping &get(MappingId id) const;  // of a mapping that the caller uses
  // Page-locks a mapping of host memory, so that devices copy it while nobody waits; at once if that is done already.
  // Others that map the same file are not concerned. An error is final, the memory may be used all the same.
  Status lock(MappingId id, const device::Operations &table);
  bool is_stale(MappingId id) const;       // taken back by its owner: no new work on it
  void release(MappingId id);              // one user less

  // A device does not finish its work, which may be on any of them: nothing is unmapped from now on.
  void keep_all() { unmap_ = [](const Mapping &) { return Status::ok(); }; }

  void gone(const wire::Instance &owner, uint64_t allocation);
  void lost(const wire::Instance &owner);

  size_t size() const { return entries_.size(); }
  uint64_t failed() const { return failed_; }  // unmappings

 private:
  // Instance, allocation, operations, device, writable.
  using Key = std::tuple<wire::Instance, uint64_t, const device::Operations *, uint32_t, bool>;
  struct Entry {
    Key key;
    Mapping mapping;
    uint64_t users = 0;
    bool stale = false;
  };

  static Key key_of(const wire::Instance &owner, uint64_t allocation, const Importer &importer, bool writable);
  void invalidate(MappingId id);
  void drop_unused(MappingId id);

  Unmap unmap_;
  std::map<MappingId, Entry> entries_;
  std::map<Key, MappingId> valid_;
  MappingId last_id_ = 0;
  uint64_t failed_ = 0;
};

}  // namespace pirn::local
