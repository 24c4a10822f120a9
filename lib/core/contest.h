// SPDX-License-Identifier: Apache-2.0
// By what a device's large copies to several peers at once are made: by whichever of copy engine and kernels has moved more
// of late. Both are tried; the better one is kept for a while, longer each time that it is found better again.
#pragma once

#include <cstdint>

namespace pirn::core {

class Contest {
 public:
  enum Way : uint8_t { engine, kernels };
  // Bytes. A trial is so long that what is partly copied at both its ends does not count. It may mislead all the same, while
  // those at the other ends are on trial themselves: what it has led to is soon looked at again at first.
  static constexpr uint64_t trial = 2ull << 30, shortest_keep = 4ull << 30, longest_keep = 64ull << 30;

  Way way() const { return way_; }
  // Of batches that were given to the device while several peers had some; `now` in ns.
  void started(Way way, uint64_t now);
  void ended(Way way, uint64_t bytes, uint64_t now);
  double rate(Way way) const { return rates_[way]; }  // bytes per ns when it was last tried; 0: never

 private:
  // Kernels take multiprocessors, which engines leave to others: they must be worth it.
  static constexpr double worth = 1.1;
  void judge();
  void take(Way way, uint64_t bytes);

  Way way_ = engine, kept_ = engine;
  bool on_trial_ = true;
  uint64_t keep_ = shortest_keep / 2;
  uint64_t wanted_ = trial;         // bytes of this span
  uint64_t moved_ = 0, spent_ = 0;  // in it, and ns while something was in flight
  uint64_t since_ = 0;              // when counting began or went on
  uint32_t in_flight_[2] = {0, 0};
  double rates_[2] = {0, 0};
};

}  // namespace pirn::core
