// SPDX-License-Identifier: Apache-2.0
// The other process hangs (SIGSTOP): no provider reports it, so deadlines and heartbeats must; when it
// wakes up, nothing that was given up may touch memory on either side.
#include "harness.h"

#include <signal.h>

using namespace pirn_test;

namespace {

constexpr uint64_t room = 32 << 20;

bool given_up(pirn_status status) { return status == PIRN_ERR_TIMEOUT || status == PIRN_ERR_PEER_LOST; }

struct Stopped {
  Pair &pair;
  Target &target;
  Target &healthy;
  pirn_peer *peer = nullptr;
  pirn_peer *other = nullptr;
  Remote remote;
  Remote healthy_remote;
  Memory *local;

  explicit Stopped(Pair &p, const OpenOptions &options = {}) : pair(p), target(p.spawn()), healthy(p.spawn()) {
    pair.open(options);
    target.open(options);
    healthy.open(options);
    peer = pair.connect(target);
    other = pair.connect(healthy);
    remote = pair.remote(target, peer, room, 1);
    healthy_remote = pair.remote(healthy, other, 100000, 1);
    local = &pair.memory(room, 2);
    const pirn_transfer_params params = params_with(10 * second);
    EXPECT_OK(pirn_write(local->region, 0, remote.window, 0, 8, &params, nullptr));
    EXPECT_OK(pirn_write(local->region, 0, healthy_remote.window, 0, 8, &params, nullptr));
    target.fill(remote.buffer, 0, room, 1);
  }
};

void stopped_in_flight(Pair &pair, bool read) {
  Stopped s(pair);
  s.target.signal_now(SIGSTOP);
  pirn_transfer ids[8];
  const pirn_transfer_params params = params_with(700 * ms);
  for (auto &id : ids) {
    EXPECT_OK((read ? pirn_read : pirn_write)(s.local->region, 0, s.remote.window, 0, room, &params, &id));
  }
  const uint64_t start = clock_now();
  // Meanwhile the healthy peer is served.
  const Memory &mine = pair.memory(100000, 8);
  const pirn_transfer_params quick = params_with(2 * second);
  for (int i = 0; i < 20; ++i) {
    EXPECT_OK(pirn_write(mine.region, 0, s.healthy_remote.window, 0, 100000, &quick, nullptr));
  }
  for (const auto id : ids) {
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 10 * second, nullptr);
    if (!given_up(status)) fail_test("expected TIMEOUT or PEER_LOST, got %s", status_name(status));
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  assert_in_range(clock_now() - start, 600 * ms, at_most(2000 * ms));
  fill_pattern(s.local->buffer.data(), room, 3);

  s.target.signal_now(SIGCONT);
  sleep_ms(300);  // what the kernel held for the sleeper is drained now
  s.target.fill(s.remote.buffer, 0, room, 4);
  sleep_ms(500);

  EXPECT_MATCH(find_mismatch(s.local->buffer.data(), room, 3));
  EXPECT_MATCH(s.target.check(s.remote.buffer, 0, room, 4));
  EXPECT_OK(pirn_write(mine.region, 0, s.healthy_remote.window, 0, 100000, &quick, nullptr));
  EXPECT_MATCH(s.healthy.check(s.healthy_remote.buffer, 0, 100000, 8));
}

void stop__writes_in_flight__end_at_their_deadline_and_are_quiet(void **state) {
  stopped_in_flight(pair_of(state), false);
}
void stop__reads_in_flight__end_at_their_deadline_and_are_quiet(void **state) {
  stopped_in_flight(pair_of(state), true);
}

// It is given more of everything than fits any queue, and is not lost as long as the test lasts.
void stop__of_one_peer__others_are_served(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.settings = {"PEER_TIMEOUT=100s"};
  Stopped s(pair, options);
  s.target.signal_now(SIGSTOP);
  const pirn_transfer_params late = params_with(90 * second), soon = params_with(at_most(10 * second));
  std::vector<pirn_transfer> ids;
  const std::vector<std::byte> news(6000);
  for (int i = 0; i < 800; ++i) {
    pirn_transfer id = 0;
    const uint64_t length = i % 100 == 0 ? room : 64;
    if (i % 4 == 3) EXPECT_OK(pirn_notify(s.peer, news.data(), news.size(), &late, &id));
    else EXPECT_OK((i % 4 == 1 ? pirn_read : pirn_write)(s.local->region, 0, s.remote.window, 0, length, &late, &id));
    ids.push_back(id);
  }
  sleep_ms(100);

  const Remote large = pair.remote(s.healthy, s.other, room, 4);
  const Memory &mine = pair.memory(room, 5);
  for (int i = 0; i < 20; ++i) {
    EXPECT_OK(pirn_write(mine.region, 64, s.healthy_remote.window, 8, 64, &soon, nullptr));
    EXPECT_OK(pirn_write(mine.region, 0, large.window, 0, room, &soon, nullptr));
    EXPECT_OK(pirn_notify(s.other, &i, sizeof i, &soon, nullptr));
  }

  assert_int_equal(peer_state(s.other), PIRN_PEER_UP);
  EXPECT_MATCH(s.healthy.check(large.buffer, 0, room, 5));
  EXPECT(PIRN_IN_PROGRESS, pirn_transfer_test(pair.endpoint(), ids.back(), nullptr));
  for (const auto id : ids) {
    pirn_transfer_cancel(pair.endpoint(), id);
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  s.target.signal_now(SIGCONT);
}

void stop__shorter_than_the_deadline__transfers_complete(void **state) {
  Pair &pair = pair_of(state);
  Stopped s(pair);
  s.target.signal_now(SIGSTOP);
  pirn_transfer ids[4];
  const pirn_transfer_params params = params_with(20 * second);
  for (auto &id : ids) EXPECT_OK(pirn_write(s.local->region, 0, s.remote.window, 0, room, &params, &id));
  sleep_ms(1500);
  s.target.signal_now(SIGCONT);
  for (const auto id : ids) {
    EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 20 * second, nullptr));
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  EXPECT_MATCH(s.target.check(s.remote.buffer, 0, room, 2));
}

void stop__longer_than_peer_timeout__transfer_with_a_late_deadline_is_peer_lost(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.settings = {"PEER_TIMEOUT=1s"};
  Stopped s(pair, options);
  s.target.signal_now(SIGSTOP);
  const pirn_transfer_params params = params_with(60 * second);
  const uint64_t start = clock_now();
  EXPECT(PIRN_ERR_PEER_LOST, pirn_read(s.local->region, 0, s.remote.window, 0, room, &params, nullptr));
  assert_in_range(clock_now() - start, 800 * ms, at_most(3000 * ms));
  assert_int_equal(peer_state(s.peer), PIRN_PEER_LOST);
}

void stop__then_lost_then_continued__new_connection_works(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.settings = {"PEER_TIMEOUT=600ms"};
  pair.open(options);
  Target &target = pair.spawn();
  target.open(options);
  const std::string address = target.listen();
  target.accept_start();
  pirn_peer *old = nullptr, *fresh = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &old));
  target.signal_now(SIGSTOP);
  const pirn_transfer_params params = params_with(20 * second);
  EXPECT(PIRN_ERR_PEER_LOST, pirn_notify(old, "are you there", 13, &params, nullptr));
  target.signal_now(SIGCONT);

  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &fresh));

  const Remote remote = pair.remote(target, fresh, 1000, 1);
  const Memory &local = pair.memory(1000, 2);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 1000, nullptr, nullptr));
  EXPECT_MATCH(target.check(remote.buffer, 0, 1000, 2));
}

