// SPDX-License-Identifier: Apache-2.0
// Monotonic nanoseconds. coarse_ns() is a few ns cheap and good to about 4 ms:
// enough for deadlines, never for measurements.
#pragma once

#include <ctime>
#include <cstdint>

namespace pirn {

constexpr uint64_t ns_per_us = 1000;
constexpr uint64_t ns_per_ms = 1000 * ns_per_us;
constexpr uint64_t ns_per_s = 1000 * ns_per_ms;

inline uint64_t clock_ns(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return static_cast<uint64_t>(t.tv_sec) * ns_per_s + static_cast<uint64_t>(t.tv_nsec);
}

inline uint64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }
inline uint64_t coarse_ns() { return clock_ns(CLOCK_MONOTONIC_COARSE); }

// start + timeout without overflow.
inline uint64_t deadline_after(uint64_t start, uint64_t timeout) {
  return timeout > UINT64_MAX - start ? UINT64_MAX : start + timeout;
}

}  // namespace pirn
