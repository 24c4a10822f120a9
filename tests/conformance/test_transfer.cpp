// SPDX-License-Identifier: Apache-2.0
// Writes and reads: every size, vectors, prepared lists, each way to learn of the end.
#include "harness.h"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace pirn_test;

namespace {

constexpr uint64_t sizes[] = {0, 1, 7, 8, 4095, 4096, 4097, 65535, (1 << 20) + 3, 32 << 20};

// One write or read of each size at random offsets; the bytes around stay as they were.
void every_size(Pair &pair, bool read, bool blocking) {
  pirn_peer *peer = pair.start();
  Target &target = pair.target();
  const uint64_t room = (32 << 20) + 8192;
  const Remote remote = pair.remote(target, peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  for (const uint64_t size : sizes) {
    const uint64_t here = pair.random.below(room - size), there = pair.random.below(room - size);
    const uint64_t seed = pair.random.next();
    if (read) target.fill(remote.buffer, there, size, seed);
    else fill_pattern(local.buffer.at(here), size, seed);
    const auto call = read ? pirn_read : pirn_write;
    if (blocking) {
      EXPECT_OK(call(local.region, here, remote.window, there, size, nullptr, nullptr));
    } else {
      pirn_transfer id = 0;
      EXPECT_OK(call(local.region, here, remote.window, there, size, nullptr, &id));
      assert_int_not_equal(id, 0);
      EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 20 * second, nullptr));
      EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    }
    EXPECT_MATCH(find_mismatch(local.buffer.at(here), size, seed));
    EXPECT_MATCH(target.check(remote.buffer, there, size, seed));
    // Back to the first content, which shows what else was touched.
    fill_pattern(local.buffer.data(), room, 2);
    target.fill(remote.buffer, 0, room, 1);
  }
}

void write__every_size_blocking__bytes_arrive(void **state) { every_size(pair_of(state), false, true); }
void write__every_size_non_blocking__bytes_arrive(void **state) { every_size(pair_of(state), false, false); }
void read__every_size_blocking__bytes_arrive(void **state) { every_size(pair_of(state), true, true); }
void read__every_size_non_blocking__bytes_arrive(void **state) { every_size(pair_of(state), true, false); }

void write_and_read__neighbouring_bytes__stay_unchanged(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  Target &target = pair.target();
  const uint64_t room = 100000;
  const Remote remote = pair.remote(target, peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  for (int round = 0; round < 50; ++round) {
    const uint64_t size = pair.random.below(5000);
    const uint64_t here = pair.random.below(room - size), there = pair.random.below(room - size);
    EXPECT_OK(pirn_write(local.region, here, remote.window, there, size, nullptr, nullptr));
    EXPECT_MATCH(target.check(remote.buffer, 0, there, 1));
    EXPECT_MATCH(target.check(remote.buffer, there, size, 2, here));
    EXPECT_MATCH(target.check(remote.buffer, there + size, room - there - size, 1, there + size));
    target.fill(remote.buffer, 0, room, 1);
    EXPECT_OK(pirn_read(local.region, here, remote.window, there, size, nullptr, nullptr));
    EXPECT_MATCH(find_mismatch(local.buffer.data(), here, 2));
    EXPECT_MATCH(find_mismatch(local.buffer.at(here), size, 1, there));
    EXPECT_MATCH(find_mismatch(local.buffer.at(here + size), room - here - size, 2, here + size));
    fill_pattern(local.buffer.data(), room, 2);
  }
}

// ---- vectors ----

// Disjoint pieces in shuffled order, over several regions and windows, random gaps.
void vector_of(Pair &pair, bool read, uint64_t count, uint64_t largest) {
  pirn_peer *peer = pair.start();
  Target &target = pair.target();
  constexpr uint64_t parts = 4;
  const uint64_t slot = largest + 16, each = (count + parts - 1) / parts * slot;
  Remote remotes[parts];
  Memory *locals[parts];
  for (uint64_t i = 0; i < parts; ++i) {
    remotes[i] = pair.remote(target, peer, each, 50 + i);
    locals[i] = &pair.memory(each, 90 + i);
  }
  std::vector<pirn_segment> segments;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = i / parts * slot;
    segments.push_back({locals[i % parts]->region, at + pair.random.below(16), remotes[(i + 1) % parts].window,
                        at + pair.random.below(16), pair.random.below(largest + 1)});
  }
  for (uint64_t i = count - 1; i > 0; --i) std::swap(segments[i], segments[pair.random.below(i + 1)]);

  EXPECT_OK((read ? pirn_readv : pirn_writev)(segments.data(), count, nullptr, nullptr));

  // Contents before: pattern 90+k here, 50+k there. A check of the written side costs a command each, so a sample.
  for (uint64_t i = 0; i < count; ++i) {
    const pirn_segment &s = segments[i];
    uint64_t here = 0, there = 0;
    while (locals[here]->region != s.region) ++here;
    while (remotes[there].window != s.window) ++there;
    if (read) {
      EXPECT_MATCH(find_mismatch(locals[here]->buffer.at(s.local_offset), s.length, 50 + there, s.remote_offset));
    } else if (count <= 1000 || i % (count / 1000) == 0) {
      EXPECT_MATCH(target.check(remotes[there].buffer, s.remote_offset, s.length, 90 + here, s.local_offset));
    }
  }
}

