// SPDX-License-Identifier: Apache-2.0
// The other process is killed: every transfer ends within a second, says why, and leaves memory alone.
#include "harness.h"

#include <cstdio>
#include <cstring>

using namespace pirn_test;

namespace {

constexpr uint64_t room = 32 << 20, in_flight = 16;
enum class Meet { connected, by_blob };

pirn_peer *meet(Pair &pair, Target &target, Meet how) {
  if (how == Meet::connected) return pair.connect(target);
  const std::string blob = target.metadata();
  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_add(pair.endpoint(), blob.data(), blob.size(), &peer));
  EXPECT_OK(pirn_peer_wait(peer, 10 * second));
  return peer;
}

void expect_works(Pair &pair, Target &target, pirn_peer *peer) {
  const Remote remote = pair.remote(target, peer, 50000, 1);
  const Memory &local = pair.memory(50000, 8);
  const pirn_transfer_params params = params_with(5 * second);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 50000, &params, nullptr));
  EXPECT_MATCH(target.check(remote.buffer, 0, 50000, 8));
}

// The text names the peer, the result its handle and rail.
void expect_good_report(const pirn_result &result, pirn_peer *peer) {
  pirn_peer_info info{};
  info.struct_size = sizeof info;
  EXPECT_OK(pirn_peer_get_info(peer, &info));
  assert_ptr_equal(result.peer, peer);
  assert_true(std::strlen(result.text) > 10);
  if (std::strstr(result.text, info.address) == nullptr) {
    fail_test("the text does not name the peer %s: %s", info.address, result.text);
  }
  if (std::strcmp(result.path, "ipc") != 0) assert_memory_equal(result.rail, provider().data(), provider().size());
}

void killed_with_transfers_in_flight(Pair &pair, Meet how, bool read) {
  pair.open();
  Target &target = pair.spawn(), &healthy = pair.spawn();
  target.open();
  healthy.open();
  pirn_peer *peer = meet(pair, target, how), *other = meet(pair, healthy, how);
  const Remote remote = pair.remote(target, peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  pirn_transfer ids[in_flight];
  for (auto &id : ids) {
    EXPECT_OK((read ? pirn_read : pirn_write)(local.region, 0, remote.window, 0, room, nullptr, &id));
  }
  sleep_ms(pair.random.below(20));

  target.kill_now();
  const uint64_t killed = clock_now();

  uint64_t lost = 0;
  for (const auto id : ids) {
    pirn_result result = empty_result();
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 5 * second, &result);
    if (status != PIRN_OK) {
      EXPECT(PIRN_ERR_PEER_LOST, status);
      expect_good_report(result, peer);
      if (++lost == 1) std::printf("  %s\n", result.text);
    }
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  const uint64_t took = clock_now() - killed;
  std::printf("  lost after %.1f ms\n", static_cast<double>(took) / 1e6);
  fill_pattern(local.buffer.data(), room, 3);
  assert_true(lost > 0);
  assert_true(took < at_most(second));
  assert_int_equal(peer_state(peer), PIRN_PEER_LOST);
  sleep_ms(200);
  EXPECT_MATCH(find_mismatch(local.buffer.data(), room, 3));
  expect_works(pair, healthy, other);
}

void kill__connected_peer_writes_in_flight__are_peer_lost_within_a_second(void **state) {
  killed_with_transfers_in_flight(pair_of(state), Meet::connected, false);
}
void kill__connected_peer_reads_in_flight__are_peer_lost_within_a_second(void **state) {
  killed_with_transfers_in_flight(pair_of(state), Meet::connected, true);
}
void kill__blob_peer_writes_in_flight__are_peer_lost_within_a_second(void **state) {
  killed_with_transfers_in_flight(pair_of(state), Meet::by_blob, false);
}
void kill__blob_peer_reads_in_flight__are_peer_lost_within_a_second(void **state) {
  killed_with_transfers_in_flight(pair_of(state), Meet::by_blob, true);
}

void killed_while_idle(Pair &pair, Meet how) {
  pair.open();
  Target &target = pair.spawn();
  target.open();
  pirn_peer *peer = meet(pair, target, how);
  const Remote remote = pair.remote(target, peer, 1000, 1);
  const Memory &local = pair.memory(1000, 2);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 1000, nullptr, nullptr));
  target.kill_now();
  sleep_ms(pair.random.below(50));

  for (int i = 0; i < 3; ++i) {
    const uint64_t start = clock_now();
    EXPECT(PIRN_ERR_PEER_LOST, pirn_write(local.region, 0, remote.window, 0, 1000, nullptr, nullptr));
    EXPECT(PIRN_ERR_PEER_LOST, pirn_read(local.region, 0, remote.window, 0, 1000, nullptr, nullptr));
    EXPECT(PIRN_ERR_PEER_LOST, pirn_notify(peer, "hello?", 6, nullptr, nullptr));
    assert_true(clock_now() - start < at_most(second));
  }
  EXPECT_MATCH(find_mismatch(local.buffer.data(), 1000, 2));
}

