// SPDX-License-Identifier: Apache-2.0
// Two endpoints with memory of a device whose copies take as long as the test wants.
#pragma once

#include "rig.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace pirn::core {

// Host memory that passes for a device's. Copies are made when an event is asked for after them, unless held.
struct Gpu {
  std::vector<device::Block> queue;
  std::atomic<bool> held{false};
  uint64_t made = 0, fail_at = 0;  // copies; the one that is refused
  uint64_t asked = 0;  // for the end of copies
  uint64_t launches = 0;  // lists that a kernel was to copy
  uint64_t refused_from = UINT64_MAX;  // the launch from which on all are refused
  bool has_kernels = false;
  int64_t rings = 0, allocated = 0;  // page-locked pieces that are not freed, those of "device" memory
};
inline Gpu gpu;

inline void catch_up() {
  for (const device::Block &block : gpu.queue) std::memcpy(block.to, block.from, block.length);
  gpu.queue.clear();
}

inline device::Operations operations() {
  device::Operations table = device::unsupported("fake");
  table.devices = []() -> Result<std::vector<device::Info>> {
    std::vector<device::Info> one(1);
    one[0].features = gpu.has_kernels ? device::has_kernels : 0;
    return one;
  };
  table.copy_blocks = [](uint32_t, void *, const device::Block *blocks, uint64_t count, uint32_t) {
    // Some of a list that is refused was launched all the same.
    const bool refused = ++gpu.launches >= gpu.refused_from;
    gpu.queue.insert(gpu.queue.end(), blocks, blocks + (refused ? count / 2 : count));
    return refused ? fail(PIRN_ERR_IO, "no room for the kernel") : Status::ok();
  };
  table.allocate_host = [](uint64_t length) -> Result<void *> {
    ++gpu.rings;
    return std::malloc(length);
  };
  table.release_host = [](void *address) {
    --gpu.rings;
    std::free(address);
    return Status::ok();
  };
  table.allocate = [](uint32_t device, uint64_t length) -> Result<device::Allocation> {
    ++gpu.allocated;
    return device::Allocation{std::calloc(1, length), length, device, device::Backing::chunks, 1};
  };
  table.release = [](const device::Allocation &allocation) {
    --gpu.allocated;
    std::free(allocation.address);
    return Status::ok();
  };
  table.pin = [](void *, uint64_t) {
    ++gpu.rings;
    return Status::ok();
  };
  table.unpin = [](void *) {
    --gpu.rings;
    return Status::ok();
  };
  table.make_stream = [](uint32_t) -> Result<void *> { return static_cast<void *>(&gpu); };
  table.drop_stream = [](uint32_t, void *) { return Status::ok(); };
  table.make_event = [](uint32_t) -> Result<void *> { return static_cast<void *>(&gpu); };
  table.drop_event = [](uint32_t, void *) { return Status::ok(); };
  table.record = [](uint32_t, void *, void *) { return Status::ok(); };
  table.copy = [](uint32_t, void *, void *to, const void *from, uint64_t length) {
    if (++gpu.made == gpu.fail_at) return fail(PIRN_ERR_IO, "the copy engine is out of order");
    gpu.queue.push_back({to, from, length, 0});
    return Status::ok();
  };
  table.reached = [](uint32_t, void *) -> Result<bool> {
    if (++gpu.asked; gpu.held) return false;
    catch_up();
    return true;
  };
  table.finish = [](uint32_t, void *, uint64_t) {
    if (!gpu.held) catch_up();
    return Status::ok();
  };
  return table;
}

inline const device::Operations &table() {
  static const device::Operations made = operations();
  return made;
}

constexpr uint64_t room = 1 << 20, slot = 64 << 10;

inline RigOptions small_slots() {
  RigOptions options;
  options.settings = {"STAGING_SLOT=64K", "STAGING_SLOTS=4", "HEARTBEAT=10ms", "QUIET_TIME=20ms"};
  return options;
}

// A rig with "device" memory on both sides; A has imported B's.
struct Devices {
  explicit Devices(uint32_t access = PIRN_ACCESS_READ | PIRN_ACCESS_WRITE, const RigOptions &options = small_slots())
      : rig(options) {
    near = rig.random.bytes(room);
    far = rig.random.bytes(room);
    gpu.made = gpu.fail_at = 0;
    gpu.held = false;
    Memory &memory = rig.b.endpoint->memory();
    source = must(rig.a.endpoint->memory().add(rig.a.endpoint.get(), near.data(), room, Home{&table(), 0}), "add");
    target = must(memory.add(rig.b.endpoint.get(), far.data(), room, Home{&table(), 0}), "add");
    advertised = must(memory.advertise(target, 0, room, access), "advertise");
    id = advertised->blob.window;
    window = rig.import(rig.a, wire::encode_window(advertised->blob));
    options_.path = Route::fabric;
  }
  ~Devices() { gpu.held = false; }

  pirn_transfer post(OpKind kind, const std::vector<Segment> &list) { return rig.vectored(kind, list, options_); }
  pirn_result run(OpKind kind, const std::vector<Segment> &list) { return rig.finish(post(kind, list)); }
  // What the owner is asked to copy, past the importer's own checks.
  void demand(const wire::StageMove &move) {
    rig.a.endpoint->staging().post(*rig.a.peer, move);
    rig.for_ms(5, [&] { rig.pump(); });
  }
  void lend() {  // slots, so that a demand can be made
    assert_int_equal(run(OpKind::write, {{rig.a.region, 0, window, 0, 1}}).status, PIRN_OK);
    gpu.made = 0;
  }
  const Loans &loans() { return rig.b.endpoint->staging().loans(); }

  std::vector<std::byte> near, far;
  Rig rig;
  Region *source = nullptr, *target = nullptr;
  Advertised *advertised = nullptr;
  uint64_t id = 0;
  Window *window = nullptr;
  TransferOptions options_;
};

}  // namespace pirn::core
