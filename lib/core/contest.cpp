// SPDX-License-Identifier: Apache-2.0
#include "core/contest.h"

#include <algorithm>

namespace pirn::core {

void Contest::started(Way way, uint64_t now) {
  if (in_flight_[engine] + in_flight_[kernels] == 0) since_ = now;
  ++in_flight_[way];
}

void Contest::ended(Way way, uint64_t bytes, uint64_t now) {
  const Way other = way_ == engine ? kernels : engine;
  // What the other way still has in flight takes its share of the links: counting begins when that has ended.
  const bool alone = in_flight_[other] == 0;
  --in_flight_[way];
  if (alone) {
    moved_ += bytes;
    spent_ += now - since_;
  }
  since_ = now;
  if (moved_ >= wanted_) judge();
}

void Contest::judge() {
  const Way other = way_ == engine ? kernels : engine;
  rates_[way_] = static_cast<double>(moved_) / static_cast<double>(std::max<uint64_t>(spent_, 1));
  if (!on_trial_ || rates_[other] == 0) {
    on_trial_ = true;
    take(other, trial);
    return;
  }
  const Way better = rates_[kernels] > worth * rates_[engine] ? kernels : engine;
  keep_ = better == kept_ ? std::min(2 * keep_, longest_keep) : shortest_keep;
  kept_ = better;
  on_trial_ = false;
  take(better, keep_);
}

void Contest::take(Way way, uint64_t bytes) {
  way_ = way;
  wanted_ = bytes;
  moved_ = spent_ = 0;
}

}  // namespace pirn::core
