// SPDX-License-Identifier: Apache-2.0
#include "client_state.h"

#include "measure.h"
#include "pump.h"

#include <algorithm>
#include <cstring>

using nlohmann::json;

namespace {

constexpr uint64_t memory_limit = 16ull << 30;

struct Item {
  uint64_t offset, length, seed;
};

// The request's items [offset, length, seed], which must lie inside `size`.
std::vector<Item> items_of(const json &request, uint64_t size) {
  std::vector<Item> items;
  for (const json &entry : request.at("items")) {
    const Item item{entry.at(0).get<uint64_t>(), entry.at(1).get<uint64_t>(), entry.at(2).get<uint64_t>()};
    if (item.length > size || item.offset > size - item.length) throw Failure("an item lies outside the window");
    items.push_back(item);
  }
  return items;
}

std::vector<Range> ranges_of(const std::vector<Item> &items) {
  std::vector<Range> ranges;
  for (const Item &item : items) ranges.push_back({item.offset, item.length});
  return ranges;
}

}  // namespace

json wrong_to_json(const std::optional<Wrong> &wrong) {
  if (!wrong) return nullptr;
  return {{"offset", wrong->position}, {"expected", wrong->expected}, {"found", wrong->found}};
}

ClientState::ClientState(pirn_context *context, pirn_endpoint *endpoint, Peer peer, const Options &options)
    : context_(context), endpoint_(endpoint), peer_(std::move(peer)), options_(options) {}

Memory &ClientState::memory() {
  if (!memory_) throw Failure("no memory is open");
  return *memory_;
}

json ClientState::perform(const std::string &what, const json &request) {
  if (what == "about") return {{"memory", options_.memory}};
  if (what == "open") return open(request);
  if (what == "fill") return fill(request);
  if (what == "check") return check_items(request);
  if (what == "clean") return check_clean(request);
  if (what == "stream") return stream(request);
  if (what == "counted") return counted();
  if (what == "cpu") return {{"cpu_us", process_cpu_us()}};
  if (what == "close" || what == "quit") {
    window_.reset();
    memory_.reset();
    return json::object();
  }
  throw Failure("unknown request " + what);
}

json ClientState::open(const json &request) {
  const auto bytes = request.at("bytes").get<uint64_t>();
  if (bytes < 1 || bytes > memory_limit) throw Failure("bytes must be 1..16G");
  window_.reset();
  memory_.reset();
  memory_ = std::make_unique<Memory>(context_, endpoint_, options_, bytes, request.value("checked", true));
  window_ = import_window(peer_.get(), request.at("blob").get<std::string>());
  return {{"blob", memory_->blob_text()}};
}

json ClientState::fill(const json &request) {
  const std::vector<Item> items = items_of(request, memory().size());
  for (const Item &item : items) fill_pattern(memory().data() + item.offset, item.length, item.seed, item.offset);
  memory().push(ranges_of(items));
  return json::object();
}

json ClientState::check_items(const json &request) {
  const std::vector<Item> items = items_of(request, memory().size());
  const std::vector<Range> ranges = ranges_of(items);
  std::optional<Wrong> wrong;
  memory().pull(ranges);
  for (const Item &item : items) {
    unsigned char *const bytes = memory().data() + item.offset;
    if (!wrong) wrong = check_pattern(bytes, item.length, item.seed, item.offset);
    std::memset(bytes, background, item.length);
  }
  memory().push(ranges);
  return {{"wrong", wrong_to_json(wrong)}};
}

json ClientState::check_clean(const json &request) {
  const uint64_t bytes = std::min(request.at("bytes").get<uint64_t>(), memory().size());
  memory().pull({{0, bytes}});
  return {{"wrong", wrong_to_json(check_background(memory().data(), bytes, 0))}};
}

json ClientState::stream(const json &request) {
  const auto size = request.at("size").get<uint64_t>(), operations = request.at("iters").get<uint64_t>(),
             window = request.at("window").get<uint64_t>();
  const bool write = request.at("operation").get<uint32_t>() == PIRN_WRITE;
  if (size < 1 || size > memory().size() || window < 1 || window > 65536 || operations > 1'000'000'000)
    throw Failure("a stream's numbers are out of range");
  const auto path = request.value("path", std::string());
  pirn_transfer_params demand = transfer_params(options_);
  if (!path.empty()) demand.path = path.c_str();
  const uint64_t slots = memory().size() / size;
  const auto post = [&](uint64_t index, const pirn_transfer_params *params, pirn_transfer *transfer) {
    const uint64_t offset = index % slots * size;
    return (write ? pirn_write : pirn_read)(memory().region(), offset, window_.get(), offset, size, params, transfer);
  };
  const uint64_t start = now_ns();
  pump({endpoint_, operations, window, demand, post});
  return {{"seconds", static_cast<double>(now_ns() - start) * 1e-9}, {"bytes", size * operations}};
}

void ClientState::count(const std::string &message) {
  uint64_t sequence = 0;
  if (message.size() < 1 + sizeof sequence) {
    ++wrong_;
    return;
  }
  std::memcpy(&sequence, message.data() + 1, sizeof sequence);
  const auto *const body = reinterpret_cast<const unsigned char *>(message.data()) + 1 + sizeof sequence;
  if (check_pattern(body, message.size() - 1 - sizeof sequence, sequence, 0)) ++wrong_;
  ++received_;
  sequence_sum_ += sequence;
}

json ClientState::counted() {
  const json reply{{"received", received_}, {"sum", sequence_sum_}, {"wrong", wrong_}};
  received_ = sequence_sum_ = wrong_ = 0;
  return reply;
}
