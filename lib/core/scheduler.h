// SPDX-License-Identifier: Apache-2.0
// How transfers are spread over rails: pure functions of size, speed and backlog.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pirn::core {

// Transfers up to this size are never striped, and overtake larger ones that wait.
constexpr uint64_t small_transfer = 64 << 10;
// Below this a message is mostly overhead: no stripe is smaller.
constexpr uint64_t smallest_stripe = 128 << 10;
// Stripes grow with the transfer between these two. More than the latter only delays what comes behind.
constexpr uint64_t common_stripe = 256 << 10;
constexpr uint64_t largest_stripe = 512 << 10;

struct RailLoad {
  uint64_t backlog = 0;     // bytes in flight
  uint64_t link_speed = 0;  // bit/s; 0: unknown, taken as equal
  bool usable = true;       // it would take a piece now
};

constexpr size_t no_rail = SIZE_MAX;

// The usable rail that would finish `bytes` more soonest, or no_rail.
inline size_t pick_rail(std::span<const RailLoad> loads, uint64_t bytes) {
  size_t best = no_rail;
  double best_time = 0;
  for (size_t i = 0; i < loads.size(); ++i) {
    if (!loads[i].usable) continue;
    double speed = loads[i].link_speed ? static_cast<double>(loads[i].link_speed) : 1e9;
    double time = static_cast<double>(loads[i].backlog + bytes) / speed;
    if (best != no_rail && time >= best_time) continue;
    best = i;
    best_time = time;
  }
  return best;
}

// Bytes of the pieces that a transfer of `total` bytes is cut into, over `rails` rails: each rail has its share, rails of
// unequal speed end within some percent of each other, and none is more than `chunk`.
inline uint64_t piece_size(uint64_t total, size_t rails, uint64_t chunk) {
  if (rails < 2 || total <= smallest_stripe) return chunk;
  uint64_t fine = std::clamp(total / (32 * rails), common_stripe, largest_stripe);
  uint64_t stripe = std::max(std::min(total / rails, fine), smallest_stripe);
  constexpr uint64_t page = 4096;
  return std::min((stripe + page - 1) / page * page, chunk);
}

// Bytes in flight beyond which a rail takes no more pieces of a large transfer: enough to keep it at work between two
// rounds of progress (a 400 Gb/s link needs 40 us for 2 MiB), and little enough that what comes later is not far behind.
inline uint64_t backlog_limit(uint64_t piece) { return std::max<uint64_t>(2 * piece, 2 << 20); }

// For the first piece of a peer's turn: one of any size finds room at the same backlog as a whole chunk, or small ones would
// leave large ones none.
inline uint64_t first_backlog_limit(uint64_t piece, uint64_t chunk) { return backlog_limit(chunk) - chunk + piece; }

// The same over several rails, when `left` bytes wait to be handed over and nothing large waits behind them: towards the
// end it shrinks, so that a rail that is slower than it says does not end long after the others.
inline uint64_t last_backlog_limit(uint64_t piece, uint64_t left, size_t rails) {
  return std::clamp(left / rails, std::max(2 * piece, 2 * common_stripe), backlog_limit(piece));
}

// Whether a rail of that backlog takes `bytes` more. `limit` is for the fastest of the rails; slower ones get their share.
inline bool has_room(uint64_t backlog, uint64_t bytes, uint64_t limit, uint64_t link_speed, uint64_t fastest) {
  if (link_speed != 0 && link_speed < fastest)
    limit = static_cast<uint64_t>(static_cast<double>(limit) * static_cast<double>(link_speed) /
                                  static_cast<double>(fastest));
  return backlog == 0 || backlog + bytes <= limit;
}

// Whether one who holds `held` places of a queue may take one more of the `free` that are left. Everybody may have one.
// The most that one can hold is three quarters; the more share the queue, the less, and some of it is always left: who
// never lets go of his places cannot keep others from theirs.
inline bool may_take(uint32_t held, size_t free) { return free > 0 && (held == 0 || held < 3 * (free - 1)); }

// A path on which nothing has completed for so long, in ns, is stuck: its bytes in flight hold up nobody else.
constexpr uint64_t stuck_after = 50'000'000;

}  // namespace pirn::core
