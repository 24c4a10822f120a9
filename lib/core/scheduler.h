// SPDX-License-Identifier: Apache-2.0
// Which rail takes the next piece: a pure function of speed and backlog.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pirn::core {

struct RailLoad {
  uint64_t backlog = 0;     // bytes in flight
  uint64_t link_speed = 0;  // bit/s; 0: unknown, taken as equal
  bool full = false;        // no message slot left
};

// The rail that would finish `bytes` more soonest; a full rail only if all are. `loads` is not empty.
inline size_t pick_rail(std::span<const RailLoad> loads, uint64_t bytes) {
  size_t best = 0;
  double best_time = 0;
  bool found = false;
  for (size_t i = 0; i < loads.size(); ++i) {
    double speed = loads[i].link_speed ? static_cast<double>(loads[i].link_speed) : 1e9;
    double time = static_cast<double>(loads[i].backlog + bytes) / speed;
    if (loads[i].full && found) continue;
    if (!found || loads[best].full || time < best_time) {
      if (loads[i].full && found) continue;
      best = i;
      best_time = time;
      found = true;
    }
  }
  return best;
}

}  // namespace pirn::core
