// SPDX-License-Identifier: Apache-2.0
// Many threads, one endpoint: every call may come from any thread, several at once.
#include "harness.h"

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

using namespace pirn_test;

namespace {

constexpr uint64_t threads = 8, share = 256 << 10, run_time = 3 * second;

// The first thing that went wrong in any thread; cmocka's assertions belong to the main thread.
class Trouble {
 public:
  void note(const char *what, pirn_status status) { note(what, status, pirn_last_error()); }
  void note(const char *what, pirn_status status, const char *text) {
    const std::lock_guard<std::mutex> hold(mutex_);
    if (text_.empty()) text_ = std::string(what) + ": " + status_name(status) + ": " + text;
    any_ = true;
  }
  bool any() const { return any_; }
  const std::string &text() const { return text_; }

 private:
  std::mutex mutex_;
  std::string text_;
  std::atomic<bool> any_{false};
};

struct Shared {
  pirn_endpoint *endpoint;
  pirn_peer *peer;
  Remote remote;      // thread i owns [i * share, (i + 1) * share)
  const Memory *out;
  const Memory *in;
  Trouble trouble;
  std::atomic<uint64_t> rounds{0};
  std::atomic<uint64_t> notified{0};
  uint64_t end = 0;
};

bool ok(Shared &s, const char *what, pirn_status status) {
  if (status != PIRN_OK) s.trouble.note(what, status);
  return status == PIRN_OK;
}

void write_and_read_back(Shared &s, Random &random, uint64_t base) {
  const uint64_t length = random.between(1, share), seed = random.next();
  const uint64_t at = base + random.below(share - length + 1);
  fill_pattern(s.out->buffer.at(at), length, seed);
  if (!ok(s, "write", pirn_write(s.out->region, at, s.remote.window, at, length, nullptr, nullptr))) return;
  if (!ok(s, "read", pirn_read(s.in->region, at, s.remote.window, at, length, nullptr, nullptr))) return;
  if (find_mismatch(s.in->buffer.at(at), length, seed) != all_match) s.trouble.note("bytes differ", PIRN_OK);
}

void write_through_fresh_region(Shared &s, Random &random, uint64_t base) {
  pirn_region *region = nullptr;
  const uint64_t length = random.between(1, share);
  if (!ok(s, "register", pirn_region_register(s.endpoint, s.out->buffer.at(base), length, nullptr, &region))) return;
  ok(s, "write", pirn_write(region, 0, s.remote.window, base, length, nullptr, nullptr));
  ok(s, "deregister", pirn_region_deregister(region));
}

void start_and_cancel(Shared &s, Random &random, uint64_t base) {
  pirn_transfer id = 0;
  const auto call = random.below(2) == 0 ? pirn_write : pirn_read;
  const Memory *memory = call == pirn_write ? s.out : s.in;
  if (!ok(s, "post", call(memory->region, base, s.remote.window, base, share, nullptr, &id))) return;
  const pirn_status status = pirn_transfer_cancel(s.endpoint, id);
  if (status != PIRN_OK && status != PIRN_ERR_CANCELLED) s.trouble.note("cancel", status);
  ok(s, "release", pirn_transfer_release(s.endpoint, id));
}

void send_note(Shared &s, Random &random) {
  const std::string message(random.between(1, 2000), 'n');
  if (ok(s, "notify", pirn_notify(s.peer, message.data(), message.size(), nullptr, nullptr))) ++s.notified;
}

void several_in_flight(Shared &s, Random &random, uint64_t base) {
  pirn_transfer ids[8];
  const uint64_t length = share / 8;
  const uint64_t seed = random.next();
  fill_pattern(s.out->buffer.at(base), share, seed);
  uint64_t posted = 0;
  for (; posted < 8; ++posted) {
    const uint64_t at = base + posted * length;
    if (!ok(s, "post", pirn_write(s.out->region, at, s.remote.window, at, length, nullptr, &ids[posted]))) break;
  }
  for (uint64_t i = 0; i < posted; ++i) {
    ok(s, "wait", pirn_transfer_wait(s.endpoint, ids[i], 20 * second, nullptr));
    ok(s, "release", pirn_transfer_release(s.endpoint, ids[i]));
  }
}

void work(Shared &s, uint64_t index) {
  Random random(base_seed() + 1000 * index);
  const uint64_t base = index * share;
  while (clock_now() < s.end && !s.trouble.any()) {
    switch (random.below(5)) {
      case 0: write_and_read_back(s, random, base); break;
      case 1: write_through_fresh_region(s, random, base); break;
      case 2: start_and_cancel(s, random, base); break;
      case 3: send_note(s, random); break;
      default: several_in_flight(s, random, base); break;
    }
    ++s.rounds;
  }
  // A last write that must be there at the end.
  fill_pattern(s.out->buffer.at(base), share, 5000 + index);
  ok(s, "last write", pirn_write(s.out->region, base, s.remote.window, base, share, nullptr, nullptr));
}

void eight_threads__mixed_work_on_one_endpoint__bytes_and_counts_are_right(void **state) {
  Pair &pair = pair_of(state);
  const auto s = std::make_unique<Shared>();
  s->peer = pair.start();
  s->endpoint = pair.endpoint();
  s->remote = pair.remote(pair.target(), s->peer, threads * share, 1);
  s->out = &pair.memory(threads * share, 2);
  s->in = &pair.memory(threads * share, 3);
  s->end = clock_now() + run_time;

  std::vector<std::thread> workers;
  for (uint64_t i = 0; i < threads; ++i) workers.emplace_back([&s, i] { work(*s, i); });
  for (auto &worker : workers) worker.join();

  if (s->trouble.any()) fail_test("%s", s->trouble.text().c_str());
  assert_true(s->rounds > threads * 4);
  for (uint64_t i = 0; i < threads; ++i) {
    EXPECT_MATCH(pair.target().check(s->remote.buffer, i * share, share, 5000 + i));
  }
  uint64_t taken = 0;
  while (pair.target().take(100 * ms).status == PIRN_OK) ++taken;
  assert_int_equal(taken, s->notified.load());
}

void two_pollers__one_queue__each_result_goes_to_one(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  constexpr uint64_t count = 2000;
  const Remote remote = pair.remote(pair.target(), peer, count, 1);
  const Memory &local = pair.memory(count, 2);
  std::vector<std::atomic<int>> seen(count);
  std::atomic<uint64_t> got{0};
  Trouble trouble;
  // A NIC with room for one at a time, and a target that must wake up for each, take their time on a busy machine.
  constexpr uint64_t patience = 60 * second;
  const uint64_t end = clock_now() + patience;
  const auto poller = [&] {
    while (got < count && clock_now() < end) {
      pirn_result results[4];
      for (auto &result : results) result = empty_result();
      uint64_t n = 0;
      const pirn_status polled = pirn_endpoint_poll(pair.endpoint(), 10 * ms, results, sizeof results[0], 4, &n);
      if (polled != PIRN_OK) trouble.note("poll", polled);
      for (uint64_t i = 0; i < n; ++i) {
        if (results[i].status != PIRN_OK) trouble.note("write", results[i].status, results[i].text);
        else if (results[i].user_data >= count) trouble.note("user data", results[i].status);
        else ++seen[results[i].user_data];
      }
      got += n;
    }
  };
  std::thread first(poller), other(poller);
  pirn_status status = PIRN_OK;
  for (uint64_t i = 0; i < count && status == PIRN_OK; ++i) {
    const pirn_transfer_params params = params_with(patience, PIRN_TRANSFER_QUEUED, i);
    pirn_transfer id = 0;
    status = pirn_write(local.region, i, remote.window, i, 1, &params, &id);
  }
  first.join();
  other.join();
  EXPECT_OK(status);
  if (trouble.any()) fail_test("%s", trouble.text().c_str());
  for (const auto &n : seen) assert_int_equal(n.load(), 1);
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, count, 2));
}