// PIRN_TEST_VECTOR: fewer, over NICs on which so many would take minutes.
uint64_t hundred_thousand() {
  const std::string fewer = variable("PIRN_TEST_VECTOR", "");
  if (fewer.empty()) return 100000;
  std::printf("  PIRN_TEST_VECTOR: %s elements\n", fewer.c_str());
  return std::strtoull(fewer.c_str(), nullptr, 10);
}

void writev__one_element__arrives(void **state) { vector_of(pair_of(state), false, 1, 5000); }
void writev__five_mixed_regions__arrive(void **state) { vector_of(pair_of(state), false, 5, 5000); }
void writev__a_thousand_mixed_regions__arrive(void **state) { vector_of(pair_of(state), false, 1000, 5000); }
void writev__a_hundred_thousand__arrive(void **state) { vector_of(pair_of(state), false, hundred_thousand(), 64); }
void readv__one_element__arrives(void **state) { vector_of(pair_of(state), true, 1, 5000); }
void readv__five_mixed_regions__arrive(void **state) { vector_of(pair_of(state), true, 5, 5000); }
void readv__a_thousand_mixed_regions__arrive(void **state) { vector_of(pair_of(state), true, 1000, 5000); }
void readv__a_hundred_thousand__arrive(void **state) { vector_of(pair_of(state), true, hundred_thousand(), 64); }

void writev__one_element_out_of_range__nothing_starts(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 1000, 1);
  const Memory &local = pair.memory(1000, 2);
  const pirn_segment segments[] = {{local.region, 0, remote.window, 0, 100},
                                   {local.region, 100, remote.window, 950, 51},
                                   {local.region, 200, remote.window, 200, 100}};
  pirn_transfer id = 77;
  EXPECT_ERROR(PIRN_ERR_RANGE, pirn_writev(segments, 3, nullptr, &id), "1");
  assert_int_equal(id, 0);
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, 1000, 1));
}

void writev__no_elements_or_too_many__are_invalid(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 8, 1);
  const Memory &local = pair.memory(8, 2);
  const std::vector<pirn_segment> many(PIRN_VECTOR_MAX + 1, {local.region, 0, remote.window, 0, 1});
  assert_true(pirn_writev(many.data(), many.size(), nullptr, nullptr) < 0);
  assert_true(pirn_writev(nullptr, 1, nullptr, nullptr) < 0);
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, 8, 1));
}

// ---- prepared ----

struct Prepared {
  Pair &pair;
  Remote remote;
  Memory *local;
  pirn_prepared *list = nullptr;
  static constexpr uint64_t count = 64, each = 700;

  explicit Prepared(Pair &p, uint32_t operation = PIRN_WRITE) : pair(p) {
    pirn_peer *peer = pair.start();
    remote = pair.remote(pair.target(), peer, count * each, 1);
    local = &pair.memory(count * each, 2);
    std::vector<pirn_segment> segments;
    for (uint64_t i = 0; i < count; ++i) segments.push_back({local->region, i * each, remote.window, i * each, each});
    EXPECT_OK(pirn_transfer_prepare(operation, segments.data(), count, &list));
  }
  void done() const { EXPECT_OK(pirn_prepared_release(list)); }
};

