// SPDX-License-Identifier: Apache-2.0
// Transfers that go well, over a fabric that makes it hard: refused posts, small queues, short messages,
// completions out of order.
#include "rig.h"

#include <algorithm>

using namespace pirn;
using namespace pirn::core;

namespace {

constexpr size_t whole = 1 << 20;

void expect_ok(const pirn_result &result, uint64_t bytes) {
  if (result.status != PIRN_OK) fail_test("status %d: %s", result.status, result.text);
  assert_int_equal(result.bytes, bytes);
}

// B's memory after writes of [from, from + length) of A's memory to `to`, and nothing else.
struct Expected {
  explicit Expected(Rig &rig_in) : rig(rig_in), bytes(rig_in.b.memory) {}
  void written(uint64_t from, uint64_t to, uint64_t length) {
    std::copy_n(rig.a.memory.begin() + static_cast<ptrdiff_t>(from), length, bytes.begin() + static_cast<ptrdiff_t>(to));
  }
  void check(const char *what) { assert_bytes(rig.b.memory.data(), bytes.data(), bytes.size(), what); }
  Rig &rig;
  std::vector<std::byte> bytes;
};

void write__eagain_bursts__all_bytes_arrive(void **) {
  Rig rig({.settings = {"CHUNK_SIZE=4096"}});
  Expected expected(rig);
  rig.fake.again_every(7, 4);
  std::vector<pirn_transfer> ids;
  for (uint64_t i = 0; i < 8; ++i) {
    uint64_t length = rig.random.between(1, 131072), from = rig.random.between(0, whole - length), to = i * 131072;
    ids.push_back(rig.write(from, to, length));
    expected.written(from, to, length);
  }
  for (pirn_transfer id : ids) assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_true(rig.fake.counters().eagain > 10);
  expected.check("B");
}

void write__completions_reordered__notification_after_all_data(void **) {
  Rig rig({.settings = {"CHUNK_SIZE=4096"}});
  for (int round = 0; round < 20; ++round) {
    std::vector<std::byte> fresh = rig.random.bytes(65536);
    std::copy(fresh.begin(), fresh.end(), rig.a.memory.begin());
    Expected expected(rig);
    expected.written(0, 1000, 65536);
    std::vector<std::byte> message = rig.random.bytes(100);
    TransferOptions options;
    options.notify = message;
    rig.fake.reorder(rig.random.any() | 1);
    rig.fake.hold();
    pirn_transfer id = rig.write(0, 1000, 65536, options);
    std::vector<std::byte> got;
    for (int step = 0; step < 10000 && got.empty(); ++step) {
      rig.fake.release(rig.random.between(0, 2));
      rig.pump();
      got = rig.take_at_b();
    }
    expected.check("when the notification came");
    assert_true(got == message);
    rig.fake.reorder(0);
    rig.fake.release();
    expect_ok(rig.finish(id), 65536);
  }
}

void write__with_notification__completes_only_when_the_target_took_it_in(void **) {
  Rig rig;
  std::vector<std::byte> message = rig.random.bytes(10);
  TransferOptions options;
  options.notify = message;
  pirn_transfer id = rig.write(0, 0, 4096, options);
  for (int i = 0; i < 100; ++i) rig.a.endpoint->progress_manually();
  assert_int_equal(rig.look(id).status, PIRN_IN_PROGRESS);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 4096, "visible before the notification is taken in");
  expect_ok(rig.finish(id), 4096);
  assert_true(rig.take_at_b() == message);
  assert_true(rig.take_at_b().empty());
}

void write__longer_than_message_limit__is_split(void **) {
  RigOptions options;
  options.persona.max_message = 10000;
  Rig rig(options);
  Expected expected(rig);
  expected.written(77, 5, 99999);
  uint64_t before = rig.fake.counters().writes;
  expect_ok(rig.finish(rig.write(77, 5, 99999)), 99999);
  assert_int_equal(rig.fake.counters().writes - before, 10);
  expected.check("B");
}

