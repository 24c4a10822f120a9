// SPDX-License-Identifier: Apache-2.0
// Random operations for as long as PIRN_TEST_SOAK says, in seconds (2): writes, reads, lists, prepared lists by index and
// notified writes of random sizes at random places, several at a time. After each batch every byte of both ends is compared with a copy that was kept by memcpy.
#include "harness.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

using namespace pirn_test;

namespace {

const uint64_t seconds = std::stoull(variable("PIRN_TEST_SOAK", "2"));
const uint64_t room = seconds > 10 ? 24 << 20 : 1 << 20;

// Both ends, and what must be in them.
struct Ends {
  explicit Ends(Pair &p) : pair(p), peer(p.start()), mine(room), theirs(room) {
    remote = pair.remote(pair.target(), peer, room, 1);
    local = &pair.memory(room, 2);
    fill_pattern(mine.data(), room, 2);
    fill_pattern(theirs.data(), room, 1);
  }

  Pair &pair;
  pirn_peer *peer;
  Remote remote;
  Memory *local;
  std::vector<uint8_t> mine, theirs;
};

// One operation of a batch, in a strip of its own of each end.
struct Strip {
  uint64_t local, remote, length;
};

struct Started {
  pirn_transfer id = 0;
  pirn_prepared *prepared = nullptr;
};

void account(Ends &ends, bool read, const pirn_segment &segment) {
  uint8_t *here = ends.mine.data() + segment.local_offset, *there = ends.theirs.data() + segment.remote_offset;
  std::memcpy(read ? here : there, read ? there : here, segment.length);
}

pirn_segment part(const Ends &ends, uint64_t local, uint64_t remote, uint64_t length) {
  return {ends.local->region, local, ends.remote.window, remote, length};
}

// One piece anywhere in the strip, small ones more often than large ones.
Started single(Ends &ends, const Strip &strip, bool read, const pirn_transfer_params &params) {
  Random &random = ends.pair.random;
  const uint64_t most = random.below(2) == 0 ? std::min<uint64_t>(strip.length, 5000) : strip.length;
  const uint64_t length = random.between(1, most);
  const pirn_segment piece = part(ends, strip.local + random.below(strip.length - length + 1),
                                  strip.remote + random.below(strip.length - length + 1), length);
  Started started;
  EXPECT_OK((read ? pirn_read : pirn_write)(piece.region, piece.local_offset, piece.window, piece.remote_offset, length,
                                            &params, &started.id));
  account(ends, read, piece);
  return started;
}

// Pieces of random lengths, one behind the other, with gaps.
Started list(Ends &ends, const Strip &strip, bool read, const pirn_transfer_params &params) {
  Random &random = ends.pair.random;
  const uint64_t most = random.between(1, strip.length);
  std::vector<pirn_segment> pieces;
  for (uint64_t at = random.below(64); at < strip.length && pieces.size() < 2000;) {
    const uint64_t length = random.between(1, std::min(most, strip.length - at));
    pieces.push_back(part(ends, strip.local + at, strip.remote + at, length));
    at += length + random.below(64);
  }
  Started started;
  if (pieces.empty()) return started;
  EXPECT_OK((read ? pirn_readv : pirn_writev)(pieces.data(), pieces.size(), &params, &started.id));
  for (const pirn_segment &piece : pieces) account(ends, read, piece);
  return started;
}

// Equal blocks, some of them, each with another one's place at the far end.
Started by_index(Ends &ends, const Strip &strip, bool read, const pirn_transfer_params &params) {
  Random &random = ends.pair.random;
  const uint64_t block = random.between(1, std::min<uint64_t>(strip.length, 70000));
  const uint64_t count = std::min<uint64_t>(strip.length / block, 3000);
  std::vector<pirn_segment> blocks(count);
  std::vector<uint32_t> near(count), far(count);
  for (uint32_t i = 0; i < count; ++i) {
    blocks[i] = part(ends, strip.local + i * block, strip.remote + i * block, block);
    near[i] = far[i] = i;
  }
  for (uint32_t i = static_cast<uint32_t>(count); i-- > 1;) {
    std::swap(near[i], near[random.below(i + 1)]);
    std::swap(far[i], far[random.below(i + 1)]);
  }
  const uint64_t chosen = random.between(1, count);
  Started started;
  EXPECT_OK(pirn_transfer_prepare(read ? PIRN_READ : PIRN_WRITE, blocks.data(), count, &started.prepared));
  EXPECT_OK(pirn_prepared_post_select(started.prepared, near.data(), far.data(), chosen, &params, &started.id));
  for (uint64_t i = 0; i < chosen; ++i)
    account(ends, read, part(ends, strip.local + near[i] * block, strip.remote + far[i] * block, block));
  return started;
}

uint64_t batch(Ends &ends) {
  Random &random = ends.pair.random;
  const uint64_t strips = random.between(1, 12), length = room / strips, turn = random.below(strips);
  const pirn_transfer_params params = params_with(at_most(30 * second));
  std::vector<Started> all;
  for (uint64_t i = 0; i < strips; ++i) {
    const Strip strip{i * length, (i + turn) % strips * length, length};
    const bool read = random.below(2) == 0;
    switch (random.below(4)) {
      case 0:
        all.push_back(list(ends, strip, read, params));
        break;
      case 1:
        all.push_back(by_index(ends, strip, read, params));
        break;
      default:
        all.push_back(single(ends, strip, read, params));
    }
  }
  for (const Started &one : all) {
    if (one.id != 0) {
      EXPECT_OK(pirn_transfer_wait(ends.pair.endpoint(), one.id, at_most(60 * second), nullptr));
      EXPECT_OK(pirn_transfer_release(ends.pair.endpoint(), one.id));
    }
    EXPECT_OK(pirn_prepared_release(one.prepared));
  }
  return all.size();
}

void compare(const Ends &ends, uint64_t round) {
  ends.local->pull(0, room);
  const auto wrong = std::mismatch(ends.mine.begin(), ends.mine.end(), ends.local->buffer.data());
  if (wrong.first != ends.mine.end())
    fail_test("round %llu: the own byte %llu is wrong", static_cast<unsigned long long>(round),
              static_cast<unsigned long long>(wrong.first - ends.mine.begin()));
  if (ends.pair.target().digest(ends.remote.buffer) != digest_of(ends.theirs.data(), room))
    fail_test("round %llu: bytes of the peer's end are wrong", static_cast<unsigned long long>(round));
}

// A write of new bytes that the target is told of.
void notified(Ends &ends, uint64_t round) {
  Random &random = ends.pair.random;
  const uint64_t length = random.between(1, room), seed = random.next();
  fill_pattern(ends.local->buffer.data(), length, seed);
  ends.local->push(0, length);
  std::memcpy(ends.mine.data(), ends.local->buffer.data(), length);
  const std::string word = "round " + std::to_string(round);
  pirn_transfer_params params = params_with(at_most(30 * second));
  params.notify = word.data();
  params.notify_length = word.size();
  EXPECT_OK(pirn_write(ends.local->region, 0, ends.remote.window, room - length, length, &params, nullptr));
  const Reply told = ends.pair.target().take(at_most(10 * second));
  assert_int_equal(told.status, PIRN_OK);
  assert_string_equal(told.payload.c_str(), word.c_str());
  EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, room - length, length, seed));
  account(ends, false, part(ends, 0, room - length, length));
}

void soak__random_operations__every_byte_is_right(void **state) {
  const uint64_t end = clock_now() + seconds * second;
  Ends ends(pair_of(state));
  uint64_t round = 0, operations = 0;
  for (; round == 0 || clock_now() < end; ++round) {
    if (round % 4 == 0) notified(ends, round);
    operations += batch(ends);
    compare(ends, round);
  }
  printf("%llu rounds, %llu operations\n", static_cast<unsigned long long>(round), static_cast<unsigned long long>(operations));
}

}  // namespace

int main(int argc, char **argv) { return run(argc, argv, "soak", {CASE(soak__random_operations__every_byte_is_right)}); }
