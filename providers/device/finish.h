// SPDX-License-Identifier: Apache-2.0
// Waiting for a stream by asking it: runtimes wait without a deadline.
#pragma once

#include "base/result.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

namespace pirn::device {

// Pauses for how long the work has been waited for already, within bounds: short work is noticed soon.
inline void pause_after(std::chrono::nanoseconds waited) {
  using namespace std::chrono_literals;
  if (waited < 20us) return;
  if (waited < 200us) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(waited / 8, 1ms));
  }
}

// `is_done` answers Result<bool>. `timeout` in ns; `kind` and `device` name the stream's device in the text.
template <typename IsDone>
Status finish_by_asking(const char *kind, uint32_t device, uint64_t timeout, IsDone is_done) {
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  for (;;) {
    const Result<bool> done = is_done();
    if (!done.is_ok()) return done.status();
    if (done.value()) return Status::ok();
    const std::chrono::nanoseconds waited = std::chrono::steady_clock::now() - start;
    if (static_cast<uint64_t>(waited.count()) >= timeout) {
      return fail(PIRN_ERR_TIMEOUT, "a stream of %s:%u is still at work after %llu ns", kind, device,
                  static_cast<unsigned long long>(timeout));
    }
    pause_after(waited);
  }
}

}  // namespace pirn::device
