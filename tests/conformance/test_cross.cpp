// SPDX-License-Identifier: Apache-2.0
// Plain host memory of another process of this host, read by the kernel: stated, exact, and never memory that is no longer
// the window's. Skipped where the kernel does not let one process read another.
#include "harness.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

using namespace pirn_test;

namespace {

constexpr uint64_t room = 8 << 20;

OpenOptions with(const std::vector<std::string> &settings) {
  OpenOptions options;
  options.settings = settings;
  return options;
}

struct Ends {
  explicit Ends(Pair &p, const OpenOptions &options = {}) : pair(p), peer(p.start(options)) {
    remote = pair.remote(pair.target(), peer, room, 1);
    local = &pair.memory(room, 2);
  }
  // One read of all of it; where it travelled goes to `path`.
  pirn_status read(std::string *path, const char *demand = nullptr) {
    pirn_transfer_params params = params_with(10 * second);
    params.path = demand;
    pirn_transfer id = 0;
    pirn_status status = pirn_read(local->region, 0, remote.window, 0, room, &params, &id);
    if (status != PIRN_OK) return status;
    result = empty_result();
    status = pirn_transfer_wait(pair.endpoint(), id, 20 * second, &result);
    *path = result.path;
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    return status;
  }
  void need_kernel() {
    std::string path;
    EXPECT_OK(read(&path));
    EXPECT_MATCH(find_mismatch(local->buffer.data(), room, 1));
    if (path == "ipc") return;
    const std::string words = explain(peer);
    if (words.find("Operation not permitted") == std::string::npos) fail_test("read by \"%s\": %s", path.c_str(), words.c_str());
    std::printf("SKIP: %s\n", words.c_str());
    skip();
  }

  Pair &pair;
  pirn_peer *peer;
  Remote remote;
  Memory *local;
  pirn_result result{};
};

void cross__read_of_plain_host_memory__is_by_ipc_and_explained(void **state) {
  Ends ends(pair_of(state));
  ends.need_kernel();
  const std::string words = explain(ends.peer);
  if (words.find("read by the kernel (cross-memory)") == std::string::npos) fail_test("%s", words.c_str());
  assert_int_equal(ends.result.bytes, room);
  std::string path;
  for (const char *demand : {"ipc", "fabric"}) {
    ends.pair.target().fill(ends.remote.buffer, 0, room, strlen(demand));
    EXPECT_OK(ends.read(&path, demand));
    assert_string_equal(path.c_str(), demand);
    EXPECT_MATCH(find_mismatch(ends.local->buffer.data(), room, strlen(demand)));
  }
}

void cross__turned_off_at_either_end__is_over_the_fabric_and_says_so(void **state) {
  Pair &pair = pair_of(state);
  const OpenOptions none = with({"CROSS_MEMORY=none", "RINGS=none"}), other = with({"RINGS=none"});
  for (const bool owner : {true, false}) {
    pair.own.close();
    pair.open(owner ? other : none);
    Target &target = pair.spawn();
    target.open(owner ? none : other);
    pirn_peer *peer = pair.connect(target);
    const Remote remote = pair.remote(target, peer, 5000, 1);
    const Memory &local = pair.memory(5000, 2);
    pirn_transfer_params params = params_with(10 * second);
    pirn_transfer id = 0;
    pirn_result result = empty_result();
    EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, 5000, &params, &id));
    EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 10 * second, &result));
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    assert_string_equal(result.path, "fabric");
    EXPECT_MATCH(find_mismatch(local.buffer.data(), 5000, 1));
    params.path = "ipc";
    EXPECT_ERROR(PIRN_ERR_UNAVAILABLE, pirn_read(local.region, 0, remote.window, 0, 5000, &params, nullptr), "\"ipc\"",
                 owner ? "does not share this memory" : "PIRN_CROSS_MEMORY=none");
  }
}

// Each read that is OK holds what the window held while it was open.
void cross__withdraw_while_reads_run__each_is_right_or_gone(void **state) {
  Pair &pair = pair_of(state);
  Ends ends(pair);
  ends.need_kernel();
  constexpr uint64_t reads = 12, part = 8 << 20;
  const Memory &local = pair.memory(reads * part, 2);
  uint64_t gone = 0;
  for (uint64_t round = 0; round < 5; ++round) {
    const Remote remote = pair.remote(pair.target(), ends.peer, part, round);
    pirn_transfer ids[reads] = {};
    const pirn_transfer_params params = params_with(10 * second);
    EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, 8, &params, nullptr));
    for (uint64_t i = 0; i < reads; ++i)
      EXPECT_OK(pirn_read(local.region, i * part, remote.window, 0, part, &params, &ids[i]));
    usleep(static_cast<useconds_t>(pair.random.below(20000)));
    pair.target().begin({Op::withdraw, {remote.buffer, remote.window_id, 2 * second}, ""});
    assert_int_equal(pair.target().finish().status, PIRN_OK);
    pair.target().fill(remote.buffer, 0, part, 1000);
    for (uint64_t i = 0; i < reads; ++i) {
      const pirn_status status = pirn_transfer_wait(pair.endpoint(), ids[i], 10 * second, nullptr);
      EXPECT_OK(pirn_transfer_release(pair.endpoint(), ids[i]));
      if (status == PIRN_OK) {
        EXPECT_MATCH(find_mismatch(local.buffer.data() + i * part, part, round));
      } else {
        EXPECT(PIRN_ERR_WINDOW_GONE, status);
        ++gone;
      }
    }
    const pirn_transfer_params late = params_with(3 * second);
    EXPECT(PIRN_ERR_WINDOW_GONE, pirn_read(local.region, 0, remote.window, 0, part, &late, nullptr));
    EXPECT_OK(pirn_window_close(remote.window));
  }
  std::printf("  %llu reads found the window gone\n", static_cast<unsigned long long>(gone));
}

