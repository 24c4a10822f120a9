// SPDX-License-Identifier: Apache-2.0
#include "node.h"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <sstream>

namespace pirn_test {

namespace {

pirn_transfer_params with_timeout(uint64_t timeout) {
  pirn_transfer_params params{};
  params.struct_size = sizeof params;
  params.timeout_ns = timeout;
  return params;
}

Reply reply(pirn_status status, uint64_t value = 0) {
  Reply out;
  out.status = status;
  out.values[0] = value;
  if (status < 0) out.text = pirn_last_error();
  return out;
}

}  // namespace

uint64_t process_cpu_ns() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * second + static_cast<uint64_t>(t.tv_nsec);
}

std::string stream_message(uint64_t seed, uint64_t index, uint64_t largest) {
  const uint64_t length = 8 + mix(seed + index) % (largest - 7);
  std::string message(length, '\0');
  fill_pattern(message.data(), length, seed + index);
  std::memcpy(message.data(), &index, 8);
  return message;
}

StreamCheck take_stream(pirn_endpoint *endpoint, uint64_t count, uint64_t seed, uint64_t largest, uint64_t timeout) {
  StreamCheck out;
  std::vector<bool> seen(count);
  std::vector<char> room(PIRN_NOTIFICATION_MAX);
  while (out.received < count) {
    pirn_notification note{};
    note.struct_size = sizeof note;
    size_t length = room.size();
    if (pirn_notification_take(endpoint, timeout, &note, room.data(), &length) != PIRN_OK) break;
    ++out.received;
    uint64_t index = UINT64_MAX;
    if (length >= 8) std::memcpy(&index, room.data(), 8);
    if (index >= count || stream_message(seed, index, largest) != std::string(room.data(), length)) {
      ++out.bad;
      continue;
    }
    if (seen[index]) ++out.repeated;
    seen[index] = true;
  }
  return out;
}

pirn_status Node::open(const OpenOptions &options) {
  std::vector<const char *> settings;
  for (const auto &setting : options.settings) settings.push_back(setting.c_str());
  memory_kind_ = options.memory;
  pirn_context_params params{};
  params.struct_size = sizeof params;
  params.settings = settings.data();
  params.settings_count = settings.size();
  const pirn_status status = pirn_context_open(&params, &context_);
  if (status != PIRN_OK) return status;
  // As applications do, the device is used before endpoints are opened: these then ask for its memory.
  if (memory_kind_.find(':') != std::string::npos && !Place::make(memory_kind_, context_, 1)) return PIRN_ERR_INVALID;
  pirn_endpoint_params endpoint{};
  endpoint.struct_size = sizeof endpoint;
  endpoint.provider = options.provider.empty() ? nullptr : options.provider.c_str();
  endpoint.nics = options.nics.empty() ? nullptr : options.nics.c_str();
  endpoint.progress = options.progress;
  return pirn_endpoint_open(context_, &endpoint, &endpoint_);
}

void Node::close() {
  pirn_endpoint_close(endpoint_);
  memories_.clear();
  pirn_context_close(context_);
  endpoint_ = nullptr;
  context_ = nullptr;
  peers_.clear();
  windows_.clear();
}

Memory *Node::allocate(uint64_t size, uint64_t seed, bool sparse) {
  auto memory = std::make_unique<Memory>(size, sparse);
  if (!sparse) fill_pattern(memory->buffer.data(), size, seed);
  void *address = memory->buffer.data();
  if (!memory_kind_.empty() && memory_kind_ != "host" && !sparse) {
    memory->place = Place::make(memory_kind_, context_, size);
    if (!memory->place) return nullptr;
    memory->push(0, size);
    address = memory->place->address();
  }
  if (pirn_region_register(endpoint_, address, size, nullptr, &memory->region) != PIRN_OK) return nullptr;
  memories_.push_back(std::move(memory));
  return memories_.back().get();
}

bool Node::canaries_intact() const {
  return std::all_of(memories_.begin(), memories_.end(), [](const auto &m) { return m->canaries_intact(); });
}

uint64_t Node::keep(pirn_peer *peer) {
  peers_.push_back(peer);
  return peers_.size() - 1;
}

Reply Node::handle(const Request &request) {
  switch (request.op) {
    case Op::open: return run_open(request);
    case Op::close: close(); return {};
    case Op::listen:
    case Op::metadata:
    case Op::connect:
    case Op::add:
    case Op::accept:
    case Op::accept_start: return run_bringup(request);
    case Op::peer_wait:
    case Op::peer_state:
    case Op::peer_close: return run_peer(request);
    case Op::alloc:
    case Op::fill:
    case Op::check:
    case Op::digest:
    case Op::canaries: return run_memory(request);
    case Op::advertise:
    case Op::withdraw:
    case Op::deregister:
    case Op::import_window: return run_window(request);
    case Op::write:
    case Op::read: return run_transfer(request);
    case Op::storm: return run_storm(request);
    case Op::notify:
    case Op::notify_many: return run_notify(request);
    case Op::take:
    case Op::take_many: return run_take(request);
    case Op::take_checked: return run_take_checked(request);
    case Op::explain: return run_explain();
    case Op::cpu: return reply(PIRN_OK, process_cpu_ns());
    case Op::quit: return {};
  }
  return reply(PIRN_ERR_INVALID);
}

