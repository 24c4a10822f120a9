// SPDX-License-Identifier: Apache-2.0
#include "tests.h"

#include "../pattern.h"
#include "../pump.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

namespace {

constexpr uint64_t header = 1 + sizeof(uint64_t);  // mark, sequence number
constexpr uint64_t default_operations = 20000, count_patience_ns = 10'000'000'000;

void make_message(std::string *message, uint64_t sequence) {
  auto *const bytes = reinterpret_cast<unsigned char *>(message->data());
  bytes[0] = static_cast<unsigned char>(test_message_mark);
  std::memcpy(bytes + 1, &sequence, sizeof sequence);
  fill_pattern(bytes + header, message->size() - header, sequence, 0);
}

// The partner counts as it takes messages, which may be later than their arrival.
void demand_all(Session &session, uint64_t operations) {
  uint64_t received = 0, sum = 0, wrong = 0;
  const uint64_t deadline = now_ns() + count_patience_ns;
  while (received < operations && now_ns() < deadline) {
    const auto reply = session.channel().call({{"do", "counted"}});
    received += reply.at("received").get<uint64_t>();
    sum += reply.at("sum").get<uint64_t>();
    wrong += reply.at("wrong").get<uint64_t>();
  }
  if (wrong > 0) throw Failure(fmt::format("{} notifications arrived with WRONG BYTES", wrong));
  if (received != operations || sum != operations * (operations - 1) / 2)
    throw Failure(fmt::format("{} notifications were sent, {} arrived (sum of numbers {})", operations, received, sum));
}

}  // namespace

Row run_notify(Session &session, uint64_t size) {
  const Options &options = session.options();
  Row row;
  row.test = "notify";
  row.size = std::clamp<uint64_t>(size, header, PIRN_NOTIFICATION_MAX);
  row.operations = options.iterations ? options.iterations : default_operations;
  row.window = options.window;
  row.verified = true;
  std::string message(row.size, '\0');
  ProgressLine line("notify", row.operations);
  const auto post = [&](uint64_t index, const pirn_transfer_params *params, pirn_transfer *transfer) {
    make_message(&message, index);
    return pirn_notify(session.peer(), message.data(), message.size(), params, transfer);
  };
  const bool shared = options.same_process();
  const double remote = shared ? 0 : session.remote_cpu_us(), local = process_cpu_us();
  const uint64_t start = now_ns();
  Pumped result = pump({session.endpoint(), row.operations, row.window, transfer_params(options), post, &line});
  row.seconds = static_cast<double>(now_ns() - start) * 1e-9;
  const auto operations = static_cast<double>(row.operations);
  row.cpu_us_local = (process_cpu_us() - local) / operations;
  if (!shared) row.cpu_us_remote = (session.remote_cpu_us() - remote) / operations;
  demand_all(session, row.operations);
  row.bytes = row.operations * row.size;
  row.latency = percentiles(std::move(result.samples_ns));
  row.path = result.path;
  row.rail = result.rail;
  row.provider = peer_info(session.peer()).provider;
  return row;
}
