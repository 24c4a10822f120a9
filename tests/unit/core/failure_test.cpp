// SPDX-License-Identifier: Apache-2.0
// Transfers that end other than well, and what must hold then: a true status, a text, and quiet memory.
#include "rig.h"

#include <unistd.h>

#include <algorithm>

using namespace pirn;
using namespace pirn::core;

namespace {

RigOptions quick() {
  RigOptions options;
  options.settings = {"HEARTBEAT=10ms", "QUIET_TIME=10ms"};
  return options;
}

TransferOptions within(uint64_t ms) {
  TransferOptions options;
  options.timeout = ms * ns_per_ms;
  return options;
}

// Pumps long enough for anything late to arrive.
void settle(Rig &rig) {
  rig.for_ms(60, [&] { rig.pump(); });
}

void write__error_entry_access__ends_access_with_provider_text(void **) {
  Rig rig(quick());
  std::vector<std::byte> before = rig.b.memory;
  rig.fake.fail_operation(1, FI_EACCES, 4711);
  pirn_result result = rig.finish(rig.write(0, 0, 4096));
  assert_int_equal(result.status, PIRN_ERR_ACCESS);
  assert_int_equal(result.provider_error, 4711);
  assert_contains(result.text, "fake provider error 4711");
  assert_contains(result.text, "tcp/eth0");
  assert_int_equal(result.bytes, 0);
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B");
  assert_int_equal(rig.finish(rig.write(0, 0, 4096)).status, PIRN_OK);
}

void write__post_refused_for_good__ends_with_the_error(void **) {
  Rig rig(quick());
  rig.fake.fail_post(1, FI_EINVAL);
  pirn_result result = rig.finish(rig.write(0, 0, 4096));
  assert_int_equal(result.status, PIRN_ERR_IO);
  assert_int_equal(result.provider_error, FI_EINVAL);
  assert_contains(result.text, "Invalid argument");
}

void write__one_piece_of_many_fails__ends_when_the_others_are_quiet(void **) {
  RigOptions options = quick();
  options.settings = {"CHUNK_SIZE=4096", "QUIET_TIME=5s"};
  Rig rig(options);
  rig.fake.fail_operation(2, FI_EACCES, 0);
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 16384);
  assert_int_equal(rig.fake.in_flight(), 4);
  rig.fake.release(2);
  rig.pump();
  assert_int_equal(rig.fake.in_flight(), 2);
  assert_int_equal(rig.look(id).status, PIRN_IN_PROGRESS);
  rig.fake.release();
  pirn_result result = rig.finish(id);
  assert_int_equal(result.status, PIRN_ERR_ACCESS);
  assert_int_equal(result.bytes, 3 * 4096);
}

void write__transport_error__is_retried_once_and_succeeds(void **) {
  Rig rig(quick());
  uint64_t writes = rig.fake.counters().writes;
  rig.fake.fail_operation(1, FI_ECONNRESET, 0);
  pirn_result result = rig.finish(rig.write(10, 20, 5000));
  assert_int_equal(result.status, PIRN_OK);
  assert_int_equal(result.bytes, 5000);
  assert_int_equal(rig.fake.counters().writes - writes, 2);
  assert_bytes(rig.b.memory.data() + 20, rig.a.memory.data() + 10, 5000, "B");
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
}

void write__transport_error__suspects_the_peer_until_it_answers(void **) {
  Rig rig(quick());
  rig.fake.fail_operation(1, FI_ECONNRESET, 0);
  pirn_transfer id = rig.write(0, 0, 8);
  for (int i = 0; i < 10; ++i) rig.a.endpoint->progress_manually();
  assert_int_equal(rig.a.peer->state, PIRN_PEER_SUSPECT);
  assert_contains(rig.a.peer->why, "reset");
  assert_int_equal(rig.look(id).status, PIRN_IN_PROGRESS);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  assert_true(rig.a.peer->why.empty());
}

// A key that the target does not know: with this persona each try ends in a transport error, for ever.
void spoil(Window *window) {
  for (auto &rail : window->keys) rail.key ^= 0x5a5a;
}

