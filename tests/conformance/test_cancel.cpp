// SPDX-License-Identifier: Apache-2.0
// Every transfer ends, and once it has ended nothing touches its memory: cancel, close,
// deadlines, the bound on transfers in flight.
#include "harness.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

using namespace pirn_test;

namespace {

constexpr uint64_t room = 32 << 20;

bool terminal_and_expected(pirn_status status) { return status == PIRN_OK || status == PIRN_ERR_CANCELLED; }

// Half the time of a whole transfer here, in us: what is posted is still under way some time before that. The first ones
// find the way.
uint64_t half_of(const Remote &remote, const Memory &local) {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < 4; ++i) {
    const uint64_t start = clock_now();
    EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, nullptr, nullptr));
    least = std::min(least, clock_now() - start);
  }
  return least / 2000 + 1;
}

// The local side of a read belongs to the caller again: what is put there now must stay.
void cancel__read_mid_flight__buffer_is_quiet_at_once(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  const uint64_t half = half_of(remote, local);
  int cancelled = 0;
  for (uint64_t round = 0; round < 10; ++round) {
    pirn_transfer id = 0;
    EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, nullptr, &id));
    usleep(static_cast<useconds_t>(pair.random.below(half)));

    const pirn_status status = pirn_transfer_cancel(pair.endpoint(), id);
    fill_pattern(local.buffer.data(), room, 100 + round);

    assert_true(terminal_and_expected(status));
    if (status == PIRN_ERR_CANCELLED) ++cancelled;
    assert_int_equal(pirn_transfer_cancel(pair.endpoint(), id), status);
    assert_int_equal(pirn_transfer_test(pair.endpoint(), id, nullptr), status);
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    sleep_ms(200);
    EXPECT_MATCH(find_mismatch(local.buffer.data(), room, 100 + round));
  }
  assert_true(cancelled > 0);
  EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, nullptr, nullptr));
  EXPECT_MATCH(find_mismatch(local.buffer.data(), room, 1));
}

// The source of a write belongs to the caller again: the target may see its old bytes, never later ones.
void cancel__write_mid_flight__later_source_bytes_never_arrive(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  Target &target = pair.target();
  const Remote remote = pair.remote(target, peer, room, 1);
  const Memory &local = pair.memory(room, 0);
  const uint64_t half = half_of(remote, local);
  int cancelled = 0;
  for (int round = 0; round < 6; ++round) {
    std::memset(local.buffer.data(), 0xaa, room);
    pirn_transfer id = 0;
    EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, room, nullptr, &id));
    usleep(static_cast<useconds_t>(pair.random.below(half)));
    const pirn_status status = pirn_transfer_cancel(pair.endpoint(), id);
    fill_pattern(local.buffer.data(), room, 77);
    assert_true(terminal_and_expected(status));
    if (status == PIRN_ERR_CANCELLED) ++cancelled;
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    sleep_ms(100);
    // Had a byte of the new content come, this 4 KiB piece would match it.
    for (uint64_t at = 0; at < room; at += 16 << 10) {
      assert_true(target.check(remote.buffer, at, 4096, 77, at) != all_match);
    }
    target.fill(remote.buffer, 0, room, 1);
    sleep_ms(100);
    EXPECT_MATCH(target.check(remote.buffer, 0, room, 1));
  }
  assert_true(cancelled > 0);
}

void cancel__one_of_many__the_others_complete(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  constexpr uint64_t count = 64, each = 256 << 10;
  const Remote remote = pair.remote(pair.target(), peer, count * each, 1);
  const Memory &local = pair.memory(count * each, 2);
  std::vector<pirn_transfer> ids(count);
  for (uint64_t i = 0; i < count; ++i) {
    EXPECT_OK(pirn_write(local.region, i * each, remote.window, i * each, each, nullptr, &ids[i]));
  }
  for (uint64_t i = 7; i < count; i += 8) {
    assert_true(terminal_and_expected(pirn_transfer_cancel(pair.endpoint(), ids[i])));
  }
  for (uint64_t i = 0; i < count; ++i) {
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), ids[i], 20 * second, nullptr);
    if (i % 8 != 7) {
      EXPECT_OK(status);
      EXPECT_MATCH(pair.target().check(remote.buffer, i * each, each, 2, i * each));
    } else {
      assert_true(terminal_and_expected(status));
    }
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), ids[i]));
  }
}

void cancel__queued_transfer__result_comes_through_the_queue_once(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  const pirn_transfer_params params = params_with(10 * second, PIRN_TRANSFER_QUEUED, 4711);
  pirn_transfer id = 0;
  EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, &params, &id));
  const pirn_status status = pirn_transfer_cancel(pair.endpoint(), id);
  pirn_result results[2] = {empty_result(), empty_result()};
  uint64_t n = 0;
  EXPECT_OK(pirn_endpoint_poll(pair.endpoint(), 5 * second, results, sizeof results[0], 2, &n));
  assert_int_equal(n, 1);
  assert_int_equal(results[0].user_data, 4711);
  assert_int_equal(results[0].status, status);
  assert_true(terminal_and_expected(status));
}

void cancel__unknown_id__is_invalid(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  EXPECT(PIRN_ERR_INVALID, pirn_transfer_cancel(pair.endpoint(), 0));
  EXPECT(PIRN_ERR_INVALID, pirn_transfer_cancel(pair.endpoint(), 0x1234567812345678));
}

