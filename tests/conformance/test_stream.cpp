// SPDX-License-Identifier: Apache-2.0
// Transfers that a device's stream posts and waits for; memory lies where PIRN_TEST_MEMORY and PIRN_TEST_PEER_MEMORY say.
#include "gpu_stream.h"
#include "harness.h"

#include <csignal>
#include <cstring>
#include <vector>

using namespace pirn_test;

namespace {

pirn_trigger_info info_of(pirn_trigger *trigger) {
  pirn_trigger_info info{};
  info.struct_size = sizeof info;
  EXPECT_OK(pirn_trigger_get_info(trigger, &info));
  return info;
}

// Both ends, cut into blocks; the list turns their order round at the other end.
struct Rig {
  explicit Rig(void **state, uint32_t progress = PIRN_PROGRESS_DEFAULT) : pair(pair_of(state)) {
    OpenOptions options;
    options.progress = progress;  // of the own end
    pair.open(options);
    pair.spawn().open();
    peer = pair.connect(pair.target());
    block = pair.random.between(1, 5000);
    count = pair.random.between(1, 40);
    size = block * count;
    remote = pair.remote(pair.target(), peer, size, 1);
    local = &pair.memory(size, 2);
  }
  uint8_t *own() const { return local->place ? local->place->address() : local->buffer.at(0); }
  pirn_prepared *prepare(uint32_t operation) const {
    std::vector<pirn_segment> list(count);
    for (uint64_t i = 0; i < count; ++i)
      list[i] = {local->region, i * block, remote.window, (count - 1 - i) * block, block};
    pirn_prepared *prepared = nullptr;
    EXPECT_OK(pirn_transfer_prepare(operation, list.data(), count, &prepared));
    return prepared;
  }
  pirn_trigger *trigger(uint32_t operation, const pirn_transfer_params *params = nullptr) {
    lists.push_back(prepare(operation));
    pirn_trigger *made = nullptr;
    EXPECT_OK(pirn_trigger_create(lists.back(), params, &made));
    triggers.push_back(made);
    return made;
  }
  // The other end holds what the own one held as the pattern of `seed`.
  void expect_written(uint64_t seed) {
    for (uint64_t i = 0; i < count; i += count / 4 + 1)
      EXPECT_MATCH(pair.target().check(remote.buffer, (count - 1 - i) * block, block, seed, i * block));
  }
  void end() {
    for (pirn_trigger *trigger : triggers) EXPECT_OK(pirn_trigger_release(trigger));
    for (pirn_prepared *list : lists) EXPECT_OK(pirn_prepared_release(list));
  }