void write__transport_errors_beyond_the_limit__fails_with_count_and_text(void **) {
  Rig rig(quick());
  uint64_t writes = rig.fake.counters().writes;
  spoil(rig.a.window);
  pirn_result result = rig.finish(rig.write(0, 0, 64));
  assert_int_equal(result.status, PIRN_ERR_IO);
  assert_contains(result.text, "failed 4 times in a row");
  assert_contains(result.text, "not connected");
  assert_int_equal(rig.fake.counters().writes - writes, 4);
  assert_int_equal(rig.a.peer->state <= PIRN_PEER_SUSPECT, true);
}

void transfer_retries__zero__fails_at_the_first_error(void **) {
  RigOptions options = quick();
  options.settings.push_back("TRANSFER_RETRIES=0");
  Rig rig(options);
  uint64_t writes = rig.fake.counters().writes;
  spoil(rig.a.window);
  assert_int_equal(rig.finish(rig.write(0, 0, 64)).status, PIRN_ERR_IO);
  assert_int_equal(rig.fake.counters().writes - writes, 1);
}

// A NIC that flaps under a long transfer costs time only.
void write__more_trouble_than_retries_but_progress_in_between__completes(void **) {
  RigOptions options = quick();
  options.settings.insert(options.settings.end(), {"CHUNK_SIZE=4096", "MAX_IN_FLIGHT=2"});
  Rig rig(options);
  uint64_t writes = rig.fake.counters().writes, failed = rig.fake.counters().error_completions;
  auto fail_one = [&] { rig.fake.fail_operation(rig.random.between(12, 20), FI_ECONNRESET, 0); };
  fail_one();
  pirn_transfer id = rig.write(0, 0, 1 << 20);
  bool ended = rig.until([&] {
    if (rig.fake.counters().error_completions > failed) {
      failed = rig.fake.counters().error_completions;
      fail_one();
    }
    return rig.look(id).status != PIRN_IN_PROGRESS;
  }, 20000);
  assert_true(ended);
  pirn_result result = rig.finish(id);
  if (result.status != PIRN_OK) fail_test("ended with %d: %s", result.status, result.text);
  assert_int_equal(result.bytes, 1 << 20);
  assert_true(rig.fake.counters().writes - writes > 256 + 4);  // more failures than PIRN_TRANSFER_RETRIES
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 1 << 20, "B");
}

// However much else moves: what can never go ends the transfer.
void write__one_part_of_many_can_never_go__ends_when_all_else_has_moved(void **) {
  RigOptions options = quick();
  options.persona.local_parts = options.persona.remote_parts = 1;
  Rig rig(options);
  uint64_t id = 0, writes = rig.fake.counters().writes;
  Window *good = rig.import(rig.a, rig.advertise(rig.b, 0, 65536, PIRN_ACCESS_WRITE, &id));
  spoil(rig.a.window);
  std::vector<Segment> segments;
  const uint64_t bad = rig.random.between(0, 15);
  for (uint64_t i = 0; i < 16; ++i)
    segments.push_back({rig.a.region, i * 2000, i == bad ? rig.a.window : good, i * 2000, 1000});
  pirn_result result = rig.finish(rig.vectored(OpKind::write, segments));
  assert_int_equal(result.status, PIRN_ERR_IO);
  assert_contains(result.text, "times in a row");
  assert_contains(result.text, "after 15000 of 16000 bytes");
  assert_int_equal(result.bytes, 15000);
  assert_in_range(rig.fake.counters().writes - writes, 16 + 3, 16 + 5);
  for (uint64_t i = 0; i < 16; ++i)
    if (i != bad) assert_bytes(rig.b.memory.data() + i * 2000, rig.a.memory.data() + i * 2000, 1000, "B");
}

void write__one_op_keeps_failing__its_neighbours_succeed(void **) {
  Rig rig(quick());
  uint64_t id = 0;
  Window *good = rig.import(rig.a, rig.advertise(rig.b, 0, 65536, PIRN_ACCESS_WRITE, &id));
  spoil(rig.a.window);
  std::vector<pirn_transfer> neighbours;
  pirn_transfer bad = 0;
  for (uint64_t i = 0; i < 16; ++i) {
    if (i == 5) bad = rig.write(0, 70000, 64);
    pirn_transfer transfer = 0;
    require(rig.a.endpoint->transfer(OpKind::write, {rig.a.region, i * 1000, good, i * 1000, 1000}, {}, &transfer),
            "write");
    neighbours.push_back(transfer);
  }
  for (pirn_transfer transfer : neighbours) {
    pirn_result result = rig.finish(transfer);
    if (result.status != PIRN_OK) fail_test("a neighbour ended with %d: %s", result.status, result.text);
  }
  assert_int_equal(rig.finish(bad).status, PIRN_ERR_IO);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 16000, "B");
  assert_true(rig.until([&] { return rig.a.peer->state == PIRN_PEER_UP; }));
}

