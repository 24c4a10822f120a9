// SPDX-License-Identifier: Apache-2.0
// Faults of a simulated NIC. They come from the environment of the process, so each test is one run of this program
// with the fault's name as its argument.
#include "node.h"

#include <cstdio>
#include <cstring>
#include <ctime>

using namespace pirn::sim_nic;

namespace {

constexpr size_t piece = 1024, pieces = 64;

struct Run {
  Pair pair{"cxi"};
  Buffer from{pair.initiator, piece * pieces, both_local}, to{pair.target, piece * pieces, both_remote};
  fi_context2 contexts[pieces];
  size_t refused = 0;
  std::vector<size_t> order;  // of completions, by operation
  std::vector<Result> results{pieces};

  bool post(size_t i) {
    ssize_t rc = pair.write(from, i * piece, piece, to.remote_address(i * piece), to.key(), &contexts[i]);
    if (rc == -FI_EAGAIN) refused++;
    assert_true(rc == 0 || rc == -FI_EAGAIN);
    return rc == 0;
  }
  void post_all(size_t first = 0) {
    for (size_t i = first; i < pieces; i++)
      while (!post(i)) take(pair.initiator.next(&pair.target, 1));
  }
  void take(const Result &result) {
    if (!result.context) return;
    auto i = static_cast<size_t>(static_cast<fi_context2 *>(result.context) - contexts);
    assert_true(i < pieces);
    assert_null(results[i].context);  // once
    results[i] = result;
    order.push_back(i);
  }
  void take_all(size_t count = pieces) {
    while (order.size() < count) {
      Result result = pair.initiator.next(&pair.target);
      assert_non_null(result.context);
      take(result);
    }
  }
  size_t errors() const {
    size_t count = 0;
    for (const Result &result : results) count += result.error != 0;
    return count;
  }
  size_t inversions() const {
    size_t count = 0;
    for (size_t i = 1; i < order.size(); i++) count += order[i] < order[i - 1];
    return count;
  }
  void same_bytes() const { assert_memory_equal(from.bytes.data(), to.bytes.data(), from.bytes.size()); }
};

double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// PIRN_SIM_EAGAIN=3
void eagain__every_third_post__is_refused_and_all_bytes_arrive(void **) {
  Run run;
  run.post_all();
  run.take_all();
  assert_int_equal(run.refused, (pieces - 1) / 2);
  assert_int_equal(run.errors(), 0);
  run.same_bytes();
}

// PIRN_SIM_REORDER=16
void reorder__completions__come_out_of_order_each_once(void **) {
  Run run;
  run.post_all();
  run.take_all();
  assert_true(run.inversions() > 0);
  assert_int_equal(run.errors(), 0);
  run.same_bytes();
}

// PIRN_SIM_OOO=16
void ooo__operations__run_out_of_order_each_once(void **) {
  Run run;
  run.post_all();
  run.take_all();
  assert_true(run.inversions() > 0);
  run.same_bytes();
}

// PIRN_SIM_QUEUE=4
void queue__of_four__holds_four(void **) {
  Run run;
  assert_int_equal(run.pair.initiator.info->tx_attr->size, 4);
  for (size_t i = 0; i < 4; i++) assert_true(run.post(i));
  assert_false(run.post(4));
  run.take_all(4);
  assert_true(run.post(4));
  run.take_all(5);
  assert_int_equal(run.errors(), 0);
}

// PIRN_SIM_ERROR=0:5
void error__fifth_operation__fails_with_the_providers_code_and_no_other(void **) {
  Run run;
  run.post_all();
  run.take_all();
  assert_int_equal(run.errors(), 1);
  assert_int_equal(run.results[4].error, FI_EHOSTUNREACH);
  assert_int_equal(run.results[4].provider_error, 2);
  memcpy(run.to.bytes.data() + 4 * piece, run.from.bytes.data() + 4 * piece, piece);
  run.same_bytes();
}

// PIRN_SIM_DIE=0:20
void die__after_twenty_operations__the_rest_fails_and_the_event_queue_tells(void **) {
  Run run;
  for (size_t i = 0; i < pieces; i++) {
    assert_true(run.post(i));
    run.take(run.pair.initiator.next(&run.pair.target));
  }
  for (size_t i = 0; i < pieces; i++) assert_int_equal(run.results[i].error != 0, i >= 20);
  fi_eq_err_entry error = {};
  uint32_t event = 0;
  char unused[64];
  assert_int_equal(fi_eq_read(run.pair.initiator.eq, &event, unused, sizeof unused, 0), -FI_EAVAIL);
  assert_true(fi_eq_readerr(run.pair.initiator.eq, &error, 0) > 0);
  assert_int_equal(error.err, FI_EIO);

  // The other side reaches it no more, either.
  Buffer back(run.pair.target, 64, both_local), here(run.pair.target, 64, both_remote);
  fi_context2 context;
  assert_int_equal(fi_write(run.pair.target.ep, back.bytes.data(), 8, nullptr, run.pair.to_initiator, 0, here.key(),
                            &context),
                   0);
  assert_int_equal(run.pair.target.next().error, FI_EHOSTUNREACH);
}

// PIRN_SIM_STALL=0:10:300
void stall__after_ten_operations__nothing_moves_for_that_long(void **) {
  Run run;
  double began = seconds();
  for (size_t i = 0; i < 10; i++) assert_true(run.post(i));
  run.take_all(10);
  run.post_all(10);
  assert_null(run.pair.initiator.next(&run.pair.target, 100).context);
  run.take_all();
  assert_true(seconds() - began >= 0.3);
  assert_int_equal(run.errors(), 0);
  run.same_bytes();
}

// PIRN_SIM_RATE=0.001: 125 bytes per ms, so 64 KiB take 524 ms.
void rate__of_a_slow_rail__is_kept(void **) {
  Run run;
  double began = seconds();
  run.post_all();
  run.take_all();
  double took = seconds() - began;
  assert_true(took >= 0.52);
  assert_true(took < 5);
  run.same_bytes();
}

// PIRN_SIM_LATENCY_US=50000
void latency__of_every_operation__is_kept(void **) {
  Run run;
  double began = seconds();
  assert_true(run.post(0));
  run.take_all(1);
  assert_true(seconds() - began >= 0.05);
}

}  // namespace

int main(int argc, char **argv) {
  const CMUnitTest tests[] = {
      cmocka_unit_test(eagain__every_third_post__is_refused_and_all_bytes_arrive),
      cmocka_unit_test(reorder__completions__come_out_of_order_each_once),
      cmocka_unit_test(ooo__operations__run_out_of_order_each_once),
      cmocka_unit_test(queue__of_four__holds_four),
      cmocka_unit_test(error__fifth_operation__fails_with_the_providers_code_and_no_other),
      cmocka_unit_test(die__after_twenty_operations__the_rest_fails_and_the_event_queue_tells),
      cmocka_unit_test(stall__after_ten_operations__nothing_moves_for_that_long),
      cmocka_unit_test(rate__of_a_slow_rail__is_kept),
      cmocka_unit_test(latency__of_every_operation__is_kept),
  };
  for (const CMUnitTest &test : tests) {
    if (argc != 2 || strncmp(test.name, argv[1], strlen(argv[1])) != 0) continue;
    const CMUnitTest one[] = {test};
    return cmocka_run_group_tests(one, nullptr, nullptr);
  }
  fprintf(stderr, "which fault? give the first word of a test's name\n");
  return 2;
}
