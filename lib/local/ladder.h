// SPDX-License-Identifier: Apache-2.0
// The importer's ladder: an offered chunk's allocation is mapped by the first handle that works, in the order file,
// fabric handle, legacy handle for device memory; a shared file for host memory. That the handle names the right memory
// follows from where it came from, a proven connection; that it can be reached is verified: of device memory the first
// and the last bytes are read by the device that shall use it. A rung that fails is undone, and what it said is kept.
// Most users want local/imports.h, which keeps what was mapped.
//
// Not thread-safe: the endpoint calls it under its lock. Waits for a device until `Importer::deadline` at most; how
// long the vendor's own mapping calls take is up to the vendor.
#pragma once

#include "base/fd.h"
#include "device/operations.h"
#include "wire/share.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pirn::local {

struct Importer {
  const device::Operations *operations = nullptr;  // nullptr: host memory only
  uint32_t device = 0;                             // that shall reach the mapping
  bool same_process = false;  // the owner is this process, by its random identity: no legacy handles
  bool writable = false;
  uint64_t deadline = 0;      // absolute, now_ns(); when it has passed nothing new is tried
};

// The whole allocation, mapped. Ends with unmap(); a plain value.
struct Mapping {
  const device::Operations *operations = nullptr;  // nullptr: host memory
  uint32_t device = 0;
  void *address = nullptr;  // of the allocation's first byte
  uint64_t length = 0;
  wire::ShareHandleKind kind{};
  std::string why_not_better = {};  // what the rungs before it said: "file: ..."; empty if there was none
  const device::Operations *pinned_by = nullptr;  // host memory that we have page-locked
};

class Ladder {
 public:
  Ladder() = default;
  Ladder(const Ladder &) = delete;
  Ladder &operator=(const Ladder &) = delete;
  ~Ladder();

  // `files`: those that came with the answer; they stay the caller's. UNAVAILABLE: no rung holds, with what each said
  // ("file: ...; legacy: ..."). TIMEOUT: the deadline passed, or the device is still at the reading of an earlier
  // mapping, which is left alone until it ends.
  Result<Mapping> climb(const wire::ShareChunk &chunk, std::span<const Fd> files, const Importer &importer);

 private:
  // What a device reads mappings with.
  struct Reader {
    const device::Operations *operations = nullptr;
    uint32_t device = 0;
    void *stream = nullptr;
    void *room = nullptr;            // page-locked
    std::optional<Mapping> unfinished;  // still being read
  };
  struct Attempt;
  struct Rung;

  Result<Mapping> try_rung(const Rung &rung, const Attempt &attempt);
  Result<Mapping> map_device(const Attempt &attempt);
  Result<Reader *> reader_of(const Importer &importer);
  static Status read_ends(const Reader &reader, const Mapping &mapping, uint64_t deadline);
  static bool settle(Reader &reader);

  std::vector<Reader> readers_;
};

// No work may be using it any more. What cannot be unlocked stays mapped: the device's runtime would take what is mapped
// there next for it.
Status unmap(const Mapping &mapping);

// share_bit()s of the handles that climb() can use.
uint32_t usable_kinds(const Importer &importer);

const char *rung_name(wire::ShareHandleKind kind);  // "file", "fabric", "legacy", "shared file"

}  // namespace pirn::local
