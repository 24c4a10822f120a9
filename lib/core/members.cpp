// SPDX-License-Identifier: Apache-2.0
// The table of peers and their life: create, accept, release, reap. Sessions are in sessions.cpp, the hello in band is
// in hello.cpp.
#include "core/members.h"

#include "base/clock.h"
#include "base/random.h"
#include "core/endpoint.h"
#include "core/neighbours.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace pirn::core {

const char *peer_state_name(uint32_t state) {
  static const char *const names[] = {"connecting", "up", "suspect", "closed", "lost"};
  return state < std::size(names) ? names[state] : "?";
}

Membership::Membership(Endpoint &endpoint) : endpoint_(endpoint) {
  random_bytes(token_secret_.data(), token_secret_.size());
}

const bootstrap::Identity &Membership::identity() {
  identity_.instance = endpoint_.instance();
  identity_.metadata = endpoint_.metadata_blob();
  identity_.key = endpoint_.key();
  return identity_;
}

Peer *Membership::live_by_instance(const wire::Instance &instance) const {
  auto found = instances_.find(instance);
  return found == instances_.end() ? nullptr : found->second;
}

Result<Peer *> Membership::create(const wire::Metadata &metadata, const std::string &address) {
  if (metadata.instance == endpoint_.instance()) return fail(PIRN_ERR_INVALID, "the metadata is this endpoint's own");
  auto peer = std::make_unique<Peer>();
  peer->endpoint = &endpoint_;
  peer->instance = metadata.instance;
  peer->metadata = metadata;
  peer->address = address;
  peer->own_epoch = static_cast<uint32_t>(random_u64()) | 1;
  Status paths = endpoint_.paths().open(*peer);
  if (!paths.is_ok()) return paths;
  if (endpoint_.shares_memory_with_peers()) peer->neighbour = find_neighbour(metadata.instance);
  Peer *made = peer.get();
  instances_[metadata.instance] = made;
  peers_.push_back(std::move(peer));
  return made;
}

bootstrap::ConnectionId Membership::connect(const std::vector<bootstrap::SocketAddress> &addresses,
                                            uint64_t deadline_ns) {
  bootstrap::ConnectionId id = endpoint_.bootstrap().connect(addresses, deadline_ns);
  attempts_.try_emplace(id);
  return id;
}

Membership::Attempt *Membership::attempt(bootstrap::ConnectionId id) {
  auto found = attempts_.find(id);
  return found == attempts_.end() ? nullptr : &found->second;
}

void Membership::abandon(bootstrap::ConnectionId id) {
  auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  if (!found->second.done) endpoint_.bootstrap().close(id);
  attempts_.erase(found);
}

uint64_t Membership::own_token(bootstrap::ConnectionId id) {
  uint64_t &token = attempts_[id].own_token;
  if (token == 0) token = random_u64();
  return token;
}

// A function of who asks, so that nothing has to be remembered about strangers.
uint64_t Membership::token_for(const wire::Hello &hello) {
  std::array<unsigned char, sizeof(hello.instance) + sizeof(hello.token)> input;
  std::memcpy(input.data(), hello.instance.data(), sizeof(hello.instance));
  std::memcpy(input.data() + sizeof(hello.instance), &hello.token, sizeof(hello.token));
  uint64_t token = 0;
  crypto_shorthash(reinterpret_cast<unsigned char *>(&token), input.data(), input.size(), token_secret_.data());
  return token | 1;
}

Status Membership::established(bootstrap::ConnectionId id, bool initiated, const wire::Hello &remote,
                               const wire::Metadata &metadata, const std::string &remote_address) {
  if (!initiated && !background_ && accepted_.size() >= endpoint_.settings().accept_backlog)
    return fail(PIRN_ERR_AGAIN, "%zu peers wait to be accepted, as many as PIRN_ACCEPT_BACKLOG allows",
                accepted_.size());
  Session session;
  session.own_token = initiated ? own_token(id) : token_for(remote);
  session.remote_token = remote.token;
  session.lifeline = id;
  session.attempt = initiated ? id : 0;
  session.wants_accept = !initiated;
  Peer *peer = live_by_instance(remote.instance);
  if (peer && peer->state != PIRN_PEER_CONNECTING) {
    join(*peer, session);
    return Status::ok();
  }
  if (!peer) {
    auto created = create(metadata, remote_address);
    if (!created.is_ok()) {
      if (initiated) connect_failed(id, created.error());
      return created.status();
    }
    peer = created.value();
  }
  up(*peer, session);
  settle(*peer, session);
  return Status::ok();
}

