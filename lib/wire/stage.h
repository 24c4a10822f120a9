// SPDX-License-Identifier: Apache-2.0
// Frames of staging: a window that an importer does not reach, mostly on a device, is written and read through slots of page-locked
// host memory, or of memory of the same device, which its owner lends to the importer. All are reliable.
//
//   importer                              owner
//   STAGE_WANT(window)                ->
//                                     <-  STAGE_LENT(blob of the slots, as of a window, or why there are none)
//   write into a slot by RMA; then
//   STAGE_MOVE(slot -> window)        ->  copies when it has checked the window, its rights and bounds
//                                     <-  STAGE_MOVED(status): the slot is free again
//   STAGE_MOVE(window -> slot)        ->  copies
//                                     <-  STAGE_MOVED(status): the slot may be read by RMA
//
// Demands that are ready at the same time go in one frame, and so do answers of what devices copied (several.h). Each is
// acknowledged by what is said next, if that follows soon.
#pragma once

#include "base/result.h"
#include "wire/frame.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace pirn::wire {

constexpr size_t max_stage_parts = 256;    // of one stage_move
constexpr uint32_t min_stage_slot = 4096;  // bytes
constexpr uint32_t max_stage_slots = 1024;

// What the slots are in, and whom they serve.
enum class SlotMemory : uint64_t {
  host = 0,    // page-locked host memory, for windows on devices
  device = 1,  // the window's device
  plain = 2,   // host memory that both ends map, for windows in host memory
};

// Fields that are 0 at the end of a body are left out of it: older libraries know nothing of them.
struct StageWant {
  uint64_t window = 0;  // that is to be reached
  // device: only to those whose metadata has feature_rings; plain: feature_plain_host
  SlotMemory memory = SlotMemory::host;
  bool operator==(const StageWant &) const = default;
};

struct StageLent {
  int32_t status = 0;      // PIRN_OK, or why nothing is lent: then no slots and no blob
  std::string reason;      // at most 255 bytes
  uint32_t slot_bytes = 0;
  uint32_t slots = 0;
  std::vector<std::byte> blob;  // a window blob of slots * slot_bytes
  uint64_t window = 0;          // of the wish that this answers; 0: it was for SlotMemory::host
  bool operator==(const StageLent &) const = default;
};

struct StagePart {
  uint64_t offset = 0;  // in the window
  uint64_t length = 0;  // at least 1
  bool operator==(const StagePart &) const = default;
};

// The parts lie one behind the other in the slot.
struct StageMove {
  uint64_t request = 0;  // the importer's number for it
  uint64_t window = 0;
  uint32_t slot = 0;
  uint8_t to_window = 0;  // 1: a write; 0: a read
  std::vector<StagePart> parts;  // 1..max_stage_parts
  uint64_t slots = 0;  // the window that the slot is in; 0: the one of SlotMemory::host
  bool operator==(const StageMove &) const = default;
};

struct StageMoved {
  uint64_t request = 0;
  int32_t status = 0;
  std::string reason;  // at most 255 bytes
  bool operator==(const StageMoved &) const = default;
};

using Stage = std::variant<StageWant, StageLent, StageMove, StageMoved>;
Kind kind_of(const Stage &stage);

// Into a buffer of max_control_frame bytes; 0 if a limit is broken. A reason is cut to its limit, and what does not print
// becomes '?'.
size_t encode_stage(std::span<std::byte> out, const Header &header, const Stage &stage);

Result<StageWant> decode_stage_want(std::span<const std::byte> body);
Result<StageLent> decode_stage_lent(std::span<const std::byte> body);
Result<StageMove> decode_stage_move(std::span<const std::byte> body);
Result<StageMoved> decode_stage_moved(std::span<const std::byte> body);

}  // namespace pirn::wire
