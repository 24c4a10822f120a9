// SPDX-License-Identifier: Apache-2.0
// Several NICs on each side: how work is spread, and what a NIC that fails, stalls or comes back costs.
#include "core/scheduler.h"
#include "rig.h"

#include <algorithm>
#include <cstring>

using namespace pirn;
using namespace pirn::core;

namespace {

size_t in_use(Rig &rig) { return rig.a.endpoint->paths().count_in_use(*rig.a.peer); }

std::string troubles(Rig &rig) { return Paths::troubles(*rig.a.peer); }

void rails__large_transfer__uses_all_of_them(void **) {
  Rig rig(several_nics(4));
  assert_int_equal(in_use(rig), 4);
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 1 << 20);
  for (int i = 0; i < 10; ++i) rig.pump();
  for (const Path &path : rig.a.peer->paths) assert_true(path.backlog >= 128 << 10);
  rig.fake.release();
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  for (const Path &path : rig.a.peer->paths) assert_int_equal(path.backlog + path.outstanding, 0);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 1 << 20, "B");
}

// What a small transfer can find in front of it on a rail is bounded, however large the other one is.
void rails__large_transfer__leaves_little_in_front_of_a_small_one(void **) {
  for (size_t nics : {1, 4}) {
    RigOptions options = several_nics(nics);
    options.nics = "mlx5_*";
    options.bytes = 16 << 20;
    options.settings.back() = "CHUNK_SIZE=1M";
    Rig rig(options);
    rig.fake.hold();
    pirn_transfer large = rig.write(0, 0, options.bytes - 8);
    for (int i = 0; i < 10; ++i) rig.pump();
    for (const auto &rail : rig.a.endpoint->rails()) {
      assert_true(rail->backlog > 0);
      assert_true(rail->backlog < (2 << 20) + (1 << 20));
    }
    pirn_transfer small = rig.write(options.bytes - 8, options.bytes - 8, 8);
    uint32_t pieces = 0;
    for (const Path &path : rig.a.peer->paths) pieces += path.outstanding;
    assert_true(pieces > 2 * nics);  // it went, too
    rig.fake.release();
    assert_int_equal(rig.finish(small).status, PIRN_OK);
    assert_int_equal(rig.finish(large).status, PIRN_OK);
    assert_bytes(rig.b.memory.data(), rig.a.memory.data(), options.bytes, "B");
  }
}

void rails__one_here_and_four_there__all_of_theirs_are_used(void **) {
  RigOptions options = several_nics(4);
  options.nics = "mlx5_2";
  options.nics_b = "mlx5_*";
  Rig rig(options);
  assert_int_equal(rig.a.endpoint->rails().size(), 1);
  assert_int_equal(rig.b.endpoint->rails().size(), 4);
  assert_int_equal(in_use(rig), 4);
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 1 << 20);
  for (int i = 0; i < 10; ++i) rig.pump();
  for (const Path &path : rig.a.peer->paths) assert_true(path.outstanding > 0);
  rig.fake.release();
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  move_and_check(rig, true, [] {});
  move_and_check(rig, false, [] {});
}

void rails__four_here_and_one_there__all_of_ours_are_used(void **) {
  RigOptions options = several_nics(4);
  options.nics = "mlx5_*";
  options.nics_b = "mlx5_1";
  Rig rig(options);
  assert_int_equal(in_use(rig), 4);
  move_and_check(rig, true, [] {});
  move_and_check(rig, false, [] {});
}

void remote_nic_dies(bool write) {
  Rig rig(several_nics(3));
  rig.fake.hold();
  move_and_check(rig, write, [&] {
    for (int i = 0; i < 5; ++i) rig.pump();
    rig.fake.cut(rig.number(rig.b, 1));
    rig.fake.release();
  });
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  assert_contains(troubles(rig).c_str(), "rail 1 to remote rail 1");
  // Others serve alone meanwhile, without trouble; and it comes back when it works.
  move_and_check(rig, write, [] {});
  rig.fake.mend(rig.number(rig.b, 1));
  assert_true(rig.until([&] { return in_use(rig) == 3 && troubles(rig).empty(); }));
  move_and_check(rig, write, [] {});
}

