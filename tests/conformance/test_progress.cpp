// SPDX-License-Identifier: Apache-2.0
// Progress without the application, idle cost, and progress by the application alone.
#include "harness.h"

#include <poll.h>
#include <sched.h>

#include <cstdio>

using namespace pirn_test;

namespace {

// Between two commands a target makes no call of pirn: everything here is served behind its back.
void silent_target__writes_and_reads__are_served(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  Target &target = pair.target();
  const uint64_t size = 8 << 20;
  const Remote remote = pair.remote(target, peer, size, 1);
  const Memory &out = pair.memory(size, 2), &in = pair.memory(size, 3);
  sleep_ms(1500);  // the target's progress thread is asleep by now
  for (uint64_t round = 0; round < 20; ++round) {
    const uint64_t length = pair.random.between(1, size);
    fill_pattern(out.buffer.data(), length, 10 + round);
    const pirn_transfer_params params = params_with(5 * second);
    EXPECT_OK(pirn_write(out.region, 0, remote.window, 0, length, &params, nullptr));
    EXPECT_OK(pirn_read(in.region, 0, remote.window, 0, length, &params, nullptr));
    EXPECT_MATCH(find_mismatch(in.buffer.data(), length, 10 + round));
    if (round % 5 == 0) sleep_ms(200);
  }
}

void silent_target__new_peer_and_window__are_served(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const std::string address = target.listen();
  target.accept_start();
  const uint64_t buffer = target.alloc(1000, 1);
  const WindowBlob blob = target.advertise(buffer, 0, 1000);
  sleep_ms(1500);
  const Memory &local = pair.memory(1000, 2);

  const uint64_t start = clock_now();
  pirn_peer *peer = nullptr;
  pirn_window *window = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 5 * second, &peer));
  EXPECT_OK(pirn_window_import(peer, blob.bytes.data(), blob.bytes.size(), &window));
  EXPECT_OK(pirn_read(local.region, 0, window, 0, 1000, nullptr, nullptr));
  assert_true(clock_now() - start < at_most(second));
  EXPECT_MATCH(find_mismatch(local.buffer.data(), 1000, 1));
}

void idle__after_a_second__costs_below_one_percent_of_a_core(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  Target &target = pair.target();
  const Remote remote = pair.remote(target, peer, 1000, 1);
  const Memory &local = pair.memory(1000, 2);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 1000, nullptr, nullptr));
  sleep_ms(1000);

  const uint64_t here = process_cpu_ns(), there = target.cpu_ns();
  sleep_ms(3000);
  const uint64_t used_here = process_cpu_ns() - here, used_there = target.cpu_ns() - there;

  std::printf("idle: %.2f %% of a core here, %.2f %% there\n", static_cast<double>(used_here) / 3e7,
              static_cast<double>(used_there) / 3e7);
  // In one process both readings show both endpoints.
  const uint64_t endpoints = two_processes() ? 1 : 2;
  assert_true(used_here < endpoints * 30 * ms);
  assert_true(used_there < endpoints * 30 * ms);
}

void spin__transfers__work(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.progress = PIRN_PROGRESS_SPIN;
  pirn_peer *peer = pair.start(options);
  const Remote remote = pair.remote(pair.target(), peer, 100000, 1);
  const Memory &local = pair.memory(100000, 2);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 100000, nullptr, nullptr));
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, 100000, 2));
}

// A waiter that polls keeps its peer from the only core. Were each wait a whole spin, this took 50 s.
void spin__one_core_for_both_sides__does_not_keep_the_peer_from_it(void **state) {
  Pair &pair = pair_of(state);
  cpu_set_t before, one;
  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  OpenOptions options;
  options.settings = {"SPIN_TIME=50ms"};
  pirn_peer *peer = pair.start(options);
  const Remote remote = pair.remote(pair.target(), peer, 64, 1);
  const Memory &local = pair.memory(64, 2);

  const uint64_t start = clock_now();
  for (int i = 0; i < 500; ++i) EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 64, nullptr, nullptr));
  const uint64_t took = clock_now() - start;
  sched_setaffinity(0, sizeof before, &before);

  std::printf("500 writes: %.0f ms\n", static_cast<double>(took) / 1e6);
  assert_true(took < at_most(15 * second));
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, 64, 2));
}

