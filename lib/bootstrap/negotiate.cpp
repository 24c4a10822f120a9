// SPDX-License-Identifier: Apache-2.0
// A connection from its first byte to the lifeline, the same for both sides.
#include "bootstrap/state.h"

#include "base/text.h"

#include <sys/epoll.h>

namespace pirn::bootstrap {

void Bootstrap::State::negotiate(Connection &connection, uint64_t now) {
  const ConnectionId id = connection.id;
  connection.stream.flush();
  std::string why;
  for (;;) {
    const FrameStream::Input input = connection.stream.receive(&why);
    if (input == FrameStream::Input::none) return static_cast<void>(watch_unsent(connection));
    if (input == FrameStream::Input::frame) {
      if (!take_frame(connection, now)) return;
      continue;
    }
    const bool malformed = input == FrameStream::Input::malformed;
    if (connection.initiated) {
      const char *what = malformed ? "does not speak pirn" : "ended the handshake";
      return give_up(id, fail(PIRN_ERR_REFUSED, "%s %s: %s", connection.remote.c_str(), what, why.c_str()));
    }
    uint64_t *counter = malformed ? &counters.malformed : &counters.abandoned;
    return drop_stranger(id, counter, fail(PIRN_ERR_INVALID, "%s", why.c_str()), now);
  }
}

bool Bootstrap::State::take_frame(Connection &connection, uint64_t now) {
  const ConnectionId id = connection.id;
  const auto decoded = wire::decode_frame(connection.stream.frame());
  Outcome outcome;
  if (decoded.is_ok()) {
    if (!connection.handshake) {
      const auto token_for = [this](const wire::Hello &hello) { return events.token_for(hello); };
      connection.handshake = Handshake::responder(events.identity(), token_for);
    }
    outcome = connection.handshake->receive(decoded.value(), connection.stream.frame());
  } else {
    outcome.error = decoded.status();
  }
  connection.stream.next_frame();
  if (!outcome.error.is_ok()) {
    if (!outcome.reply.empty()) connection.stream.send(outcome.reply);
    if (connection.initiated) {
      // Whatever is wrong with the other side, our caller's call was not.
      const pirn_status code = outcome.error.code == PIRN_ERR_INVALID ? PIRN_ERR_REFUSED : outcome.error.code;
      give_up(id, fail(code, "%s: %s", connection.remote.c_str(), outcome.error.text.c_str()));
    } else {
      const bool refused = outcome.error.code != PIRN_ERR_INVALID;
      drop_stranger(id, refused ? &counters.refused : &counters.malformed, outcome.error, now);
    }
    return false;
  }
  if (outcome.established) {
    finish(connection, std::move(outcome.reply), now);
    return false;
  }
  if (!connection.initiated && silent_strangers.erase(id) != 0) known_strangers.insert(id);
  connection.stream.send(outcome.reply);
  return true;
}

void Bootstrap::State::finish(Connection &connection, std::vector<std::byte> welcome, uint64_t now) {
  const ConnectionId id = connection.id;
  // The callback may close this very connection.
  const Handshake handshake = std::move(*connection.handshake);
  const bool initiated = connection.initiated;
  const std::string remote = connection.remote;
  const Status verdict = events.established(id, initiated, handshake.remote(), handshake.remote_metadata(), remote);
  Connection *still = find(id);
  if (still == nullptr) return;
  if (!verdict.is_ok()) {
    if (initiated) return remove(id);
    still->stream.send(refusal(handshake.remote().token, verdict));
    return drop_stranger(id, &counters.refused, verdict, now);
  }
  if (!welcome.empty()) still->stream.send(welcome);
  still->phase = Phase::lifeline;
  still->handshake.reset();
  still->stream.release_buffers();
  std::vector<SocketAddress>().swap(still->addresses);
  set_alarm(*still, UINT64_MAX);
  known_strangers.erase(id);
  if (paused_for_room) resume_accepting();
  watch_for_death(still->stream.fd());
  watch_unsent(*still);
  ++counters.established;
}

bool Bootstrap::State::watch_unsent(Connection &connection) {
  return watch(connection, connection.stream.has_unsent() ? EPOLLIN | EPOLLRDHUP | EPOLLOUT : EPOLLIN | EPOLLRDHUP);
}

void Bootstrap::State::check_lifeline(Connection &connection) {
  connection.stream.flush();
  std::string why;
  const FrameStream::Rest rest = connection.stream.rest(&why);
  if (rest == FrameStream::Rest::silent) return static_cast<void>(watch_unsent(connection));
  const ConnectionId id = connection.id;
  why = text("connection to %s: %s", connection.remote.c_str(), why.c_str());
  remove(id);
  if (rest == FrameStream::Rest::farewell) events.lifeline_closed(id);
  else events.lifeline_lost(id, why);
}

}  // namespace pirn::bootstrap
