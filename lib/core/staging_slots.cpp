// SPDX-License-Identifier: Apache-2.0
#include "core/staging_slots.h"

#include "base/clock.h"
#include "core/allocations.h"

#include <algorithm>
#include <utility>

namespace pirn::core {

using ull = unsigned long long;

Rings::~Rings() {
  for (const Ring &ring : spare_) (void)ring.table->release_host(ring.address);
}

Status Rings::admit(uint64_t bytes) const {
  if (total() + bytes <= settings_.staging_memory) return Status::ok();
  return fail(PIRN_ERR_NO_MEMORY, "%llu bytes of slots are in use, and %llu more are over PIRN_STAGING_MEMORY=%llu",
              static_cast<ull>(total()), static_cast<ull>(bytes), static_cast<ull>(settings_.staging_memory));
}

Ring Rings::shape(Ring::Kind kind, const device::Operations *table) const {
  Ring ring;
  ring.kind = kind;
  ring.table = table;
  const bool device = kind == Ring::Kind::device;
  ring.slots = static_cast<uint32_t>(device ? settings_.ring_slots : settings_.staging_slots);
  ring.slot_bytes = static_cast<uint32_t>(device ? settings_.ring_slot : settings_.staging_slot);
  return ring;
}

Result<Ring> Rings::take(const device::Operations &table) {
  auto spare = std::find_if(spare_.begin(), spare_.end(), [&](const Ring &ring) { return ring.table == &table; });
  if (spare != spare_.end()) {
    const Ring ring = *spare;
    spare_.erase(spare);
    return ring;
  }
  if (Status status = admit(bytes()); !status.is_ok()) return status;
  Ring ring = shape(Ring::Kind::host, &table);
  auto made = table.allocate_host(ring.bytes());
  if (!made.is_ok()) return made.status();
  ring.address = static_cast<std::byte *>(made.value());
  total_ += ring.bytes();
  return ring;
}

Result<Ring> Rings::make_shared(const device::Operations *table) {
  Ring ring = shape(Ring::Kind::shared, table);
  if (Status status = admit(ring.bytes()); !status.is_ok()) return status;
  auto made = Allocations::of_process().make(nullptr, 0, ring.bytes());
  if (!made.is_ok()) return made.status();
  ring.address = static_cast<std::byte *>(made.value());
  const Status pinned = table ? table->pin(ring.address, ring.bytes()) : Status::ok();
  if (!pinned.is_ok()) {
    (void)Allocations::of_process().free(ring.address);
    return pinned;
  }
  total_ += ring.bytes();
  return ring;
}

Result<Ring> Rings::make_on(const Home &device) {
  Ring ring = shape(Ring::Kind::device, device.table);
  if (Status status = admit(ring.bytes()); !status.is_ok()) return status;
  auto made = device.table->allocate(device.device, ring.bytes());
  if (!made.is_ok()) return made.status();
  ring.allocation = made.value();
  ring.address = static_cast<std::byte *>(ring.allocation.address);
  total_ += ring.bytes();
  return ring;
}

// What does not come back from the runtime stays counted.
void Rings::give_back(const Ring &ring) {
  if (ring.kind == Ring::Kind::host) {
    spare_.push_back(ring);
    return;
  }
  Status status;
  if (ring.kind == Ring::Kind::device) {
    status = ring.table->release(ring.allocation);
  } else {
    if (ring.table) status = ring.table->unpin(ring.address);
    // Page-locked memory that is unmapped all the same would be taken for what is mapped there next.
    if (status.is_ok()) status = Allocations::of_process().free(ring.address);
  }
  if (status.is_ok()) total_ -= ring.bytes();
}

SlotCopies::~SlotCopies() {
  for (auto &lane : lanes_) {
    for (void *event : lane->events) (void)lane->home.table->drop_event(lane->home.device, event);
    (void)lane->home.table->drop_stream(lane->home.device, lane->stream);
  }
}

Result<SlotCopies::Lane *> SlotCopies::lane_for(const Home &home, bool to_device) {
  for (auto &lane : lanes_)
    if (lane->home == home && lane->to_device == to_device) return lane.get();
  auto stream = home.table->make_stream(home.device);
  if (!stream.is_ok()) return stream.status();
  auto lane = std::make_unique<Lane>();
  lane->home = home;
  lane->to_device = to_device;
  lane->stream = stream.value();
  if (kernels_.work(home)) lane->rooms = std::make_unique<BlockRooms>(*home.table);
  lanes_.push_back(std::move(lane));
  return lanes_.back().get();
}

Status SlotCopies::make_ready(const Home &device, bool to_device, size_t most) {
  auto found = lane_for(device, to_device);
  if (!found.is_ok()) return found.status();
  Lane &lane = *found.value();
  if (lane.made >= most) return Status::ok();
  for (; lane.made < most; ++lane.made) {
    auto event = device.table->make_event(device.device);
    if (!event.is_ok()) return event.status();
    lane.events.push_back(event.value());
  }
  return lane.rooms ? lane.rooms->make_all() : Status::ok();
}

Status SlotCopies::submit(Lane &lane, std::span<const device::Block> blocks, Mark *mark) {
  const device::Operations &table = *lane.home.table;
  if (lane.rooms && kernels_.work(lane.home) && blocks.size() >= kernel_pieces && blocks.size() <= BlockRooms::blocks) {
    auto room = lane.rooms->take();
    if (!room.is_ok()) return room.status();
    mark->room = room.value();
  }
  Status status;
  if (mark->room) {
    std::copy(blocks.begin(), blocks.end(), mark->room);
    device::chain({mark->room, blocks.size()});
    status = table.copy_blocks(lane.home.device, lane.stream, mark->room, blocks.size(), 0);
    if (!status.is_ok()) {
      device::Block *room = std::exchange(mark->room, nullptr);
      status = kernels_.refused(lane.home, lane.stream, status);
      if (status.is_ok()) lane.rooms->give_back(room);  // else a kernel may read it still: it is lost
    }
  }
  if (!mark->room) {
    for (const device::Block &block : blocks)
      if (status.is_ok()) status = table.copy(lane.home.device, lane.stream, block.to, block.from, block.length);
  }
  if (status.is_ok()) status = table.record(lane.home.device, mark->event, lane.stream);
  // Without a mark the end of what was submitted cannot be seen: wait for it here, once.
  if (!status.is_ok()) (void)table.finish(lane.home.device, lane.stream, ns_per_s);
  return status;
}

Result<SlotCopies::Mark> SlotCopies::start(const Home &device, bool to_device, std::span<const device::Block> blocks) {
  auto lane = lane_for(device, to_device);
  if (!lane.is_ok()) return lane.status();
  Mark mark;
  mark.lane = lane.value();
  if (mark.lane->events.empty()) {
    auto made = device.table->make_event(device.device);
    if (!made.is_ok()) return made.status();
    mark.event = made.value();
    ++mark.lane->made;
  } else {
    mark.event = mark.lane->events.back();
    mark.lane->events.pop_back();
  }
  Status status = submit(*mark.lane, blocks, &mark);
  if (!status.is_ok()) {
    take_back(mark);
    return status;
  }
  mark.number = ++mark.lane->started;
  ++in_flight_;
  return mark;
}

void SlotCopies::take_back(const Mark &mark) {
  mark.lane->events.push_back(mark.event);
  if (mark.room) mark.lane->rooms->give_back(mark.room);
}

Result<bool> SlotCopies::done(const Mark &mark) {
  Lane &lane = *mark.lane;
  Result<bool> reached = true;
  if (mark.number >= lane.waiting) return false;
  if (mark.number > lane.over) reached = lane.home.table->reached(lane.home.device, mark.event);
  if (reached.is_ok() && !reached.value()) {
    lane.waiting = mark.number;
    return false;
  }
  if (reached.is_ok()) lane.over = std::max(lane.over, mark.number);
  take_back(mark);
  --in_flight_;
  return reached;
}

void SlotCopies::look_again() {
  for (auto &lane : lanes_) lane->waiting = UINT64_MAX;
}

void SlotCopies::wait(uint64_t timeout) {
  if (in_flight_ == 0) return;
  for (auto &lane : lanes_) (void)lane->home.table->finish(lane->home.device, lane->stream, timeout);
}

}  // namespace pirn::core
