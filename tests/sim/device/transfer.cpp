// SPDX-License-Identifier: Apache-2.0
#include "transfer.h"

#include "memory.h"

#include <algorithm>
#include <functional>
#include <cstring>

namespace pirn::fake_gpu {

namespace {

constexpr uint64_t piece = 64 << 10;

struct Move {
  std::byte *to;
  const std::byte *from;
  uint64_t length;
  Chunk *target, *source;
};

std::vector<Move> pair_up(const std::vector<Span> &to, const std::vector<Span> &from) {
  std::vector<Move> moves;
  uint64_t to_done = 0, from_done = 0;
  for (size_t i = 0, j = 0; i < to.size() && j < from.size();) {
    uint64_t length = std::min({to[i].length - to_done, from[j].length - from_done, piece});
    moves.push_back({to[i].bytes + to_done, from[j].bytes + from_done, length, to[i].chunk.get(), from[j].chunk.get()});
    if ((to_done += length) == to[i].length) i++, to_done = 0;
    if ((from_done += length) == from[j].length) j++, from_done = 0;
  }
  return moves;
}

void run(const Move &move) {
  // Always in the same order: somebody who waits to unmap stands between two readers.
  auto *first = std::min(move.target, move.source, std::less<>()), *second = std::max(move.target, move.source, std::less<>());
  std::shared_lock<std::shared_mutex> one, other;
  if (first) one = std::shared_lock(first->moving);
  if (second && second != first) other = std::shared_lock(second->moving);
  memmove(move.to, move.from, move.length);
}

}  // namespace

Code transfer(Context &context, uint64_t to, uint64_t from, uint64_t length, bool kernel, uint64_t seed) {
  std::vector<Span> targets, sources;
  {
    Lock lock(engine().lock);
    if (resolve(context, {to, length}, {true, kernel}, targets) != ok) return illegal_address;
    if (resolve(context, {from, length}, {false, kernel}, sources) != ok) return illegal_address;
  }
  std::vector<Move> moves = pair_up(targets, sources);
  std::mt19937_64 random(seed);
  std::shuffle(moves.begin(), moves.end(), random);
  for (const Move &move : moves) run(move);
  return ok;
}

Code transfer_host(Context &context, uint64_t to, const std::byte *from, uint64_t length) {
  std::vector<Span> targets;
  {
    Lock lock(engine().lock);
    if (resolve(context, {to, length}, {true, false}, targets) != ok) return illegal_address;
  }
  std::vector<Span> sources{{const_cast<std::byte *>(from), length, nullptr}};
  for (const Move &move : pair_up(targets, sources)) run(move);
  return ok;
}

}  // namespace pirn::fake_gpu
