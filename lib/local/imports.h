// SPDX-License-Identifier: Apache-2.0
// Peers' windows in this process's address space: climbs the ladder for each allocation once, keeps what it mapped for
// other windows of the same allocation, and ends it when its owner takes it back.
//
//   importer: {table, device of the copies, same_process, writable, deadline}
//   answered(id, request, offer):  imports.take(peer, offer.answer.chunks, offer.files, importer, &imported)
//     imported.end() < answer.window_length: ask for the rest from imported.end() on, take() into the same object
//     an error: release(&imported); the text says what each rung of which bytes said
//   imported.extents: where each part of the window is here;  imported.words(): how, for people
//   gone(id, allocation): gone(peer, allocation);  ended(id): lost(peer). New work must ask is_stale(imported) first,
//     or be told by its own window's end.
//   the window is closed, and nothing of it is in flight: release(&imported)
//
// Host memory that cannot be mapped is copied by the kernel: local/cross_memory.h.
// Not thread-safe: the endpoint calls it under its lock. How long take() may last: local/ladder.h.
#pragma once

#include "local/ladder.h"
#include "local/mappings.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pirn::local {

// A part of a window, contiguous in an address space.
struct Extent {
  uint64_t offset = 0;  // in the window
  uint64_t length = 0;
  std::byte *address = nullptr;
  bool operator==(const Extent &) const = default;
};

// A window, as far as it was taken. Belongs to the Imports that filled it.
struct Imported {
  std::vector<Extent> extents;      // ascending, each where the one before ends
  std::vector<MappingId> mappings;  // one use of each
  // How: "file", or with what better rungs said: "legacy (file: ...; fabric: ...)". Each once, not without end.
  std::vector<std::string> ways;
  std::string words() const;
  uint64_t end() const { return extents.empty() ? 0 : extents.back().offset + extents.back().length; }
};

class Imports {
 public:
  // `unmap_with`: for tests.
  explicit Imports(Mappings::Unmap unmap_with = unmap) : mappings_(std::move(unmap_with)) {}

  // Appends chunks of an answer (the decoder has checked each of them) to what is taken already. `files`: those that
  // came with it; they stay the caller's, and may be closed afterwards. On error the chunks before stay taken.
  // UNAVAILABLE, TIMEOUT: as Ladder::climb(), naming the bytes of the window. INVALID: does not go on where the last
  // extent ends.
  Status take(const wire::Instance &owner, std::span<const wire::ShareChunk> chunks, std::span<const Fd> files,
              const Importer &importer, Imported *imported);
  // No work may be using it any more. Leaves it empty; may be called again.
  void release(Imported *imported);
  // Page-locks it, if it is host memory: Mappings::lock() of each.
  Status lock(const Imported &imported, const device::Operations &table);
  // Its owner took back some of it, or is lost: no new work on it.
  bool is_stale(const Imported &imported) const;

  void gone(const wire::Instance &owner, uint64_t allocation) { mappings_.gone(owner, allocation); }
  void lost(const wire::Instance &owner) { mappings_.lost(owner); }
  void keep_all() { mappings_.keep_all(); }
  const Mappings &mappings() const { return mappings_; }

 private:
  Ladder ladder_;
  Mappings mappings_;
};

}  // namespace pirn::local
