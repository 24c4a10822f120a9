// SPDX-License-Identifier: Apache-2.0
#include "channel.h"

#include "measure.h"

#include <fmt/core.h>

#include <algorithm>

using nlohmann::json;

std::optional<Message> take_message(pirn_endpoint *endpoint, uint64_t timeout_ns) {
  static thread_local std::string buffer(PIRN_NOTIFICATION_MAX, '\0');
  pirn_notification notification{};
  notification.struct_size = sizeof notification;
  size_t length = buffer.size();
  const pirn_status status = pirn_notification_take(endpoint, timeout_ns, &notification, buffer.data(), &length);
  if (status == PIRN_IN_PROGRESS) return std::nullopt;
  check(status, "taking a notification");
  return Message{notification.peer, buffer.substr(0, length)};
}

void send_json(pirn_peer *peer, const json &message, uint64_t timeout_ns) {
  const std::string text = message.dump();
  pirn_transfer_params params{};
  params.struct_size = sizeof params;
  params.timeout_ns = timeout_ns;
  check(pirn_notify(peer, text.data(), text.size(), &params, nullptr), "sending a request or reply");
}

Channel::Channel(pirn_endpoint *endpoint, pirn_peer *peer, uint64_t timeout_ns)
    : endpoint_(endpoint), peer_(peer), timeout_ns_(timeout_ns) {}

uint64_t Channel::start(json request) {
  request["id"] = next_id_;
  send_json(peer_, request, timeout_ns_);
  return next_id_++;
}

json Channel::finish(uint64_t id, uint64_t patience_ns) {
  const uint64_t deadline = now_ns() + timeout_ns_ + patience_ns;
  for (uint64_t now = now_ns(); now < deadline; now = now_ns()) {
    const auto message = take_message(endpoint_, std::min<uint64_t>(deadline - now, 1'000'000'000));
    if (!message) {
      const uint32_t state = peer_info(peer_).state;
      if (state == PIRN_PEER_LOST || state == PIRN_PEER_CLOSED) throw Failure("the partner is gone");
      continue;
    }
    const json reply = json::parse(message->bytes, nullptr, false);
    if (!reply.is_object() || reply.value("reply", uint64_t{0}) != id) continue;
    if (reply.contains("error")) throw Failure("the partner says: " + reply["error"].dump());
    return reply;
  }
  throw Failure(fmt::format("the partner did not answer within {:.1f} s", static_cast<double>(timeout_ns_) * 1e-9));
}