Reply Node::run_open(const Request &request) {
  OpenOptions options;
  options.progress = static_cast<uint32_t>(request.args[0]);
  std::istringstream lines(request.payload);
  std::getline(lines, options.provider);
  std::getline(lines, options.nics);
  std::getline(lines, options.memory);
  for (std::string line; std::getline(lines, line);) options.settings.push_back(line);
  return reply(open(options));
}

Reply Node::run_bringup(const Request &request) {
  pirn_peer *peer = nullptr;
  pirn_status status = PIRN_ERR_INVALID;
  Reply out;
  if (request.op == Op::listen) {
    status = pirn_endpoint_listen(endpoint_, request.payload.c_str());
    char address[256] = "";
    size_t length = sizeof address;
    if (status == PIRN_OK) status = pirn_endpoint_address(endpoint_, address, &length);
    out = reply(status);
    out.payload = address;
    return out;
  }
  if (request.op == Op::metadata) {
    size_t length = 8192;
    out.payload.resize(length);
    status = pirn_endpoint_metadata(endpoint_, out.payload.data(), &length);
    out.payload.resize(std::min<size_t>(length, 8192));
    out.status = status;
    return out;
  }
  if (request.op == Op::accept_start) return reply(pirn_endpoint_accept_start(endpoint_, nullptr, nullptr));
  if (request.op == Op::connect) {
    status = pirn_peer_connect(endpoint_, request.payload.c_str(), request.args[0], &peer);
  } else if (request.op == Op::add) {
    status = pirn_peer_add(endpoint_, request.payload.data(), request.payload.size(), &peer);
  } else {
    status = pirn_endpoint_accept(endpoint_, request.args[0], &peer);
  }
  return reply(status, status == PIRN_OK ? keep(peer) : 0);
}

Reply Node::run_peer(const Request &request) {
  pirn_peer *peer = peers_.at(request.args[0]);
  if (request.op == Op::peer_wait) return reply(pirn_peer_wait(peer, request.args[1]));
  if (request.op == Op::peer_close) return reply(pirn_peer_close(peer));
  pirn_peer_info info{};
  info.struct_size = sizeof info;
  Reply out = reply(pirn_peer_get_info(peer, &info));
  out.values = {info.state, info.bytes_written, info.bytes_read};
  return out;
}

Reply Node::run_memory(const Request &request) {
  const auto &args = request.args;
  if (request.op == Op::alloc) {
    const Memory *memory = allocate(args[0], args[1]);
    return reply(memory == nullptr ? PIRN_ERR_NO_MEMORY : PIRN_OK, memories_.size() - 1);
  }
  if (request.op == Op::canaries) return reply(PIRN_OK, canaries_intact() ? 1 : 0);
  const Memory &memory = *memories_.at(args[0]);
  const Buffer &buffer = memory.buffer;
  if (request.op == Op::digest) {
    memory.pull(0, buffer.size());
    return reply(PIRN_OK, digest_of(buffer.data(), buffer.size()));
  }
  if (request.op == Op::fill) {
    fill_pattern(buffer.at(args[1]), args[2], args[3]);
    memory.push(args[1], args[2]);
    return {};
  }
  memory.pull(args[1], args[2]);
  return reply(PIRN_OK, find_mismatch(buffer.at(args[1]), args[2], args[3], args[4]));
}

Reply Node::run_window(const Request &request) {
  const auto &args = request.args;
  if (request.op == Op::import_window) {
    pirn_window *window = nullptr;
    const pirn_status status =
        pirn_window_import(peers_.at(args[0]), request.payload.data(), request.payload.size(), &window);
    windows_.push_back(window);
    return reply(status, windows_.size() - 1);
  }
  Memory &memory = *memories_.at(args[0]);
  if (request.op == Op::withdraw) return reply(pirn_region_withdraw(memory.region, args[1], args[2]));
  if (request.op == Op::deregister) return reply(pirn_region_deregister(memory.region));
  std::string blob(8192, '\0');
  size_t length = blob.size();
  uint64_t id = 0;
  const pirn_status status = pirn_region_advertise(memory.region, args[1], args[2], static_cast<uint32_t>(args[3]),
                                                   blob.data(), &length, &id);
  Reply out = reply(status, id);
  if (status == PIRN_OK) out.payload = blob.substr(0, length);
  return out;
}

Reply Node::run_transfer(const Request &request) {
  const auto &args = request.args;
  const pirn_transfer_params params = with_timeout(args[5]);
  const auto run = request.op == Op::write ? pirn_write : pirn_read;
  return reply(run(memories_.at(args[0])->region, args[1], windows_.at(args[2]), args[3], args[4], &params, nullptr));
}

