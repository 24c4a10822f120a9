// SPDX-License-Identifier: Apache-2.0
// Transfers that a GPU's stream posts and waits for, eagerly (--stream) or as a replayed graph (--graph).
#include "tests.h"

#include "../gpu_runtime.h"
#include "meter.h"
#include "verifier.h"

#include <fmt/core.h>

#include <algorithm>

namespace {

struct PreparedDeleter {
  void operator()(pirn_prepared *list) const { pirn_prepared_release(list); }
};
struct TriggerDeleter {
  void operator()(pirn_trigger *trigger) const { pirn_trigger_release(trigger); }
};

class StreamRun {
 public:
  StreamRun(Session &session, const std::string &test, uint64_t size)
      : session_(session), options_(session.options()), meter_(session), verifier_(session), random_(options_.seed),
        stream_(options_.on_device() ? options_.device() : "cuda:0") {
    const bool blocks = test == "vector" || test == "paged";
    row_.test = fmt::format("{}-{}", test, options_.graph ? "graph" : "stream");
    row_.size = size;
    row_.blocks = blocks ? options_.blocks : 1;
    row_.verified = options_.verify;
    workload_ = make_workload(session, test, size, 1, 0);
    workload_->arrange(0, random_);
    prepare();
    const uint64_t bytes = size * row_.blocks;
    row_.operations = options_.iterations ? options_.iterations : std::clamp<uint64_t>((1ull << 32) / bytes, 32, 2000);
  }

  Row run() {
    if (options_.graph) stream_.capture([this] { record(); });
    once();  // warm
    std::vector<uint64_t> samples;
    for (uint64_t i = 0; i < row_.operations; ++i) samples.push_back(options_.verify ? checked_once() : once());
    row_.latency = percentiles(std::move(samples));
    const uint64_t seed = random_.next();
    if (options_.verify) verifier_.prepare(*workload_, {0}, seed);
    meter_.time([this] {
      for (uint64_t i = 0; i < row_.operations; ++i) launch();
      stream_.synchronize();
      expect_well();
    });
    if (options_.verify) check_bytes(seed);
    pirn_trigger_info info = state();
    row_.path = info.path;
    row_.bytes = row_.operations * row_.size * row_.blocks;
    row_.provider = peer_info(session_.peer()).provider;
    meter_.store(&row_);
    return row_;
  }

 private:
  void prepare() {
    std::vector<pirn_segment> list;
    for (const Move &move : workload_->moves(0))
      list.push_back({session_.memory().region(), move.local, session_.window(), move.remote, move.length});
    pirn_prepared *prepared = nullptr;
    check(pirn_transfer_prepare(workload_->writes() ? PIRN_WRITE : PIRN_READ, list.data(), list.size(), &prepared),
          "preparing the list");
    list_.reset(prepared);
    const pirn_transfer_params params = transfer_params(options_);
    pirn_trigger *trigger = nullptr;
    check(pirn_trigger_create(prepared, &params, &trigger), "making a trigger");
    trigger_.reset(trigger);
  }

  void record() {
    check(pirn_stream_post(trigger_.get(), stream_.handle()), "posting in a stream");
    check(pirn_stream_wait(trigger_.get(), stream_.handle()), "waiting in a stream");
  }
  void launch() { options_.graph ? stream_.replay() : record(); }

  pirn_trigger_info state() const {
    pirn_trigger_info info{};
    info.struct_size = sizeof info;
    check(pirn_trigger_get_info(trigger_.get(), &info), "asking a trigger");
    return info;
  }
  void expect_well() const {
    const pirn_trigger_info info = state();
    if (info.failed > 0) throw Failure(fmt::format("a transfer of the stream: {}", info.text));
  }

  // From the launch until the host knows that the stream is done.
  uint64_t once() {
    const uint64_t start = now_ns();
    launch();
    stream_.synchronize();
    const uint64_t took = now_ns() - start;
    expect_well();
    return took;
  }

  uint64_t checked_once() {
    const uint64_t seed = random_.next();
    verifier_.prepare(*workload_, {0}, seed);
    const uint64_t took = once();
    check_bytes(seed);
    return took;
  }

  void check_bytes(uint64_t seed) {
    verifier_.check_moved(*workload_, {0}, seed);
    verifier_.check_untouched(workload_->extent());
  }

  Session &session_;
  const Options &options_;
  Meter meter_;
  Verifier verifier_;
  Random random_;
  GpuStream stream_;
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<pirn_prepared, PreparedDeleter> list_;
  std::unique_ptr<pirn_trigger, TriggerDeleter> trigger_;
  Row row_;
};

}  // namespace

Row run_streamed(Session &session, const std::string &test, uint64_t size) { return StreamRun(session, test, size).run(); }
