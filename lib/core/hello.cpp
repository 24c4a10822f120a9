// SPDX-License-Identifier: Apache-2.0
// The handshake in band: a peer added from nothing but its metadata blob. Frames may be
// lost or repeated, so each side repeats its last frame until it is answered.
#include "base/clock.h"
#include "base/random.h"
#include "core/endpoint.h"
#include "core/members.h"

#include <algorithm>

namespace pirn::core {

static constexpr uint64_t hello_interval = 200 * ns_per_ms;

Result<Peer *> Membership::add(const wire::Metadata &metadata) {
  if (Peer *known = live_by_instance(metadata.instance)) {
    ++known->handles;
    known->library_owned = false;
    return known;
  }
  auto created = create(metadata, metadata.bootstrap);
  if (!created.is_ok()) return created;
  Peer &peer = *created.value();
  const Path &path = peer.paths.front();
  if (peer.address.empty())
    peer.address = text("%s rail %u", endpoint_.rails()[path.local]->fabric().name().c_str(), path.remote);
  peer.handles = 1;
  uint64_t token = random_u64();
  peer.sessions.push_back({.own_token = token, .confirmed = true});
  tokens_[token] = &peer;
  peer.hello = std::make_unique<bootstrap::Handshake>(bootstrap::Handshake::initiator(identity(), token));
  peer.hello_frame = peer.hello->start();
  peer.hello_deadline = deadline_after(coarse_ns(), endpoint_.settings().connect_timeout);
  endpoint_.health().watch(peer);
  hello_tick(peer, coarse_ns());
  return &peer;
}

void Membership::hello_tick(Peer &peer, uint64_t now) {
  if (now >= peer.hello_deadline) {
    endpoint_.health().lose(peer, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST, "it did not answer our hello in time");
    return;
  }
  if (peer.hello_sent != 0 && now < peer.hello_sent + hello_interval) return;
  if (peer.hello_sent != 0) endpoint_.paths().next_control(peer);
  const Path &path = peer.paths[endpoint_.paths().control(peer)];
  if (endpoint_.control().send_raw(path.local, path.address, &peer, peer.hello_frame)) peer.hello_sent = now;
}

void Membership::handshake_frame(RailSlot &rail, const wire::Frame &frame, std::span<const std::byte> bytes) {
  switch (frame.header.kind) {
    case wire::Kind::hello:
      hello_from(rail, frame, bytes);
      return;
    case wire::Kind::proof:
      proof_from(frame, bytes);
      return;
    default:
      if (Peer *peer = by_token(frame.header.token); peer && peer->hello) hello_answered(*peer, frame, bytes);
      return;
  }
}

void Membership::hello_answered(Peer &peer, const wire::Frame &frame, std::span<const std::byte> bytes) {
  const Path &path = peer.paths[endpoint_.paths().control(peer)];
  if (frame.header.kind == wire::Kind::challenge &&
      peer.hello->has_remote()) {  // repeated: our PROOF was lost or is late
    endpoint_.control().send_raw(path.local, path.address, &peer, peer.hello_frame);
    return;
  }
  bootstrap::Outcome outcome = peer.hello->receive(frame, bytes);
  if (!outcome.reply.empty()) {
    peer.hello_frame = std::move(outcome.reply);
    peer.hello_sent = 0;
    if (endpoint_.control().send_raw(path.local, path.address, &peer, peer.hello_frame)) peer.hello_sent = coarse_ns();
  }
  if (!outcome.error.is_ok()) {
    endpoint_.health().lose(peer, PIRN_PEER_LOST, outcome.error.code, outcome.error.text);
    return;
  }
  if (outcome.established && peer.hello->remote().instance == peer.instance)
    up(peer, {.own_token = peer.sessions.front().own_token, .remote_token = peer.hello->remote().token});
}

void Membership::hello_from(RailSlot &rail, const wire::Frame &frame, std::span<const std::byte> bytes) {
  for (auto &[token, caller] : callers_) {
    if (!std::equal(caller.hello.begin(), caller.hello.end(), bytes.begin(), bytes.end())) continue;
    endpoint_.control().send_raw(caller.rail, caller.address, nullptr, caller.reply);
    return;
  }
  if (callers_.size() >= endpoint_.settings().handshake_limit) {
    auto oldest = std::min_element(callers_.begin(), callers_.end(),
                                   [](const auto &a, const auto &b) { return a.second.expires < b.second.expires; });
    forget_caller(oldest);
  }
  uint64_t own_token = 0;
  Caller caller{bootstrap::Handshake::responder(identity(),
                                                [&](const wire::Hello &hello) { return own_token = token_for(hello); }),
                {bytes.begin(), bytes.end()},
                {},
                rail.index(),
                0,
                0};
  bootstrap::Outcome outcome = caller.handshake.receive(frame, bytes);
  if (!caller.handshake.has_remote()) return;
  const auto &theirs = caller.handshake.remote_metadata().rails;
  const std::string &protocol = endpoint_.nics()[rail.index()].fabric_provider;
  auto match = std::find_if(theirs.begin(), theirs.end(), [&](const auto &r) { return r.protocol == protocol; });
  if (match == theirs.end()) return;
  auto inserted = rail.fabric().insert(match->address);
  if (!inserted.is_ok()) return;
  caller.address = inserted.value();
  caller.reply = std::move(outcome.reply);
  caller.expires = deadline_after(coarse_ns(), endpoint_.settings().handshake_timeout);
  endpoint_.control().send_raw(rail.index(), caller.address, nullptr, caller.reply);
  if (outcome.error.is_ok() && callers_.emplace(own_token, std::move(caller)).second) return;
  rail.retire(inserted.value());
}

// Peers hold their own reference to the address; a stranger's goes with it.
Membership::Callers::iterator Membership::forget_caller(Callers::iterator caller) {
  endpoint_.rails()[caller->second.rail]->retire(caller->second.address);
  return callers_.erase(caller);
}

void Membership::proof_from(const wire::Frame &frame, std::span<const std::byte> bytes) {
  auto found = callers_.find(frame.header.token);
  if (found == callers_.end()) return;
  Caller &caller = found->second;
  if (by_token(frame.header.token)) {  // our WELCOME was lost
    endpoint_.control().send_raw(caller.rail, caller.address, nullptr, caller.reply);
    return;
  }
  bootstrap::Outcome outcome = caller.handshake.receive(frame, bytes);
  caller.reply = std::move(outcome.reply);
  if (outcome.established) caller_established(caller, frame.header.token);
  if (!caller.reply.empty()) endpoint_.control().send_raw(caller.rail, caller.address, nullptr, caller.reply);
  if (!outcome.error.is_ok()) {
    endpoint_.log().write(PIRN_LOG_WARN, "refused a peer in band: %s", outcome.error.text.c_str());
    forget_caller(found);
  }
}

void Membership::caller_established(Caller &caller, uint64_t own_token) {
  const wire::Hello &remote = caller.handshake.remote();
  Peer *peer = live_by_instance(remote.instance);
  if (!peer) {
    auto created = create(caller.handshake.remote_metadata(), caller.handshake.remote_metadata().bootstrap);
    if (!created.is_ok()) {
      caller.reply.clear();
      wire::encode_welcome(caller.reply, remote.token, {created.error().code, created.error().text.substr(0, 255)});
      return;
    }
    peer = created.value();
    if (peer->address.empty())
      peer->address =
          text("%s rail %u", endpoint_.rails()[caller.rail]->fabric().name().c_str(), peer->paths.front().remote);
  }
  Session session{.own_token = own_token, .remote_token = remote.token, .wants_accept = true};
  if (peer->state == PIRN_PEER_CONNECTING) {
    up(*peer, session);
    settle(*peer, session);
  } else {
    join(*peer, session);
  }
}

void Membership::tick(uint64_t now) {
  for (auto caller = callers_.begin(); caller != callers_.end();)
    caller = now >= caller->second.expires ? forget_caller(caller) : std::next(caller);
  if (unconfirmed_ > 0) greet(now);
  if (unreferenced_) reap();
}

}  // namespace pirn::core
