// SPDX-License-Identifier: Apache-2.0
// How long to poll before going to sleep. Pure state; guarded by the endpoint's lock.
//
// Polling saves the wake-up, unless it keeps the core from the thread that is to answer: then each wait lasts the whole
// spin, and the answer comes as soon as we sleep. Which core a thread gets is the kernel's choice, and it changes. So
// after a spin in vain and a short sleep the next waits sleep at once, and one in a while tries to spin again.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pirn::core {

class Spin {
 public:
  static constexpr uint32_t fewest = 4, most = 64;  // waits without a spin

  explicit Spin(uint64_t longest_ns) : longest_(longest_ns) {}

  // A wait begins: ns to poll for.
  uint64_t begin() {
    tried_ = rest_ == 0;
    if (tried_) return longest_;
    --rest_;
    return 0;
  }
  // What it waited for came while it polled.
  void caught() {
    if (tried_) next_rest_ = fewest;
  }
  // It polled in vain, if it did, and then slept for `ns`.
  void slept(uint64_t ns) {
    const bool answer_waited = tried_ && ns < longest_;
    tried_ = false;
    if (!answer_waited) return;
    rest_ = next_rest_;
    next_rest_ = std::min(2 * next_rest_, most);
  }

 private:
  uint64_t longest_;
  uint32_t rest_ = 0;
  uint32_t next_rest_ = fewest;
  bool tried_ = false;
};

}  // namespace pirn::core