void stop__cancel__is_quiet_and_soon(void **state) {
  Pair &pair = pair_of(state);
  Stopped s(pair);
  s.target.signal_now(SIGSTOP);
  pirn_transfer ids[8];
  for (auto &id : ids) EXPECT_OK(pirn_read(s.local->region, 0, s.remote.window, 0, room, nullptr, &id));
  sleep_ms(50);
  const uint64_t start = clock_now();
  for (const auto id : ids) {
    EXPECT(PIRN_ERR_CANCELLED, pirn_transfer_cancel(pair.endpoint(), id));
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  assert_true(clock_now() - start < at_most(2 * second));
  fill_pattern(s.local->buffer.data(), room, 3);
  s.target.signal_now(SIGCONT);
  sleep_ms(500);
  EXPECT_MATCH(find_mismatch(s.local->buffer.data(), room, 3));
}

void stop__connect__is_timeout_at_its_deadline(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const std::string address = target.listen();
  target.signal_now(SIGSTOP);
  pirn_peer *peer = nullptr;
  const uint64_t start = clock_now();
  EXPECT(PIRN_ERR_TIMEOUT, pirn_peer_connect(pair.endpoint(), address.c_str(), 500 * ms, &peer));
  assert_in_range(clock_now() - start, 480 * ms, at_most(1500 * ms));
  target.signal_now(SIGCONT);
  target.accept_start();
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
}

void stop__endpoint_close__is_soon(void **state) {
  Pair &pair = pair_of(state);
  Stopped s(pair);
  s.target.signal_now(SIGSTOP);
  pirn_transfer id = 0;
  for (int i = 0; i < 4; ++i) EXPECT_OK(pirn_write(s.local->region, 0, s.remote.window, 0, room, nullptr, &id));
  const uint64_t start = clock_now();
  pair.own.close();
  assert_true(clock_now() - start < at_most(5 * second));
  s.target.signal_now(SIGCONT);
}

// This side owns the window; an importer that hangs cannot hold up its withdrawal.
void stop__importer_of_a_window__withdraw_ends_in_time_and_memory_is_quiet(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const uint64_t there = target.connect(listen_on(pair.endpoint(), own_host() + ":0"));
  Memory &memory = pair.memory(room, 1);
  const WindowBlob blob = advertise(memory);
  const uint64_t window = target.import_window(there, blob.bytes);
  const uint64_t source = target.alloc(room, 7);
  EXPECT_OK(target.write(source, 0, window, 0, room));
  target.begin({Op::storm, {source, window, room, 3000}, ""});
  sleep_ms(100);
  target.signal_now(SIGSTOP);

  const uint64_t start = clock_now();
  EXPECT_OK(pirn_region_withdraw(memory.region, blob.id, 500 * ms));
  assert_true(clock_now() - start < at_most(2 * second));
  fill_pattern(memory.buffer.data(), room, 9);
  target.signal_now(SIGCONT);
  const Reply storm = target.finish();

  assert_true(storm.status < 0);
  sleep_ms(200);
  EXPECT_MATCH(find_mismatch(memory.buffer.data(), room, 9));
  EXPECT_OK(pirn_region_deregister(memory.region));
}

// A window of a process in which nothing hangs, and an importer that has used it and is stopped. PIRN_TEST_MAPPED: by then it
// has the memory mapped, which nobody can take from it.
struct StoppedImporter {
  explicit StoppedImporter(Pair &pair, const OpenOptions &options = {}) : owner(pair.spawn()), importer(pair.spawn()) {
    owner.open(options);
    importer.open();
    const std::string address = owner.listen();
    importer.begin({Op::connect, {10 * second}, address});
    peer = owner.accept();
    const Reply connected = importer.finish();
    EXPECT_OK(connected.status);
    const uint64_t there = connected.values[0];
    buffer = owner.alloc(room, 1);
    const WindowBlob blob = owner.advertise(buffer, 0, room);
    id = blob.id;
    const uint64_t window = importer.import_window(there, blob.bytes);
    const uint64_t source = importer.alloc(room, 7);
    EXPECT_OK(importer.write(source, 0, window, 0, room));
    EXPECT_MATCH(owner.check(buffer, 0, room, 7));
    importer.signal_now(SIGSTOP);
  }
  void withdraw_says_whether_it_is_mapped() {
    const uint64_t start = clock_now();
    const Reply reply = owner.call({Op::withdraw, {buffer, id, 500 * ms}, ""});
    assert_true(clock_now() - start < at_most(4 * second));
    if (variable("PIRN_TEST_MAPPED", "").empty()) EXPECT_OK(reply.status);
    else EXPECT(PIRN_ERR_TIMEOUT, reply.status);
    if (reply.status != PIRN_OK && reply.text.find("has its memory mapped") == std::string::npos)
      fail_test("it does not say that the memory is mapped: %s", reply.text.c_str());
    owner.fill(buffer, 0, room, 9);
    importer.resume();
    sleep_ms(300);
    EXPECT_MATCH(owner.check(buffer, 0, room, 9));
  }

  Target &owner, &importer;
  uint64_t peer = 0, buffer = 0, id = 0;
};

void withdraw__importer_is_stopped__says_whether_it_has_the_memory_mapped(void **state) {
  StoppedImporter(pair_of(state)).withdraw_says_whether_it_is_mapped();
}

void withdraw__stopped_importer_is_lost_before__says_so_all_the_same(void **state) {
  OpenOptions impatient;
  impatient.settings = {"PEER_TIMEOUT=500ms", "PEER_CONFIRM_TIMEOUT=300ms"};
  StoppedImporter stopped(pair_of(state), impatient);
  const Reply told = stopped.owner.call({Op::notify, {stopped.peer, 20 * second}, "are you there"});
  EXPECT(PIRN_ERR_PEER_LOST, told.status);
  stopped.withdraw_says_whether_it_is_mapped();
}

void withdraw__importer_was_killed__is_ok(void **state) {
  StoppedImporter stopped(pair_of(state));
  stopped.importer.kill_now();
  EXPECT_OK(stopped.owner.call({Op::withdraw, {stopped.buffer, stopped.id, 10 * second}, ""}).status);
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "stop",
             {
                 CASE(stop__writes_in_flight__end_at_their_deadline_and_are_quiet),
                 CASE(stop__reads_in_flight__end_at_their_deadline_and_are_quiet),
                 CASE(stop__of_one_peer__others_are_served),
                 CASE(stop__shorter_than_the_deadline__transfers_complete),
                 CASE(stop__longer_than_peer_timeout__transfer_with_a_late_deadline_is_peer_lost),
                 CASE(stop__then_lost_then_continued__new_connection_works),
                 CASE(stop__cancel__is_quiet_and_soon),
                 CASE(stop__connect__is_timeout_at_its_deadline),
                 CASE(stop__endpoint_close__is_soon),
                 CASE(stop__importer_of_a_window__withdraw_ends_in_time_and_memory_is_quiet),
                 CASE(withdraw__importer_is_stopped__says_whether_it_has_the_memory_mapped),
                 CASE(withdraw__stopped_importer_is_lost_before__says_so_all_the_same),
                 CASE(withdraw__importer_was_killed__is_ok),
             });
}
