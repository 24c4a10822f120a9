// SPDX-License-Identifier: Apache-2.0
#include "local/channel_state.h"

#include "base/clock.h"
#include "base/random.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pirn::local {

namespace {

constexpr int events_at_once = 64;
constexpr size_t messages_at_once = 32;
constexpr size_t max_unsent = 1024;
constexpr size_t max_asked = 64;
constexpr ConnectionId wake_id = 0;
constexpr uint32_t warnings_per_period = 10;
constexpr uint64_t warning_period = 10 * ns_per_s;

// In place of an answer whose descriptors the kernel does not carry.
Packet without_files(const Packet &packet) {
  const Result<wire::ShareMessage> message = wire::decode_share_message(packet.bytes);
  wire::ShareAnswer answer;
  answer.status = PIRN_ERR_NO_MEMORY;
  answer.reason = "too many descriptors of the owner are on their way";
  return {wire::encode_share_answer(message.is_ok() ? message.value().request : 0, answer), {}};
}

bool is_ours(Phase phase) {
  return phase == Phase::waiting || phase == Phase::greeting || phase == Phase::proving || phase == Phase::asker;
}

}  // namespace

Channel::State::State(Events &events_in, const Settings &settings, const Log &log_in, const wire::Instance &host_in,
                      const wire::Instance &self_in)
    : events(events_in),
      log(log_in),
      directory(settings.local_dir),
      patience(settings.handshake_timeout),
      stranger_limit(std::max<uint64_t>(settings.handshake_limit, 1)),
      host(host_in),
      self(self_in),
      word(std::make_unique<const uint64_t>(random_u64())),
      epoll(epoll_create1(EPOLL_CLOEXEC)),
      wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      warnings(warnings_per_period, warning_period),
      room(wire::max_share_message) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = wake_id;
  epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event);
}

Channel::State::~State() {
  while (!connections.empty()) remove(connections.begin()->first);
}

Connection *Channel::State::find(ConnectionId id) {
  const auto it = connections.find(id);
  return it == connections.end() ? nullptr : it->second.get();
}

Connection &Channel::State::add(Phase phase) {
  auto connection = std::make_unique<Connection>();
  connection->id = ++last_id;
  connection->phase = phase;
  return *connections.emplace(connection->id, std::move(connection)).first->second;
}

void Channel::State::remove(ConnectionId id) {
  Connection *connection = find(id);
  if (connection == nullptr) return;
  if (connection->alarm != UINT64_MAX) alarms.erase({connection->alarm, id});
  strangers.erase(id);
  const auto peer = admitted.find(connection->peer.instance);
  if (peer != admitted.end() && peer->second == id) admitted.erase(peer);
  // The descriptor may live on in a process forked from this one: closing it would neither end the connection nor
  // take it out of the epoll set.
  watch(*connection, 0);
  if (connection->socket.is_open()) shutdown(connection->socket.get(), SHUT_RDWR);
  connections.erase(id);
}

bool Channel::State::watch(Connection &connection, uint32_t wanted) {
  if (connection.watched == wanted) return true;
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = connection.id;
  const int operation = wanted == 0 ? EPOLL_CTL_DEL : connection.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll.get(), operation, connection.socket.get(), &event) != 0) return false;
  connection.watched = wanted;
  return true;
}

void Channel::State::refresh(Connection &connection) {
  uint64_t next = std::min(connection.deadline, connection.unsent_deadline);
  for (const auto &[request, question] : connection.asked) next = std::min(next, question.deadline);
  if (next != connection.alarm) {
    if (connection.alarm != UINT64_MAX) alarms.erase({connection.alarm, connection.id});
    connection.alarm = next;
    if (next != UINT64_MAX) alarms.insert({next, connection.id});
  }
  if (!connection.socket.is_open()) return;
  // A peer that takes no answers is not asked for more questions; an asker always listens, or both would wait.
  const bool blocked = !connection.unsent.empty();
  const bool listens = !blocked || is_ours(connection.phase);
  watch(connection, (listens ? uint32_t{EPOLLIN} : 0u) | (blocked ? uint32_t{EPOLLOUT} : 0u));
}

