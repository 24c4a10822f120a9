// SPDX-License-Identifier: Apache-2.0
#include "tests.h"

#include "../pump.h"
#include "meter.h"
#include "verifier.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <thread>

namespace {

constexpr uint64_t verify_slack = 4096;

uint64_t default_operations(uint64_t bytes, bool verify, bool latency) {
  if (verify) return std::clamp<uint64_t>((128ull << 20) / bytes, 8, latency ? 1000 : 256);
  return std::clamp<uint64_t>((1ull << 30) / bytes, 32, latency ? 10000 : 20000);
}

using PumpFunction = Pumped (*)(const Pump &);

class TransferRun {
 public:
  TransferRun(Session &session, const std::string &test, uint64_t size, PumpFunction pump_function)
      : session_(session), options_(session.options()), pump_(pump_function), meter_(session), verifier_(session),
        random_(options_.seed) {
    const bool blocks = test == "vector" || test == "paged", latency = test == "lat" || test == "read-lat";
    row_.test = test;
    row_.size = size;
    row_.blocks = blocks ? options_.blocks : 1;
    row_.threads = latency ? 1 : options_.threads;
    row_.verified = options_.verify;
    bytes_ = size * row_.blocks;
    const uint64_t slack = options_.verify && !blocks ? verify_slack : 0;
    const uint64_t window = latency ? 1 : options_.window;
    const uint64_t slots = slots_for(window * row_.threads, blocks ? 2 * bytes_ : size + slack);
    workload_ = make_workload(session, test, size, std::max(slots, row_.threads), slack);
    // Checked operations must not share a slot; unchecked ones may, so that the window is what was asked for.
    row_.window = options_.verify ? std::min(window, workload_->slots() / row_.threads) : window;
    row_.operations = options_.iterations ? options_.iterations : default_operations(bytes_, options_.verify, latency);
    row_.bidir = options_.bidir && !blocks && !latency;
  }

  Row run() {
    arrange_all();
    warm_up();
    ProgressLine line(fmt::format("{} {}", row_.test, size_text(row_.size)), row_.operations);
    const uint64_t per_batch = options_.verify ? row_.window * row_.threads : row_.operations;
    for (uint64_t done = 0; done < row_.operations; done += per_batch)
      batch(done, std::min(per_batch, row_.operations - done), &line);
    if (options_.verify) verifier_.check_untouched(session_.memory().size());
    row_.bytes += row_.operations * bytes_;
    row_.latency = percentiles(std::move(samples_));
    row_.provider = peer_info(session_.peer()).provider;
    meter_.store(&row_);
    return row_;
  }

 private:
  void arrange_all() {
    for (uint64_t slot = 0; slot < workload_->slots(); ++slot) workload_->arrange(slot, random_);
  }

  Pump job(uint64_t first, uint64_t operations) {
    return {session_.endpoint(), operations, row_.window, transfer_params(options_),
            [this, first](uint64_t index, const pirn_transfer_params *params, pirn_transfer *transfer) {
              return workload_->post((first + index) % workload_->slots(), params, transfer);
            }};
  }

  // Also learns path and rail. Not checked, so it leaves background as it found it: source and target hold nothing else.
  void warm_up() {
    const uint64_t operations = options_.verify ? 1 : std::min<uint64_t>(row_.operations / 10 + 1, 1000);
    const Pumped warm = pump(job(0, operations));
    add_path(&row_.path, warm.path);
    row_.rail = warm.rail;
  }

  void batch(uint64_t done, uint64_t operations, ProgressLine *line) {
    std::vector<uint64_t> slots(options_.verify ? operations : 0);
    std::iota(slots.begin(), slots.end(), 0);
    const uint64_t seed = random_.next();
    for (const uint64_t slot : slots) workload_->arrange(slot, random_);
    if (options_.verify) verifier_.prepare(*workload_, slots, seed);
    meter_.time([&] { both_directions(done, operations, line); });
    if (!options_.verify) return;
    verifier_.check_moved(*workload_, slots, seed);
    // Now: a later round would write over the trace of a stray byte.
    verifier_.check_untouched(workload_->extent());
  }

  void both_directions(uint64_t done, uint64_t operations, ProgressLine *line) {
    if (!row_.bidir) return all_threads(done, operations, line);
    const uint64_t start = now_ns();
    const uint64_t id = session_.channel().start({{"do", "stream"},
                                                  {"operation", workload_->writes() ? PIRN_WRITE : PIRN_READ},
                                                  {"size", row_.size},
                                                  {"iters", operations},
                                                  {"window", row_.window},
                                                  {"path", options_.path}});
    all_threads(done, operations, line);
    const auto other = session_.channel().finish(id, 4 * (now_ns() - start));
    row_.bytes += other.at("bytes").get<uint64_t>();
  }

  // Thread t works on slots of its own: [t * window, (t + 1) * window), as far as there are that many.
  void all_threads(uint64_t done, uint64_t operations, ProgressLine *line) {
    std::vector<Pumped> results(row_.threads);
    std::vector<std::exception_ptr> failures(row_.threads);
    const auto work = [&](uint64_t t) {
      try {
        const uint64_t share = operations / row_.threads + (t < operations % row_.threads);
        const uint64_t first = options_.verify ? t * (operations / row_.threads) + std::min(t, operations % row_.threads)
                                               : t * row_.window;
        Pump mine = job(first, share);
        if (t == 0) mine.line = line, mine.done_before = done;
        results[t] = pump_(mine);
      } catch (...) {
        failures[t] = std::current_exception();
      }
    };
    std::vector<std::thread> threads;
    for (uint64_t t = 1; t < row_.threads; ++t) threads.emplace_back(work, t);
    work(0);
    for (std::thread &thread : threads) thread.join();
    for (const std::exception_ptr &failure : failures)
      if (failure) std::rethrow_exception(failure);
    for (Pumped &result : results) {
      add_path(&row_.path, result.path);
      samples_.insert(samples_.end(), result.samples_ns.begin(), result.samples_ns.end());
    }
  }

  Session &session_;
  const Options &options_;
  PumpFunction pump_;
  Meter meter_;
  Verifier verifier_;
  Random random_;
  std::unique_ptr<Workload> workload_;
  uint64_t bytes_ = 0;  // of one operation
  std::vector<uint64_t> samples_;
  Row row_;
};

}  // namespace

Row run_transfers(Session &session, const std::string &test, uint64_t size) {
  return TransferRun(session, test, size, pump).run();
}

Row run_latency(Session &session, const std::string &test, uint64_t size) {
  return TransferRun(session, test, size, pump_blocking).run();
}