void Membership::connect_failed(bootstrap::ConnectionId id, const Status &why) {
  Attempt *waiting = attempt(id);
  if (!waiting) return;
  waiting->done = true;
  waiting->status = why;
}

void Membership::lifeline_lost(bootstrap::ConnectionId id, const std::string &why) {
  auto found = lifelines_.find(id);
  if (found == lifelines_.end()) return;
  Peer &peer = *found->second;
  lifelines_.erase(found);
  for (Session &session : peer.sessions)
    if (session.lifeline == id) session.lifeline = 0;
  if (peer.has_lifeline()) return;
  endpoint_.health().suspect(peer, "its bootstrap connection ended: " + why, true);
}

void Membership::lifeline_closed(bootstrap::ConnectionId id) {
  auto found = lifelines_.find(id);
  if (found == lifelines_.end()) return;
  Peer &peer = *found->second;
  lifelines_.erase(found);
  uint64_t number = 0;
  for (Session &session : peer.sessions) {
    if (session.lifeline != id) continue;
    session.lifeline = 0;
    number = session.number;
  }
  left(peer, number);
}

void Membership::background(bool on, bool with_callback) {
  background_ = on;
  with_callback_ = with_callback;
  if (!on) return;
  while (!accepted_.empty()) {
    Peer *peer = accepted_.front();
    accepted_.pop_front();
    peer->accept_queued = false;
    if (peer->live()) queue_accept(*peer);
  }
}

void Membership::queue_accept(Peer &peer) {
  if (background_ && with_callback_) {
    ++peer.handles;
    callbacks_.push_back(&peer);
    return;
  }
  peer.library_owned = peer.handles == 0;
  if (background_ || peer.accept_queued || accepted_.size() >= endpoint_.settings().accept_backlog) return;
  peer.accept_queued = true;
  accepted_.push_back(&peer);
}

Peer *Membership::next_accepted() {
  while (!accepted_.empty()) {
    Peer *peer = accepted_.front();
    accepted_.pop_front();
    peer->accept_queued = false;
    if (!peer->live()) {
      unreferenced_ = true;
      continue;
    }
    peer->library_owned = false;
    ++peer->handles;
    return peer;
  }
  return nullptr;
}

void Membership::release(Peer &peer) {
  if (--peer.handles > 0) return;
  unreferenced_ = true;
  goodbye(peer, PIRN_ERR_CANCELLED, "the peer was closed by this side");
}

void Membership::goodbye(Peer &peer, pirn_status status, const std::string &why) {
  if (!peer.live()) return;
  if (peer.state != PIRN_PEER_CONNECTING) endpoint_.control().send_bye(peer);
  // The frame may come too late, or never: its rail may not be connected yet. This one comes before the end.
  for (const Session &session : peer.sessions)
    if (session.lifeline != 0) endpoint_.bootstrap().farewell(session.lifeline);
  endpoint_.health().lose(peer, PIRN_PEER_CLOSED, status, why);
}

void Membership::ended(Peer &peer) {
  endpoint_.windows().ended(peer);
  peer.library_owned = false;
  unreferenced_ = true;
  peer.hello.reset();
  auto found = instances_.find(peer.instance);
  if (found != instances_.end() && found->second == &peer) instances_.erase(found);
  for (Session &session : peer.sessions) {
    tokens_.erase(session.own_token);
    if (session.lifeline != 0) {
      lifelines_.erase(session.lifeline);
      endpoint_.bootstrap().close(session.lifeline);
    }
    if (session.confirmed) continue;
    --unconfirmed_;
    if (session.attempt != 0) connect_failed(session.attempt, fail(PIRN_ERR_PEER_LOST, "%s", peer.why.c_str()));
  }
  peer.sessions.clear();
}

bool Membership::referenced(const Peer &peer) const {
  return peer.live() || peer.handles || peer.op_references || peer.active_ops || !peer.windows.empty() ||
         peer.control_in_flight || peer.accept_queued;
}

void Membership::reap() {
  unreferenced_ = false;
  std::erase_if(peers_, [this](const std::unique_ptr<Peer> &peer) {
    if (referenced(*peer)) {
      if (!peer->live() && peer->handles == 0) unreferenced_ = true;
      return false;
    }
    endpoint_.control().forget(*peer);
    endpoint_.health().forget(*peer);
    peer->pending_peer_link.unlink();
    endpoint_.paths().close(*peer);
    return true;
  });
}

}  // namespace pirn::core