void prepared__posted_again_with_other_content__arrives_each_time(void **state) {
  Prepared p(pair_of(state));
  for (uint64_t round = 0; round < 20; ++round) {
    fill_pattern(p.local->buffer.data(), p.count * p.each, 1000 + round);
    EXPECT_OK(pirn_prepared_post(p.list, nullptr, nullptr));
    EXPECT_MATCH(p.pair.target().check(p.remote.buffer, 0, p.count * p.each, 1000 + round));
  }
  p.done();
}

void prepared__read_list__arrives(void **state) {
  Prepared p(pair_of(state), PIRN_READ);
  EXPECT_OK(pirn_prepared_post(p.list, nullptr, nullptr));
  EXPECT_MATCH(find_mismatch(p.local->buffer.data(), p.count * p.each, 1));
  p.done();
}

void post_select__chosen_elements__only_those_arrive(void **state) {
  Prepared p(pair_of(state));
  const uint32_t chosen[] = {5, 0, 63, 17};
  EXPECT_OK(pirn_prepared_post_select(p.list, chosen, nullptr, 4, nullptr, nullptr));
  for (uint64_t i = 0; i < p.count; ++i) {
    const bool sent = std::count(std::begin(chosen), std::end(chosen), i) > 0;
    EXPECT_MATCH(p.pair.target().check(p.remote.buffer, i * p.each, p.each, sent ? 2 : 1, i * p.each));
  }
  p.done();
}

void post_select__other_remote_elements__land_there(void **state) {
  Prepared p(pair_of(state));
  const uint32_t here[] = {1, 2, 3}, there[] = {30, 20, 10};
  EXPECT_OK(pirn_prepared_post_select(p.list, here, there, 3, nullptr, nullptr));
  for (int i = 0; i < 3; ++i) {
    EXPECT_MATCH(p.pair.target().check(p.remote.buffer, there[i] * p.each, p.each, 2, here[i] * p.each));
    EXPECT_MATCH(p.pair.target().check(p.remote.buffer, here[i] * p.each, p.each, 1, here[i] * p.each));
  }
  p.done();
}

void post_select__bad_index__is_range_and_changes_nothing(void **state) {
  Prepared p(pair_of(state));
  const uint32_t good[] = {1, 2}, bad[] = {1, 64};
  EXPECT_ERROR(PIRN_ERR_RANGE, pirn_prepared_post_select(p.list, bad, nullptr, 2, nullptr, nullptr), "64");
  EXPECT_ERROR(PIRN_ERR_RANGE, pirn_prepared_post_select(p.list, good, bad, 2, nullptr, nullptr), "64");
  assert_true(pirn_prepared_post_select(p.list, good, nullptr, 65, nullptr, nullptr) < 0);
  EXPECT_MATCH(p.pair.target().check(p.remote.buffer, 0, p.count * p.each, 1));
  p.done();
}

void prepared__several_posts_at_once__all_complete_and_release_is_busy_meanwhile(void **state) {
  Prepared p(pair_of(state));
  std::vector<pirn_transfer> ids(20);
  bool released = false;  // where all were through before the call
  for (auto &id : ids) EXPECT_OK(pirn_prepared_post(p.list, nullptr, &id));
  if (pirn_transfer_test(p.pair.endpoint(), ids.back(), nullptr) == PIRN_IN_PROGRESS) {
    released = pirn_prepared_release(p.list) != PIRN_ERR_BUSY;
    if (released) assert_int_equal(pirn_transfer_test(p.pair.endpoint(), ids.back(), nullptr), PIRN_OK);
  }
  for (const auto id : ids) {
    EXPECT_OK(pirn_transfer_wait(p.pair.endpoint(), id, 10 * second, nullptr));
    EXPECT_OK(pirn_transfer_release(p.pair.endpoint(), id));
  }
  EXPECT_MATCH(p.pair.target().check(p.remote.buffer, 0, p.count * p.each, 2));
  if (!released) p.done();
}

