// SPDX-License-Identifier: Apache-2.0
// What both ends of staging (staging.h) are made of: page-locked host memory, or memory of a device, in rings of slots, and
// copies between slots and devices on streams of pirn's own. Called under the endpoint's lock; nothing waits for a device unless it says so.
#pragma once

#include "base/result.h"
#include "base/settings.h"
#include "core/block_lists.h"
#include "core/reach.h"
#include "device/operations.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pirn::core {

// Slots side by side.
struct Ring {
  enum class Kind : uint8_t {
    host,    // page-locked memory of this process alone
    shared,  // in a file that other processes of the host can be given; page-locked if it is for devices
    device,  // of one device, shareable likewise
  };
  Kind kind = Kind::host;
  const device::Operations *table = nullptr;  // whose devices reach it; nullptr: it is for the processor
  std::byte *address = nullptr;
  uint32_t slots = 0;
  uint32_t slot_bytes = 0;
  device::Allocation allocation = {};  // of kind device
  uint64_t bytes() const { return static_cast<uint64_t>(slots) * slot_bytes; }
};

class Rings {
 public:
  explicit Rings(const Settings &settings) : settings_(settings) {}
  Rings(const Rings &) = delete;
  Rings &operator=(const Rings &) = delete;
  ~Rings();  // frees those that were given back

  // Allocates only if none was given back. NO_MEMORY: PIRN_STAGING_MEMORY is used up, or the device's runtime refuses.
  Result<Ring> take(const device::Operations &table);
  // Always fresh: another process may have what was given back mapped still, stopped but not dead, and write into it.
  Result<Ring> make_shared(const device::Operations *table);
  Result<Ring> make_on(const Home &device);
  void give_back(const Ring &ring);  // nobody here uses it, no registration covers it

  uint32_t slots() const { return static_cast<uint32_t>(settings_.staging_slots); }  // of take() and make_shared()
  uint32_t slot_bytes() const { return static_cast<uint32_t>(settings_.staging_slot); }
  uint64_t bytes() const { return settings_.staging_slots * settings_.staging_slot; }
  uint64_t total() const { return total_; }

 private:
  Status admit(uint64_t bytes) const;
  Ring shape(Ring::Kind kind, const device::Operations *table) const;

  const Settings &settings_;
  std::vector<Ring> spare_;
  uint64_t total_ = 0;
};

class SlotCopies {
  struct Lane;

 public:
  // The end of some copies in the order of a stream.
  struct Mark {
    Lane *lane = nullptr;
    void *event = nullptr;
    uint64_t number = 0;  // in the order of the lane
    device::Block *room = nullptr;  // the list that a kernel reads
  };

  explicit SlotCopies(Kernels &kernels) : kernels_(kernels) {}
  SlotCopies(const SlotCopies &) = delete;
  SlotCopies &operator=(const SlotCopies &) = delete;
  ~SlotCopies();

  // Makes what `most` copies at a time need of the device besides: some runtimes make nothing while a stream waits for a
  // transfer.
  Status make_ready(const Home &device, bool to_device, size_t most);
  // Either all `to` of the blocks are memory of the device, or all `from`; the others are in a ring of its table, or of the
  // device. On
  // error nothing of it is under way any more.
  Result<Mark> start(const Home &device, bool to_device, std::span<const device::Block> blocks);
  // True, or an error of the device: they are over, and the mark is used up.
  Result<bool> done(const Mark &mark);
  // Before all marks are asked for once more. A stream ends copies in its order, so of a row that waits the device is asked
  // for the first only.
  void look_again();
  size_t in_flight() const { return in_flight_; }
  void wait(uint64_t timeout);  // ns per device; marks are still to be asked for

 private:
  // The two directions have a stream each, for devices have an engine for each.
  struct Lane {
    Home home;
    bool to_device = false;
    void *stream = nullptr;
    std::vector<void *> events;
    size_t made = 0;  // events
    uint64_t started = 0;            // marks
    uint64_t over = 0;               // this one, and those before it
    uint64_t waiting = UINT64_MAX;   // this one, and those behind it, when we last looked
    std::unique_ptr<BlockRooms> rooms;  // with kernels
  };

  Result<Lane *> lane_for(const Home &home, bool to_device);
  Status submit(Lane &lane, std::span<const device::Block> blocks, Mark *mark);
  static void take_back(const Mark &mark);

  Kernels &kernels_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  size_t in_flight_ = 0;
};

}  // namespace pirn::core