void deadline__peer_swallows_everything__timeout_after_reset_and_no_late_bytes(void **) {
  Rig rig(quick());
  std::vector<std::byte> before = rig.b.memory;
  uint64_t opened = rig.fake.counters().endpoints_opened;
  rig.fake.hang(rig.number(rig.b));
  uint64_t start = now_ns();
  pirn_result result = rig.finish(rig.write(0, 0, 65536, within(50)));
  uint64_t took = (now_ns() - start) / ns_per_ms;
  assert_int_equal(result.status, PIRN_ERR_TIMEOUT);
  assert_true(took >= 40 && took < 2000);
  assert_int_equal(rig.fake.counters().endpoints_opened - opened, 1);
  rig.fake.mend(rig.number(rig.b));
  settle(rig);
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B");
  assert_int_equal(rig.finish(rig.write(0, 0, 65536)).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 65536, "B afterwards");
}

void deadline__read_in_flight__local_memory_is_quiet(void **) {
  Rig rig(quick());
  std::vector<std::byte> before = rig.a.memory;
  rig.fake.hold();
  assert_int_equal(rig.finish(rig.read(0, 0, 65536, within(30))).status, PIRN_ERR_TIMEOUT);
  rig.fake.release();
  settle(rig);
  assert_bytes(rig.a.memory.data(), before.data(), before.size(), "A");
}

void deadline__provider_always_says_again__timeout_without_a_reset(void **) {
  Rig rig(quick());
  uint64_t opened = rig.fake.counters().endpoints_opened, writes = rig.fake.counters().writes;
  rig.fake.again_every(1, 1);
  assert_int_equal(rig.finish(rig.write(0, 0, 8, within(50))).status, PIRN_ERR_TIMEOUT);
  assert_int_equal(rig.fake.counters().endpoints_opened, opened);
  assert_int_equal(rig.fake.counters().writes, writes);
  rig.fake.again_every(0, 0);
}

void cancel__in_flight__quiet(void **) {
  Rig rig(quick());
  std::vector<std::byte> before = rig.b.memory;
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 65536);
  assert_int_equal(rig.fake.in_flight(), 1);
  assert_int_equal(rig.a.endpoint->cancel(id).code, PIRN_ERR_CANCELLED);
  assert_false(rig.a.endpoint->engine().busy());
  pirn_result result = rig.look(id);
  assert_int_equal(result.status, PIRN_ERR_CANCELLED);
  assert_contains(result.text, "cancelled");
  assert_int_equal(rig.a.endpoint->cancel(id).code, PIRN_ERR_CANCELLED);
  require(rig.a.endpoint->release(id), "release");
  rig.fake.release();
  settle(rig);
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B");
  assert_int_equal(rig.finish(rig.write(0, 0, 8)).status, PIRN_OK);
}

void cancel__parked__never_reaches_the_provider(void **) {
  Rig rig(quick());
  uint64_t writes = rig.fake.counters().writes, opened = rig.fake.counters().endpoints_opened;
  rig.fake.again_every(1, 1);
  pirn_transfer id = rig.write(0, 0, 4096);
  rig.pump();
  assert_int_equal(rig.a.endpoint->cancel(id).code, PIRN_ERR_CANCELLED);
  rig.fake.again_every(0, 0);
  settle(rig);
  assert_int_equal(rig.fake.counters().writes, writes);
  assert_int_equal(rig.fake.counters().endpoints_opened, opened);
  require(rig.a.endpoint->release(id), "release");
}

void cancel__finished__returns_what_it_came_to(void **) {
  Rig rig(quick());
  pirn_transfer id = rig.write(0, 0, 8);
  assert_true(rig.until([&] { return rig.look(id).status == PIRN_OK; }));
  assert_int_equal(rig.a.endpoint->cancel(id).code, PIRN_OK);
  require(rig.a.endpoint->release(id), "release");
  assert_int_equal(rig.a.endpoint->cancel(id).code, PIRN_ERR_INVALID);
  assert_int_equal(rig.a.endpoint->release(id).code, PIRN_ERR_INVALID);
}