void kill__connected_peer_idle__next_post_is_peer_lost(void **state) {
  killed_while_idle(pair_of(state), Meet::connected);
}
void kill__blob_peer_idle__next_post_is_peer_lost(void **state) { killed_while_idle(pair_of(state), Meet::by_blob); }

void kill__queued_transfers__all_results_come_through_the_queue(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  for (uint64_t i = 0; i < in_flight; ++i) {
    const pirn_transfer_params params = params_with(20 * second, PIRN_TRANSFER_QUEUED, i);
    pirn_transfer id = 0;
    EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, room, &params, &id));
  }
  pair.target().kill_now();
  const uint64_t killed = clock_now();
  uint64_t got = 0, lost = 0;
  while (got < in_flight && clock_now() - killed < 5 * second) {
    pirn_result results[16];
    for (auto &result : results) result = empty_result();
    uint64_t n = 0;
    EXPECT_OK(pirn_endpoint_poll(pair.endpoint(), second, results, sizeof results[0], 16, &n));
    for (uint64_t i = 0; i < n; ++i) {
      if (results[i].status == PIRN_OK) continue;
      EXPECT(PIRN_ERR_PEER_LOST, results[i].status);
      ++lost;
    }
    got += n;
  }
  assert_int_equal(got, in_flight);
  assert_true(lost > 0);
  assert_true(clock_now() - killed < at_most(second + 100 * ms));
}

void kill__notification_waits_for_room__is_peer_lost(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions small;
  small.settings = {"NOTIFICATION_MEMORY=64K"};
  pirn_peer *peer = pair.start(small);
  const std::string message(60000, 'x');
  pirn_transfer ids[8];
  for (auto &id : ids) EXPECT_OK(pirn_notify(peer, message.data(), message.size(), nullptr, &id));
  sleep_ms(100);
  pair.target().kill_now();
  const uint64_t killed = clock_now();
  uint64_t lost = 0;
  for (const auto id : ids) {
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 5 * second, nullptr);
    if (status == PIRN_ERR_PEER_LOST) ++lost;
    else EXPECT_OK(status);
  }
  assert_true(lost > 0);
  assert_true(clock_now() - killed < at_most(second));
}

void kill__during_prepared_posts__list_can_be_released(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  Memory &local = pair.memory(room, 2);
  std::vector<pirn_segment> segments;
  for (uint64_t i = 0; i < 1024; ++i) {
    segments.push_back({local.region, i * 32768, remote.window, i * 32768, 32768});
  }
  pirn_prepared *list = nullptr;
  EXPECT_OK(pirn_transfer_prepare(PIRN_WRITE, segments.data(), segments.size(), &list));
  pirn_transfer ids[8];
  for (auto &id : ids) EXPECT_OK(pirn_prepared_post(list, nullptr, &id));
  pair.target().kill_now();
  for (const auto id : ids) {
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 5 * second, nullptr);
    if (status != PIRN_OK) EXPECT(PIRN_ERR_PEER_LOST, status);
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  EXPECT_OK(pirn_prepared_release(list));
  EXPECT_OK(pirn_window_close(remote.window));
  EXPECT_OK(pirn_region_deregister(local.region));
}

void kill__then_restart__new_connection_works(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &first = pair.spawn();
  first.open();
  const std::string address = first.listen();
  first.accept_start();
  pirn_peer *old = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &old));
  expect_works(pair, first, old);
  first.kill_now();
  assert_true(wait_until(2000, [&] { return peer_state(old) == PIRN_PEER_LOST; }));

  Target &again = pair.spawn();
  again.open();
  assert_string_equal(again.listen(address).c_str(), address.c_str());
  again.accept_start();
  pirn_peer *fresh = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &fresh));

  assert_ptr_not_equal(fresh, old);
  expect_works(pair, again, fresh);
  EXPECT_OK(pirn_peer_close(old));
  expect_works(pair, again, fresh);
}