void endpoints_open_and_close__in_four_threads__all_work(void **) {
  Trouble trouble;
  const auto worker = [&trouble] {
    for (int round = 0; round < 5; ++round) {
      Node node;
      const pirn_status status = node.open(with_defaults({}, false));
      if (status != PIRN_OK) trouble.note("open", status);
      else if (node.allocate(4096, 1) == nullptr) trouble.note("register", PIRN_ERR_IO);
    }
  };
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) workers.emplace_back(worker);
  for (auto &thread : workers) thread.join();
  if (trouble.any()) fail_test("%s", trouble.text().c_str());
}

// One of two endpoints of this process: writes to the other in flight, never waited for.
struct End {
  Node node;
  Memory *out = nullptr, *in = nullptr;
  std::string blob;
  WindowBlob window;

  void open() {
    EXPECT_OK(node.open(with_defaults({}, false)));
    out = node.allocate(share, 1);
    in = node.allocate(share, 2);
    assert_true(out != nullptr && in != nullptr);
    blob = metadata_of(node.endpoint());
    window = advertise(*in);
  }
  void write_to(const End &other, int count, Random &random) {
    pirn_peer *peer = nullptr;
    pirn_window *there = nullptr;
    EXPECT_OK(pirn_peer_add(node.endpoint(), other.blob.data(), other.blob.size(), &peer));
    EXPECT_OK(pirn_window_import(peer, other.window.bytes.data(), other.window.bytes.size(), &there));
    for (; count > 0; --count) {
      pirn_transfer id = 0;
      EXPECT_OK(pirn_write(out->region, 0, there, 0, random.between(1, share), nullptr, &id));
    }
  }
};

void both_close_at_once__in_the_midst_of_writes__end_in_time(void **state) {
  Pair &pair = pair_of(state);
  for (int round = 0; round < 20; ++round) {
    End first, other;
    first.open();
    other.open();
    first.write_to(other, 10, pair.random);
    other.write_to(first, 10, pair.random);
    const uint64_t pause = pair.random.below(3 * ms), start = clock_now();
    std::thread beside([&] {
      while (clock_now() - start < pause) std::this_thread::yield();
      other.node.close();
    });
    first.node.close();
    beside.join();
    assert_true(clock_now() - start < at_most(5 * second));
  }
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "threads",
             {
                 CASE(eight_threads__mixed_work_on_one_endpoint__bytes_and_counts_are_right),
                 CASE(two_pollers__one_queue__each_result_goes_to_one),
                 CASE(endpoints_open_and_close__in_four_threads__all_work),
                 CASE(both_close_at_once__in_the_midst_of_writes__end_in_time),
             });
}