// The reader hangs in the midst of its reads: the owner takes its window back all the same, and when the reader wakes up
// nothing that it reads of other content counts.
void cross__reader_stopped__withdraw_succeeds_and_the_reader_is_not_lied_to(void **state) {
  Pair &pair = pair_of(state);
  { Ends probe(pair); probe.need_kernel(); }
  Target &reader = pair.spawn();
  reader.open();
  const uint64_t there = reader.connect(listen_on(pair.endpoint(), own_host() + ":0"));
  constexpr uint64_t large = 256 << 20;
  Memory &memory = pair.memory(large, 1);
  const WindowBlob blob = advertise(memory);
  const uint64_t window = reader.import_window(there, blob.bytes);
  const uint64_t into = reader.alloc(large, 7);
  EXPECT_OK(reader.read(into, 0, window, 0, 4096));
  reader.begin({Op::read, {into, 0, window, 0, large, 20 * second}, ""});
  sleep_ms(10);
  reader.signal_now(SIGSTOP);

  const uint64_t start = clock_now();
  EXPECT_OK(pirn_region_withdraw(memory.region, blob.id, 500 * ms));
  assert_true(clock_now() - start < at_most(2 * second));
  fill_pattern(memory.buffer.data(), large, 9);
  reader.signal_now(SIGCONT);
  const Reply read = reader.finish();

  std::printf("  the read ended with %s\n", status_name(read.status));
  if (read.status == PIRN_OK) EXPECT_MATCH(reader.check(into, 0, large, 1));
  else assert_true(read.status == PIRN_ERR_WINDOW_GONE || read.status == PIRN_ERR_PEER_LOST);
  EXPECT_MATCH(find_mismatch(memory.buffer.data(), large, 9));
}

void cross__owner_stopped__reads_of_its_window_go_on(void **state) {
  Pair &pair = pair_of(state);
  Ends ends(pair);
  ends.need_kernel();
  fill_pattern(ends.local->buffer.data(), room, 3);
  pair.target().signal_now(SIGSTOP);
  std::string path;
  EXPECT_OK(ends.read(&path));
  pair.target().signal_now(SIGCONT);
  assert_string_equal(path.c_str(), "ipc");
  EXPECT_MATCH(find_mismatch(ends.local->buffer.data(), room, 1));
}

void cross__owner_killed__reads_in_flight_are_peer_lost_within_a_second(void **state) {
  Pair &pair = pair_of(state);
  Ends ends(pair);
  ends.need_kernel();
  constexpr uint64_t reads = 64;
  pirn_transfer ids[reads];
  for (auto &id : ids) EXPECT_OK(pirn_read(ends.local->region, 0, ends.remote.window, 0, room, nullptr, &id));
  pair.target().kill_now();
  const uint64_t killed = clock_now();
  uint64_t lost = 0;
  for (const auto id : ids) {
    pirn_result result = empty_result();
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 5 * second, &result);
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    if (status == PIRN_OK) continue;
    EXPECT(PIRN_ERR_PEER_LOST, status);
    if (++lost == 1) std::printf("  %s\n", result.text);
  }
  assert_true(lost > 0);
  assert_true(clock_now() - killed < at_most(second));
  assert_true(wait_until(1000, [&] { return peer_state(ends.peer) == PIRN_PEER_LOST; }));
}

void cross__list_of_many_pieces__each_is_exact(void **state) {
  Pair &pair = pair_of(state);
  Ends ends(pair);
  ends.need_kernel();
  constexpr uint64_t pieces = 5000, step = 1600;
  std::vector<pirn_segment> segments;
  for (uint64_t i = 0; i < pieces; ++i)
    segments.push_back({ends.local->region, i * step, ends.remote.window, (pieces - 1 - i) * step, 1 + i % step});
  fill_pattern(ends.local->buffer.data(), room, 3);
  pirn_prepared *list = nullptr;
  EXPECT_OK(pirn_transfer_prepare(PIRN_READ, segments.data(), segments.size(), &list));
  for (int i = 0; i < 3; ++i) EXPECT_OK(pirn_prepared_post(list, nullptr, nullptr));
  EXPECT_OK(pirn_prepared_release(list));
  for (const pirn_segment &segment : segments) {
    const uint8_t *piece = ends.local->buffer.data() + segment.local_offset;
    EXPECT_MATCH(find_mismatch(piece, segment.length, 1, segment.remote_offset));
    EXPECT_MATCH(find_mismatch(piece + segment.length, step - segment.length, 3, segment.local_offset + segment.length));
  }
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "cross",
             {
                 CASE(cross__read_of_plain_host_memory__is_by_ipc_and_explained),
                 CASE(cross__turned_off_at_either_end__is_over_the_fabric_and_says_so),
                 CASE(cross__withdraw_while_reads_run__each_is_right_or_gone),
                 CASE(cross__reader_stopped__withdraw_succeeds_and_the_reader_is_not_lied_to),
                 CASE(cross__owner_stopped__reads_of_its_window_go_on),
                 CASE(cross__owner_killed__reads_in_flight_are_peer_lost_within_a_second),
                 CASE(cross__list_of_many_pieces__each_is_exact),
             });
}
