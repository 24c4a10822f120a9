// SPDX-License-Identifier: Apache-2.0
// The owner's side of the channel: strangers, who cost a bounded place for a bounded time, and proven askers.
#include "local/channel_state.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"

#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace pirn::local {

namespace {

constexpr size_t accepts_at_once = 32;
constexpr uint64_t accept_pause = 100 * ns_per_ms;
// A crowd of honest peers must not push each other out before they could answer.
constexpr uint64_t eviction_grace = 20 * ns_per_ms;

bool lacks_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

size_t named_files(const wire::ShareAnswer &answer) {
  size_t count = 0;
  for (const wire::ShareChunk &chunk : answer.chunks)
    for (const wire::ShareHandle &handle : chunk.handles) count += handle.file != wire::ShareHandle::no_file ? 1 : 0;
  return count;
}

Status out_of_turn(uint8_t kind) {
  return fail(PIRN_ERR_INVALID, "a message of kind %u, which has no place here", unsigned{kind});
}

}  // namespace

Status Channel::State::listen() {
  if (!listeners.empty()) return fail(PIRN_ERR_BUSY, "already listening");
  const std::string name = socket_name(host, self);
  std::vector<Result<Place>> places;
  if (!directory.empty()) {
    sweep(directory, host);
    places.push_back(Place::at_path(directory, name));
  }
  places.push_back(Place::abstract(name));
  std::string reasons;
  for (Result<Place> &place : places) {
    if (!place.is_ok()) {
      reasons += (reasons.empty() ? "" : "; ") + place.error().text;
      continue;
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = ++last_id;
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, place.value().fd(), &event) != 0)
      return fail(PIRN_ERR_IO, "cannot watch a local socket: %s", std::strerror(errno));
    listeners.emplace(last_id, place.take());
  }
  if (listeners.empty()) return fail(PIRN_ERR_UNAVAILABLE, "no local socket: %s", reasons.c_str());
  if (!reasons.empty()) warn("processes of this host can meet this one in one way only: " + reasons, now_ns());
  return Status::ok();
}

size_t Channel::State::accept_some(int listener, uint64_t now) {
  size_t taken = 0;
  while (taken < accepts_at_once) {
    if (strangers.size() >= stranger_limit && !make_room(now)) break;
    Fd socket(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.is_open()) {
      if (lacks_resources(errno)) {
        warn(text("cannot accept connections: %s", std::strerror(errno)), now);
        pause_accepting(deadline_after(now, accept_pause));
      }
      break;
    }
    ++taken;
    ++counters.accepted;
    take_stranger(std::move(socket), now);
  }
  return taken;
}

void Channel::State::take_stranger(Fd socket, uint64_t now) {
  const Result<Holder> holder = holder_of(socket.get());
  Connection &connection = add(Phase::stranger);
  const ConnectionId id = connection.id;
  connection.socket = std::move(socket);
  connection.since = now;
  connection.deadline = deadline_after(now, patience);
  strangers.insert(id);
  const Status user = holder.is_ok() ? check_user(holder.value()) : holder.status();
  if (!user.is_ok()) return drop_stranger(id, &counters.refused, user, now);
  connection.peer.holder = holder.value();
  refresh(connection);
  if (connection.watched == 0)
    return drop_stranger(id, &counters.abandoned, fail(PIRN_ERR_NO_MEMORY, "cannot watch it"), now);
  read_some(id, now);  // usually its hello is already here
}

bool Channel::State::make_room(uint64_t now) {
  const ConnectionId oldest = *strangers.begin();
  const uint64_t may_go = deadline_after(find(oldest)->since, eviction_grace);
  if (now < may_go) {
    pause_accepting(may_go);
    return false;
  }
  drop_stranger(oldest, &counters.evicted, fail(PIRN_ERR_AGAIN, "too many connections wait for their proof"), now);
  return true;
}

void Channel::State::pause_accepting(uint64_t until) {
  resume_at = until;
  for (const auto &[id, place] : listeners) {
    epoll_event event{};
    event.data.u64 = id;
    epoll_ctl(epoll.get(), EPOLL_CTL_MOD, place.fd(), &event);
  }
}

void Channel::State::resume_accepting() {
  resume_at = UINT64_MAX;
  for (const auto &[id, place] : listeners) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    epoll_ctl(epoll.get(), EPOLL_CTL_MOD, place.fd(), &event);
  }
}

void Channel::State::owner_message(Connection &connection, const wire::ShareMessage &message,
                                   std::span<const std::byte> raw, uint64_t now) {
  const auto kind = static_cast<wire::ShareKind>(message.kind);
  if (connection.phase == Phase::stranger && kind == wire::ShareKind::hello)
    return take_hello(connection, message, raw, now);
  if (connection.phase == Phase::challenged && kind == wire::ShareKind::proof)
    return take_proof(connection, message, raw, now);
  const bool known = message.kind <= static_cast<uint8_t>(wire::ShareKind::released);
  if (connection.phase != Phase::owner) return fell(connection.id, out_of_turn(message.kind), &counters.malformed, now);
  if (kind == wire::ShareKind::ask) return take_ask(connection, message, now);
  if (kind == wire::ShareKind::released) {
    const Result<wire::ShareReleased> released = wire::decode_share_released(message.body);
    if (!released.is_ok()) return fell(connection.id, released.status(), &counters.malformed, now);
    const Peer peer = connection.peer;
    return events.released(peer, released.value().window);
  }
  if (kind == wire::ShareKind::bye)
    return fell(connection.id, fail(PIRN_ERR_PEER_LOST, "closed by the other end"), &counters.abandoned, now);
  // Kinds that only a newer peer knows are skipped.
  if (known) fell(connection.id, out_of_turn(message.kind), &counters.malformed, now);
}

