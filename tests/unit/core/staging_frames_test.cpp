// SPDX-License-Identifier: Apache-2.0
// How much is said, and asked of the device, for parts that go side by side.
#include "staging_rig.h"

using namespace pirn;
using namespace pirn::core;

namespace {

RigOptions patient() {
  RigOptions options = small_slots();
  options.settings = {"STAGING_SLOT=64K", "STAGING_SLOTS=4"};  // no pings
  return options;
}

// Demands, answers, and one acknowledgement at the end: a frame each, however many parts there are.
void frames__of_parts_that_are_ready_together__are_one(void **) {
  Devices devices(PIRN_ACCESS_READ | PIRN_ACCESS_WRITE, patient());
  Rig &rig = devices.rig;
  devices.lend();
  for (const OpKind kind : {OpKind::write, OpKind::read}) {
    rig.calm();
    const uint64_t before = rig.fake.counters().sends;
    assert_int_equal(devices.run(kind, {{rig.a.region, 0, devices.window, 0, 4 * slot}}).status, PIRN_OK);
    rig.calm();
    assert_in_range(rig.fake.counters().sends - before, 2, 4);
    assert_bytes(devices.far.data(), rig.a.memory.data(), 4 * slot, "moved");
  }
}

// A library that does not know them would lose all but one.
void frames__peer_takes_one_at_a_time__go_one_by_one(void **) {
  Devices devices(PIRN_ACCESS_READ | PIRN_ACCESS_WRITE, patient());
  Rig &rig = devices.rig;
  devices.lend();
  rig.calm();
  rig.a.peer->metadata.features &= ~wire::feature_several;
  const uint64_t before = rig.fake.counters().sends;
  assert_int_equal(devices.run(OpKind::write, {{rig.a.region, 0, devices.window, 0, 4 * slot}}).status, PIRN_OK);
  rig.calm();
  assert_true(rig.fake.counters().sends - before >= 5);
  assert_bytes(devices.far.data(), rig.a.memory.data(), 4 * slot, "moved");
}

// Nor is an acknowledgement owed for long by who has nothing else to say: who waits for it would send again.
void frames__while_a_device_copies_on__are_acknowledged_in_time(void **) {
  Devices devices(PIRN_ACCESS_WRITE, patient());
  Rig &rig = devices.rig;
  devices.lend();
  rig.calm();
  gpu.held = true;
  const pirn_transfer id = devices.post(OpKind::write, {{rig.a.region, 0, devices.window, 0, slot}});
  assert_true(rig.until([&] { return gpu.made > 0; }));
  const uint64_t before = rig.fake.counters().sends;
  assert_true(rig.until([&] { return rig.a.peer->mailbox.idle(); }, 190));
  assert_int_equal(rig.fake.counters().sends - before, 1);
  gpu.held = false;
  assert_int_equal(rig.finish(id).status, PIRN_OK);
}

// A stream ends copies in its order, and a question costs a call of the runtime.
void copies__several_wait_on_a_stream__device_is_asked_for_the_first(void **) {
  Devices devices(PIRN_ACCESS_WRITE, patient());
  Rig &rig = devices.rig;
  devices.lend();
  gpu.held = true;
  const pirn_transfer id = devices.post(OpKind::write, {{rig.a.region, 0, devices.window, 0, 4 * slot}});
  assert_true(rig.until([&] { return gpu.made == 4; }));
  for (int round = 0; round < 3; ++round) {
    const uint64_t before = gpu.asked;
    rig.b.endpoint->progress_manually();
    assert_int_equal(gpu.asked - before, 1);
  }
  gpu.held = false;
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_bytes(devices.far.data(), rig.a.memory.data(), 4 * slot, "written");
}

void owner__one_of_several_demands_in_a_frame_is_wrong__copies_the_others(void **) {
  Devices devices(PIRN_ACCESS_WRITE, patient());
  Rig &rig = devices.rig;
  devices.lend();
  rig.calm();
  const uint64_t before = rig.fake.counters().sends, id = devices.id;
  const wire::StageMove moves[] = {{1, id, 0, 1, {{0, 10}}}, {2, id, 1, 1, {{room, 1}}}, {3, id, 2, 1, {{20, 10}}}};
  for (const wire::StageMove &move : moves)
    rig.a.endpoint->staging().post(*rig.a.peer, move, Control::When::end_of_round);
  assert_int_equal(rig.fake.counters().sends, before);
  rig.a.endpoint->progress_manually();
  assert_int_equal(rig.fake.counters().sends - before, 1);
  assert_true(rig.until([&] { return gpu.made == 2; }));
  rig.calm();
  assert_int_equal(rig.b.endpoint->control().counters().malformed, 0);
}

void owner__one_of_several_demands_is_refused__that_transfer_ends_and_no_other(void **) {
  Devices devices(PIRN_ACCESS_WRITE, patient());
  Rig &rig = devices.rig;
  devices.lend();
  Advertised *other = must(rig.b.endpoint->memory().advertise(devices.target, 0, room, PIRN_ACCESS_WRITE), "advertise");
  Window *closing = rig.import(rig.a, wire::encode_window(other->blob));
  rig.calm();
  other->withdrawing = true;  // which A does not know yet
  const std::vector<std::byte> before(devices.far);
  const pirn_transfer ids[] = {devices.post(OpKind::write, {{rig.a.region, 0, devices.window, 0, slot}}),
                               devices.post(OpKind::write, {{rig.a.region, slot, closing, slot, slot}}),
                               devices.post(OpKind::write, {{rig.a.region, 2 * slot, devices.window, 2 * slot, slot}})};
  rig.for_ms(20, [&] { rig.pump(); });
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::window_withdraw;
  message->body = wire::WindowRef{other->blob.window, 0};
  rig.b.endpoint->control().post(*rig.b.peer, std::move(message));
  const pirn_status expected[] = {PIRN_OK, PIRN_ERR_WINDOW_GONE, PIRN_OK};
  for (size_t i = 0; i < 3; ++i) assert_int_equal(rig.finish(ids[i]).status, expected[i]);
  assert_bytes(devices.far.data(), rig.a.memory.data(), slot, "the first");
  assert_bytes(devices.far.data() + slot, before.data() + slot, slot, "the refused one");
  assert_bytes(devices.far.data() + 2 * slot, rig.a.memory.data() + 2 * slot, slot, "the third");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(frames__of_parts_that_are_ready_together__are_one),
      cmocka_unit_test(frames__peer_takes_one_at_a_time__go_one_by_one),
      cmocka_unit_test(frames__while_a_device_copies_on__are_acknowledged_in_time),
      cmocka_unit_test(copies__several_wait_on_a_stream__device_is_asked_for_the_first),
      cmocka_unit_test(owner__one_of_several_demands_in_a_frame_is_wrong__copies_the_others),
      cmocka_unit_test(owner__one_of_several_demands_is_refused__that_transfer_ends_and_no_other),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