// ---- the end of a transfer ----

void result__of_a_write__has_every_field(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 5000, 1);
  const Memory &local = pair.memory(5000, 2);
  const pirn_transfer_params params = params_with(10 * second, 0, 0xfeedbeef12345678);
  pirn_transfer id = 0;
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 5000, &params, &id));

  pirn_result result = empty_result();
  EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 10 * second, &result));

  assert_int_equal(result.transfer, id);
  assert_int_equal(result.user_data, 0xfeedbeef12345678);
  assert_int_equal(result.bytes, 5000);
  assert_ptr_equal(result.peer, peer);
  assert_int_equal(result.status, PIRN_OK);
  assert_int_equal(result.provider_error, 0);
  const char *path = getenv("PIRN_PATH");
  assert_string_equal(result.path, path ? path : "fabric");
  if (strcmp(result.path, "fabric") == 0) assert_memory_equal(result.rail, provider().data(), provider().size());
  else assert_string_equal(result.rail, variable("PIRN_TEST_RAIL", "").c_str());
  assert_string_equal(result.text, "");
  EXPECT_OK(pirn_transfer_test(pair.endpoint(), id, nullptr));
  EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  EXPECT(PIRN_ERR_INVALID, pirn_transfer_test(pair.endpoint(), id, nullptr));
  EXPECT(PIRN_ERR_INVALID, pirn_transfer_release(pair.endpoint(), id));
  EXPECT(PIRN_ERR_INVALID, pirn_transfer_test(pair.endpoint(), 0, nullptr));
}

void peer_info__after_transfers__counts_bytes(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 5000, 1);
  const Memory &local = pair.memory(5000, 2);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 5000, nullptr, nullptr));
  EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, 123, nullptr, nullptr));
  pirn_peer_info info{};
  info.struct_size = sizeof info;
  EXPECT_OK(pirn_peer_get_info(peer, &info));
  assert_int_equal(info.bytes_written, 5000);
  assert_int_equal(info.bytes_read, 123);
  assert_int_equal(info.in_flight, 0);
  assert_in_range(info.rails, 1, 32);
  assert_string_equal(info.provider, provider().c_str());
  char text[4096];
  size_t length = sizeof text;
  EXPECT_OK(pirn_peer_explain(peer, text, &length));
  assert_non_null(std::strstr(text, provider().c_str()));
}

void queued__many_transfers__each_result_comes_once_and_fd_tells(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  constexpr uint64_t count = 300;
  const Remote remote = pair.remote(pair.target(), peer, count * 8, 1);
  const Memory &local = pair.memory(count * 8, 2);
  int32_t fd = -1;
  EXPECT_OK(pirn_endpoint_fd(pair.endpoint(), &fd));
  pollfd ready{fd, POLLIN, 0};
  assert_int_equal(poll(&ready, 1, 0), 0);
  std::vector<int> seen(count);
  for (uint64_t i = 0; i < count; ++i) {
    const pirn_transfer_params params = params_with(10 * second, PIRN_TRANSFER_QUEUED, i);
    pirn_transfer id = 0;
    EXPECT_OK(pirn_write(local.region, i * 8, remote.window, i * 8, 8, &params, &id));
  }
  for (uint64_t got = 0; got < count;) {
    assert_int_equal(poll(&ready, 1, 10000), 1);
    pirn_result results[7];
    for (auto &result : results) result = empty_result();
    uint64_t n = 0;
    EXPECT_OK(pirn_endpoint_poll(pair.endpoint(), PIRN_POLL_NOW, results, sizeof results[0], 7, &n));
    for (uint64_t i = 0; i < n; ++i) {
      assert_int_equal(results[i].status, PIRN_OK);
      assert_true(results[i].user_data < count);
      ++seen[results[i].user_data];
    }
    got += n;
  }
  assert_true(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
  assert_true(wait_until(1000, [&] { return poll(&ready, 1, 0) == 0; }));
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, count * 8, 2));
}

