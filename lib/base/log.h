// SPDX-License-Identifier: Apache-2.0
// One log per context. Lines go to the caller's callback, or to standard error
// from WARN up. Thread-safe.
#pragma once

#include <pirn/context.h>

#include <atomic>
#include <cstdint>

namespace pirn {

class Log {
 public:
  Log(uint32_t level, pirn_log_fn sink, void *arg) : level_(level), sink_(sink), arg_(arg) {}

  bool enabled(uint32_t level) const { return level <= level_; }
  void write(uint32_t level, const char *format, ...) const __attribute__((format(printf, 3, 4)));

 private:
  uint32_t level_;
  pirn_log_fn sink_;
  void *arg_;
};

// Lets at most `burst` lines through per `period_ns`; counts the rest, so that
// the next line can say how many were held back.
class RateLimit {
 public:
  RateLimit(uint32_t burst, uint64_t period_ns) : burst_(burst), period_(period_ns) {}
  bool allow(uint64_t now_ns, uint64_t *suppressed);

 private:
  uint32_t burst_;
  uint64_t period_;
  uint64_t window_start_ = 0;
  uint32_t used_ = 0;
  uint64_t suppressed_ = 0;
};

}  // namespace pirn