  Pair &pair;
  pirn_peer *peer = nullptr;
  uint64_t block = 0, count = 0, size = 0;
  Remote remote;
  const Memory *local = nullptr;
  std::vector<pirn_prepared *> lists;
  std::vector<pirn_trigger *> triggers;
};

void post(GpuStream &stream, pirn_trigger *trigger) { EXPECT_OK(pirn_stream_post(trigger, stream.handle())); }
void wait_for(GpuStream &stream, pirn_trigger *trigger) { EXPECT_OK(pirn_stream_wait(trigger, stream.handle())); }

void stream__write_behind_a_copy__takes_the_bytes_of_the_copy(void **state) {
  Rig rig(state);
  GpuStream stream;
  PinnedBytes fresh(rig.size);
  pirn_trigger *write = rig.trigger(PIRN_WRITE);
  for (uint64_t round = 1; round <= 20; ++round) {
    fill_pattern(fresh.data(), rig.size, 100 + round);
    stream.copy(rig.own(), fresh.data(), rig.size);
    post(stream, write);
    wait_for(stream, write);
    assert_true(stream.done_within(30000));
    rig.expect_written(100 + round);
    const pirn_trigger_info info = info_of(write);
    assert_int_equal(info.posts, round);
    assert_int_equal(info.failed, 0);
    assert_int_equal(info.status, PIRN_OK);
    assert_int_equal(*info.device_status, PIRN_OK);
    assert_true(strlen(info.path) > 0);
  }
  rig.end();
}

void stream__copy_behind_a_read__finds_the_bytes_that_were_read(void **state) {
  Rig rig(state);
  GpuStream stream;
  PinnedBytes seen(rig.size);
  pirn_trigger *read = rig.trigger(PIRN_READ);
  for (uint64_t round = 1; round <= 20; ++round) {
    rig.pair.target().fill(rig.remote.buffer, 0, rig.size, 200 + round);
    post(stream, read);
    wait_for(stream, read);
    stream.copy(seen.data(), rig.own(), rig.size);
    assert_true(stream.done_within(30000));
    for (uint64_t i = 0; i < rig.count; ++i)
      EXPECT_MATCH(find_mismatch(seen.data() + i * rig.block, rig.block, 200 + round, (rig.count - 1 - i) * rig.block));
  }
  rig.end();
}

void stream__three_posts_without_a_wait__all_are_made_one_after_another(void **state) {
  Rig rig(state);
  GpuStream stream;
  pirn_trigger *write = rig.trigger(PIRN_WRITE), *read = rig.trigger(PIRN_READ);
  for (int i = 0; i < 3; ++i) post(stream, write);
  post(stream, read);
  for (int i = 0; i < 3; ++i) post(stream, write);
  wait_for(stream, write);
  wait_for(stream, read);
  assert_true(stream.done_within(30000));
  assert_int_equal(info_of(write).posts, 6);
  assert_int_equal(info_of(read).posts, 1);
  rig.end();
}

void stream__graph_replayed_a_thousand_times__each_takes_the_bytes_of_its_day(void **state) {
  Rig rig(state);
  GpuStream stream;
  PinnedBytes fresh(rig.size), seen(rig.size);
  pirn_trigger *write = rig.trigger(PIRN_WRITE), *read = rig.trigger(PIRN_READ);
  stream.begin_capture();
  stream.copy(rig.own(), fresh.data(), rig.size);
  post(stream, write);
  wait_for(stream, write);
  post(stream, read);
  wait_for(stream, read);
  stream.copy(seen.data(), rig.own(), rig.size);
  void *graph = stream.end_capture();
  assert_int_equal(info_of(write).posts, 0);  // captured, not run
  uint64_t eager = 0;
  for (uint64_t round = 0; round < 1000; ++round) {
    fill_pattern(fresh.data(), rig.size, round);
    memset(seen.data(), 0, rig.size);
    stream.launch(graph);
    if (round % 10 == 0) {  // mixed with eager use
      post(stream, write);
      wait_for(stream, write);
      ++eager;
    }
    assert_true(stream.done_within(30000));
    EXPECT_MATCH(find_mismatch(seen.data(), rig.size, round));
    if (round % 50 == 0) rig.expect_written(round);
  }
  assert_int_equal(info_of(write).posts, 1000 + eager);
  assert_int_equal(info_of(read).posts, 1000);
  assert_int_equal(info_of(write).failed + info_of(read).failed, 0);
  GpuStream::destroy(graph);
  rig.end();
}

void stream__two_replays_in_flight__none_is_lost(void **state) {
  Rig rig(state);
  GpuStream stream;
  pirn_trigger *write = rig.trigger(PIRN_WRITE);
  stream.begin_capture();
  post(stream, write);
  void *graph = stream.end_capture();
  for (int i = 0; i < 200; ++i) stream.launch(graph);
  wait_for(stream, write);
  assert_true(stream.done_within(60000));
  assert_int_equal(info_of(write).posts, 200);
  GpuStream::destroy(graph);
  rig.end();
}

void stream__nobody_makes_progress__calls_return_and_the_stream_waits(void **state) {
  Rig rig(state, PIRN_PROGRESS_MANUAL);
  GpuStream stream;
  pirn_trigger *write = rig.trigger(PIRN_WRITE);
  fill_pattern(rig.local->buffer.at(0), rig.size, 5);
  rig.local->push(0, rig.size);
  const uint64_t before = clock_now();
  post(stream, write);
  wait_for(stream, write);
  assert_true(clock_now() - before < at_most(second));
  sleep_ms(50);
  assert_false(stream.done());
  assert_true(wait_until(30000, [&] {
    (void)pirn_endpoint_progress(rig.pair.endpoint(), nullptr);
    return stream.done();
  }));
  rig.expect_written(5);
  rig.end();
}

void stream__window_is_withdrawn__stream_goes_on_and_the_status_tells(void **state) {
  Rig rig(state);
  GpuStream stream;
  PinnedBytes status(sizeof(int64_t));
  pirn_trigger *write = rig.trigger(PIRN_WRITE);
  EXPECT_OK(rig.pair.target().withdraw(rig.remote.buffer, rig.remote.window_id, 10 * second));
  rig.pair.target().fill(rig.remote.buffer, 0, rig.size, 77);
  post(stream, write);
  wait_for(stream, write);
  stream.copy(status.data(), info_of(write).device_status, sizeof(int64_t));  // as a kernel would see it
  assert_true(stream.done_within(30000));
  int64_t seen = 0;
  memcpy(&seen, status.data(), sizeof seen);
  const pirn_trigger_info info = info_of(write);
  assert_int_equal(info.status, PIRN_ERR_WINDOW_GONE);
  assert_int_equal(seen, PIRN_ERR_WINDOW_GONE);
  assert_int_equal(info.posts, 1);
  assert_int_equal(info.failed, 1);
  assert_non_null(strstr(info.text, "withdrawn"));
  EXPECT_MATCH(rig.pair.target().check(rig.remote.buffer, 0, rig.size, 77));
  rig.end();
}

void stream__peer_is_killed__streams_go_on(void **state) {
  Rig rig(state);
  GpuStream stream;
  pirn_trigger *write = rig.trigger(PIRN_WRITE);
  rig.pair.target().kill_now();
  // The first may still reach memory that is mapped here; those behind the loss may not.
  assert_true(wait_until(30000, [&] {
    post(stream, write);
    wait_for(stream, write);
    return !stream.done_within(30000) || info_of(write).status != PIRN_OK;
  }));
  assert_true(stream.done());
  assert_int_equal(info_of(write).status, PIRN_ERR_PEER_LOST);
  rig.end();
}

void stream__cancelled_or_released_while_it_waits__goes_on(void **state) {
  Rig rig(state, PIRN_PROGRESS_MANUAL);
  GpuStream stream;
  pirn_trigger *write = rig.trigger(PIRN_WRITE);
  EXPECT_OK(pirn_trigger_cancel(write));  // nothing is at work
  assert_int_equal(info_of(write).posts, 0);
  post(stream, write);
  wait_for(stream, write);
  sleep_ms(20);
  assert_false(stream.done());
  const pirn_status ended = pirn_trigger_cancel(write);
  if (ended != PIRN_OK) assert_int_equal(ended, PIRN_ERR_CANCELLED);
  assert_true(stream.done_within(30000));
  assert_int_equal(info_of(write).status, ended);
  assert_int_equal(*info_of(write).device_status, ended);
  post(stream, write);
  wait_for(stream, write);
  sleep_ms(20);
  assert_false(stream.done());
  rig.end();
  assert_true(stream.done_within(30000));
}

void stream__endpoint_closes_while_it_waits__goes_on(void **state) {
  Rig rig(state, PIRN_PROGRESS_MANUAL);
  GpuStream stream;
  pirn_trigger *write = rig.trigger(PIRN_WRITE);
  post(stream, write);
  wait_for(stream, write);
  sleep_ms(20);
  assert_false(stream.done());
  rig.pair.own.close();
  assert_true(stream.done_within(30000));
}

void stream__waits_for_a_transfer_of_the_host__finds_its_bytes(void **state) {
  Rig rig(state);
  GpuStream stream;
  PinnedBytes seen(rig.size);
  for (uint64_t round = 0; round < 100; ++round) {
    rig.pair.target().fill(rig.remote.buffer, 0, rig.size, 300 + round);
    pirn_transfer id = 0;
    EXPECT_OK(pirn_read(rig.local->region, 0, rig.remote.window, 0, rig.size, nullptr, &id));
    EXPECT_OK(pirn_stream_wait_transfer(rig.pair.endpoint(), id, stream.handle()));
    stream.copy(seen.data(), rig.own(), rig.size);
    assert_true(stream.done_within(30000));
    EXPECT_MATCH(find_mismatch(seen.data(), rig.size, 300 + round));
    EXPECT_OK(pirn_transfer_wait(rig.pair.endpoint(), id, second, nullptr));
    EXPECT_OK(pirn_transfer_release(rig.pair.endpoint(), id));
    EXPECT_ERROR(PIRN_ERR_INVALID, pirn_stream_wait_transfer(rig.pair.endpoint(), id, stream.handle()), "released");
  }
  pirn_transfer id = 0;
  EXPECT_OK(pirn_read(rig.local->region, 0, rig.remote.window, 0, rig.size, nullptr, &id));
  stream.begin_capture();
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_stream_wait_transfer(rig.pair.endpoint(), id, stream.handle()), "captured");
  GpuStream::destroy(stream.end_capture());
  EXPECT_OK(pirn_transfer_wait(rig.pair.endpoint(), id, 30 * second, nullptr));
  EXPECT_OK(pirn_transfer_release(rig.pair.endpoint(), id));
}

