// SPDX-License-Identifier: Apache-2.0
// Wall and processor time of what is measured.
#pragma once

#include "../report.h"
#include "../session.h"

// Adds up what batches of operations cost; what happens between the batches is not counted.
class Meter {
 public:
  explicit Meter(Session &session) : session_(session), shared_(session.options().same_process()) {}

  template <typename Work>
  void time(Work work) {
    const double remote = shared_ ? 0 : session_.remote_cpu_us();
    const double local = process_cpu_us();
    const uint64_t start = now_ns();
    work();
    seconds_ += static_cast<double>(now_ns() - start) * 1e-9;
    local_us_ += process_cpu_us() - local;
    if (!shared_) remote_us_ += session_.remote_cpu_us() - remote;
  }

  void store(Row *row) const {
    const auto operations = static_cast<double>(row->operations);
    row->seconds = seconds_;
    row->cpu_us_local = local_us_ / operations;
    if (!shared_) row->cpu_us_remote = remote_us_ / operations;
  }

 private:
  Session &session_;
  bool shared_;
  double seconds_ = 0, local_us_ = 0, remote_us_ = 0;
};