// Keeps sixteen writes in flight until the time is over or one of them fails.
Reply Node::run_storm(const Request &request) {
  const auto &args = request.args;
  pirn_region *region = memories_.at(args[0])->region;
  pirn_window *window = windows_.at(args[1]);
  const pirn_transfer_params params = with_timeout(5 * second);
  std::array<pirn_transfer, 16> ids{};
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  const uint64_t end = static_cast<uint64_t>(t.tv_sec) * 1000 + static_cast<uint64_t>(t.tv_nsec) / ms + args[3];
  uint64_t done = 0;
  pirn_status status = PIRN_OK;
  for (uint64_t i = 0, now = 0; status == PIRN_OK && now < end; ++i) {
    pirn_transfer &id = ids[i % ids.size()];
    if (id != 0) {
      status = pirn_transfer_wait(endpoint_, id, 10 * second, nullptr);
      pirn_transfer_release(endpoint_, id);
      id = 0;
      if (status == PIRN_OK) ++done;
    }
    if (status == PIRN_OK) status = pirn_write(region, 0, window, 0, args[2], &params, &id);
    clock_gettime(CLOCK_MONOTONIC, &t);
    now = static_cast<uint64_t>(t.tv_sec) * 1000 + static_cast<uint64_t>(t.tv_nsec) / ms;
  }
  for (const pirn_transfer id : ids) {
    if (id == 0) continue;
    if (pirn_transfer_wait(endpoint_, id, 10 * second, nullptr) == PIRN_OK) ++done;
    pirn_transfer_release(endpoint_, id);
  }
  Reply out = reply(status, done);
  return out;
}

Reply Node::run_notify(const Request &request) {
  const auto &args = request.args;
  pirn_peer *peer = peers_.at(args[0]);
  if (request.op == Op::notify) {
    const pirn_transfer_params params = with_timeout(args[1]);
    return reply(pirn_notify(peer, request.payload.data(), request.payload.size(), &params, nullptr));
  }
  const pirn_transfer_params params = with_timeout(20 * second);
  uint64_t sent = 0;
  for (uint64_t i = 0; i < args[1]; ++i) {
    const std::string message = stream_message(args[2], i, args[3]);
    const pirn_status status = pirn_notify(peer, message.data(), message.size(), &params, nullptr);
    if (status != PIRN_OK) return reply(status, sent);
    ++sent;
  }
  return reply(PIRN_OK, sent);
}

Reply Node::run_take(const Request &request) {
  const auto &args = request.args;
  if (request.op == Op::take_many) {
    const StreamCheck check = take_stream(endpoint_, args[0], args[1], args[2], args[3]);
    Reply out;
    out.values = {check.received, check.bad, check.repeated};
    return out;
  }
  pirn_notification note{};
  note.struct_size = sizeof note;
  std::string room(PIRN_NOTIFICATION_MAX, '\0');
  size_t length = room.size();
  const pirn_status status = pirn_notification_take(endpoint_, args[0], &note, room.data(), &length);
  Reply out = reply(status);
  if (status != PIRN_OK) return out;
  out.values[0] = static_cast<uint64_t>(std::count(peers_.begin(), peers_.end(), note.peer));
  out.payload = room.substr(0, length);
  return out;
}

Reply Node::run_take_checked(const Request &request) {
  const auto &args = request.args;
  const Memory &memory = *memories_.at(args[0]);
  const Buffer &buffer = memory.buffer;
  Reply out;
  for (uint64_t i = 0; i < args[1]; ++i) {
    DataNote data{};
    pirn_notification note{};
    note.struct_size = sizeof note;
    size_t length = sizeof data;
    out.status = pirn_notification_take(endpoint_, args[2], &note, &data, &length);
    if (out.status != PIRN_OK) return out;
    ++out.values[0];
    const bool inside = length == sizeof data && data.length <= buffer.size() &&
                        data.offset <= buffer.size() - data.length;
    if (inside) memory.pull(data.offset, data.length);
    if (!inside || find_mismatch(buffer.at(data.offset), data.length, data.seed) != all_match) ++out.values[1];
  }
  return out;
}

// The text may grow between the two calls.
template <typename T>
static std::string text_of(T *object, pirn_status (*call)(T *, char *, size_t *)) {
  size_t length = 0;
  call(object, nullptr, &length);
  std::string text(length + 4096, '\0');
  length = text.size();
  return call(object, text.data(), &length) == PIRN_OK ? text.c_str() : "";
}

std::string explain(pirn_endpoint *endpoint) { return text_of(endpoint, pirn_endpoint_explain); }
std::string explain(pirn_peer *peer) { return text_of(peer, pirn_peer_explain); }

Reply Node::run_explain() {
  Reply out;
  out.payload = explain(endpoint_);
  for (pirn_peer *peer : peers_) out.payload += explain(peer);
  return out;
}

}  // namespace pirn_test
