// SPDX-License-Identifier: Apache-2.0
// Notifications: whole, exactly once, and after the data of their transfer.
#include "harness.h"

#include <poll.h>

#include <cstdio>
#include <cstring>
#include <thread>

using namespace pirn_test;

namespace {

constexpr uint64_t remote_room = 16 << 20;

std::string take_here(Pair &pair, pirn_peer *from) {
  std::string room(PIRN_NOTIFICATION_MAX, '\0');
  size_t length = room.size();
  pirn_notification note{};
  note.struct_size = sizeof note;
  EXPECT_OK(pirn_notification_take(pair.endpoint(), 10 * second, &note, room.data(), &length));
  if (from != nullptr) assert_ptr_equal(note.peer, from);
  assert_int_equal(note.length, length);
  return room.substr(0, length);
}

void notify__every_size__arrives_whole(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  for (const uint64_t size : {1u, 2u, 31u, 32u, 4095u, 4096u, 8000u, 8191u, 8192u, 8193u, 20001u, 65535u, 65536u}) {
    std::string message(size, '\0');
    fill_pattern(message.data(), size, size);
    EXPECT_OK(pirn_notify(peer, message.data(), size, nullptr, nullptr));
    const Reply got = pair.target().take();
    EXPECT_OK(got.status);
    assert_int_equal(got.payload.size(), size);
    assert_memory_equal(got.payload.data(), message.data(), size);
  }
}

void notify__bad_sizes__name_the_range(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const std::string message(PIRN_NOTIFICATION_MAX + 1, 'x');
  EXPECT_ERROR(PIRN_ERR_RANGE, pirn_notify(peer, message.data(), message.size(), nullptr, nullptr), "65537", "65536");
  EXPECT_ERROR(PIRN_ERR_RANGE, pirn_notify(peer, message.data(), 0, nullptr, nullptr), "65536");
  EXPECT(PIRN_ERR_INVALID, pirn_notify(peer, nullptr, 5, nullptr, nullptr));
  EXPECT(PIRN_IN_PROGRESS, pair.target().take(50 * ms).status);
}

void take__nothing_there__is_in_progress_at_its_deadline(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  char room[8];
  size_t length = sizeof room;
  pirn_notification note{};
  note.struct_size = sizeof note;
  EXPECT(PIRN_IN_PROGRESS, pirn_notification_take(pair.endpoint(), PIRN_POLL_NOW, &note, room, &length));
  const uint64_t start = clock_now();
  EXPECT(PIRN_IN_PROGRESS, pirn_notification_take(pair.endpoint(), 100 * ms, &note, room, &length));
  assert_in_range(clock_now() - start, 90 * ms, at_most(1000 * ms));
}

void take__buffer_too_small__keeps_the_message_and_tells_its_size(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const uint64_t there = target.connect(listen_on(pair.endpoint(), own_host() + ":0"));
  EXPECT_OK(target.notify(there, "a message of some length"));
  char room[8];
  size_t length = sizeof room;
  pirn_notification note{};
  note.struct_size = sizeof note;
  EXPECT(PIRN_ERR_TOO_SMALL, pirn_notification_take(pair.endpoint(), 5 * second, &note, room, &length));
  assert_int_equal(length, 24);
  assert_string_equal(take_here(pair, nullptr).c_str(), "a message of some length");
}

void fd__notification_waits__is_readable_until_taken(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const uint64_t there = target.connect(listen_on(pair.endpoint(), own_host() + ":0"));
  int32_t fd = -1;
  EXPECT_OK(pirn_endpoint_fd(pair.endpoint(), &fd));
  pollfd ready{fd, POLLIN, 0};
  assert_int_equal(poll(&ready, 1, 50), 0);
  EXPECT_OK(target.notify(there, "knock"));
  assert_int_equal(poll(&ready, 1, 5000), 1);
  assert_string_equal(take_here(pair, nullptr).c_str(), "knock");
  assert_true(wait_until(1000, [&] { return poll(&ready, 1, 0) == 0; }));
}

// Sends a stream with many messages in flight; returns how many came to a good end.
uint64_t send_stream(Pair &pair, pirn_peer *peer, uint64_t count, uint64_t seed, uint64_t largest) {
  constexpr uint64_t window = 256;
  uint64_t sent = 0, done = 0;
  pirn_result results[64];
  while (done < count) {
    while (sent < count && sent - done < window) {
      const std::string message = stream_message(seed, sent, largest);
      const pirn_transfer_params params = params_with(30 * second, PIRN_TRANSFER_QUEUED, sent);
      pirn_transfer id = 0;
      EXPECT_OK(pirn_notify(peer, message.data(), message.size(), &params, &id));
      ++sent;
    }
    for (auto &result : results) result = empty_result();
    uint64_t n = 0;
    EXPECT_OK(pirn_endpoint_poll(pair.endpoint(), 30 * second, results, sizeof results[0], 64, &n));
    if (n == 0) fail_test("no completion of a notification within 30 s: %llu of %llu",
                          static_cast<unsigned long long>(done), static_cast<unsigned long long>(count));
    for (uint64_t i = 0; i < n; ++i) {
      if (results[i].status != PIRN_OK) fail_test("notification: %s", results[i].text);
    }
    done += n;
  }
  return done;
}

void stream(Pair &pair, uint64_t count, uint64_t largest) {
  pirn_peer *peer = pair.start();
  const uint64_t seed = pair.random.next();
  pair.target().begin({Op::take_many, {count, seed, largest, 20 * second}, ""});
  const uint64_t start = clock_now();

  assert_int_equal(send_stream(pair, peer, count, seed, largest), count);

  const Reply got = pair.target().finish(110000);
  std::printf("%llu notifications: %.0f a second\n", static_cast<unsigned long long>(count),
              static_cast<double>(count) * 1e9 / static_cast<double>(clock_now() - start));
  assert_int_equal(got.values[0], count);
  assert_int_equal(got.values[1], 0);
  assert_int_equal(got.values[2], 0);
  EXPECT(PIRN_IN_PROGRESS, pair.target().take(100 * ms).status);
}

void notify__twenty_thousand__each_once_and_whole(void **state) { stream(pair_of(state), 20000, 512); }
void notify__two_thousand_large__each_once_and_whole(void **state) { stream(pair_of(state), 2000, 65536); }
void notify__a_million__each_once_and_whole(void **state) { stream(pair_of(state), 1000000, 128); }
void notify__a_hundred_thousand__each_once_and_whole(void **state) { stream(pair_of(state), 100000, 128); }

// A batch of writes to places of their own: the target may look at them late.
void checked_batch(Pair &pair, const Remote &remote, const Memory &local, uint64_t rounds) {
  pair.target().begin({Op::take_checked, {remote.buffer, rounds, 20 * second}, ""});
  const uint64_t place = remote_room / rounds;
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t length = pair.random.below(uint64_t{1} << pair.random.below(19));
    const uint64_t there = round * place + pair.random.below(place - length);
    const uint64_t here = pair.random.below(remote_room - length);
    const DataNote note = {there, length, pair.random.next()};
    fill_pattern(local.buffer.at(here), length, note.seed);
    pirn_transfer_params params = params_with(10 * second);
    params.notify = &note;
    params.notify_length = sizeof note;
    EXPECT_OK(pirn_write(local.region, here, remote.window, there, length, &params, nullptr));
  }
  const Reply got = pair.target().finish();
  assert_int_equal(got.values[0], rounds);
  assert_int_equal(got.values[1], 0);
}