void read__longer_than_chunk_size__is_split(void **) {
  Rig rig({.settings = {"CHUNK_SIZE=4096"}});
  uint64_t before = rig.fake.counters().reads;
  std::vector<std::byte> expected = rig.a.memory;
  std::copy_n(rig.b.memory.begin() + 3, 20000, expected.begin() + 11);
  expect_ok(rig.finish(rig.read(11, 3, 20000)), 20000);
  assert_int_equal(rig.fake.counters().reads - before, 5);
  assert_bytes(rig.a.memory.data(), expected.data(), expected.size(), "A");
}

void vector__more_elements_than_queue_depth__completes(void **) {
  RigOptions options;
  options.persona.transmit_size = 16;
  options.persona.local_parts = options.persona.remote_parts = 1;
  Rig rig(options);
  Expected expected(rig);
  std::vector<Segment> segments;
  uint64_t total = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    uint64_t length = rig.random.between(0, 500), from = rig.random.between(0, whole - length);
    segments.push_back(rig.segment(from, i * 512, length));
    expected.written(from, i * 512, length);
    total += length;
  }
  rig.fake.hold();
  pirn_transfer id = rig.vectored(OpKind::write, segments);
  rig.pump();
  assert_true(rig.fake.in_flight() > 0 && rig.fake.in_flight() <= 16);
  rig.fake.release();
  expect_ok(rig.finish(id), total);
  expected.check("B");
}

void max_in_flight__setting__bounds_the_messages_with_the_provider(void **) {
  Rig rig({.settings = {"MAX_IN_FLIGHT=4", "CHUNK_SIZE=4096"}});
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 65536);
  rig.pump();
  assert_true(rig.fake.in_flight() > 0 && rig.fake.in_flight() <= 4);
  rig.fake.release();
  expect_ok(rig.finish(id), 65536);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 65536, "B");
}

uint64_t messages_of(Rig &rig, uint64_t local_stride, uint64_t remote_stride) {
  Expected expected(rig);
  std::vector<Segment> segments;
  for (uint64_t i = 0; i < 64; ++i) {
    segments.push_back(rig.segment(i * local_stride, i * remote_stride, 64));
    expected.written(i * local_stride, i * remote_stride, 64);
  }
  uint64_t before = rig.fake.counters().writes;
  expect_ok(rig.finish(rig.vectored(OpKind::write, segments)), 64 * 64);
  expected.check("B");
  return rig.fake.counters().writes - before;
}

void vector__adjacent_on_both_sides__is_one_message(void **) {
  Rig rig;
  assert_int_equal(messages_of(rig, 64, 64), 1);
}

void vector__gaps__are_gathered_up_to_the_part_limits(void **) {
  Rig four;
  assert_int_equal(messages_of(four, 128, 128), 16);
  assert_int_equal(messages_of(four, 64, 128), 16);
}

void vector__gaps_and_one_part_each_way__is_a_message_an_element(void **) {
  RigOptions options;
  options.persona.local_parts = options.persona.remote_parts = 1;
  Rig rig(options);
  assert_int_equal(messages_of(rig, 128, 64), 64);
  assert_int_equal(messages_of(rig, 64, 64), 1);
}

void zero_length__completes_without_a_message(void **) {
  Rig rig;
  std::vector<std::byte> before = rig.b.memory;
  uint64_t messages = rig.fake.counters().writes + rig.fake.counters().sends;
  pirn_transfer id = rig.write(5, whole, 0);
  pirn_result result = rig.look(id);
  expect_ok(result, 0);
  assert_int_equal(rig.fake.counters().writes + rig.fake.counters().sends, messages);
  require(rig.a.endpoint->release(id), "release");
  expect_ok(rig.finish(rig.vectored(OpKind::write, {rig.segment(0, 0, 0), rig.segment(9, 9, 0)})), 0);
  assert_int_equal(rig.fake.counters().writes + rig.fake.counters().sends, messages);
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B");
}