void remote_nic__dies_under_a_write__others_carry_on_and_it_comes_back(void **) { remote_nic_dies(true); }
void remote_nic__dies_under_a_read__others_carry_on_and_it_comes_back(void **) { remote_nic_dies(false); }

void remote_nic_stalls(bool write) {
  Rig rig(several_nics(3));
  rig.fake.hang(rig.number(rig.b, 2));
  move_and_check(rig, write, [] {});
  assert_contains(troubles(rig).c_str(), "rail 2 to remote rail 2: nothing completed for");
  rig.fake.mend(rig.number(rig.b, 2));
  std::vector<std::byte> before = rig.b.memory;
  assert_true(rig.until([&] { return in_use(rig) == 3; }));
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B, after late pieces could have come");
}

void remote_nic__stalls_under_a_write__others_carry_on_and_nothing_comes_late(void **) { remote_nic_stalls(true); }
void remote_nic__stalls_under_a_read__others_carry_on_and_nothing_comes_late(void **) { remote_nic_stalls(false); }

void remote_nic__all_but_one_die__our_other_rails_take_detours(void **) {
  Rig rig(several_nics(3));
  rig.fake.cut(rig.number(rig.b, 0));
  rig.fake.cut(rig.number(rig.b, 2));
  move_and_check(rig, true, [] {});
  // Rails 0 and 2 reach remote rail 1 now.
  assert_true(rig.until([&] { return in_use(rig) == 3; }));
  size_t detours = 0;
  for (const Path &path : rig.a.peer->paths)
    if (path.detour && !path.paused) {
      assert_int_equal(path.remote, 1);
      ++detours;
    }
  assert_int_equal(detours, 2);
  move_and_check(rig, true, [] {});
  move_and_check(rig, false, [] {});
}

// Some NICs serve only those whose address they have.
void detour__targets_know_whom_they_serve__works_at_once(void **) {
  RigOptions options = several_nics(2);
  options.persona.target_must_know_initiator = true;
  Rig rig(options);
  auto carried = [&] {
    uint64_t bytes = 0;
    for (const Path &path : rig.a.peer->paths)
      if (path.detour && path.remote == 1) bytes += path.moved;
    return bytes;
  };
  auto detour_works = [&] {
    assert_true(rig.until([&] { return in_use(rig) == 2; }));
    uint64_t before = carried();
    move_and_check(rig, true, [] {});
    move_and_check(rig, false, [] {});
    assert_true(carried() > before);
    assert_null(std::strstr(troubles(rig).c_str(), "to remote rail 1"));
  };
  rig.fake.cut(rig.number(rig.b, 0));
  move_and_check(rig, true, [] {});
  detour_works();
  // With another address of the local rail, too, once the peer has it.
  rig.fake.lose_address();
  rig.fake.fail_queue(FI_EIO);
  rig.a.endpoint->progress_manually();
  detour_works();
  assert_int_equal(rig.fake.counters().strays, 0);
}

