// SPDX-License-Identifier: Apache-2.0
#include "bootstrap/state.h"

#include "base/clock.h"

#include <algorithm>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pirn::bootstrap {

namespace {

constexpr int events_at_once = 64;
constexpr ConnectionId wake_id = 0;
constexpr uint32_t warnings_per_period = 10;
constexpr uint64_t warning_period = 10 * ns_per_s;

}  // namespace

Bootstrap::State::State(Events &events_in, const Settings &settings, const Log &log_in)
    : events(events_in),
      log(log_in),
      handshake_timeout(settings.handshake_timeout),
      handshake_limit(std::max<uint64_t>(settings.handshake_limit, 1)),
      epoll(epoll_create1(EPOLL_CLOEXEC)),
      wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      warnings(warnings_per_period, warning_period) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = wake_id;
  epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event);
}

Connection *Bootstrap::State::find(ConnectionId id) {
  const auto it = connections.find(id);
  return it == connections.end() ? nullptr : it->second.get();
}

Connection &Bootstrap::State::add(bool initiated) {
  auto connection = std::make_unique<Connection>();
  connection->id = ++last_id;
  connection->initiated = initiated;
  return *connections.emplace(connection->id, std::move(connection)).first->second;
}

void Bootstrap::State::remove(ConnectionId id) {
  const auto it = connections.find(id);
  if (it == connections.end()) return;
  set_alarm(*it->second, UINT64_MAX);
  const bool made_room = silent_strangers.erase(id) + known_strangers.erase(id) > 0;
  // The descriptor may live on in a process forked from this one: closing it would neither end the connection nor
  // take it out of the epoll set.
  if (it->second->watched != 0) {
    epoll_ctl(epoll.get(), EPOLL_CTL_DEL, it->second->stream.fd(), nullptr);
    shutdown(it->second->stream.fd(), SHUT_RDWR);
  }
  connections.erase(it);
  if (made_room && paused_for_room) resume_accepting();
}

bool Bootstrap::State::watch(Connection &connection, uint32_t wanted) {
  if (connection.watched == wanted) return true;
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = connection.id;
  const int operation = connection.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll.get(), operation, connection.stream.fd(), &event) != 0) return false;
  connection.watched = wanted;
  return true;
}

void Bootstrap::State::set_alarm(Connection &connection, uint64_t when) {
  if (connection.alarm != UINT64_MAX) alarms.erase({connection.alarm, connection.id});
  connection.alarm = when;
  if (when != UINT64_MAX) alarms.insert({when, connection.id});
}

size_t Bootstrap::State::progress(uint64_t now) {
  epoll_event ready[events_at_once];
  const int count = epoll_wait(epoll.get(), ready, events_at_once, 0);
  size_t done = 0;
  for (int i = 0; i < count; ++i) done += handle_event(ready[i].data.u64, now);
  if (resume_at <= now) {
    resume_accepting();
    ++done;
  }
  return done + handle_alarms(now);
}

size_t Bootstrap::State::handle_event(ConnectionId id, uint64_t now) {
  if (id == wake_id) {
    uint64_t drained;
    return read(wake.get(), &drained, sizeof drained) > 0 ? 1 : 0;
  }
  const auto listener = listeners.find(id);
  if (listener != listeners.end()) return accept_some(listener->second.get(), now);
  Connection *connection = find(id);
  if (connection == nullptr) return 0;  // closed by a callback for an earlier event of this round
  switch (connection->phase) {
    case Phase::connecting:
      connected(*connection, now);
      break;
    case Phase::handshake:
      negotiate(*connection, now);
      break;
    case Phase::lifeline:
      check_lifeline(*connection);
      break;
    case Phase::failed:
      break;
  }
  return 1;
}

size_t Bootstrap::State::handle_alarms(uint64_t now) {
  size_t done = 0;
  // Alarms that callbacks set for now may wait for the next round: a round must end.
  const size_t limit = alarms.size();
  while (!alarms.empty() && alarms.begin()->first <= now && done < limit) {
    const ConnectionId id = alarms.begin()->second;
    Connection &connection = *find(id);
    ++done;
    if (connection.phase == Phase::failed) {
      give_up(id, Status(connection.failure));
    } else if (!connection.initiated) {
      drop_stranger(id, &counters.expired, fail(PIRN_ERR_TIMEOUT, "no handshake in time"), now);
    } else if (connection.phase == Phase::connecting) {
      attempt_failed(connection, fail(PIRN_ERR_TIMEOUT, "no answer from %s", connection.remote.c_str()), now);
    } else {
      give_up(id, fail(PIRN_ERR_TIMEOUT, "%s accepted, but the handshake did not end in time",
                       connection.remote.c_str()));
    }
  }
  return done;
}

Bootstrap::Bootstrap(Events &events, const Settings &settings, const Log &log)
    : state_(std::make_unique<State>(events, settings, log)) {}

Bootstrap::~Bootstrap() {
  while (!state_->connections.empty()) state_->remove(state_->connections.begin()->first);
  for (const auto &[id, socket] : state_->listeners) shutdown(socket.get(), SHUT_RDWR);
}

Status Bootstrap::listen(const std::vector<SocketAddress> &addresses) { return state_->listen(addresses); }

bool Bootstrap::listening() const { return !state_->listeners.empty(); }

SocketAddress Bootstrap::listen_address() const { return state_->listen_address; }

ConnectionId Bootstrap::connect(const std::vector<SocketAddress> &addresses, uint64_t deadline_ns) {
  Connection &connection = state_->add(true);
  connection.phase = Phase::connecting;
  connection.addresses = addresses;
  connection.deadline = deadline_ns;
  connection.failure = fail(PIRN_ERR_INVALID, "no address to connect to");
  const ConnectionId id = connection.id;
  state_->try_next_address(connection, now_ns());
  return id;
}

void Bootstrap::close(ConnectionId id) { state_->remove(id); }

void Bootstrap::farewell(ConnectionId id) {
  Connection *connection = state_->find(id);
  if (connection != nullptr && connection->phase == Phase::lifeline) connection->stream.say_farewell();
}

int Bootstrap::poll_fd() const { return state_->epoll.get(); }

size_t Bootstrap::progress(uint64_t now_ns) { return state_->progress(now_ns); }

uint64_t Bootstrap::next_deadline() const {
  const uint64_t alarm = state_->alarms.empty() ? UINT64_MAX : state_->alarms.begin()->first;
  return std::min(alarm, state_->resume_at);
}

const Counters &Bootstrap::counters() const { return state_->counters; }

}  // namespace pirn::bootstrap