void peer_silent__lost_after_peer_timeout(void **) {
  RigOptions options = quick();
  options.settings.push_back("PEER_TIMEOUT=200ms");
  Rig rig(options);
  rig.fake.hang(rig.number(rig.b));
  uint64_t start = now_ns();
  pirn_result result = rig.finish(rig.write(0, 0, 8));
  uint64_t took = (now_ns() - start) / ns_per_ms;
  assert_int_equal(result.status, PIRN_ERR_PEER_LOST);
  assert_contains(result.text, "silent");
  assert_true(took >= 190 && took < 3000);
  assert_int_equal(rig.a.peer->state, PIRN_PEER_LOST);
  pirn_transfer id = 0;
  Status refused = rig.a.endpoint->transfer(OpKind::write, rig.segment(0, 0, 8), {}, &id);
  assert_int_equal(refused.code, PIRN_ERR_PEER_LOST);
  rig.fake.mend(rig.number(rig.b));
}

// Stopped, starved, or driven by hand too seldom: nothing was heard because nobody listened.
void own_process_paused__beyond_peer_timeout__peer_is_kept(void **) {
  RigOptions options = quick();
  options.settings.push_back("PEER_TIMEOUT=200ms");
  Rig rig(options);
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 5000);
  rig.for_ms(20, [&] { rig.a.endpoint->progress_manually(); });
  usleep(500'000);
  rig.for_ms(20, [&] { rig.a.endpoint->progress_manually(); });
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  rig.fake.release();
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 5000, "B");
}

void peer_cut_off__lost_after_confirmation(void **) {
  RigOptions options = quick();
  options.settings.push_back("PEER_CONFIRM_TIMEOUT=100ms");
  Rig rig(options);
  rig.fake.cut(rig.number(rig.b));
  uint64_t start = now_ns();
  pirn_result result = rig.finish(rig.write(0, 0, 8));
  uint64_t took = (now_ns() - start) / ns_per_ms;
  assert_int_equal(result.status, PIRN_ERR_PEER_LOST);
  assert_contains(result.text, "not connected");
  assert_true(took >= 90 && took < 3000);
  assert_int_equal(rig.a.peer->state, PIRN_PEER_LOST);
}

void peer_idle_and_silent__is_not_suspected(void **) {
  RigOptions options = quick();
  options.settings.push_back("PEER_TIMEOUT=100ms");
  Rig rig(options);
  rig.fake.hang(rig.number(rig.b));
  rig.for_ms(300, [&] { rig.a.endpoint->progress_manually(); });
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  rig.fake.mend(rig.number(rig.b));
  assert_int_equal(rig.finish(rig.write(0, 0, 8)).status, PIRN_OK);
}

void reset__innocent_ops_in_flight__are_sent_again(void **) {
  Rig rig(quick());
  std::vector<std::byte> expected = rig.b.memory;
  rig.fake.hold();
  pirn_transfer doomed = rig.write(0, 0, 4096, within(30));
  std::vector<pirn_transfer> innocent;
  for (uint64_t i = 1; i <= 8; ++i) {
    innocent.push_back(rig.write(i * 5000, i * 6000, 5000));
    std::copy_n(rig.a.memory.begin() + static_cast<ptrdiff_t>(i * 5000), 5000,
                expected.begin() + static_cast<ptrdiff_t>(i * 6000));
  }
  uint64_t opened = rig.fake.counters().endpoints_opened;
  assert_int_equal(rig.finish(doomed).status, PIRN_ERR_TIMEOUT);
  assert_int_equal(rig.fake.counters().endpoints_opened - opened, 1);
  rig.fake.release();
  for (pirn_transfer id : innocent) {
    pirn_result result = rig.finish(id);
    if (result.status != PIRN_OK) fail_test("an innocent ended with %d: %s", result.status, result.text);
    assert_int_equal(result.bytes, 5000);
  }
  assert_bytes(rig.b.memory.data(), expected.data(), expected.size(), "B");
}

