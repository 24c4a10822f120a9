// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include "client_state.h"
#include "handles.h"

#include <fmt/core.h>

#include <map>
#include <mutex>

using nlohmann::json;

namespace {

constexpr uint64_t idle_wait_ns = 50'000'000;
constexpr uint64_t sweep_interval = 256;  // messages between looks for peers that left

class Server {
 public:
  explicit Server(const Options &options)
      : options_(options), context_(open_context()), endpoint_(open_endpoint(context_.get(), options)) {}

  ~Server() {
    pirn_endpoint_accept_stop(endpoint_.get());
    arrivals_.clear();
    clients_.clear();
  }

  std::string listen() {
    const std::string address = options_.mode == Mode::local ? "127.0.0.1:0" : options_.address;
    check(pirn_endpoint_listen(endpoint_.get(), address.c_str()), "listening on " + address);
    check(pirn_endpoint_accept_start(endpoint_.get(), accepted, this), "accepting");
    return listener_address(endpoint_.get());
  }

  void run(const std::atomic<bool> &stop) {
    const bool manual = options_.progress == PIRN_PROGRESS_MANUAL;
    for (uint64_t turn = 0; !stop && !quit_; ++turn) {
      if (manual) pirn_endpoint_progress(endpoint_.get(), nullptr);
      const auto message = take_message(endpoint_.get(), manual ? PIRN_POLL_NOW : idle_wait_ns);
      if (message) handle(*message);
      if (manual ? turn % (sweep_interval << 10) == 0 : !message || turn % sweep_interval == 0) sweep();
    }
  }

 private:
  // Runs on pirn's thread, so it only notes the peer.
  static void accepted(void *self, pirn_peer *peer) {
    auto *const server = static_cast<Server *>(self);
    const std::lock_guard lock(server->arrivals_lock_);
    server->arrivals_.emplace_back(peer);
  }

  void adopt_arrivals() {
    const std::lock_guard lock(arrivals_lock_);
    for (Peer &peer : arrivals_) {
      pirn_peer *const key = peer.get();
      clients_.insert_or_assign(key, std::make_unique<ClientState>(context_.get(), endpoint_.get(), std::move(peer), options_));
    }
    arrivals_.clear();
  }

  void sweep() {
    adopt_arrivals();
    std::erase_if(clients_, [](const auto &client) { return client.second->gone(); });
  }

  void handle(const Message &message) {
    auto found = clients_.find(message.sender);
    if (found == clients_.end()) {
      adopt_arrivals();
      found = clients_.find(message.sender);
      if (found == clients_.end()) return;
    }
    if (!message.bytes.empty() && message.bytes.front() == test_message_mark) return found->second->count(message.bytes);
    const json request = json::parse(message.bytes, nullptr, false);
    if (!request.is_object()) return;
    answer(*found->second, request);
  }

  void answer(ClientState &client, const json &request) {
    json reply;
    try {
      const auto what = request.at("do").get<std::string>();
      reply = client.perform(what, request);
      quit_ = what == "quit" && options_.mode == Mode::local;
    } catch (const json::exception &error) {
      reply = {{"error", fmt::format("malformed request: {}", error.what())}};
    } catch (const Failure &error) {
      reply = {{"error", error.what()}};
    }
    try {
      reply["reply"] = request.value("id", uint64_t{0});
      send_json(client.peer(), reply, options_.timeout_ns);
    } catch (const std::exception &error) {
      fmt::print(stderr, "pirn-perf: a client got no answer: {}\n", error.what());
    }
  }

  const Options &options_;
  Context context_;
  std::mutex arrivals_lock_;
  std::vector<Peer> arrivals_;
  Endpoint endpoint_;  // closed before what its threads touch
  std::map<pirn_peer *, std::unique_ptr<ClientState>> clients_;
  bool quit_ = false;
};

}  // namespace

void serve(const Options &options, const std::function<void(const std::string &)> &ready,
           const std::atomic<bool> &stop) {
  Server server(options);
  ready(server.listen());
  server.run(stop);
}
