// SPDX-License-Identifier: Apache-2.0
#include "pump.h"

#include <fmt/core.h>

namespace {

constexpr uint64_t line_stride = 64, grace_ns = 5'000'000'000;

class InFlight {
 public:
  explicit InFlight(const Pump &job) : job_(job), ring_(job.window) {
    out_.samples_ns.reserve(job.operations);
  }

  // A failure leaves operations in flight whose memory is about to go away.
  ~InFlight() {
    for (; retired_ < posted_; ++retired_) {
      pirn_transfer_cancel(job_.endpoint, oldest().id);
      pirn_transfer_release(job_.endpoint, oldest().id);
    }
  }

  bool full() const { return posted_ - retired_ == ring_.size(); }
  uint64_t posted() const { return posted_; }
  uint64_t retired() const { return retired_; }

  void post() {
    Slot &slot = ring_[posted_ % ring_.size()];
    slot.start = now_ns();
    pirn_status status = job_.post(posted_, &job_.params, &slot.id);
    while (status == PIRN_ERR_AGAIN && posted_ > retired_) {
      retire();
      status = job_.post(posted_, &job_.params, &slot.id);
    }
    check(status, fmt::format("starting operation {}", posted_));
    ++posted_;
  }

  void retire() {
    const Slot slot = oldest();
    const bool edge = retired_ == 0 || retired_ + 1 == job_.operations;
    const pirn_status status = pirn_transfer_wait(job_.endpoint, slot.id, job_.params.timeout_ns + grace_ns, nullptr);
    out_.samples_ns.push_back(now_ns() - slot.start);
    if (status != PIRN_OK || edge) examine(slot.id, status);
    pirn_transfer_release(job_.endpoint, slot.id);
    ++retired_;
    if (job_.line && retired_ % line_stride == 0) job_.line->at(job_.done_before + retired_);
  }

  Pumped take() { return std::move(out_); }

 private:
  struct Slot {
    pirn_transfer id = 0;
    uint64_t start = 0;
  };

  const Slot &oldest() const { return ring_[retired_ % ring_.size()]; }

  void examine(pirn_transfer id, pirn_status status) {
    pirn_result result{};
    result.struct_size = sizeof result;
    pirn_transfer_test(job_.endpoint, id, &result);
    if (status == PIRN_OK) {
      add_path(&out_.path, result.path);
      out_.rail = result.rail;
      return;
    }
    throw Failure(fmt::format("operation {}: {}: {} (rail {})", retired_,
                              status == PIRN_IN_PROGRESS ? "did not end by its deadline" : pirn_status_string(status),
                              result.text, result.rail));
  }

  const Pump &job_;
  std::vector<Slot> ring_;
  uint64_t posted_ = 0, retired_ = 0;
  Pumped out_;
};

}  // namespace

void add_path(std::string *paths, const std::string &path) {
  if (path.empty() || ("+" + *paths + "+").find("+" + path + "+") != std::string::npos) return;
  paths->append(paths->empty() ? "" : "+").append(path);
}

Pumped pump(const Pump &job) {
  InFlight flight(job);
  while (flight.retired() < job.operations) {
    while (flight.posted() < job.operations && !flight.full()) flight.post();
    flight.retire();
  }
  return flight.take();
}

Pumped pump_blocking(const Pump &job) {
  Pumped out;
  out.samples_ns.reserve(job.operations);
  for (uint64_t i = 0; i < job.operations; ++i) {
    const uint64_t start = now_ns();
    const pirn_status status = job.post(i, &job.params, nullptr);
    out.samples_ns.push_back(now_ns() - start);
    check(status, fmt::format("operation {}", i));
    if (job.line && i % line_stride == 0) job.line->at(job.done_before + i);
  }
  return out;
}