size_t Channel::State::progress(uint64_t now) {
  epoll_event ready[events_at_once];
  const int count = epoll_wait(epoll.get(), ready, events_at_once, 0);
  size_t done = 0;
  for (int i = 0; i < count; ++i) done += handle_event(ready[i].data.u64, ready[i].events, now);
  if (resume_at <= now) {
    resume_accepting();
    ++done;
  }
  return done + handle_alarms(now);
}

size_t Channel::State::handle_event(ConnectionId id, uint32_t events_seen, uint64_t now) {
  if (id == wake_id) {
    uint64_t drained;
    return read(wake.get(), &drained, sizeof drained) > 0 ? 1 : 0;
  }
  const auto listener = listeners.find(id);
  if (listener != listeners.end()) return accept_some(listener->second.fd(), now);
  Connection *connection = find(id);
  if (connection == nullptr) return 0;  // closed by a callback for an earlier event of this round
  const bool over = (events_seen & (EPOLLHUP | EPOLLERR)) != 0;
  if ((events_seen & EPOLLOUT) != 0 && !over) flush(*connection, now);
  if ((events_seen & EPOLLIN) != 0 || over) read_some(id, now);
  return 1;
}

size_t Channel::State::handle_alarms(uint64_t now) {
  size_t done = 0;
  // Alarms that callbacks set for now may wait for the next round: a round must end.
  const size_t limit = alarms.size();
  while (!alarms.empty() && alarms.begin()->first <= now && done < limit) {
    const ConnectionId id = alarms.begin()->second;
    Connection &connection = *find(id);
    ++done;
    if (connection.phase == Phase::waiting) {
      attempt(connection, now);
    } else if (!connection.broken.is_ok()) {
      fell(id, Status(connection.broken), &counters.abandoned, now);
    } else if (connection.deadline <= now || connection.unsent_deadline <= now) {
      fell(id, fail(PIRN_ERR_TIMEOUT, "the other end is silent"), &counters.expired, now);
    } else {
      expire_asks(id, now);
    }
  }
  return done;
}

void Channel::State::read_some(ConnectionId id, uint64_t now) {
  for (size_t i = 0; i < messages_at_once; ++i) {
    Connection *connection = find(id);
    if (connection == nullptr || !connection->socket.is_open()) return;
    if (!connection->unsent.empty() && !is_ours(connection->phase)) return;
    Received received = receive_packet(connection->socket.get(), room, connection->phase == Phase::asker);
    if (received.kind == Received::Kind::none) return;
    if (received.kind == Received::Kind::ended)
      return fell(id, fail(PIRN_ERR_PEER_LOST, "the other end hung up"), &counters.abandoned, now);
    if (received.kind == Received::Kind::failed)
      return fell(id, fail(PIRN_ERR_IO, "recvmsg: %s", std::strerror(received.error)),
                  received.error == EMSGSIZE ? &counters.malformed : &counters.abandoned, now);
    if (received.lost_files && connection->phase != Phase::asker)
      return fell(id, fail(PIRN_ERR_INVALID, "descriptors came unasked"), &counters.malformed, now);
    const Result<wire::ShareMessage> message = wire::decode_share_message(received.bytes);
    if (!message.is_ok()) return fell(id, message.status(), &counters.malformed, now);
    if (is_ours(connection->phase)) {
      asker_message(*connection, message.value(), received, now);
    } else {
      owner_message(*connection, message.value(), received.bytes, now);
    }
  }
}

void Channel::State::send(Connection &connection, std::vector<std::byte> bytes, std::vector<Fd> files, uint64_t now) {
  if (connection.unsent.size() >= max_unsent) {
    connection.broken = fail(PIRN_ERR_TIMEOUT, "the other end takes no messages");
    return look_soon(connection);
  }
  connection.unsent.push_back({std::move(bytes), std::move(files)});
  flush(connection, now);
}

void Channel::State::flush(Connection &connection, uint64_t now) {
  while (!connection.unsent.empty()) {
    Packet &packet = connection.unsent.front();
    const int error = send_packet(connection.socket.get(), packet.bytes, packet.files);
    if (error == EAGAIN) break;
    if (error == ETOOMANYREFS && !packet.files.empty()) {
      packet = without_files(packet);
      continue;
    }
    if (error != 0) {
      connection.broken = fail(PIRN_ERR_IO, "sendmsg: %s", std::strerror(error));
      return look_soon(connection);
    }
    connection.unsent.pop_front();
    connection.unsent_deadline = UINT64_MAX;
  }
  if (!connection.unsent.empty() && connection.unsent_deadline == UINT64_MAX)
    connection.unsent_deadline = deadline_after(now, patience);
  refresh(connection);
}