void reset__address_changes__the_peer_is_told(void **) {
  RigOptions options = quick();
  options.persona.keeps_address = false;
  Rig rig(options);
  auto address_of_a = [&] {
    auto address = rig.a.endpoint->rails().front()->fabric().address();
    return std::vector<std::byte>(address.begin(), address.end());
  };
  std::vector<std::byte> old = address_of_a();
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 8);
  assert_int_equal(rig.a.endpoint->cancel(id).code, PIRN_ERR_CANCELLED);
  require(rig.a.endpoint->release(id), "release");
  rig.fake.release();
  assert_true(address_of_a() != old);
  assert_true(rig.until([&] { return rig.b.peer->metadata.rails.front().address == address_of_a(); }));
  pirn_transfer back = 0;
  require(rig.b.endpoint->transfer(OpKind::write, {rig.b.region, 0, rig.b.window, 0, 4096}, {}, &back), "write");
  pirn_result result{};
  assert_true(rig.until([&] { return rig.b.endpoint->test(back, &result).code != PIRN_IN_PROGRESS; }));
  assert_int_equal(result.status, PIRN_OK);
  require(rig.b.endpoint->release(back), "release");
  assert_bytes(rig.a.memory.data(), rig.b.memory.data(), 4096, "A");
  assert_int_equal(rig.finish(rig.write(4096, 4096, 4096)).status, PIRN_OK);
}

void queue_failure__loses_the_peers_and_ends_their_transfers(void **) {
  Rig rig(quick());
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 8);
  rig.fake.fail_queue(FI_EIO);
  pirn_result result = rig.finish(id);
  assert_int_equal(result.status, PIRN_ERR_PEER_LOST);
  assert_contains(result.text, "out of order");
  rig.fake.release();
}

void close_endpoint__transfers_in_flight__memory_is_quiet_afterwards(void **) {
  Rig rig(quick());
  std::vector<std::byte> before = rig.b.memory;
  rig.fake.hold();
  rig.write(0, 0, 65536);
  rig.a.endpoint.reset();
  rig.fake.release();
  rig.for_ms(60, [&] { rig.b.endpoint->progress_manually(); });
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B");
}

void close_endpoint__frees_every_object_of_the_fabric(void **) {
  Rig rig(quick());
  size_t both = rig.fake.live_objects();
  assert_true(both > 0);
  rig.a.endpoint.reset();
  assert_true(rig.fake.live_objects() < both);
  rig.b.endpoint.reset();
  assert_int_equal(rig.fake.live_objects(), 0);
  assert_int_equal(rig.fake.live_registrations(), 0);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(write__error_entry_access__ends_access_with_provider_text),
      cmocka_unit_test(write__post_refused_for_good__ends_with_the_error),
      cmocka_unit_test(write__one_piece_of_many_fails__ends_when_the_others_are_quiet),
      cmocka_unit_test(write__transport_error__is_retried_once_and_succeeds),
      cmocka_unit_test(write__transport_error__suspects_the_peer_until_it_answers),
      cmocka_unit_test(write__transport_errors_beyond_the_limit__fails_with_count_and_text),
      cmocka_unit_test(transfer_retries__zero__fails_at_the_first_error),
      cmocka_unit_test(write__more_trouble_than_retries_but_progress_in_between__completes),
      cmocka_unit_test(write__one_part_of_many_can_never_go__ends_when_all_else_has_moved),
      cmocka_unit_test(write__one_op_keeps_failing__its_neighbours_succeed),
      cmocka_unit_test(deadline__peer_swallows_everything__timeout_after_reset_and_no_late_bytes),
      cmocka_unit_test(deadline__read_in_flight__local_memory_is_quiet),
      cmocka_unit_test(deadline__provider_always_says_again__timeout_without_a_reset),
      cmocka_unit_test(cancel__in_flight__quiet),
      cmocka_unit_test(cancel__parked__never_reaches_the_provider),
      cmocka_unit_test(cancel__finished__returns_what_it_came_to),
      cmocka_unit_test(peer_silent__lost_after_peer_timeout),
      cmocka_unit_test(own_process_paused__beyond_peer_timeout__peer_is_kept),
      cmocka_unit_test(peer_cut_off__lost_after_confirmation),
      cmocka_unit_test(peer_idle_and_silent__is_not_suspected),
      cmocka_unit_test(reset__innocent_ops_in_flight__are_sent_again),
      cmocka_unit_test(reset__address_changes__the_peer_is_told),
      cmocka_unit_test(queue_failure__loses_the_peers_and_ends_their_transfers),
      cmocka_unit_test(close_endpoint__transfers_in_flight__memory_is_quiet_afterwards),
      cmocka_unit_test(close_endpoint__frees_every_object_of_the_fabric),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
