// SPDX-License-Identifier: Apache-2.0
// Device memory over the fabric, with a device whose copies take as long as the test wants.
#include "staging_rig.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

using namespace pirn;
using namespace pirn::core;

namespace {

void staged__each_pair_of_memories__bytes_are_right_both_ways(void **) {
  Devices devices;
  Rig &rig = devices.rig;
  const Ends pairs[] = {{devices.source, devices.near.data(), devices.window, devices.far.data()},
                        {devices.source, devices.near.data(), rig.a.window, rig.b.memory.data()},
                        {rig.a.region, rig.a.memory.data(), devices.window, devices.far.data()}};
  for (const Ends &pair : pairs)
    write_and_read_back(rig, pair, room, [&](OpKind kind, const Segment &segment) {
      const pirn_result result = devices.run(kind, {segment});
      if (result.status != PIRN_OK) fail_test("%s", result.text);
      assert_int_equal(result.bytes, segment.length);
      assert_string_equal(result.path, "fabric");
      assert_non_null(std::strstr(result.rail, ", staged"));
    });
}

void staged__list_of_mixed_memories_with_empty_elements__each_lands_in_its_place(void **) {
  Devices devices;
  Rig &rig = devices.rig;
  std::vector<Segment> list;
  std::vector<std::pair<const std::byte *, const std::byte *>> ends;
  for (uint64_t at = 0; at + 3000 < room; at += 3000) {
    const uint64_t length = rig.random.between(0, 3) == 0 ? 0 : rig.random.between(1, 3000);
    const bool here = rig.random.between(0, 2) != 0, there = rig.random.between(0, 2) != 0;
    list.push_back({here ? devices.source : rig.a.region, at, there ? devices.window : rig.a.window, room - at - 3000,
                    length});
    ends.push_back({(here ? devices.near.data() : rig.a.memory.data()) + at,
                    (there ? devices.far.data() : rig.b.memory.data()) + room - at - 3000});
  }
  list.push_back({devices.source, 0, devices.window, 0, 0});
  pirn_result result = devices.run(OpKind::write, list);
  if (result.status != PIRN_OK) fail_test("%s", result.text);
  for (size_t i = 0; i < ends.size(); ++i) assert_bytes(ends[i].second, ends[i].first, list[i].length, "element");
}

void staged__no_device_memory_in_use__takes_no_slots(void **) {
  const int64_t rings = gpu.rings;
  Devices devices;
  Side &a = devices.rig.a;
  assert_int_equal(devices.run(OpKind::write, {{a.region, 0, a.window, 0, room}}).status, PIRN_OK);
  assert_int_equal(gpu.rings, rings);
  assert_int_equal(devices.loans().slots_of(*devices.rig.b.peer), 0);
}

void staged__memory_for_slots_is_used_up__says_so(void **) {
  RigOptions options = small_slots();
  options.settings.push_back("STAGING_MEMORY=128K");
  Devices devices(PIRN_ACCESS_WRITE, options);
  pirn_result result = devices.run(OpKind::write, {{devices.rig.a.region, 0, devices.window, 0, room}});
  assert_int_equal(result.status, PIRN_ERR_NO_MEMORY);
  assert_contains(result.text, "PIRN_STAGING_MEMORY=131072");
  result = devices.run(OpKind::write, {{devices.source, 0, devices.rig.a.window, 0, room}});
  assert_int_equal(result.status, PIRN_ERR_NO_MEMORY);
  assert_contains(result.text, "PIRN_STAGING_MEMORY=131072");
}

void staged__copy_fails_at_either_end__ends_with_its_words(void **) {
  for (const bool own : {true, false}) {
    Devices devices;
    gpu.fail_at = 3;
    pirn_result result = devices.run(OpKind::write, {{own ? devices.source : devices.rig.a.region, 0,
                                                      own ? devices.rig.a.window : devices.window, 0, room}});
    assert_int_equal(result.status, PIRN_ERR_IO);
    assert_contains(result.text, "the copy engine is out of order");
    gpu.fail_at = 0;
    assert_int_equal(devices.run(OpKind::write, {{devices.source, 0, devices.window, 0, room}}).status, PIRN_OK);
    assert_bytes(devices.far.data(), devices.near.data(), room, "the next");
  }
}

// Whoever copies first, the owner or the importer, finds out for itself.
void staged__kernel_is_not_launched__copy_engines_go_on_and_it_is_said_once(void **) {
  gpu.has_kernels = true;
  gpu.launches = 0;
  gpu.refused_from = 4;
  Devices devices;
  std::vector<Segment> list;
  for (uint64_t at = 0; at < room; at += 1024) list.push_back({devices.source, at, devices.window, room - at - 1024, 1000});
  for (int round = 0; round < 2; ++round) {
    const std::vector<std::byte> fresh = devices.rig.random.bytes(room);
    std::copy(fresh.begin(), fresh.end(), devices.near.begin());
    const pirn_result result = devices.run(OpKind::write, list);
    if (result.status != PIRN_OK) fail_test("%s", result.text);
    for (uint64_t at = 0; at < room; at += 1024)
      assert_bytes(devices.far.data() + room - at - 1024, devices.near.data() + at, 1000, "written");
  }
  assert_int_equal(gpu.launches, 5);  // three, and one more on each side
  for (Side *side : {&devices.rig.a, &devices.rig.b}) {
    const std::string text = side->endpoint->explain(), words = "fake:0 copies by its copy engines alone, since a kernel was not "
                                                                "launched: no room for the kernel\n";
    assert_contains(text, words.c_str());
    assert_true(text.find(words, text.find(words) + 1) == std::string::npos);
  }
  gpu.has_kernels = false;
  gpu.refused_from = UINT64_MAX;
}

void owner__demands_beyond_the_window_or_its_rights__copies_nothing(void **) {
  Devices devices(PIRN_ACCESS_WRITE);
  devices.lend();
  const std::vector<std::byte> before = devices.far;
  const uint64_t id = devices.id;
  const wire::StageMove bad[] = {
      {1, id, 0, 1, {{room, 1}}},                          // behind the window
      {2, id, 0, 1, {{0, 10}, {room - 5, 6}}},             // half behind it
      {3, id, 0, 1, {{UINT64_MAX - 1, 4}}},                // around
      {4, id, 0, 0, {{0, 10}}},                            // no read access
      {5, id, 4, 1, {{0, 10}}},                            // no such slot
      {6, id, UINT32_MAX, 1, {{0, 10}}},
      {7, id, 0, 1, {{0, slot}, {slot, 1}}},               // more than a slot
      {8, id + 100, 0, 1, {{0, 10}}},                      // no such window
      {9, devices.rig.b.window_id, 0, 1, {{0, 10}}},       // host memory
  };
  for (const wire::StageMove &move : bad) devices.demand(move);
  assert_int_equal(gpu.made, 0);
  assert_bytes(devices.far.data(), before.data(), room, "the window");
  devices.demand({10, id, 3, 1, {{0, 10}, {20, 10}}});
  assert_int_equal(gpu.made, 2);
  assert_int_equal(devices.rig.b.endpoint->control().counters().malformed, 0);
}

// A wish of A's, who says that it is another process of this host, and what B answers.
struct RingDevices : Devices {
  explicit RingDevices(const std::vector<std::string> &more = {}) : Devices(PIRN_ACCESS_WRITE, with(more)) {
    rig.b.peer->metadata.process[0] ^= 1;
  }
  static RigOptions with(const std::vector<std::string> &more) {
    RigOptions options = small_slots();
    options.settings.insert(options.settings.end(), {"RING_SLOT=64K", "RING_SLOTS=3"});
    options.settings.insert(options.settings.end(), more.begin(), more.end());
    return options;
  }
  void want(uint64_t wanted) {
    rig.a.endpoint->staging().post(*rig.a.peer, wire::StageWant{wanted, wire::SlotMemory::device});
    rig.for_ms(5, [&] { rig.pump(); });
  }
  // The window that the slots on the device are in; 0: there are none.
  uint64_t slots() {
    uint64_t found = 0;
    rig.b.endpoint->memory().each_advertised([&](Advertised &other) {
      if (other.blob.on_device && other.blob.window != id) found = other.blob.window;
    });
    return found;
  }
};

void ring__demands_beyond_the_window_its_rights_or_the_slots__copies_nothing(void **) {
  RingDevices devices;
  devices.lend();
  devices.want(devices.id);
  const uint64_t slots = devices.slots(), id = devices.id;
  assert_int_not_equal(slots, 0);
  const std::vector<std::byte> before = devices.far;
  const wire::StageMove bad[] = {
      {1, id, 0, 1, {{room, 1}}, slots},
      {2, id, 0, 0, {{0, 10}}, slots},              // no read access
      {3, id, 3, 1, {{0, 10}}, slots},              // no such slot
      {4, id, 0, 1, {{0, slot}, {slot, 1}}, slots},  // more than a slot
      {5, id, 0, 1, {{0, 10}}, slots + 1},          // no such slots
      {6, id, 0, 1, {{0, 10}}, id},                 // a window that is not of slots
      {7, slots, 0, 1, {{0, 10}}, slots},           // the slots themselves, which nobody opened
      {8, devices.rig.b.window_id, 0, 1, {{0, 10}}, slots},  // host memory
  };
  for (const wire::StageMove &move : bad) devices.demand(move);
  assert_int_equal(gpu.made, 0);
  assert_bytes(devices.far.data(), before.data(), room, "the window");
  devices.demand({9, id, 2, 1, {{0, 10}, {20, 10}}, slots});
  assert_int_equal(gpu.made, 2);
  assert_int_equal(devices.rig.b.endpoint->control().counters().malformed, 0);
}

// Slots for windows in host memory, which the processor copies.
void plain_ring__demands_beyond_the_window_its_rights_or_the_slots__copies_nothing(void **) {
  Rig rig(small_slots());
  rig.b.peer->metadata.process[0] ^= 1;  // A says that it is another process of this host
  Memory &memory = rig.b.endpoint->memory();
  uint64_t readable = 0;
  rig.import(rig.a, rig.advertise(rig.b, 1000, 5000, PIRN_ACCESS_READ, &readable));
  const auto post = [&](wire::Stage &&stage) {
    rig.a.endpoint->staging().post(*rig.a.peer, std::move(stage));
    rig.for_ms(5, [&] { rig.pump(); });
  };
  post(wire::StageWant{rig.b.window_id, wire::SlotMemory::plain});
  post(wire::StageWant{readable, wire::SlotMemory::plain});  // the same slots
  const Advertised *slots = nullptr;
  memory.each_advertised([&](Advertised &other) {
    if (other.blob.window != rig.b.window_id && other.blob.window != readable) slots = &other;
  });
  assert_non_null(slots);
  assert_int_equal(rig.b.endpoint->staging().loans().slots_of(*rig.b.peer), 4);
  std::memset(slots->address, 0x5a, slot * 4);
  const uint64_t all = rig.b.window_id, lent = slots->blob.window;
  const std::vector<std::byte> before = rig.b.memory;
  const wire::StageMove bad[] = {
      {1, all, 0, 1, {{before.size(), 1}}, lent},
      {2, all, 0, 1, {{UINT64_MAX, 2}}, lent},
      {3, readable, 0, 1, {{0, 10}}, lent},          // no write access
      {4, readable, 0, 0, {{4995, 6}}, lent},
      {5, all, 4, 1, {{0, 10}}, lent},               // no such slot
      {6, all, 0, 1, {{0, slot}, {slot, 1}}, lent},  // more than a slot
      {7, all, 0, 1, {{0, 10}}, lent + 1}, {8, all, 0, 1, {{0, 10}}, 0},  // no such slots, none for devices
      {9, all + 1000, 0, 1, {{0, 10}}, lent}};  // no such window
  for (const wire::StageMove &move : bad) post(move);
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B");
  assert_int_equal(std::to_integer<int>(slots->address[0]), 0x5a);
  post(wire::StageMove{10, all, 2, 1, {{5, 10}, {200, 10}}, lent});
  std::vector<std::byte> wanted = before;
  for (const int at : {5, 200}) std::fill_n(wanted.begin() + at, 10, std::byte{0x5a});
  assert_bytes(rig.b.memory.data(), wanted.data(), wanted.size(), "B");
  post(wire::StageMove{11, readable, 1, 0, {{1, 20}}, lent});
  assert_bytes(slots->address + slot, wanted.data() + 1001, 20, "slot 1");
  assert_int_equal(rig.b.endpoint->control().counters().malformed, 0);
}

void ring__asked_for_again__is_the_same_one(void **) {
  RingDevices devices;
  const int64_t before = gpu.allocated;
  devices.want(devices.id);
  devices.want(devices.id);
  assert_int_equal(gpu.allocated, before + 1);
  assert_int_equal(devices.loans().slots_of(*devices.rig.b.peer), 3);
}

void ring__closed_while_a_copy_is_under_way__is_freed_afterwards_and_serves_no_more(void **) {
  RingDevices devices;
  const int64_t before = gpu.allocated;
  devices.want(devices.id);
  const uint64_t slots = devices.slots();
  gpu.held = true;
  devices.demand({1, devices.id, 0, 1, {{0, 10}}, slots});
  assert_int_equal(gpu.made, 1);
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::window_close;
  message->body = wire::WindowRef{slots, 0};
  devices.rig.a.endpoint->control().post(*devices.rig.a.peer, std::move(message));
  devices.rig.for_ms(20, [&] { devices.rig.pump(); });
  assert_int_equal(gpu.allocated, before + 1);
  gpu.held = false;
  assert_true(devices.rig.until([&] { return gpu.allocated == before; }));
  devices.demand({2, devices.id, 0, 1, {{0, 10}}, slots});
  assert_int_equal(gpu.made, 1);
}

void ring__peer_that_ends__never_leaves_its_ring_to_the_next(void **) {
  RingDevices devices;
  const int64_t before = gpu.allocated, pinned = gpu.rings;
  devices.lend();  // host slots that it could map
  devices.want(devices.id);
  assert_int_equal(gpu.allocated, before + 1);
  assert_int_equal(gpu.rings, pinned + 1);
  devices.rig.a.endpoint->close(*devices.rig.a.peer);
  assert_true(devices.rig.until([&] { return gpu.allocated == before && gpu.rings == pinned; }));
}

void ring__not_for_this_peer_or_memory__is_refused(void **) {
  {
    RingDevices devices;
    devices.rig.b.peer->metadata.process[0] ^= 1;  // it is this process
    devices.want(devices.id);
    assert_int_equal(devices.slots(), 0);
  }
  for (const char *setting : {"RINGS=none", "RINGS=host", "STAGING_MEMORY=191K"}) {
    RingDevices devices({setting});
    devices.want(devices.id);
    assert_int_equal(devices.slots(), 0);
  }
  RingDevices devices;
  devices.want(devices.rig.b.window_id);  // host memory
  devices.want(devices.id + 100);
  assert_int_equal(devices.slots(), 0);
}

void owner__demands_of_who_has_no_slots_or_closed_the_window__copies_nothing(void **) {
  Devices devices;
  devices.demand({1, devices.id, 0, 1, {{0, 10}}});
  assert_int_equal(gpu.made, 0);
  devices.lend();
  require(devices.rig.a.endpoint->close(devices.window), "close");
  devices.demand({2, devices.id, 0, 1, {{0, 10}}});
  assert_int_equal(gpu.made, 0);
  // Answers and offers that nobody waits for.
  Staging &b = devices.rig.b.endpoint->staging();
  b.post(*devices.rig.b.peer, wire::StageMoved{77, PIRN_OK, ""});
  b.post(*devices.rig.b.peer, wire::StageLent{PIRN_ERR_NO_MEMORY, "none", 0, 0, {}});
  devices.rig.for_ms(5, [&] { devices.rig.pump(); });
  devices.window = devices.rig.import(devices.rig.a, wire::encode_window(devices.advertised->blob));
  assert_int_equal(devices.run(OpKind::write, {{devices.source, 0, devices.window, 0, room}}).status, PIRN_OK);
  assert_bytes(devices.far.data(), devices.near.data(), room, "the window");
}

void owner__slot_demanded_twice__copies_once(void **) {
  Devices devices;
  devices.lend();
  gpu.held = true;
  devices.demand({1, devices.id, 2, 1, {{0, 10}}});
  devices.demand({2, devices.id, 2, 1, {{100, 10}}});
  assert_int_equal(gpu.made, 1);
  gpu.held = false;
  devices.rig.for_ms(5, [&] { devices.rig.pump(); });
  devices.demand({3, devices.id, 2, 1, {{100, 10}}});
  assert_int_equal(gpu.made, 2);
}

void owner__withdraw_while_it_copies__waits_for_the_copy(void **) {
  Devices devices;
  devices.lend();
  gpu.held = true;
  const pirn_transfer id = devices.post(OpKind::write, {{devices.rig.a.region, 0, devices.window, 0, room}});
  assert_true(devices.rig.until([&] { return devices.loans().busy(devices.id); }));
  {
    Call call([&] { return devices.rig.b.endpoint->withdraw(devices.target, devices.id, 10 * ns_per_s); });
    devices.rig.for_ms(100, [&] { devices.rig.a.endpoint->progress_manually(); });
    assert_false(call.done);
    gpu.held = false;
    for (uint64_t end = now_ns() + 5 * ns_per_s; !call.done && now_ns() < end;)
      devices.rig.a.endpoint->progress_manually();
    assert_true(call.done);
    assert_int_equal(call.status.code, PIRN_OK);
  }
  const std::vector<std::byte> after = devices.far;
  assert_int_equal(devices.rig.finish(id).status, PIRN_ERR_WINDOW_GONE);
  devices.rig.for_ms(20, [&] { devices.rig.pump(); });
  assert_bytes(devices.far.data(), after.data(), room, "the withdrawn window");
  require(devices.rig.b.endpoint->deregister(devices.target), "deregister");
}

void owner__peer_leaves_while_it_copies__takes_the_slots_back_afterwards(void **) {
  Devices devices;
  devices.lend();
  gpu.held = true;
  const pirn_transfer id = devices.post(OpKind::write, {{devices.rig.a.region, 0, devices.window, 0, room}});
  assert_true(devices.rig.until([&] { return devices.loans().busy(devices.id); }));
  devices.rig.a.endpoint->close(*devices.rig.a.peer);
  assert_true(devices.rig.until([&] { return !devices.rig.b.peer->live(); }));
  devices.rig.for_ms(50, [&] { devices.rig.pump(); });
  assert_true(devices.loans().active());
  gpu.held = false;
  assert_true(devices.rig.until([&] { return !devices.loans().active(); }));
  assert_int_equal(devices.rig.finish(id).status, PIRN_ERR_CANCELLED);
}

void importer__cancelled_while_its_device_copies__ends_when_that_is_over(void **) {
  for (const OpKind kind : {OpKind::write, OpKind::read}) {
    Devices devices;
    gpu.held = true;
    const pirn_transfer id = devices.post(kind, {{devices.source, 0, devices.rig.a.window, 0, room}});
    assert_true(devices.rig.until([&] { return !gpu.queue.empty(); }));
    Call call([&] { return devices.rig.a.endpoint->cancel(id); });
    devices.rig.for_ms(100, [&] { devices.rig.b.endpoint->progress_manually(); });
    assert_false(call.done);
    gpu.held = false;
    for (uint64_t end = now_ns() + 5 * ns_per_s; !call.done && now_ns() < end;)
      devices.rig.b.endpoint->progress_manually();
    assert_true(call.done);
    const std::vector<std::byte> after = devices.near;
    devices.rig.for_ms(20, [&] { devices.rig.pump(); });
    assert_bytes(devices.near.data(), after.data(), room, "the region");
    assert_int_equal(devices.rig.finish(id).status, PIRN_ERR_CANCELLED);
  }
}

void importer__owner_never_answers__ends_at_the_deadline_and_slots_come_back(void **) {
  for (const OpKind kind : {OpKind::write, OpKind::read}) {
    Devices devices;
    devices.lend();
    gpu.held = true;
    devices.options_.timeout = 50 * ns_per_ms;
    assert_int_equal(devices.run(kind, {{devices.rig.a.region, 0, devices.window, 0, room}}).status, PIRN_ERR_TIMEOUT);
    assert_contains(devices.rig.a.endpoint->staging().explain(*devices.rig.a.peer),
                    "lends 4 slots of 65536 bytes, 0 of them");
    gpu.held = false;
    assert_true(devices.rig.until([&] {
      return devices.rig.a.endpoint->staging().explain(*devices.rig.a.peer).find("4 of them free") != std::string::npos;
    }));
    devices.options_.timeout = 10 * ns_per_s;
    assert_int_equal(devices.run(kind, {{devices.rig.a.region, 0, devices.window, 0, room}}).status, PIRN_OK);
    assert_bytes(devices.far.data(), devices.rig.a.memory.data(), room, "afterwards");
  }
}

// The slots would serve any window: that this one is gone says nothing of them.
void importer__owner_refuses_for_a_window_that_is_gone__asks_again_for_the_next(void **) {
  Devices devices;
  Rig &rig = devices.rig;
  // B has withdrawn the window when the wish comes; A hears of that later.
  devices.advertised->withdrawing = true;
  const pirn_transfer id = devices.post(OpKind::write, {{devices.source, 0, devices.window, 0, room}});
  rig.for_ms(20, [&] { rig.pump(); });
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::window_withdraw;
  message->body = wire::WindowRef{devices.id, 0};
  rig.b.endpoint->control().post(*rig.b.peer, std::move(message));
  assert_int_equal(rig.finish(id).status, PIRN_ERR_WINDOW_GONE);
  devices.advertised = must(rig.b.endpoint->memory().advertise(devices.target, 0, room, PIRN_ACCESS_WRITE), "advertise");
  Window *next = rig.import(rig.a, wire::encode_window(devices.advertised->blob));
  assert_int_equal(devices.run(OpKind::write, {{devices.source, 0, next, 0, room}}).status, PIRN_OK);
}

void importer__peer_without_staging__is_unavailable(void **) {
  Devices devices;
  devices.rig.a.peer->metadata.features = wire::feature_window_update;
  pirn_result result = devices.run(OpKind::write, {{devices.source, 0, devices.window, 0, room}});
  assert_int_equal(result.status, PIRN_ERR_UNAVAILABLE);
  assert_contains(result.text, "too old");
  assert_int_equal(devices.run(OpKind::write, {{devices.source, 0, devices.rig.a.window, 0, room}}).status, PIRN_OK);
}

void every_end__all_slots_are_freed(void **) {
  assert_int_equal(gpu.rings, 0);
  assert_int_equal(gpu.allocated, 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(staged__each_pair_of_memories__bytes_are_right_both_ways),
      cmocka_unit_test(staged__list_of_mixed_memories_with_empty_elements__each_lands_in_its_place),
      cmocka_unit_test(staged__no_device_memory_in_use__takes_no_slots),
      cmocka_unit_test(staged__memory_for_slots_is_used_up__says_so),
      cmocka_unit_test(staged__copy_fails_at_either_end__ends_with_its_words),
      cmocka_unit_test(staged__kernel_is_not_launched__copy_engines_go_on_and_it_is_said_once),
      cmocka_unit_test(owner__demands_beyond_the_window_or_its_rights__copies_nothing),
      cmocka_unit_test(ring__demands_beyond_the_window_its_rights_or_the_slots__copies_nothing),
      cmocka_unit_test(plain_ring__demands_beyond_the_window_its_rights_or_the_slots__copies_nothing),
      cmocka_unit_test(ring__asked_for_again__is_the_same_one),
      cmocka_unit_test(ring__closed_while_a_copy_is_under_way__is_freed_afterwards_and_serves_no_more),
      cmocka_unit_test(ring__peer_that_ends__never_leaves_its_ring_to_the_next),
      cmocka_unit_test(ring__not_for_this_peer_or_memory__is_refused),
      cmocka_unit_test(owner__demands_of_who_has_no_slots_or_closed_the_window__copies_nothing),
      cmocka_unit_test(owner__slot_demanded_twice__copies_once),
      cmocka_unit_test(owner__withdraw_while_it_copies__waits_for_the_copy),
      cmocka_unit_test(owner__peer_leaves_while_it_copies__takes_the_slots_back_afterwards),
      cmocka_unit_test(importer__cancelled_while_its_device_copies__ends_when_that_is_over),
      cmocka_unit_test(importer__owner_never_answers__ends_at_the_deadline_and_slots_come_back),
      cmocka_unit_test(importer__owner_refuses_for_a_window_that_is_gone__asks_again_for_the_next),
      cmocka_unit_test(importer__peer_without_staging__is_unavailable),
      cmocka_unit_test(every_end__all_slots_are_freed),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