void write__with_notification__data_is_there_when_it_is_taken(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, remote_room, 1);
  const Memory &local = pair.memory(remote_room, 2);
  for (int batch = 0; batch < 20; ++batch) checked_batch(pair, remote, local, 50);
}

void writev__with_notification__all_elements_are_there_when_it_is_taken(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  constexpr uint64_t rounds = 20, count = 200, each = 3000, room = rounds * count * each;
  const Remote remote = pair.remote(pair.target(), peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  pair.target().begin({Op::take_checked, {remote.buffer, rounds, 20 * second}, ""});
  for (uint64_t round = 0; round < rounds; ++round) {
    const DataNote note = {round * count * each, count * each, pair.random.next()};
    fill_pattern(local.buffer.at(note.offset), note.length, note.seed);
    std::vector<pirn_segment> segments;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t at = note.offset + i * each;
      segments.push_back({local.region, at, remote.window, at, each});
    }
    pirn_transfer_params params = params_with(10 * second);
    params.notify = &note;
    params.notify_length = sizeof note;
    EXPECT_OK(pirn_writev(segments.data(), count, &params, nullptr));
  }
  const Reply got = pair.target().finish();
  assert_int_equal(got.values[0], rounds);
  assert_int_equal(got.values[1], 0);
}

void read__with_notification__arrives_at_the_owner(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 1000, 1);
  const Memory &local = pair.memory(1000, 2);
  pirn_transfer_params params = params_with(10 * second);
  params.notify = "you may free it";
  params.notify_length = 15;
  EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, 1000, &params, nullptr));
  EXPECT_MATCH(find_mismatch(local.buffer.data(), 1000, 1));
  assert_string_equal(pair.target().take().payload.c_str(), "you may free it");
}