// Two endpoints of this process and one thread that drives both.
struct ManualPair {
  Node a, b;
  pirn_peer *peer = nullptr;

  explicit ManualPair(const std::vector<std::string> &settings = {}) {
    OpenOptions options = with_defaults({}, false);
    options.settings.insert(options.settings.end(), settings.begin(), settings.end());
    options.progress = PIRN_PROGRESS_MANUAL;
    EXPECT_OK(a.open(options));
    EXPECT_OK(b.open(options));
    const std::string blob = metadata_of(b.endpoint());
    EXPECT_OK(pirn_peer_add(a.endpoint(), blob.data(), blob.size(), &peer));
  }
  uint64_t step() const {
    uint64_t first = 0, other = 0;
    EXPECT_OK(pirn_endpoint_progress(a.endpoint(), &first));
    EXPECT_OK(pirn_endpoint_progress(b.endpoint(), &other));
    return first + other;
  }
  pirn_window *window(Memory &memory, uint64_t length) const {
    char blob[8192];
    size_t room = sizeof blob;
    uint64_t id = 0;
    pirn_window *out = nullptr;
    EXPECT_OK(pirn_region_advertise(memory.region, 0, length, read_write, blob, &room, &id));
    EXPECT_OK(pirn_window_import(peer, blob, room, &out));
    return out;
  }
  pirn_status drive(pirn_transfer id) const {
    const uint64_t end = clock_now() + 10 * second;
    pirn_status status = PIRN_IN_PROGRESS;
    while (status == PIRN_IN_PROGRESS && clock_now() < end) {
      step();
      status = pirn_transfer_test(a.endpoint(), id, nullptr);
    }
    return status;
  }
};

void manual__one_thread_drives_both__transfers_complete(void **) {
  const auto m = std::make_unique<ManualPair>();
  constexpr uint64_t size = 3 << 20;
  Memory *local = m->a.allocate(size, 2), *remote = m->b.allocate(size, 1);
  pirn_window *window = m->window(*remote, size);
  for (int round = 0; round < 10; ++round) {
    pirn_transfer id = 0;
    fill_pattern(local->buffer.data(), size, 50u + static_cast<unsigned>(round));
    EXPECT_OK(pirn_write(local->region, 0, window, 0, size, nullptr, &id));
    EXPECT_OK(m->drive(id));
    EXPECT_OK(pirn_transfer_release(m->a.endpoint(), id));
    EXPECT_MATCH(find_mismatch(remote->buffer.data(), size, 50u + static_cast<unsigned>(round)));
  }
  assert_true(local->buffer.canaries_intact() && remote->buffer.canaries_intact());
}

void manual__notification__is_taken_after_progress(void **) {
  const auto m = std::make_unique<ManualPair>();
  pirn_transfer id = 0;
  EXPECT_OK(pirn_notify(m->peer, "hand made", 9, nullptr, &id));
  EXPECT_OK(m->drive(id));
  char room[16] = "";
  size_t length = sizeof room;
  pirn_notification note{};
  note.struct_size = sizeof note;
  EXPECT_OK(pirn_notification_take(m->b.endpoint(), PIRN_POLL_NOW, &note, room, &length));
  assert_memory_equal(room, "hand made", 9);
}

void manual__no_progress_calls__nothing_moves(void **) {
  const auto m = std::make_unique<ManualPair>();
  Memory *local = m->a.allocate(1000, 2), *remote = m->b.allocate(1000, 1);
  pirn_window *window = m->window(*remote, 1000);
  pirn_transfer id = 0;
  EXPECT_OK(pirn_write(local->region, 0, window, 0, 1000, nullptr, &id));
  sleep_ms(200);
  EXPECT_MATCH(find_mismatch(remote->buffer.data(), 1000, 1));
  EXPECT_OK(m->drive(id));
  EXPECT_MATCH(find_mismatch(remote->buffer.data(), 1000, 2));
}

