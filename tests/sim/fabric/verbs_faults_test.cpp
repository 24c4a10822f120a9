// SPDX-License-Identifier: Apache-2.0
// Faults of a simulated verbs NIC. They come from the environment of the process, so each test is one run of this
// program with the fault's name as its argument.
#include "verbs_node.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

using namespace pirn::sim_nic;

namespace {

constexpr size_t piece = 1024, pieces = 64;
// enum ibv_wc_status
constexpr int flushed = 5, retries_exceeded = 12, receiver_not_ready = 13;

double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Writes over one connection; completions must come in the order of the posts.
struct Run {
  Link link;
  Memory from{link.initiator, piece * pieces, both_local}, to{link.target, piece * pieces, both_remote};
  fi_context2 contexts[pieces];
  size_t refused = 0;
  std::vector<Result> results;

  Run() { link.connect(); }
  bool post(size_t i) {
    ssize_t rc = link.write(from, i * piece, piece, to.address(i * piece), to.key(), &contexts[i]);
    if (rc == -FI_EAGAIN) refused++;
    assert_true(rc == 0 || rc == -FI_EAGAIN);
    return rc == 0;
  }
  void take(int milliseconds) {
    Result result = link.next(link.initiator, milliseconds);
    if (!result.context) return;
    assert_ptr_equal(result.context, &contexts[results.size()]);
    results.push_back(result);
  }
  void post_all(size_t first = 0) {
    for (size_t i = first; i < pieces; i++)
      while (!post(i)) take(1);
  }
  void take_all(size_t count = pieces) {
    while (results.size() < count) {
      size_t before = results.size();
      take(5000);
      assert_int_equal(results.size(), before + 1);
    }
  }
  // Of the first `good` operations, which succeeded, and of no others.
  void check(size_t good, int status) {
    for (size_t i = 0; i < results.size(); i++)
      assert_int_equal(results[i].provider_error, i < good ? 0 : i == good ? status : flushed);
    assert_memory_equal(from.bytes.data(), to.bytes.data(), good * piece);
    if (good < pieces) assert_memory_not_equal(from.bytes.data() + good * piece, to.bytes.data() + good * piece, piece);
  }
};

// PIRN_SIM_EAGAIN=3
void eagain__every_third_post__is_refused_and_all_bytes_arrive(void **) {
  Run run;
  run.post_all();
  run.take_all();
  assert_int_equal(run.refused, (pieces - 1) / 2);
  run.check(pieces, 0);
}

// PIRN_SIM_QUEUE=4
void queue__of_four__holds_four(void **) {
  Run run;
  assert_int_equal(run.link.initiator.info->tx_attr->size, 4);
  for (size_t i = 0; i < 4; i++) assert_true(run.post(i));
  assert_false(run.post(4));
  run.take_all(4);
  assert_true(run.post(4));
  run.take_all(5);
  run.check(5, 0);
}

// PIRN_SIM_ERROR=0:5
void error__fifth_operation__fails_and_the_connection_with_it(void **) {
  Run run;
  run.post_all();
  run.take_all();
  run.check(4, retries_exceeded);
  assert_int_equal(run.link.next_event(run.link.initiator).event, FI_SHUTDOWN);
}

// PIRN_SIM_DIE=0:20
void die__after_twenty_operations__connections_fail_and_none_is_made_again(void **) {
  Run run;
  for (size_t i = 0; i < 30; i++) {
    assert_true(run.post(i));
    run.take(5000);
  }
  assert_int_equal(run.results.size(), 30);
  run.check(20, retries_exceeded);
  Side &dead = run.link.initiator, &alive = run.link.target;
  assert_int_equal(run.link.next_event(dead).event, FI_SHUTDOWN);

  char name[16];
  size_t length = sizeof name;
  assert_int_equal(fi_getname(&run.link.listener->fid, name, &length), 0);
  dead.close_endpoint();
  dead.open_endpoint(dead.info);
  assert_int_equal(fi_connect(dead.ep, name, nullptr, 0), 0);
  assert_int_equal(run.link.next_event(dead).error, FI_ETIMEDOUT);

  fid_pep *listener = nullptr;
  free(dead.info->dest_addr);
  dead.info->dest_addr = nullptr;
  assert_int_equal(fi_passive_ep(dead.fabric, dead.info, &listener, nullptr), 0);
  assert_int_equal(fi_pep_bind(listener, &dead.eq->fid, 0), 0);
  assert_int_equal(fi_listen(listener), 0);
  length = sizeof name;
  assert_int_equal(fi_getname(&listener->fid, name, &length), 0);
  alive.close_endpoint();
  alive.info->dest_addr = malloc(length);
  memcpy(alive.info->dest_addr, name, length);
  alive.info->dest_addrlen = length;
  alive.open_endpoint(alive.info);
  assert_int_equal(fi_connect(alive.ep, name, nullptr, 0), 0);
  assert_int_equal(run.link.next_event(alive).error, FI_ETIMEDOUT);
  assert_int_equal(fi_close(&listener->fid), 0);
}

// PIRN_SIM_DIE=0:20:300
void back__300_ms_after_it_died__connections_are_made_again_and_stay(void **) {
  Run run;
  for (size_t i = 0; i < 30; i++) {
    assert_true(run.post(i));
    run.take(5000);
  }
  run.check(20, retries_exceeded);
  assert_int_equal(run.link.next_event(run.link.initiator).event, FI_SHUTDOWN);
  run.link.initiator.close_endpoint();
  run.link.target.close_endpoint();
  run.link.next(run.link.initiator, 400);
  run.link.initiator.events.clear();
  run.link.target.events.clear();

  run.link.connect();
  run.results.clear();
  run.post_all();
  run.take_all();
  run.check(pieces, 0);
}

// PIRN_SIM_STALL=0:10:300
void stall__after_ten_operations__nothing_moves_for_that_long(void **) {
  Run run;
  double began = seconds();
  for (size_t i = 0; i < 10; i++) assert_true(run.post(i));
  run.take_all(10);
  run.post_all(10);
  assert_null(run.link.next(run.link.initiator, 100).context);
  run.take_all();
  assert_true(seconds() - began >= 0.3);
  run.check(pieces, 0);
}

// PIRN_SIM_RATE=0.001: 125 bytes per ms, so 64 KiB take 524 ms.
void rate__of_a_slow_rail__is_kept(void **) {
  Run run;
  double began = seconds();
  run.post_all();
  run.take_all();
  assert_true(seconds() - began >= 0.52);
  run.check(pieces, 0);
}

// PIRN_SIM_LATENCY_US=50000
void latency__of_every_operation__is_kept(void **) {
  Run run;
  double began = seconds();
  assert_true(run.post(0));
  run.take_all(1);
  assert_true(seconds() - began >= 0.05);
}

// PIRN_SIM_RNR_MS=100
void rnr__receiver_without_receives__ends_the_connection(void **) {
  Run run;
  fi_context2 context;
  double began = seconds();
  assert_int_equal(fi_senddata(run.link.initiator.ep, run.from.bytes.data(), 8, run.from.descriptor(), 1, 0, &context),
                   0);
  assert_true(run.post(0));
  Result done = run.link.next(run.link.initiator);
  assert_ptr_equal(done.context, &context);
  assert_int_equal(done.error, FI_EIO);
  assert_int_equal(done.provider_error, receiver_not_ready);
  assert_true(seconds() - began >= 0.1);
  run.take(5000);
  assert_int_equal(run.results.size(), 1);
  assert_int_equal(run.results[0].provider_error, flushed);
  assert_int_equal(run.link.next_event(run.link.initiator).event, FI_SHUTDOWN);
}

}  // namespace

int main(int argc, char **argv) {
  const CMUnitTest tests[] = {
      cmocka_unit_test(eagain__every_third_post__is_refused_and_all_bytes_arrive),
      cmocka_unit_test(queue__of_four__holds_four),
      cmocka_unit_test(error__fifth_operation__fails_and_the_connection_with_it),
      cmocka_unit_test(die__after_twenty_operations__connections_fail_and_none_is_made_again),
      cmocka_unit_test(back__300_ms_after_it_died__connections_are_made_again_and_stay),
      cmocka_unit_test(stall__after_ten_operations__nothing_moves_for_that_long),
      cmocka_unit_test(rate__of_a_slow_rail__is_kept),
      cmocka_unit_test(latency__of_every_operation__is_kept),
      cmocka_unit_test(rnr__receiver_without_receives__ends_the_connection),
  };
  for (const CMUnitTest &test : tests) {
    if (argc != 2 || strncmp(test.name, argv[1], strlen(argv[1])) != 0) continue;
    const CMUnitTest one[] = {test};
    return cmocka_run_group_tests(one, nullptr, nullptr);
  }
  fprintf(stderr, "which fault? give the first word of a test's name\n");
  return 2;
}