void write__of_zero_bytes_with_notification__arrives(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 1000, 1);
  const Memory &local = pair.memory(1000, 2);
  pirn_transfer_params params = params_with(10 * second);
  params.notify = "empty";
  params.notify_length = 5;
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 0, &params, nullptr));
  assert_string_equal(pair.target().take().payload.c_str(), "empty");
}

// Nobody takes at the target: what was acknowledged is kept, what was not ends at its deadline.
void back_pressure__nobody_takes__sender_times_out_and_nothing_acknowledged_is_lost(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions small;
  small.settings = {"NOTIFICATION_MEMORY=256K"};
  pirn_peer *peer = pair.start(small);
  constexpr uint64_t largest = 8192;
  const uint64_t seed = pair.random.next();
  const pirn_transfer_params params = params_with(500 * ms);
  uint64_t sent = 0;
  pirn_status status = PIRN_OK;
  uint64_t took = 0;
  while (status == PIRN_OK && sent < 10000) {
    const std::string message = stream_message(seed, sent, largest);
    const uint64_t start = clock_now();
    status = pirn_notify(peer, message.data(), message.size(), &params, nullptr);
    took = clock_now() - start;
    if (status == PIRN_OK) ++sent;
  }
  EXPECT(PIRN_ERR_TIMEOUT, status);
  assert_in_range(took, 480 * ms, at_most(1500 * ms));
  assert_true(sent > 20);

  const Reply got = pair.target().call({Op::take_many, {sent, seed, largest, 2 * second}, ""});
  assert_int_equal(got.values[0], sent);
  assert_int_equal(got.values[1], 0);
  assert_int_equal(got.values[2], 0);
  const std::string last = "after the flood";
  EXPECT_OK(pirn_notify(peer, last.data(), last.size(), nullptr, nullptr));
}

void notify__both_directions_at_once__nothing_is_lost(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const std::string address = target.listen();
  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
  const uint64_t there = target.accept();
  constexpr uint64_t count = 3000, largest = 4000;
  target.begin({Op::notify_many, {there, count, 5, largest}, ""});
  StreamCheck got;
  std::thread taker([&] { got = take_stream(pair.endpoint(), count, 5, largest, 10 * second); });

  uint64_t sent = 0;
  pirn_status status = PIRN_OK;
  for (; sent < count && status == PIRN_OK; ++sent) {
    const std::string message = stream_message(6, sent, largest);
    status = pirn_notify(peer, message.data(), message.size(), nullptr, nullptr);
  }
  const Reply other = target.finish();
  taker.join();

  EXPECT_OK(status);
  EXPECT_OK(other.status);
  assert_int_equal(got.received, count);
  assert_int_equal(got.bad + got.repeated, 0);
  const Reply there_got = target.call({Op::take_many, {count, 6, largest, 5 * second}, ""});
  assert_int_equal(there_got.values[0], count);
  assert_int_equal(there_got.values[1] + there_got.values[2], 0);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc == 2 && std::strcmp(argv[1], "--slow") == 0) {
    // That provider takes up to 400 us of processor time for each while others compute, too.
    const CMUnitTest fewer = CASE(notify__a_hundred_thousand__each_once_and_whole);
    const CMUnitTest all = CASE(notify__a_million__each_once_and_whole);
    return run(argc, argv, "notify-slow", {provider() == "sockets" ? fewer : all});
  }
  return run(argc, argv, "notify",
             {
                 CASE(notify__every_size__arrives_whole),
                 CASE(notify__bad_sizes__name_the_range),
                 CASE(take__nothing_there__is_in_progress_at_its_deadline),
                 CASE(take__buffer_too_small__keeps_the_message_and_tells_its_size),
                 CASE(fd__notification_waits__is_readable_until_taken),
                 CASE(notify__twenty_thousand__each_once_and_whole),
                 CASE(notify__two_thousand_large__each_once_and_whole),
                 CASE(write__with_notification__data_is_there_when_it_is_taken),
                 CASE(writev__with_notification__all_elements_are_there_when_it_is_taken),
                 CASE(read__with_notification__arrives_at_the_owner),
                 CASE(write__of_zero_bytes_with_notification__arrives),
                 CASE(back_pressure__nobody_takes__sender_times_out_and_nothing_acknowledged_is_lost),
                 CASE(notify__both_directions_at_once__nothing_is_lost),
             });
}