// At any moment: before the first frame was looked at, in the midst of the handshake, of a transfer. Its memory goes too.
void close_one_at_any_moment(Pair &pair, bool small) {
  const auto m = std::make_unique<ManualPair>(std::vector<std::string>{"QUIET_TIME=5ms"});
  const uint64_t size = small ? pair.random.between(1, 100) : pair.random.between(1 << 16, 1 << 20);
  Memory *local = m->a.allocate(size, 2), *remote = m->b.allocate(size, 1);
  pirn_window *window = m->window(*remote, size);
  pirn_transfer written = 0, noticed = 0;
  const pirn_transfer_params params = params_with(200 * ms);
  EXPECT_OK(pirn_write(local->region, 0, window, 0, size, &params, &written));
  EXPECT_OK(pirn_notify(m->peer, "hand made", 9, &params, &noticed));
  for (uint64_t steps = pair.random.below(small ? 12 : 60); steps > 0; --steps)
    EXPECT_OK(pirn_endpoint_progress(pair.random.below(2) ? m->a.endpoint() : m->b.endpoint(), nullptr));

  const bool first_goes = pair.random.below(2) != 0;
  Node &goes = first_goes ? m->a : m->b, &stays = first_goes ? m->b : m->a;
  goes.close();

  for (int i = 0; i < 20; ++i) EXPECT_OK(pirn_endpoint_progress(stays.endpoint(), nullptr));
  if (first_goes) return;
  for (const pirn_transfer id : {written, noticed}) {
    const uint64_t end = clock_now() + at_most(10 * second);
    while (pirn_transfer_test(stays.endpoint(), id, nullptr) == PIRN_IN_PROGRESS) {
      assert_true(clock_now() < end);
      EXPECT_OK(pirn_endpoint_progress(stays.endpoint(), nullptr));
    }
  }
}

void manual__one_end_closes_at_any_moment__other_goes_on(void **state) {
  for (int round = 0; round < 40; ++round) close_one_at_any_moment(pair_of(state), round % 3 != 0);
}

// The event loop of a caller that owns its thread: sleep on both descriptors, then progress.
void manual__event_loop_on_descriptors__completes_without_spinning(void **) {
  const auto m = std::make_unique<ManualPair>();
  int32_t fds[2];
  if (provider() == "shm" || provider() == "efa") {  // libfabric's efa has descriptors from 2.3 on, the simulated one none
    EXPECT(PIRN_ERR_UNAVAILABLE, pirn_endpoint_fd(m->a.endpoint(), &fds[0]));
    return;
  }
  EXPECT_OK(pirn_endpoint_fd(m->a.endpoint(), &fds[0]));
  EXPECT_OK(pirn_endpoint_fd(m->b.endpoint(), &fds[1]));
  constexpr uint64_t size = 1 << 20;
  Memory *local = m->a.allocate(size, 2), *remote = m->b.allocate(size, 1);
  pirn_window *window = m->window(*remote, size);
  for (int round = 0; round < 20; ++round) {
    pirn_transfer id = 0;
    EXPECT_OK(pirn_write(local->region, 0, window, 0, size, nullptr, &id));
    const uint64_t end = clock_now() + 5 * second;
    while (pirn_transfer_test(m->a.endpoint(), id, nullptr) == PIRN_IN_PROGRESS && clock_now() < end) {
      if (m->step() != 0) continue;
      pollfd ready[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
      poll(ready, 2, 10);
    }
    EXPECT_OK(pirn_transfer_test(m->a.endpoint(), id, nullptr));
    EXPECT_OK(pirn_transfer_release(m->a.endpoint(), id));
  }
  EXPECT_MATCH(find_mismatch(remote->buffer.data(), size, 2));
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "progress",
             {
                 CASE(silent_target__writes_and_reads__are_served),
                 CASE(silent_target__new_peer_and_window__are_served),
                 CASE(idle__after_a_second__costs_below_one_percent_of_a_core),
                 CASE(spin__transfers__work),
                 CASE(spin__one_core_for_both_sides__does_not_keep_the_peer_from_it),
                 CASE(manual__one_thread_drives_both__transfers_complete),
                 CASE(manual__notification__is_taken_after_progress),
                 CASE(manual__no_progress_calls__nothing_moves),
                 CASE(manual__one_end_closes_at_any_moment__other_goes_on),
                 CASE(manual__event_loop_on_descriptors__completes_without_spinning),
             });
}