void remote_nics__all_die__peer_is_lost_with_the_reason_of_each(void **) {
  RigOptions options = several_nics(2);
  options.settings.push_back("PEER_CONFIRM_TIMEOUT=100ms");
  Rig rig(options);
  rig.fake.cut(rig.number(rig.b, 0));
  rig.fake.cut(rig.number(rig.b, 1));
  pirn_result result = rig.finish(rig.write(0, 0, 900'000));
  assert_int_equal(result.status, PIRN_ERR_PEER_LOST);
  assert_int_equal(rig.a.peer->state, PIRN_PEER_LOST);
  assert_contains(result.text, "mlx5_0");
  assert_contains(result.text, "mlx5_1");
}

void first_nic__dies__control_frames_take_another(void **) {
  Rig rig(several_nics(2));
  rig.fake.cut(rig.number(rig.b, 0));
  std::vector<std::byte> message = rig.random.bytes(5000);
  pirn_transfer id = 0;
  rig.notify(message, {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  std::vector<std::byte> got;
  assert_true(rig.until([&] { return !(got = rig.take_at_b()).empty(); }));
  assert_true(got == message);
  uint64_t window = 0;
  rig.import(rig.a, rig.advertise(rig.b, 0, 4096, PIRN_ACCESS_READ, &window));
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
}

void first_nic__swallows_control_frames__they_take_another(void **) {
  Rig rig(several_nics(2));
  rig.fake.hang(rig.number(rig.b, 0));
  std::vector<std::byte> message = rig.random.bytes(100);
  pirn_transfer id = 0;
  rig.notify(message, {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_true(rig.until([&] { return rig.take_at_b() == message; }));
}

void local_rail__queue_fails__rail_is_opened_again_and_bytes_are_exact(void **) {
  Rig rig(several_nics(2));
  for (bool write : {true, false}) {
    rig.fake.hold();
    move_and_check(rig, write, [&] {
      for (int i = 0; i < 5; ++i) rig.pump();
      rig.fake.fail_queue(FI_EIO);
      rig.a.endpoint->progress_manually();
      rig.fake.release();
    });
    assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
    assert_true(rig.until([&] { return in_use(rig) == 2; }));
  }
}

void small_write__behind_a_large_one__overtakes_it(void **) {
  Rig rig(several_nics(2));
  rig.fake.hold();
  pirn_transfer large = rig.write(0, 0, 1'000'000);
  for (int i = 0; i < 10; ++i) rig.pump();
  uint64_t writes = rig.fake.counters().writes;
  for (int i = 0; i < 10; ++i) rig.pump();
  assert_int_equal(rig.fake.counters().writes, writes);  // it has all that it may have in flight
  pirn_transfer small = rig.write(7, 1'000'007, 8);
  assert_int_equal(rig.fake.counters().writes, writes + 1);
  uint64_t in_flight = 0;
  for (const auto &rail : rig.a.endpoint->rails()) {
    assert_true(rail->backlog < backlog_limit(16384) + 16384 + 8);
    in_flight += rail->backlog;
  }
  assert_true(in_flight > 0);
  rig.fake.release();
  assert_int_equal(rig.finish(small).status, PIRN_OK);
  assert_int_equal(rig.finish(large).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 1'000'000, "B");
  assert_bytes(rig.b.memory.data() + 1'000'007, rig.a.memory.data() + 7, 8, "B");
}

void nic__refuses_every_post__another_takes_them(void **) {
  Rig rig(several_nics(2));
  rig.fake.again_every(2, 1);
  move_and_check(rig, true, [] {});
  move_and_check(rig, false, [] {});
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(rails__large_transfer__uses_all_of_them),
      cmocka_unit_test(rails__large_transfer__leaves_little_in_front_of_a_small_one),
      cmocka_unit_test(rails__one_here_and_four_there__all_of_theirs_are_used),
      cmocka_unit_test(rails__four_here_and_one_there__all_of_ours_are_used),
      cmocka_unit_test(remote_nic__dies_under_a_write__others_carry_on_and_it_comes_back),
      cmocka_unit_test(remote_nic__dies_under_a_read__others_carry_on_and_it_comes_back),
      cmocka_unit_test(remote_nic__stalls_under_a_write__others_carry_on_and_nothing_comes_late),
      cmocka_unit_test(remote_nic__stalls_under_a_read__others_carry_on_and_nothing_comes_late),
      cmocka_unit_test(remote_nic__all_but_one_die__our_other_rails_take_detours),
      cmocka_unit_test(detour__targets_know_whom_they_serve__works_at_once),
      cmocka_unit_test(remote_nics__all_die__peer_is_lost_with_the_reason_of_each),
      cmocka_unit_test(first_nic__dies__control_frames_take_another),
      cmocka_unit_test(first_nic__swallows_control_frames__they_take_another),
      cmocka_unit_test(local_rail__queue_fails__rail_is_opened_again_and_bytes_are_exact),
      cmocka_unit_test(small_write__behind_a_large_one__overtakes_it),
      cmocka_unit_test(nic__refuses_every_post__another_takes_them),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
