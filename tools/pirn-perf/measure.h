// SPDX-License-Identifier: Apache-2.0
// Clocks, percentiles and the progress line of long runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

uint64_t now_ns();
double process_cpu_us();  // user and system time of all threads so far

struct Percentiles {
  double min_us = 0, p50_us = 0, p99_us = 0;
};
Percentiles percentiles(std::vector<uint64_t> samples_ns);

// One line on standard error, from the second second of a run on. Not thread-safe.
class ProgressLine {
 public:
  ProgressLine(std::string what, uint64_t total);
  ~ProgressLine();
  void at(uint64_t done);

 private:
  std::string what_;
  uint64_t total_, started_, next_;
  bool shown_ = false;
};
