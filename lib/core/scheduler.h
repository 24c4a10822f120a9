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
constexpr uint64_t smallest_stripe = 256 << 10;

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

// Bytes of the pieces that a transfer of `total` bytes is cut into, over `rails` rails: fine enough that rails of
// unequal speed end within some percent of each other, and never more than `chunk`.
inline uint64_t piece_size(uint64_t total, size_t rails, uint64_t chunk) {
  if (rails < 2 || total <= smallest_stripe) return chunk;
  uint64_t stripe = std::max(total / (32 * rails) + 1, smallest_stripe);
  constexpr uint64_t page = 4096;
  return std::min((stripe + page - 1) / page * page, chunk);
}

// Bytes in flight beyond which a rail takes no more pieces of a large transfer: enough to keep it at work between two
// rounds of progress, and little enough that what comes later is not far behind.
inline uint64_t backlog_limit(uint64_t piece) { return std::max<uint64_t>(4 * piece, 2 << 20); }

}  // namespace pirn::core