void kill__thirty_targets_in_turn__endpoint_goes_on(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  const Memory &local = pair.memory(1 << 20, 2);
  for (int round = 0; round < 30; ++round) {
    Target &target = pair.spawn();
    target.open();
    pirn_peer *peer = meet(pair, target, round % 2 == 0 ? Meet::connected : Meet::by_blob);
    const Remote remote = pair.remote(target, peer, 1 << 20, 1);
    pirn_transfer ids[4];
    for (auto &id : ids) EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 1 << 20, nullptr, &id));
    target.kill_now();
    const uint64_t killed = clock_now();
    for (const auto id : ids) {
      const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 5 * second, nullptr);
      if (status != PIRN_OK) EXPECT(PIRN_ERR_PEER_LOST, status);
      EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    }
    assert_true(clock_now() - killed < at_most(second));
    EXPECT_OK(pirn_peer_close(peer));
  }
  Target &last = pair.spawn();
  last.open();
  expect_works(pair, last, meet(pair, last, Meet::connected));
}

// This side is the target: the initiator dies in the middle of its writes.
void kill__initiator_in_mid_write__its_target_lives_on_and_serves_others(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  const std::string address = listen_on(pair.endpoint(), own_host() + ":0");
  EXPECT_OK(pirn_endpoint_accept_start(pair.endpoint(), nullptr, nullptr));
  Memory &memory = pair.memory(room, 1);
  const WindowBlob blob = advertise(memory);
  Target &dying = pair.spawn(), &healthy = pair.spawn();
  for (Target *target : {&dying, &healthy}) {
    target->open();
    const uint64_t there = target->connect(address);
    target->import_window(there, blob.bytes);
    target->alloc(room, 7);
  }
  dying.begin({Op::storm, {0, 0, room, 10000}, ""});
  sleep_ms(200);
  dying.kill_now();

  EXPECT_OK(healthy.write(0, 0, 0, 0, room));
  EXPECT_MATCH(find_mismatch(memory.buffer.data(), room, 7));
  const uint64_t start = clock_now();
  EXPECT_OK(pirn_region_withdraw(memory.region, blob.id, 2 * second));
  assert_true(clock_now() - start < at_most(2500 * ms));
  fill_pattern(memory.buffer.data(), room, 9);
  sleep_ms(200);
  EXPECT_MATCH(find_mismatch(memory.buffer.data(), room, 9));
  EXPECT_OK(pirn_region_deregister(memory.region));
}

void add__blob_of_a_dead_process__ends_within_its_deadline(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const std::string blob = target.metadata();
  target.kill_now();
  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_add(pair.endpoint(), blob.data(), blob.size(), &peer));
  const uint64_t start = clock_now();
  const pirn_status status = pirn_peer_wait(peer, 2 * second);
  assert_true(status == PIRN_ERR_TIMEOUT || status == PIRN_ERR_PEER_LOST);
  assert_true(clock_now() - start < at_most(2500 * ms));
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "death",
             {
                 CASE(kill__connected_peer_writes_in_flight__are_peer_lost_within_a_second),
                 CASE(kill__connected_peer_reads_in_flight__are_peer_lost_within_a_second),
                 CASE(kill__blob_peer_writes_in_flight__are_peer_lost_within_a_second),
                 CASE(kill__blob_peer_reads_in_flight__are_peer_lost_within_a_second),
                 CASE(kill__connected_peer_idle__next_post_is_peer_lost),
                 CASE(kill__blob_peer_idle__next_post_is_peer_lost),
                 CASE(kill__queued_transfers__all_results_come_through_the_queue),
                 CASE(kill__notification_waits_for_room__is_peer_lost),
                 CASE(kill__during_prepared_posts__list_can_be_released),
                 CASE(kill__then_restart__new_connection_works),
                 CASE(kill__thirty_targets_in_turn__endpoint_goes_on),
                 CASE(kill__initiator_in_mid_write__its_target_lives_on_and_serves_others),
                 CASE(add__blob_of_a_dead_process__ends_within_its_deadline),
             });
}
