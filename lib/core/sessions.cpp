// SPDX-License-Identifier: Apache-2.0
// Sessions: what happens when two endpoints that know each other shake hands again.
//
// Either both still have their peer objects (both connected at once, or one connected
// twice): then the new handshake is one more session of the same peers. Or one side gave its peer object up (it thought
// the other dead): then the other side's object is stale and is replaced. Every peer object has a random epoch, in
// every frame it sends, so the first frame of the new session tells; both sides greet at once.
#include "base/clock.h"
#include "core/endpoint.h"
#include "core/members.h"

#include <algorithm>

namespace pirn::core {

static constexpr uint64_t greeting_interval = 50 * ns_per_ms;

Peer *Membership::by_token(uint64_t token) const {
  auto found = tokens_.find(token);
  return found == tokens_.end() ? nullptr : found->second;
}

void Membership::up(Peer &peer, Session session) {
  session.confirmed = true;
  session.number = ++sessions_made_;
  // A peer that was saying hello in band has the hello's session already, maybe this one.
  std::erase_if(peer.sessions, [&](const Session &known) { return known.own_token == session.own_token; });
  peer.sessions.insert(peer.sessions.begin(), session);
  tokens_[session.own_token] = &peer;
  if (session.lifeline != 0) lifelines_[session.lifeline] = &peer;
  peer.remote_token = session.remote_token;
  peer.state = PIRN_PEER_UP;
  peer.hello.reset();
  peer.hello_frame.clear();
  peer.last_heard = coarse_ns();
  endpoint_.log().write(PIRN_LOG_INFO, "peer %s is up", peer.address.c_str());
  endpoint_.health().watch(peer);
  endpoint_.control().send_greeting(peer, session.remote_token);
  endpoint_.control().talk(peer);
  endpoint_.engine().wake(peer);
}

void Membership::join(Peer &peer, Session session) {
  session.greeted = coarse_ns();
  session.number = ++sessions_made_;
  peer.sessions.push_back(session);
  tokens_[session.own_token] = &peer;
  if (session.lifeline != 0) lifelines_[session.lifeline] = &peer;
  ++unconfirmed_;
  endpoint_.control().send_greeting(peer, session.remote_token);
}

void Membership::confirm(Peer &peer, Session &session) {
  if (session.confirmed) return;
  session.confirmed = true;
  --unconfirmed_;
  settle(peer, Session(session));
}

void Membership::settle(Peer &peer, const Session &session) {
  if (session.wants_accept) queue_accept(peer);
  if (Attempt *waiting = session.attempt != 0 ? attempt(session.attempt) : nullptr) {
    waiting->done = true;
    waiting->peer = &peer;
    ++peer.handles;
    peer.library_owned = false;
  }
}

// Who sends such a frame has heard us, or sends to nobody else. Greetings and pings without news go to whoever answers.
static bool is_more_than_greeting(const wire::Header &header) { return header.sequence != 0 || header.acknowledged != 0; }

Peer *Membership::receiver(const wire::Header &header) {
  Peer *peer = by_token(header.token);
  if (!peer || !peer->live() || peer->state == PIRN_PEER_CONNECTING) return nullptr;
  Session &session = peer->session_of(header.token);
  if (peer->remote_epoch != header.epoch) {
    // Late, from a peer object that the other side has given up since.
    if (session.number < peer->epoch_session) return nullptr;
    // The other side may have greeted by a peer object that it had for our predecessor, until it heard that we are new.
    const bool greeted_only = session.number == peer->epoch_session && !peer->epoch_settled;
    if (peer->remote_epoch == 0 || peer->mailbox.pristine() || greeted_only) {
      // This session is surely with the other side's present peer object; an earlier one may not be.
      peer->remote_epoch = header.epoch;
      peer->epoch_settled = false;
      if (session.remote_token != 0) peer->remote_token = session.remote_token;
    } else if (session.number > peer->epoch_session) {
      peer = restart(*peer, Session(session));
      if (!peer) return nullptr;
      peer->remote_epoch = header.epoch;
      peer->epoch_session = peer->sessions.front().number;
      return peer;
    } else if (!is_more_than_greeting(header)) {
      return nullptr;  // late, from the object before
    } else {
      endpoint_.health().lose(*peer, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST, "the peer gave this session up");
      return nullptr;
    }
  }
  peer->epoch_session = std::max(peer->epoch_session, session.number);
  peer->epoch_settled = peer->epoch_settled || is_more_than_greeting(header);
  confirm(*peer, session);
  return peer;
}

// The other side has a new peer object for us: ours goes, and a new one takes the session over.
Peer *Membership::restart(Peer &stale, const Session &session) {
  if (!session.confirmed) --unconfirmed_;
  std::erase_if(stale.sessions, [&](const Session &known) { return known.own_token == session.own_token; });
  tokens_.erase(session.own_token);
  wire::Metadata metadata = stale.metadata;
  std::string address = stale.address;
  endpoint_.health().lose(stale, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST, "the peer gave this session up");
  auto created = create(metadata, address);
  if (!created.is_ok()) {
    endpoint_.log().write(PIRN_LOG_WARN, "peer %s: %s", address.c_str(), created.error().text.c_str());
    if (session.lifeline != 0) endpoint_.bootstrap().close(session.lifeline);
    lifelines_.erase(session.lifeline);
    return nullptr;
  }
  up(*created.value(), session);
  settle(*created.value(), session);
  return created.value();
}

// A later session that is not confirmed is with a peer object that came after the one that left.
void Membership::left(Peer &peer, uint64_t session) {
  auto later = std::find_if(peer.sessions.begin(), peer.sessions.end(),
                            [&](const Session &other) { return !other.confirmed && other.number > session; });
  if (later != peer.sessions.end()) restart(peer, Session(*later));
  else endpoint_.health().lose(peer, PIRN_PEER_CLOSED, PIRN_ERR_PEER_LOST, "the peer closed");
}

void Membership::greet(uint64_t now) {
  for (auto &peer : peers_) {
    for (Session &session : peer->sessions) {
      if (session.confirmed || now < session.greeted + greeting_interval) continue;
      if (endpoint_.control().send_greeting(*peer, session.remote_token)) session.greeted = now;
    }
  }
}

}  // namespace pirn::core