void Channel::State::take_hello(Connection &connection, const wire::ShareMessage &message,
                                std::span<const std::byte> raw, uint64_t now) {
  const ConnectionId id = connection.id;
  const Result<wire::ShareHello> hello = wire::decode_share_hello(message.body);
  if (!hello.is_ok()) return fell(id, hello.status(), &counters.malformed, now);
  if (hello.value().other != self) return refuse(id, fail(PIRN_ERR_REFUSED, "this is another endpoint"), now);
  const std::vector<std::byte> said(raw.begin(), raw.end());
  const std::optional<Credentials> credentials = events.credentials_of(hello.value().self);
  Connection *again = find(id);
  if (again == nullptr) return;
  // Its side of the handshake may have ended before ours: it may try again.
  if (!credentials || credentials->other != hello.value().self)
    return refuse(id, fail(PIRN_ERR_AGAIN, "no handshake with this endpoint has ended here"), now);
  wire::ShareChallenge challenge;
  random_bytes(challenge.nonce.data(), challenge.nonce.size());
  challenge.proof = owner_proof(credentials->secret, said, wire::encode_share_challenge(challenge));
  again->credentials = *credentials;
  again->hello = said;
  again->challenge = wire::encode_share_challenge(challenge);
  again->phase = Phase::challenged;
  send(*again, again->challenge, {}, now);
}

void Channel::State::take_proof(Connection &connection, const wire::ShareMessage &message,
                                std::span<const std::byte> raw, uint64_t now) {
  const Result<wire::ShareProof> proof = wire::decode_share_proof(message.body);
  if (!proof.is_ok()) return fell(connection.id, proof.status(), &counters.malformed, now);
  const wire::Proof wanted = asker_proof(connection.credentials.secret, connection.hello, connection.challenge, raw);
  if (!same_proof(proof.value().proof, wanted))
    return refuse(connection.id, fail(PIRN_ERR_REFUSED, "it does not hold the secret of the handshake"), now);
  connection.peer.instance = connection.credentials.other;
  connection.peer.word = proof.value().word;
  admit(connection, now);
}

void Channel::State::admit(Connection &connection, uint64_t now) {
  const ConnectionId id = connection.id;
  strangers.erase(id);
  connection.phase = Phase::owner;
  connection.deadline = UINT64_MAX;
  connection.hello.clear();
  connection.challenge.clear();
  ++counters.admitted;
  send(connection, wire::encode_share_welcome({PIRN_OK, "", {reinterpret_cast<uint64_t>(word.get()), *word}}), {}, now);
  const Peer peer = connection.peer;
  const auto older = admitted.find(peer.instance);
  const ConnectionId replaced = older == admitted.end() ? 0 : older->second;
  if (replaced != 0) {
    remove(replaced);
    events.ended(replaced, "replaced by a newer connection of the same peer");
  }
  if (find(id) == nullptr) return;
  admitted[peer.instance] = id;
  events.admitted(id, peer);
}

void Channel::State::take_ask(Connection &connection, const wire::ShareMessage &message, uint64_t now) {
  const ConnectionId id = connection.id;
  const Result<wire::ShareAsk> ask = wire::decode_share_ask(message.body);
  if (!ask.is_ok()) return fell(id, ask.status(), &counters.malformed, now);
  const uint32_t request = message.request;
  const Peer peer = connection.peer;
  Offer offer = events.offer(peer, ask.value());
  Connection *again = find(id);
  if (again == nullptr) return;
  std::vector<std::byte> bytes = wire::encode_share_answer(request, offer.answer);
  if (bytes.empty() || named_files(offer.answer) != offer.files.size()) {
    log.write(PIRN_LOG_ERROR, "local: an answer of %zu chunks and %zu descriptors breaks a limit",
              offer.answer.chunks.size(), offer.files.size());
    offer.answer = {PIRN_ERR_INTERNAL, "the owner's answer breaks a limit", 0, {}};
    offer.files.clear();
    bytes = wire::encode_share_answer(request, offer.answer);
  }
  for (const wire::ShareChunk &chunk : offer.answer.chunks) again->told.insert(chunk.allocation);
  send(*again, std::move(bytes), std::move(offer.files), now);
}

void Channel::State::tell_gone(uint64_t allocation, uint64_t now) {
  for (const auto &[id, connection] : connections) {
    if (connection->told.erase(allocation) > 0) send(*connection, wire::encode_share_gone({allocation}), {}, now);
  }
}

void Channel::State::refuse(ConnectionId id, const Status &why, uint64_t now) {
  // Best effort: who does not read it sees the end of the connection.
  (void)send_packet(find(id)->socket.get(), wire::encode_share_welcome({why.code, why.text, {}}), {});
  drop_stranger(id, &counters.refused, why, now);
}

void Channel::State::drop_stranger(ConnectionId id, uint64_t *counter, const Status &why, uint64_t now) {
  ++*counter;
  // Who may try again is an honest peer in a hurry; who hangs up is one that changed its mind, or sweeps the directory.
  if (counter == &counters.evicted || (why.code != PIRN_ERR_AGAIN && counter != &counters.abandoned))
    warn(text("dropped a connection of process %d: %s", find(id)->peer.holder.pid, why.text.c_str()), now);
  remove(id);
}

}  // namespace pirn::local
