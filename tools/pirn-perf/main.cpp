// SPDX-License-Identifier: Apache-2.0
// pirn-perf: speed and latency between two endpoints.
#include "partner.h"
#include "report.h"
#include "server.h"
#include "session.h"
#include "tests/tests.h"

#include <fmt/core.h>

#include <csignal>

namespace {

std::atomic<bool> stop_serving{false};

void on_signal(int) { stop_serving = true; }

std::vector<uint64_t> sizes_for(const Options &options, const std::string &test) {
  if (test == "connect") return {8};
  if (!options.sizes.empty()) return options.sizes;
  if (test == "write" || test == "read") return {8, 4096, 65536, 1 << 20, 16 << 20, 64 << 20};
  if (test == "vector" || test == "paged") return {1024, 4096, 65536};
  return {8};
}

Row measure_one(Session &session, const std::string &test, uint64_t size) {
  if (session.options().stream || session.options().graph) return run_streamed(session, test, size);
  if (test == "lat" || test == "read-lat") return run_latency(session, test, size);
  if (test == "notify") return run_notify(session, size);
  if (test == "connect") return run_connect(session);
  return run_transfers(session, test, size);
}

Row run_one(Session &session, const std::string &test, uint64_t size) {
  Row row = measure_one(session, test, size);
  if (test != "notify") row.memory = session.options().memory, row.peer_memory = session.peer_memory();
  return row;
}

Setting describe(Session &session, const Options &options) {
  const pirn_peer_info info = peer_info(session.peer());
  const char *const mode = options.same_process() ? "same-process" : options.mode == Mode::local ? "local" : "connect";
  return {mode, info.provider, info.path, session.address(), explain(session.peer()), session.peer_memory()};
}

void measure(const Options &options, const std::string &address, Report *report) {
  Session session(options, address);
  report->begin(describe(session, options));
  for (const std::string &test : options.tests)
    for (const uint64_t size : sizes_for(options, test)) report->add(run_one(session, test, size));
}

int run_client(const Options &options) {
  Report report(options);
  std::string error;
  try {
    if (options.mode == Mode::local) {
      const Partner partner(options);
      measure(options, partner.address(), &report);
    } else {
      measure(options, options.address, &report);
    }
  } catch (const std::exception &failure) {
    error = failure.what();
    fmt::print(stderr, "pirn-perf: {}\n", error);
  }
  report.finish(error);
  return error.empty() ? 0 : 1;
}

int run_server(const Options &options) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  serve(options, [](const std::string &address) {
    fmt::print("listening on {}\n", address);
    std::fflush(stdout);
  }, stop_serving);
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  Options options;
  int exit_code = 0;
  if (!parse_options(argc, argv, &options, &exit_code)) return exit_code;
  try {
    return options.mode == Mode::server ? run_server(options) : run_client(options);
  } catch (const std::exception &error) {
    fmt::print(stderr, "pirn-perf: {}\n", error.what());
    return 1;
  }
}
