// SPDX-License-Identifier: Apache-2.0
#include "core/contest.h"

#include "../check.h"

#include <deque>

using namespace pirn;
using namespace pirn::core;

namespace {

constexpr uint64_t piece = 64 << 20, window = 12;

// A device that has `window` pieces in flight, and ends them in order: each way at its own speed, in bytes per ns.
struct Device {
  double engine, kernels;
  Contest contest;
  struct Batch {
    Contest::Way way;
    uint64_t bytes;
  };
  std::deque<Batch> queue;
  uint64_t now = 1000, moved[2] = {0, 0};

  void post(uint64_t bytes) {
    contest.started(contest.way(), now);
    queue.push_back({contest.way(), bytes});
  }
  void end() {
    const Batch batch = queue.front();
    queue.pop_front();
    now += static_cast<uint64_t>(static_cast<double>(batch.bytes) / (batch.way == Contest::engine ? engine : kernels));
    contest.ended(batch.way, batch.bytes, now);
    moved[batch.way] += batch.bytes;
  }
  void run(uint64_t bytes) {
    moved[0] = moved[1] = 0;
    while (moved[0] + moved[1] < bytes) {
      while (queue.size() < window) post(piece);
      end();
    }
  }
  double share(Contest::Way way) const {
    return static_cast<double>(moved[way]) / static_cast<double>(moved[0] + moved[1]);
  }
};

void contest__not_judged_yet__is_the_engine(void **) {
  Device device{240, 350, {}, {}};
  device.run(Contest::trial - piece);
  assert_int_equal(device.contest.way(), Contest::engine);
  assert_true(device.contest.rate(Contest::engine) == 0);
  assert_int_equal(device.moved[Contest::kernels], 0);
}

void contest__one_way_is_better__nearly_all_goes_that_way(void **) {
  const struct {
    double engine, kernels;
    Contest::Way better;
  } rows[] = {{240, 350, Contest::kernels},
              {389, 366, Contest::engine},
              {200, 210, Contest::engine},  // not worth the multiprocessors
              {1, 350, Contest::kernels},
              {350, 1, Contest::engine}};
  for (const auto &row : rows) {
    Device device{row.engine, row.kernels, {}, {}};
    device.run(3 * Contest::trial);
    assert_int_equal(device.contest.way(), row.better);
    device.run(4 * Contest::longest_keep);  // until it is sure
    device.run(400ull << 30);
    assert_true(device.share(row.better) > 0.95);
    const double measured[] = {device.contest.rate(Contest::engine), device.contest.rate(Contest::kernels)};
    assert_true(measured[0] > 0.97 * row.engine && measured[0] < 1.03 * row.engine);
    assert_true(measured[1] > 0.97 * row.kernels && measured[1] < 1.03 * row.kernels);
  }
}

void contest__the_better_way_changes__is_found_out(void **) {
  Device device{389, 366, {}, {}};
  device.run(100ull << 30);
  assert_int_equal(device.contest.way(), Contest::engine);
  device.engine = 240;
  device.run(2 * Contest::longest_keep);
  device.run(100ull << 30);
  assert_true(device.share(Contest::kernels) > 0.9);
  device.kernels = 100;
  device.run(2 * Contest::longest_keep);
  device.run(100ull << 30);
  assert_true(device.share(Contest::engine) > 0.9);
}

// Kernels are slow while they are tried first, as when all others begin as well.
void contest__first_trial_misleads__is_soon_found_out(void **) {
  Device device{240, 200, {}, {}};
  device.run(2 * Contest::trial + window * piece);
  assert_int_equal(device.contest.way(), Contest::engine);
  device.kernels = 350;
  device.run(Contest::shortest_keep + 2 * Contest::trial + window * piece);
  assert_int_equal(device.contest.way(), Contest::kernels);
}

void contest__pauses__count_as_nothing(void **) {
  Seeded random;
  Device device{240, 350, {}, {}};
  for (int round = 0; round < 20000; ++round) {
    const uint64_t count = random.between(1, window);
    for (uint64_t i = 0; i < count; ++i) device.post(random.between(2 << 20, piece));
    while (!device.queue.empty()) device.end();
    device.now += random.between(0, 100'000'000);
  }
  const double engine = device.contest.rate(Contest::engine), kernels = device.contest.rate(Contest::kernels);
  assert_true(engine > 239 && engine < 241);
  assert_true(kernels > 349 && kernels < 351);
  assert_true(device.share(Contest::kernels) > 0.9);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(contest__not_judged_yet__is_the_engine),
      cmocka_unit_test(contest__one_way_is_better__nearly_all_goes_that_way),
      cmocka_unit_test(contest__the_better_way_changes__is_found_out),
      cmocka_unit_test(contest__first_trial_misleads__is_soon_found_out),
      cmocka_unit_test(contest__pauses__count_as_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