void stream__wrong_use__is_refused_with_the_reason(void **state) {
  Rig rig(state);
  GpuStream stream;
  pirn_prepared *list = rig.prepare(PIRN_WRITE);
  pirn_trigger *trigger = nullptr;
  const pirn_transfer_params queued = params_with(second, PIRN_TRANSFER_QUEUED);
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_trigger_create(list, &queued, &trigger), "PIRN_TRANSFER_QUEUED");
  assert_null(trigger);
  pirn_transfer_params elsewhere = params_with(second);
  elsewhere.path = two_processes() ? "self" : "ipc";
  EXPECT_ERROR(PIRN_ERR_UNAVAILABLE, pirn_trigger_create(list, &elsewhere, &trigger), elsewhere.path);
  EXPECT_OK(pirn_trigger_create(list, nullptr, &trigger));
  EXPECT_ERROR(PIRN_ERR_BUSY, pirn_prepared_release(list), "1 triggers");
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_stream_post(nullptr, stream.handle()), "trigger");
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_stream_wait(nullptr, stream.handle()), "trigger");
  wait_for(stream, trigger);  // there was no post
  assert_true(stream.done_within(30000));
  EXPECT_OK(pirn_trigger_release(trigger));
  EXPECT_OK(pirn_prepared_release(list));
}

}  // namespace

int main(int argc, char **argv) {
  std::vector<CMUnitTest> tests{
      CASE(stream__write_behind_a_copy__takes_the_bytes_of_the_copy),
      CASE(stream__copy_behind_a_read__finds_the_bytes_that_were_read),
      CASE(stream__three_posts_without_a_wait__all_are_made_one_after_another),
      CASE(stream__graph_replayed_a_thousand_times__each_takes_the_bytes_of_its_day),
      CASE(stream__two_replays_in_flight__none_is_lost),
      CASE(stream__nobody_makes_progress__calls_return_and_the_stream_waits),
      CASE(stream__window_is_withdrawn__stream_goes_on_and_the_status_tells),
      CASE(stream__cancelled_or_released_while_it_waits__goes_on),
      CASE(stream__endpoint_closes_while_it_waits__goes_on),
      CASE(stream__waits_for_a_transfer_of_the_host__finds_its_bytes),
      CASE(stream__wrong_use__is_refused_with_the_reason),
  };
  if (two_processes()) tests.push_back(CASE(stream__peer_is_killed__streams_go_on));
  return run(argc, argv, "stream", tests);
}
