// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace {

constexpr uint64_t first_line_ns = 2'000'000'000, line_interval_ns = 1'000'000'000;

double microseconds(const timeval &t) { return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec); }

}  // namespace

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

double process_cpu_us() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
}

Percentiles percentiles(std::vector<uint64_t> samples_ns) {
  if (samples_ns.empty()) return {};
  std::sort(samples_ns.begin(), samples_ns.end());
  const auto at = [&](size_t percent) {
    return static_cast<double>(samples_ns[std::min(samples_ns.size() - 1, samples_ns.size() * percent / 100)]) * 1e-3;
  };
  return {at(0), at(50), at(99)};
}

ProgressLine::ProgressLine(std::string what, uint64_t total)
    : what_(std::move(what)), total_(total), started_(now_ns()), next_(started_ + first_line_ns) {}

void ProgressLine::at(uint64_t done) {
  const uint64_t now = now_ns();
  if (now < next_) return;
  next_ = now + line_interval_ns;
  shown_ = isatty(STDERR_FILENO) != 0;
  fmt::print(stderr, "{}{}: {:.0f} % after {:.0f} s{}", shown_ ? "\r" : "", what_,
             100.0 * static_cast<double>(done) / static_cast<double>(total_),
             static_cast<double>(now - started_) * 1e-9, shown_ ? "   " : "\n");
  std::fflush(stderr);
}

ProgressLine::~ProgressLine() {
  if (shown_) fmt::print(stderr, "\r{:60}\r", "");
}
