// SPDX-License-Identifier: Apache-2.0
// What an endpoint and its peers use, and why, for people.
#include "core/endpoint.h"
#include "core/explain.h"

#include <algorithm>

namespace pirn::core {

static std::string ago(uint64_t then, uint64_t now) { return duration_text(now > then ? now - then : 0); }

static std::string when(uint64_t then, uint64_t now) { return then > now ? "in " + duration_text(then - now) : "now"; }

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

static std::string load(uint64_t pieces, uint64_t bytes) {
  if (pieces == 0) return "nothing in flight";
  return text("%llu message%s with %llu bytes in flight", static_cast<unsigned long long>(pieces), plural(pieces),
              static_cast<unsigned long long>(bytes));
}

std::string Endpoint::explain_rail(RailSlot &rail, uint64_t now) {
  uint64_t pieces = 0, bytes = 0;
  rail.each_in_flight([&](const Piece &piece) {
    ++pieces;
    bytes += piece.bytes;
  });
  const std::string state =
      rail.open() ? "open, " + load(pieces, bytes)
                  : text("out of order for %s: %s; opened again %s", ago(rail.closed_at(), now).c_str(),
                         rail.trouble().c_str(), when(rail.retry_at(), now).c_str());
  return text("rail %u: %s (%s, %s%s): %s\n", rail.index(), rail.name().c_str(),
              rail.fabric().printable_address().c_str(), speed_text(rail.link_speed()).c_str(),
              rail.far() ? ", far: memory is registered there when first carried" : "",
              (state + "; device memory: " + direct_.explain(rail)).c_str());
}

static std::string memory_of_rails(const Rails &rails) {
  uint64_t bytes = 0;
  for (const auto &rail : rails) bytes += rail->memory();
  return text("memory: %llu KiB of pirn's own for the rails\n", static_cast<unsigned long long>(bytes >> 10));
}

// What stays while nothing is under way.
static uint64_t memory_of_peer(const Peer &peer) {
  uint64_t bytes = sizeof peer + peer.paths.capacity() * sizeof(Path) +
                   peer.addresses.capacity() * sizeof(KnownAddress) + peer.sessions.capacity() * sizeof(Session) +
                   peer.windows.capacity() * sizeof(Window *) + peer.hello_frame.capacity() +
                   peer.assembling.capacity();
  for (const wire::RailAddress &rail : peer.metadata.rails)
    bytes += sizeof rail + rail.provider.capacity() + rail.protocol.capacity() + rail.address.capacity();
  return bytes;
}

std::string Endpoint::explain() {
  const Ground ground = ground_of(context_, demand_, place_);
  std::string reasons = explain_demand(ground);
  for (const fabric::ProviderFound &provider : ground.found) {
    reasons += explain_provider(ground, provider);
    if (provider.profile == nics_.front().profile) reasons += explain_nics(ground, provider);
  }
  auto guard = driver_.lock();
  const uint64_t now = coarse_ns();
  std::string out = text("endpoint: %zu rail%s of provider %s\n", rails_.size(), plural(rails_.size()),
                         nics_.front().profile->name);
  for (auto &rail : rails_) out += explain_rail(*rail, now);
  return out + kernels_.explain() + copies_.explain() + memory_of_rails(rails_) + reasons;
}

std::string Endpoint::explain_state(const Peer &peer, uint64_t now) const {
  std::string out = text("peer %s: %s", peer.address.c_str(), peer_state_name(peer.state));
  if (peer.state == PIRN_PEER_SUSPECT) out += " for " + ago(peer.suspect_since, now);
  if (!peer.why.empty()) out += ": " + peer.why;
  if (peer.state == PIRN_PEER_CONNECTING && peer.hello)
    out += "; given up " + when(peer.hello_deadline, now) + " if its hello stays unanswered";
  if (peer.state == PIRN_PEER_SUSPECT)
    out += "; lost " + when(peer.suspect_since + health_.patience(peer), now) + " if it does not answer";
  return out + "\n";
}

static std::string why_paused(const Path &path, const RailSlot &rail, uint64_t now) {
  std::string out = text("paused for %s: %s; ", ago(path.paused_at, now).c_str(), path.why.c_str());
  if (!rail.open()) return out + "tried again when the local rail is open";
  if (path.probing) return out + "being tried now";
  return out + "tried again " + when(path.probe_at, now);
}

std::string Endpoint::explain_path(const Peer &peer, size_t index, uint64_t now) const {
  const Path &path = peer.paths[index];
  RailSlot &rail = *rails_[path.local];
  std::string state;
  if (path.paused) state = why_paused(path, rail, now);
  else if (!peer.live()) state = text("not in use: the peer is %s", peer_state_name(peer.state));
  else if (peer.state == PIRN_PEER_CONNECTING) state = "waits for the peer's answer";
  else if (!paths_.in_use(peer, path)) state = "ready, but not needed: " + std::string(path.spares > 0 ? "one with fewer spares works" : "the rail's own path works");
  else state = (path.stuck ? "in use, stuck, " : "in use, ") + load(path.outstanding, path.backlog);
  state += text(", moved %llu bytes", static_cast<unsigned long long>(path.moved));
  if (peer.live() && index == paths_.control(peer)) state += ", control frames and notifications go here";
  return text("path fabric: rail %u %s (%s) to remote rail %u (%s)%s: %s\n", rail.index(), rail.name().c_str(),
              rail.fabric().printable_address().c_str(), path.remote,
              speed_text(peer.metadata.rails[path.remote].link_speed).c_str(),
              path.detour                              ? ", a detour"
              : peer.metadata.rails[path.remote].spare ? ", a spare there"
                                                       : "",
              state.c_str());
}

// Pairs of rails that are no paths.
std::string Endpoint::explain_unpaired(const Peer &peer) const {
  const char *provider = nics_.front().profile->name;
  const std::string &protocol = nics_.front().fabric_provider;
  std::string out;
  size_t common = 0, with_spares = 0;
  for (size_t remote = 0; remote < peer.metadata.rails.size(); ++remote) {
    const wire::RailAddress &rail = peer.metadata.rails[remote];
    if (rail.provider == provider && rail.protocol == protocol) ++(rail.spare ? with_spares : common);
    else
      out += text("path fabric: remote rail %zu (%s, libfabric's %s): not made: the rails here speak %s (libfabric's %s)\n",
                  remote, rail.provider.c_str(), rail.protocol.c_str(), provider, protocol.c_str());
  }
  const auto made = static_cast<size_t>(
      std::count_if(peer.paths.begin(), peer.paths.end(), [](const Path &path) { return path.spares == 0; }));
  const size_t pairs = common * others_;
  if (pairs > made)
    out += text("path fabric: %zu other pair%s of rails not made: each rail has a partner already; others are tried when "
                "that path is paused\n",
                pairs - made, plural(pairs - made));
  const size_t ours = others_ + ((peer.metadata.features & wire::feature_spares) ? spares() : 0);
  const size_t through_spares = ours * (common + with_spares) - pairs;
  if (made == peer.paths.size() && through_spares > 0)
    out += text("path fabric: %zu pair%s with a spare not made: tried when no other path works\n", through_spares,
                plural(through_spares));
  return out;
}

std::string Endpoint::explain(Peer &peer) {
  const Ground ground = ground_of(context_, demand_, place_);
  std::string providers;
  for (const fabric::ProviderFound &provider : ground.found)
    if (provider.profile != nics_.front().profile) providers += explain_provider(ground, provider);
  auto guard = driver_.lock();
  const uint64_t now = coarse_ns();
  std::string out = explain_state(peer, now);
  for (size_t i = 0; i < peer.paths.size(); ++i) out += explain_path(peer, i, now);
  out += explain_unpaired(peer);
  constexpr uint64_t under_way = Mailbox::window * wire::max_control_frame + PIRN_NOTIFICATION_MAX;
  out += text("memory: %llu bytes of pirn's own for the peer, and at most %llu KiB for messages from it that are not "
              "whole yet\n",
              static_cast<unsigned long long>(memory_of_peer(peer)), static_cast<unsigned long long>(under_way >> 10));
  out += peer.metadata.process == process() ? "path self: used, the peer is in this process\n"
                                            : "path ipc: " + sharing_->explain(peer) + "\n";
  out += "device memory over the fabric: " + direct_.explain(peer) + "staged through host memory, as by rings: " +
         staging_.explain(peer) + "\n";
  return out + providers;
}

}  // namespace pirn::core