void Channel::State::look_soon(Connection &connection) {
  connection.deadline = 0;
  refresh(connection);
  const uint64_t one = 1;
  if (write(wake.get(), &one, sizeof one) < 0) return;  // full: readable already
}

void Channel::State::fell(ConnectionId id, const Status &why, uint64_t *counter, uint64_t now) {
  Connection &connection = *find(id);
  switch (connection.phase) {
    case Phase::waiting:
    case Phase::greeting:
    case Phase::proving:
      return attempt_failed(connection, why, now);
    case Phase::stranger:
    case Phase::challenged:
      return drop_stranger(id, counter, why, now);
    case Phase::asker:
    case Phase::owner:
      remove(id);
      return events.ended(id, why.text);
  }
}

void Channel::State::warn(const std::string &line, uint64_t now) {
  uint64_t suppressed = 0;
  if (!warnings.allow(now, &suppressed)) return;
  if (suppressed == 0) {
    log.write(PIRN_LOG_WARN, "local: %s", line.c_str());
  } else {
    log.write(PIRN_LOG_WARN, "local: %s (%llu more were not reported)", line.c_str(),
              static_cast<unsigned long long>(suppressed));
  }
}

Channel::Channel(Events &events, const Settings &settings, const Log &log, const wire::Instance &host,
                 const wire::Instance &self)
    : state_(std::make_unique<State>(events, settings, log, host, self)) {}

Channel::~Channel() = default;

Status Channel::listen() { return state_->listen(); }

bool Channel::listening() const { return !state_->listeners.empty(); }

ConnectionId Channel::connect(const Credentials &credentials, uint64_t deadline_ns) {
  Connection &connection = state_->add(Phase::waiting);
  connection.credentials = credentials;
  connection.peer.instance = credentials.other;
  connection.connect_deadline = deadline_ns;
  const ConnectionId id = connection.id;
  state_->attempt(connection, now_ns());
  return id;
}

Result<uint32_t> Channel::ask(ConnectionId id, const wire::ShareAsk &ask, uint64_t deadline_ns) {
  Connection *connection = state_->find(id);
  if (connection == nullptr || connection->phase != Phase::asker)
    return fail(PIRN_ERR_INVALID, "connection %llu is not one to ask on", static_cast<unsigned long long>(id));
  if (connection->asked.size() >= max_asked)
    return fail(PIRN_ERR_AGAIN, "%zu questions are under way; at most %zu", connection->asked.size(), max_asked);
  const uint32_t request = ++state_->last_request;
  connection->asked[request] = {deadline_ns, ask.offset};
  state_->send(*connection, wire::encode_share_ask(request, ask), {}, now_ns());
  return request;
}

void Channel::released(ConnectionId id, uint64_t window) {
  Connection *connection = state_->find(id);
  if (connection && connection->phase == Phase::asker)
    state_->send(*connection, wire::encode_share_released({window}), {}, now_ns());
}

void Channel::gone(uint64_t allocation) { state_->tell_gone(allocation, now_ns()); }

void Channel::close(ConnectionId id) {
  Connection *connection = state_->find(id);
  if (connection == nullptr) return;
  const bool proven = connection->phase == Phase::asker || connection->phase == Phase::owner;
  if (proven && connection->unsent.empty()) send_packet(connection->socket.get(), wire::encode_share_bye(), {});
  state_->remove(id);
}

int Channel::poll_fd() const { return state_->epoll.get(); }

size_t Channel::progress(uint64_t now_ns) { return state_->progress(now_ns); }

uint64_t Channel::next_deadline() const {
  const uint64_t alarm = state_->alarms.empty() ? UINT64_MAX : state_->alarms.begin()->first;
  return std::min(alarm, state_->resume_at);
}

const Counters &Channel::counters() const { return state_->counters; }

}  // namespace pirn::local
