// SPDX-License-Identifier: Apache-2.0
// The listener and its strangers: whoever connects costs a bounded place for a bounded time.
#include "bootstrap/listener.h"
#include "bootstrap/state.h"

#include "base/clock.h"
#include "base/text.h"

#include <cerrno>
#include <cstring>
#include <sys/epoll.h>

namespace pirn::bootstrap {

namespace {

constexpr size_t accepts_at_once = 32;
constexpr uint64_t accept_pause = 100 * ns_per_ms;
// A crowd of honest peers must not push each other out before they could answer.
constexpr uint64_t eviction_grace = 20 * ns_per_ms;

bool lacks_resources(int error) {
  return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

}  // namespace

Status Bootstrap::State::listen(const std::vector<SocketAddress> &addresses) {
  if (!listeners.empty()) return fail(PIRN_ERR_BUSY, "already listening on %s", printable(listen_address).c_str());
  auto sockets = bind_all(addresses);
  if (!sockets.is_ok()) return sockets.status();
  listen_address = local_address(sockets.value().front().get());
  for (Fd &socket : sockets.value()) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = ++last_id;
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) {
      listeners.clear();
      return fail(PIRN_ERR_IO, "cannot watch the listener: %s", std::strerror(errno));
    }
    listeners.emplace(last_id, std::move(socket));
  }
  return Status::ok();
}

size_t Bootstrap::State::accept_some(int listener, uint64_t now) {
  size_t taken = 0;
  while (taken < accepts_at_once) {
    if (silent_strangers.size() + known_strangers.size() >= handshake_limit && !make_room(now)) break;
    Fd fd;
    SocketAddress from;
    const int error = take_connection(listener, &fd, &from);
    if (error == -EAGAIN || error == -EWOULDBLOCK) break;
    ++taken;
    if (error != 0) {
      accept_failed(error, now);
      if (lacks_resources(error)) break;
      continue;
    }
    Connection &connection = add(false);
    connection.remote = printable(from);
    connection.since = now;
    connection.stream = FrameStream(std::move(fd));
    silent_strangers.insert(connection.id);
    set_alarm(connection, deadline_after(now, handshake_timeout));
    ++counters.accepted;
    // Usually its hello is already here.
    if (watch_unsent(connection)) {
      negotiate(connection, now);
    } else {
      drop_stranger(connection.id, &counters.abandoned, fail(PIRN_ERR_NO_MEMORY, "cannot watch it"), now);
    }
  }
  return taken;
}

// The oldest that said nothing goes first, then the oldest.
bool Bootstrap::State::make_room(uint64_t now) {
  const auto &candidates = silent_strangers.empty() ? known_strangers : silent_strangers;
  const ConnectionId oldest = *candidates.begin();
  Connection &connection = *find(oldest);
  const uint64_t may_go = deadline_after(connection.since, eviction_grace);
  if (now < may_go) {
    pause_accepting(may_go, true);
    return false;
  }
  const Status why = fail(PIRN_ERR_AGAIN, "too many handshakes at one time");
  const bool knows_token = connection.handshake && connection.handshake->has_remote();
  connection.stream.send(refusal(knows_token ? connection.handshake->remote().token : 0, why));
  drop_stranger(oldest, &counters.evicted, why, now);
  return true;
}

void Bootstrap::State::accept_failed(int error, uint64_t now) {
  // Any other error belongs to the one connection that was to be taken.
  if (!lacks_resources(error)) return;
  warn(text("cannot accept connections: %s", std::strerror(-error)), now);
  pause_accepting(deadline_after(now, accept_pause), false);
}

void Bootstrap::State::pause_accepting(uint64_t until, bool for_room) {
  resume_at = until;
  paused_for_room = for_room;
  for (const auto &[id, socket] : listeners) {
    epoll_event event{};
    event.data.u64 = id;
    epoll_ctl(epoll.get(), EPOLL_CTL_MOD, socket.get(), &event);
  }
}

void Bootstrap::State::resume_accepting() {
  resume_at = UINT64_MAX;
  paused_for_room = false;
  for (const auto &[id, socket] : listeners) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    epoll_ctl(epoll.get(), EPOLL_CTL_MOD, socket.get(), &event);
  }
}

void Bootstrap::State::drop_stranger(ConnectionId id, uint64_t *counter, const Status &why, uint64_t now) {
  ++*counter;
  warn(text("dropped a connection from %s: %s", find(id)->remote.c_str(), why.text.c_str()), now);
  remove(id);
}

void Bootstrap::State::warn(const std::string &line, uint64_t now) {
  uint64_t suppressed = 0;
  if (!warnings.allow(now, &suppressed)) return;
  if (suppressed == 0) {
    log.write(PIRN_LOG_WARN, "bootstrap: %s", line.c_str());
  } else {
    log.write(PIRN_LOG_WARN, "bootstrap: %s (%llu more were not reported)", line.c_str(),
              static_cast<unsigned long long>(suppressed));
  }
}

}  // namespace pirn::bootstrap