void zero_length__with_notification__delivers_it(void **) {
  Rig rig;
  std::vector<std::byte> message = rig.random.bytes(3);
  TransferOptions options;
  options.notify = message;
  uint64_t writes = rig.fake.counters().writes;
  expect_ok(rig.finish(rig.write(0, 0, 0, options)), 0);
  assert_int_equal(rig.fake.counters().writes, writes);
  assert_true(rig.take_at_b() == message);
}

void vector__empty_elements_between_full_ones__are_skipped(void **) {
  RigOptions options;
  options.persona.local_parts = options.persona.remote_parts = 1;
  Rig rig(options);
  for (int round = 0; round < 200; ++round) {
    Expected expected(rig);
    std::vector<Segment> segments;
    uint64_t total = 0;
    for (uint64_t i = 0; i < 12; ++i) {
      uint64_t length = rig.random.between(0, 1) * rig.random.between(1, 300);
      segments.push_back(rig.segment(i * 1000, i * 700, length));
      expected.written(i * 1000, i * 700, length);
      total += length;
    }
    expect_ok(rig.finish(rig.vectored(OpKind::write, segments)), total);
    expected.check("B");
  }
}

void transfers__in_random_order_with_faults__are_exact(void **) {
  Rig rig({.settings = {"CHUNK_SIZE=4096", "MAX_IN_FLIGHT=24"}, .bytes = 65536});
  rig.fake.reorder(rig.random.any() | 1);
  rig.fake.again_every(11, 5);
  for (int round = 0; round < 60; ++round) {
    Expected expected(rig);
    std::vector<pirn_transfer> ids;
    for (uint64_t i = 0; i < 16; ++i) {
      uint64_t length = rig.random.between(0, 4096), from = rig.random.between(0, 65536 - length);
      ids.push_back(rig.write(from, i * 4096, length));
      expected.written(from, i * 4096, length);
    }
    for (size_t i = ids.size(); i-- > 1;) std::swap(ids[i], ids[rig.random.between(0, i)]);
    for (pirn_transfer id : ids) assert_int_equal(rig.finish(id).status, PIRN_OK);
    expected.check("B");
  }
}

void queued__results_come_from_the_queue_once_and_with_user_data(void **) {
  Rig rig;
  TransferOptions options;
  options.queued = true;
  for (uint64_t i = 0; i < 40; ++i) {
    options.user_data = 1000 + i;
    rig.write(i * 64, i * 64, 64, options);
  }
  std::vector<int> seen(40);
  size_t taken = 0;
  bool all = rig.until([&] {
    taken += rig.a.endpoint->poll(PIRN_POLL_NOW, 7, [&](size_t, const pirn_result &result) {
      expect_ok(result, 64);
      ++seen[result.user_data - 1000];
    });
    return taken >= 40;
  });
  assert_true(all);
  for (int count : seen) assert_int_equal(count, 1);
  assert_int_equal(rig.a.endpoint->poll(PIRN_POLL_NOW, 7, [](size_t, const pirn_result &) {}), 0);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 40 * 64, "B");
}

void max_transfers__reached__refuses_until_one_is_released(void **) {
  Rig rig({.settings = {"MAX_TRANSFERS=3"}});
  pirn_transfer ids[3], more = 7;
  for (pirn_transfer &id : ids) id = rig.write(0, 0, 8);
  Status refused = rig.a.endpoint->transfer(OpKind::write, rig.segment(0, 0, 8), {}, &more);
  assert_int_equal(refused.code, PIRN_ERR_AGAIN);
  assert_contains(refused.text, "PIRN_MAX_TRANSFERS");
  expect_ok(rig.finish(ids[0]), 8);
  expect_ok(rig.finish(rig.write(0, 0, 8)), 8);
}