void handles__transfer_in_flight__are_busy_until_it_ends(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  Memory &local = pair.memory(room, 2);
  int seen = 0;
  for (int round = 0; round < 20 && seen == 0; ++round) {
    pirn_transfer ids[4];
    for (auto &id : ids) EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, room, nullptr, &id));
    const pirn_status region = pirn_region_deregister(local.region);
    const pirn_status window = pirn_window_close(remote.window);
    const pirn_status release = pirn_transfer_release(pair.endpoint(), ids[3]);
    EXPECT(PIRN_ERR_BUSY, region);
    EXPECT(PIRN_ERR_BUSY, window);
    if (release == PIRN_ERR_BUSY) ++seen;
    for (int i = 0; i < 4; ++i) {
      if (i == 3 && release == PIRN_OK) continue;
      EXPECT_OK(pirn_transfer_wait(pair.endpoint(), ids[i], 20 * second, nullptr));
      EXPECT_OK(pirn_transfer_release(pair.endpoint(), ids[i]));
    }
  }
  assert_int_equal(seen, 1);
  EXPECT_OK(pirn_region_deregister(local.region));
  EXPECT_OK(pirn_window_close(remote.window));
}

void peer_close__transfers_in_flight__end_cancelled_and_quiet(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  pirn_transfer ids[8];
  for (auto &id : ids) EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, nullptr, &id));
  EXPECT_OK(pirn_peer_close(peer));
  for (const auto id : ids) {
    assert_true(terminal_and_expected(pirn_transfer_wait(pair.endpoint(), id, 10 * second, nullptr)));
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  fill_pattern(local.buffer.data(), room, 3);
  sleep_ms(200);
  EXPECT_MATCH(find_mismatch(local.buffer.data(), room, 3));
}

void endpoint_close__transfers_in_flight__memory_is_quiet(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Buffer bytes(room);
  pirn_region *region = nullptr;
  EXPECT_OK(pirn_region_register(pair.endpoint(), bytes.data(), room, nullptr, &region));
  pirn_transfer id = 0;
  for (int i = 0; i < 8; ++i) EXPECT_OK(pirn_read(region, 0, remote.window, 0, room, nullptr, &id));
  const uint64_t start = clock_now();
  pair.own.close();
  assert_true(clock_now() - start < at_most(5 * second));
  fill_pattern(bytes.data(), room, 3);
  sleep_ms(200);
  EXPECT_MATCH(find_mismatch(bytes.data(), room, 3));
  assert_true(bytes.canaries_intact());
}

void wait__short_timeout__says_in_progress_and_the_transfer_goes_on(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  int seen = 0;
  for (int round = 0; round < 20 && seen == 0; ++round) {  // all may be through before a starved thread comes to wait
    pirn_transfer ids[8];
    for (auto &id : ids) EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, room, nullptr, &id));
    pirn_result result = empty_result();
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), ids[7], 1000, &result);
    assert_int_equal(result.status, status);
    if (status != PIRN_OK) {
      EXPECT(PIRN_IN_PROGRESS, status);
      ++seen;
    }
    for (const auto id : ids) {
      EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 20 * second, nullptr));
      EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    }
  }
  assert_int_equal(seen, 1);
}

void deadline__too_short_for_the_data__is_timeout_and_quiet(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  const pirn_transfer_params params = params_with(2 * ms);
  pirn_transfer ids[32];
  for (auto &id : ids) EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, &params, &id));
  const uint64_t start = clock_now();
  int expired = 0;
  for (const auto id : ids) {
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 20 * second, nullptr);
    if (status != PIRN_OK) {
      EXPECT(PIRN_ERR_TIMEOUT, status);
      ++expired;
    }
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  fill_pattern(local.buffer.data(), room, 3);
  assert_true(expired > 0);
  assert_true(clock_now() - start < at_most(3 * second));
  sleep_ms(200);
  EXPECT_MATCH(find_mismatch(local.buffer.data(), room, 3));
  EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, nullptr, nullptr));
}

void limit__max_transfers_in_flight__next_one_is_again(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.settings = {"MAX_TRANSFERS=8"};
  pirn_peer *peer = pair.start(options);
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  pirn_transfer ids[8], extra = 77;
  for (auto &id : ids) EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, room, nullptr, &id));
  EXPECT_ERROR(PIRN_ERR_AGAIN, pirn_write(local.region, 0, remote.window, 0, 8, nullptr, &extra), "8");
  assert_int_equal(extra, 0);
  for (const auto id : ids) {
    EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 20 * second, nullptr));
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 8, nullptr, nullptr));
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "cancel",
             {
                 CASE(cancel__read_mid_flight__buffer_is_quiet_at_once),
                 CASE(cancel__write_mid_flight__later_source_bytes_never_arrive),
                 CASE(cancel__one_of_many__the_others_complete),
                 CASE(cancel__queued_transfer__result_comes_through_the_queue_once),
                 CASE(cancel__unknown_id__is_invalid),
                 CASE(handles__transfer_in_flight__are_busy_until_it_ends),
                 CASE(peer_close__transfers_in_flight__end_cancelled_and_quiet),
                 CASE(endpoint_close__transfers_in_flight__memory_is_quiet),
                 CASE(wait__short_timeout__says_in_progress_and_the_transfer_goes_on),
                 CASE(deadline__too_short_for_the_data__is_timeout_and_quiet),
                 CASE(limit__max_transfers_in_flight__next_one_is_again),
             });
}
