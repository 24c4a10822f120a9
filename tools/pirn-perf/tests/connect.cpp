// SPDX-License-Identifier: Apache-2.0
#include "tests.h"

#include "../pump.h"

namespace {

constexpr uint64_t default_iterations = 50, first_bytes = 8;

// Opens an endpoint, connects, writes; returns the time until the bytes were visible at the partner; adds the path they took.
uint64_t once(Session &session, std::string *path) {
  const Options &options = session.options();
  const pirn_transfer_params params = transfer_params(options);
  const uint64_t start = now_ns();
  const Endpoint endpoint = open_endpoint(session.context(), options);
  pirn_peer *connected = nullptr;
  check(pirn_peer_connect(endpoint.get(), session.address().c_str(), options.timeout_ns, &connected), "connecting");
  const Peer peer(connected);
  pirn_region *registered = nullptr;
  check(pirn_region_register(endpoint.get(), session.memory().address(), first_bytes, nullptr, &registered), "registering");
  const Region region(registered);
  const Window window = import_window(peer.get(), session.window_blob());
  const auto post = [&](uint64_t, const pirn_transfer_params *demand, pirn_transfer *transfer) {
    return pirn_write(region.get(), 0, window.get(), 0, first_bytes, demand, transfer);
  };
  const Pumped written = pump({endpoint.get(), 1, 1, params, post});
  const uint64_t taken = now_ns() - start;
  add_path(path, written.path);
  return taken;
}

}  // namespace

Row run_connect(Session &session) {
  session.reserve(first_bytes);
  Row row;
  row.test = "connect";
  row.size = first_bytes;
  row.operations = session.options().iterations ? session.options().iterations : default_iterations;
  row.bytes = row.operations * first_bytes;
  const bool shared = session.options().same_process();
  ProgressLine line("connect", row.operations);
  std::vector<uint64_t> samples;
  const double remote = shared ? 0 : session.remote_cpu_us(), local = process_cpu_us();
  for (uint64_t i = 0; i < row.operations; ++i) {
    samples.push_back(once(session, &row.path));
    row.seconds += static_cast<double>(samples.back()) * 1e-9;
    line.at(i);
  }
  const auto operations = static_cast<double>(row.operations);
  row.cpu_us_local = (process_cpu_us() - local) / operations;
  if (!shared) row.cpu_us_remote = (session.remote_cpu_us() - remote) / operations;
  row.latency = percentiles(std::move(samples));
  const pirn_peer_info info = peer_info(session.peer());
  row.provider = info.provider;
  return row;
}