void poll__nothing_queued__returns_none_at_its_deadline(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  pirn_result result = empty_result();
  uint64_t n = 77;
  const uint64_t start = clock_now();
  EXPECT_OK(pirn_endpoint_poll(pair.endpoint(), 100 * ms, &result, sizeof result, 1, &n));
  assert_int_equal(n, 0);
  assert_in_range(clock_now() - start, 90 * ms, at_most(1000 * ms));
}

// Whoever's transfer ends has another one posted at once, so that one peer always asks for more than there is room for.
void writes__one_peer_never_lets_up__the_other_has_its_turn(void **state) {
  constexpr uint64_t room = 8 << 20, window = 40, most = 8 * window;
  constexpr uint64_t bound = 2 * window;  // what was on its way before, and as many again
  Pair &pair = pair_of(state);
  pirn_peer *const peer = pair.start();
  Target &greedy = pair.target(), &modest = pair.spawn();
  modest.open();
  pirn_peer *const other = pair.connect(modest);
  const Remote remotes[] = {pair.remote(greedy, peer, room, 1), pair.remote(modest, other, room, 1)};
  const Memory &mine = pair.memory(room, 2);
  pirn_transfer_params params = params_with(at_most(60 * second));
  params.flags = PIRN_TRANSFER_QUEUED;
  pirn_transfer id = 0;
  auto post = [&](uint64_t to) {
    params.user_data = to;
    EXPECT_OK(pirn_write(mine.region, 0, remotes[to].window, 0, room, &params, &id));
  };

  uint64_t ended[2] = {0, 0}, in_flight = window, meanwhile = 0;
  for (uint64_t i = 0; i < window; ++i) post(0);
  post(1);
  while (in_flight > 0 || ended[1] == 0) {
    pirn_result result = empty_result();
    uint64_t n = 0;
    EXPECT_OK(pirn_endpoint_poll(pair.endpoint(), at_most(60 * second), &result, sizeof result, 1, &n));
    assert_int_equal(n, 1);
    assert_int_equal(result.status, PIRN_OK);
    ++ended[result.user_data];
    if (result.user_data == 1) {
      meanwhile = ended[0];
    } else if (ended[1] == 0 && ended[0] < most) {
      post(0);
    } else {
      --in_flight;
    }
  }

  assert_in_range(meanwhile, 0, bound);
  EXPECT_MATCH(greedy.check(remotes[0].buffer, 0, room, 2));
  EXPECT_MATCH(modest.check(remotes[1].buffer, 0, room, 2));
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "transfer",
             {
                 CASE(write__every_size_blocking__bytes_arrive),
                 CASE(write__every_size_non_blocking__bytes_arrive),
                 CASE(read__every_size_blocking__bytes_arrive),
                 CASE(read__every_size_non_blocking__bytes_arrive),
                 CASE(write_and_read__neighbouring_bytes__stay_unchanged),
                 CASE(writev__one_element__arrives),
                 CASE(writev__five_mixed_regions__arrive),
                 CASE(writev__a_thousand_mixed_regions__arrive),
                 CASE(writev__a_hundred_thousand__arrive),
                 CASE(readv__one_element__arrives),
                 CASE(readv__five_mixed_regions__arrive),
                 CASE(readv__a_thousand_mixed_regions__arrive),
                 CASE(readv__a_hundred_thousand__arrive),
                 CASE(writev__one_element_out_of_range__nothing_starts),
                 CASE(writev__no_elements_or_too_many__are_invalid),
                 CASE(prepared__posted_again_with_other_content__arrives_each_time),
                 CASE(prepared__read_list__arrives),
                 CASE(post_select__chosen_elements__only_those_arrive),
                 CASE(post_select__other_remote_elements__land_there),
                 CASE(post_select__bad_index__is_range_and_changes_nothing),
                 CASE(prepared__several_posts_at_once__all_complete_and_release_is_busy_meanwhile),
                 CASE(result__of_a_write__has_every_field),
                 CASE(peer_info__after_transfers__counts_bytes),
                 CASE(queued__many_transfers__each_result_comes_once_and_fd_tells),
                 CASE(poll__nothing_queued__returns_none_at_its_deadline),
                 CASE(writes__one_peer_never_lets_up__the_other_has_its_turn),
             });
}
