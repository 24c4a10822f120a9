// SPDX-License-Identifier: Apache-2.0
// Requests and replies between the two sides: JSON texts as pirn notifications.
#pragma once

#include "handles.h"

#include <nlohmann/json.hpp>

#include <optional>

constexpr char test_message_mark = 'n';  // first byte of the notify test's messages; requests start with '{'

struct Message {
  pirn_peer *sender;
  std::string bytes;
};

// Takes the next notification of any peer; nullopt if none came in time.
std::optional<Message> take_message(pirn_endpoint *endpoint, uint64_t timeout_ns);
void send_json(pirn_peer *peer, const nlohmann::json &message, uint64_t timeout_ns);

// The asking side. Replies carry the id of their request. One thread.
class Channel {
 public:
  Channel(pirn_endpoint *endpoint, pirn_peer *peer, uint64_t timeout_ns);
  uint64_t start(nlohmann::json request);
  // Waits for the reply; throws Failure if it carries "error" or does not come within `patience_ns` beyond the timeout.
  nlohmann::json finish(uint64_t id, uint64_t patience_ns = 0);
  nlohmann::json call(nlohmann::json request) { return finish(start(std::move(request))); }

 private:
  pirn_endpoint *endpoint_;
  pirn_peer *peer_;
  uint64_t timeout_ns_, next_id_ = 1;
};
