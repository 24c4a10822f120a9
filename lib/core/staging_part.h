// SPDX-License-Identifier: Apache-2.0
// A part of a staged transfer (staging.h), guarded by the endpoint's lock.
#pragma once

#include "core/op.h"
#include "core/staging.h"

#include <vector>

namespace pirn::core {

// As much of a staged transfer as a slot holds. Its elements have the same kind of memory at each end, and one window if
// that is on a device.
//
// Over the fabric:
//   write   copying -> moving -> landed -> asking -> answered      without `copying` from host memory,
//   read    asking -> answered -> moving -> landed -> copying      without `asking` at a window of host memory
// Within a host there is no own slot, and no `copying`; and without a lent slot there is no `asking`.
struct StagedPart {
  enum class State : uint8_t {
    idle,
    copying,   // between the device and the own slot
    moving,    // by `transfer`
    landed,    // that is terminal
    asking,    // the window's owner copies between its slot and its device
    answered,  // it has said how that went
  };

  State state = State::idle;
  OpKind kind = OpKind::write;
  Op *op = nullptr;  // whose part it is; nullptr: that has ended, and only the owner's word is waited for
  uint64_t bytes = 0;
  Op transfer;
  std::vector<Segment> elements;         // of `transfer`
  std::vector<device::Block> blocks;     // between the device and the own slot
  std::vector<wire::StagePart> remote;   // of the window on a device
  uint64_t window = 0;                   // that, as its owner calls it
  Home home;                             // of the own memory
  Staging::Own *own = nullptr;           // nullptr: the own memory is reached itself, or the slot is free again
  uint32_t own_slot = 0;
  Lent *lent = nullptr;                  // nullptr: the window is reached itself, or the slot is free again
  uint32_t lent_slot = 0;
  uint64_t request = 0;                  // of `asking`
  Status answer;
  SlotCopies::Mark mark;                 // of `copying`
};

}  // namespace pirn::core