void prepared__post_select__pairs_what_the_indices_say(void **) {
  Rig rig;
  std::vector<Segment> segments;
  for (uint64_t i = 0; i < 100; ++i) segments.push_back(rig.segment(i * 256, 50000 + i * 256, 100));
  Prepared *prepared = must(rig.a.endpoint->prepare(OpKind::write, segments), "prepare");
  for (int round = 0; round < 50; ++round) {
    Expected expected(rig);
    std::vector<uint32_t> local(rig.random.between(1, 100)), remote(local.size());
    std::vector<uint32_t> order(100);
    for (uint32_t i = 0; i < 100; ++i) order[i] = i;
    for (size_t i = 100; i-- > 1;) std::swap(order[i], order[rig.random.between(0, i)]);
    for (size_t i = 0; i < local.size(); ++i) {
      local[i] = static_cast<uint32_t>(rig.random.between(0, 99));
      remote[i] = order[i];
      expected.written(local[i] * 256, 50000 + remote[i] * 256, 100);
    }
    pirn_transfer id = 0;
    require(rig.a.endpoint->post(*prepared, local.data(), remote.data(), static_cast<uint32_t>(local.size()), {}, &id),
            "post");
    expect_ok(rig.finish(id), local.size() * 100);
    expected.check("B");
  }
  require(rig.a.endpoint->release(prepared), "release");
  require(rig.a.endpoint->close(rig.a.window), "nothing uses the window any more");
}

void prepared__posted_several_times_at_once__each_is_whole(void **) {
  Rig rig;
  std::vector<Segment> segments;
  for (uint64_t i = 0; i < 10; ++i) segments.push_back(rig.segment(i * 200, i * 300, 150));
  Prepared *prepared = must(rig.a.endpoint->prepare(OpKind::write, segments), "prepare");
  Expected expected(rig);
  for (uint64_t i = 0; i < 10; ++i) expected.written(i * 200, i * 300, 150);
  rig.fake.hold();
  pirn_transfer ids[3];
  for (pirn_transfer &id : ids) require(rig.a.endpoint->post(*prepared, nullptr, nullptr, 0, {}, &id), "post");
  assert_int_equal(rig.a.endpoint->release(prepared).code, PIRN_ERR_BUSY);
  rig.fake.release();
  for (pirn_transfer id : ids) expect_ok(rig.finish(id), 1500);
  expected.check("B");
  require(rig.a.endpoint->release(prepared), "release");
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(write__eagain_bursts__all_bytes_arrive),
      cmocka_unit_test(write__completions_reordered__notification_after_all_data),
      cmocka_unit_test(write__with_notification__completes_only_when_the_target_took_it_in),
      cmocka_unit_test(write__longer_than_message_limit__is_split),
      cmocka_unit_test(read__longer_than_chunk_size__is_split),
      cmocka_unit_test(vector__more_elements_than_queue_depth__completes),
      cmocka_unit_test(max_in_flight__setting__bounds_the_messages_with_the_provider),
      cmocka_unit_test(vector__adjacent_on_both_sides__is_one_message),
      cmocka_unit_test(vector__gaps__are_gathered_up_to_the_part_limits),
      cmocka_unit_test(vector__gaps_and_one_part_each_way__is_a_message_an_element),
      cmocka_unit_test(zero_length__completes_without_a_message),
      cmocka_unit_test(zero_length__with_notification__delivers_it),
      cmocka_unit_test(vector__empty_elements_between_full_ones__are_skipped),
      cmocka_unit_test(transfers__in_random_order_with_faults__are_exact),
      cmocka_unit_test(queued__results_come_from_the_queue_once_and_with_user_data),
      cmocka_unit_test(max_transfers__reached__refuses_until_one_is_released),
      cmocka_unit_test(prepared__post_select__pairs_what_the_indices_say),
      cmocka_unit_test(prepared__posted_several_times_at_once__each_is_whole),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
