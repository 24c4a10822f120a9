// SPDX-License-Identifier: Apache-2.0
// One NIC near to memory, and others as spares: when they carry, what they cost before, and that they give back.
#include "rig.h"

#include <algorithm>
#include <cstring>

using namespace pirn;
using namespace pirn::core;

namespace {

// One near NIC and `spares` others on each side. A NIC that fails here does so in both directions.
RigOptions one_near(size_t spares, bool rekeying = false) {
  RigOptions options = rekeying ? rekeying_nics(1 + spares) : several_nics(1 + spares);
  options.spares = spares;
  return options;
}

struct SpareRig : Rig {
  explicit SpareRig(const RigOptions &options) : Rig(options) { fake.both_ways(true); }
  std::string explain() { return a.endpoint->explain(*a.peer); }
  uint64_t carried_by_spares() {
    uint64_t bytes = 0;
    for (const Path &path : a.peer->paths)
      if (path.spares > 0) bytes += path.moved;
    return bytes;
  }
  uint32_t spares_in_use() { return a.endpoint->paths().count_spares_in_use(*a.peer); }
  bool near_in_use() { return !a.peer->paths[0].paused; }
};

void spares__near_nic_works__carry_nothing_and_register_nothing(void **) {
  for (bool rekeying : {false, true}) {
    RigOptions options = one_near(2, rekeying);
    options.connect = false;
    for (const char *patience : {"HEARTBEAT=10s", "RAIL_TIMEOUT=30s"}) options.settings.push_back(patience);
    SpareRig rig(options);
    const uint64_t before = rig.fake.counters().registrations;
    uint64_t id = 0;
    const auto blob = must(wire::decode_window(rig.advertise(rig.b, 0, 4096, PIRN_ACCESS_READ, &id)), "blob");
    assert_int_equal(rig.fake.counters().registrations - before, 1);
    assert_int_equal(blob.rails.size(), 1);
    rig.connect();
    assert_int_equal(rig.a.endpoint->rails().size(), 3);
    assert_int_equal(rig.a.peer->paths.size(), 1);
    move_and_check(rig, true);
    move_and_check(rig, false);
    assert_int_equal(rig.a.peer->paths.size(), 1);
    assert_contains(rig.a.endpoint->explain(), "1 (spare)");
    assert_contains(rig.explain(), "8 pairs with a spare not made: tried when no other path works");
  }
}

enum class Where { here, there };

void near_nic_fails(bool rekeying, bool write, bool hang, Where where) {
  SpareRig rig(one_near(2, rekeying));
  Side &side = where == Where::here ? rig.a : rig.b;
  const uint32_t victim = rig.number(side, 0);
  rig.fake.hold();
  pirn_result result = move_and_check(rig, write, [&] {
    for (int i = 0; i < 5; ++i) rig.pump();
    hang ? rig.fake.hang(victim) : rig.fake.cut(victim);
    rig.fake.release();
  });
  assert_true(rig.carried_by_spares() > 0);
  assert_true(rig.spares_in_use() > 0);
  assert_false(rig.near_in_use());
  assert_contains(rig.explain(), where == Where::here ? "1 (spare) (" : ", a spare there: in use");
  // It goes on, and what begins on a spare says so.
  result = move_and_check(rig, write);
  if (where == Where::here) assert_contains(result.rail, " (spare)");
  pirn_transfer id = 0;
  const std::vector<std::byte> message = rig.random.bytes(3000);
  rig.notify(message, {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_true(rig.until([&] { return rig.take_at_b() == message; }));
  // Both find it well again and give the load back.
  rig.fake.mend(victim);
  assert_true(rig.until([&] { return rig.near_in_use() && !rig.b.peer->paths[0].paused; }));
  assert_int_equal(rig.spares_in_use(), 0);
  rig.calm();
  const uint64_t carried = rig.carried_by_spares();
  result = move_and_check(rig, write);
  assert_int_equal(rig.carried_by_spares(), carried);
  assert_null(std::strstr(result.rail, "spare"));
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
}

void near_nic__fails_under_a_transfer__spare_takes_over_and_gives_back(void **) {
  for (bool rekeying : {false, true})
    for (bool write : {true, false})
      for (Where where : {Where::here, Where::there}) near_nic_fails(rekeying, write, false, where);
}

void near_nic__hangs_under_a_transfer__spare_takes_over_and_gives_back(void **) {
  for (bool write : {true, false})
    for (Where where : {Where::here, Where::there}) near_nic_fails(false, write, true, where);
}

void spare__only_here_or_only_there__is_enough(void **) {
  for (Where where : {Where::here, Where::there}) {
    RigOptions options = one_near(1);
    options.connect = false;
    SpareRig rig(options);
    // The other side has no spare of its own.
    Side &poor = where == Where::here ? rig.b : rig.a;
    RigOptions fewer = options;
    fewer.spares = 0;
    fewer.nics = "mlx5_0";
    poor.window_id = 0;
    poor.endpoint.reset();
    rig.open(poor, fewer);
    rig.connect();
    rig.fake.cut(rig.number(where == Where::here ? rig.a : rig.b, 0));
    move_and_check(rig, true);
    move_and_check(rig, false);
    assert_true(rig.carried_by_spares() > 0);
  }
}

void near_nics__gone_on_both_sides__spares_meet(void **) {
  SpareRig rig(one_near(2));
  rig.fake.cut(rig.number(rig.a, 0));
  rig.fake.cut(rig.number(rig.b, 0));
  move_and_check(rig, true);
  move_and_check(rig, false);
  for (const Path &path : rig.a.peer->paths)
    if (path.moved > 0) assert_int_equal(path.spares, 2);
}

void near_nics__one_of_two_fails__spare_is_left_alone(void **) {
  RigOptions options = several_nics(3);
  options.spares = 1;
  SpareRig rig(options);
  rig.fake.cut(rig.number(rig.b, 1));
  for (int i = 0; i < 5; ++i) move_and_check(rig, i % 2 == 0);
  assert_int_equal(rig.carried_by_spares(), 0);
  assert_int_equal(rig.spares_in_use(), 0);
  rig.fake.cut(rig.number(rig.b, 0));
  move_and_check(rig, true);
  assert_true(rig.carried_by_spares() > 0);
}

void spare__dies_too__the_next_one_carries_on(void **) {
  SpareRig rig(one_near(2));
  rig.fake.cut(rig.number(rig.a, 0));
  move_and_check(rig, true);
  rig.fake.cut(rig.number(rig.a, 1));
  move_and_check(rig, true);
  move_and_check(rig, false);
  for (const Path &path : rig.a.peer->paths)
    if (rig.a.endpoint->paths().in_use(*rig.a.peer, path)) assert_int_equal(path.local, 2);
  assert_true(rig.spares_in_use() > 0);
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
}

void last_spare__dies__peer_is_lost_with_the_reason_of_each_nic(void **) {
  for (bool before : {true, false}) {  // before or after the spares have been found well
    RigOptions options = one_near(2);
    options.settings.push_back("PEER_CONFIRM_TIMEOUT=200ms");
    SpareRig rig(options);
    rig.fake.cut(rig.number(rig.a, 0));
    if (!before) move_and_check(rig, true);
    rig.fake.cut(rig.number(rig.a, 1));
    rig.fake.cut(rig.number(rig.a, 2));
    const std::vector<std::byte> untouched = rig.b.memory;
    pirn_result result = rig.finish(rig.write(0, 0, 900'000));
    assert_int_equal(result.status, PIRN_ERR_PEER_LOST);
    for (const char *name : {"mlx5_0: ", "mlx5_1 (spare): ", "mlx5_2 (spare): "})
      if (rig.a.peer->why.find(name) == std::string::npos) fail_test("%s not in: %s", name, rig.a.peer->why.c_str());
    assert_bytes(rig.b.memory.data(), untouched.data(), untouched.size(), "B");
  }
}

void near_rail__cannot_be_opened_again__spare_carries_and_peer_stays(void **) {
  SpareRig rig(one_near(1));
  move_and_check(rig, true, [&] {
    rig.a.endpoint->rail_was_reset(*rig.a.endpoint->rails()[0], fail(PIRN_ERR_IO, "no such device"), false);
  });
  assert_true(rig.carried_by_spares() > 0);
  assert_true(rig.until([&] { return rig.near_in_use(); }));
}

// Only who knows spares is talked to through them: it could not answer.
void peer__does_not_know_spares__is_reached_by_near_nics_only(void **) {
  RigOptions options = one_near(2);
  options.settings.push_back("PEER_CONFIRM_TIMEOUT=100ms");
  options.connect = false;
  SpareRig rig(options);
  wire::Metadata old = must(wire::decode_metadata(rig.b.endpoint->metadata()), "metadata");
  old.features = wire::feature_window_update;
  old.rails.resize(1);
  Peer *peer = must(rig.a.endpoint->add(wire::encode_metadata(old)), "add");
  assert_true(rig.until([&] { return peer->state == PIRN_PEER_UP; }));
  assert_int_equal(peer->addresses.size(), 1);
  rig.a.peer = peer;
  rig.a.window = rig.import(rig.a, rig.b.blob);
  assert_int_equal(rig.finish(rig.write(0, 0, 1 << 20)).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 1 << 20, "B");
  rig.fake.cut(rig.number(rig.a, 0));
  assert_int_equal(rig.finish(rig.write(0, 0, 1 << 20)).status, PIRN_ERR_PEER_LOST);
  assert_int_equal(peer->paths.size(), 1);
}

void spare__targets_know_whom_they_serve__works_all_the_same(void **) {
  RigOptions options = one_near(2);
  options.persona.target_must_know_initiator = true;
  SpareRig rig(options);
  rig.fake.cut(rig.number(rig.a, 0));
  move_and_check(rig, true);
  move_and_check(rig, false);
  assert_int_equal(rig.fake.counters().strays, 0);
}

// Until somebody needs them they are looked at when the clock ticks, not in every round.
void spares__not_needed__are_not_polled_in_every_round(void **) {
  SpareRig rig(one_near(2));
  rig.calm();
  assert_int_equal(rig.a.endpoint->spares(), 2);
  assert_false(rig.a.endpoint->polls_spares());
  rig.fake.cut(rig.number(rig.a, 0));
  move_and_check(rig, true);
  assert_true(rig.a.endpoint->polls_spares());
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(spares__near_nic_works__carry_nothing_and_register_nothing),
      cmocka_unit_test(near_nic__fails_under_a_transfer__spare_takes_over_and_gives_back),
      cmocka_unit_test(near_nic__hangs_under_a_transfer__spare_takes_over_and_gives_back),
      cmocka_unit_test(spare__only_here_or_only_there__is_enough),
      cmocka_unit_test(near_nics__gone_on_both_sides__spares_meet),
      cmocka_unit_test(near_nics__one_of_two_fails__spare_is_left_alone),
      cmocka_unit_test(spare__dies_too__the_next_one_carries_on),
      cmocka_unit_test(last_spare__dies__peer_is_lost_with_the_reason_of_each_nic),
      cmocka_unit_test(near_rail__cannot_be_opened_again__spare_carries_and_peer_stays),
      cmocka_unit_test(peer__does_not_know_spares__is_reached_by_near_nics_only),
      cmocka_unit_test(spare__targets_know_whom_they_serve__works_all_the_same),
      cmocka_unit_test(spares__not_needed__are_not_polled_in_every_round),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
