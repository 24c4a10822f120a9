// SPDX-License-Identifier: Apache-2.0
// Paths through spares: opened when no other is left, and given up as soon as one is back.
#include "core/endpoint.h"
#include "core/paths.h"

#include "base/clock.h"

#include <algorithm>

namespace pirn::core {

static constexpr size_t most_through_spares = Paths::most / 2;  // detours leave room for them
static constexpr uint64_t shortest_back_off = 20 * ns_per_ms;

static bool without_spares_in_use(const Peer &peer) {
  return std::any_of(peer.paths.begin(), peer.paths.end(),
                     [](const Path &path) { return path.spares == 0 && !path.paused; });
}

static uint8_t spares_of(Endpoint &endpoint, const Peer &peer, size_t local, size_t remote) {
  return static_cast<uint8_t>((endpoint.rails()[local]->spare() ? 1 : 0) + (peer.metadata.rails[remote].spare ? 1 : 0));
}

static size_t path_of(const Peer &peer, size_t local, size_t remote) {
  for (size_t i = 0; i < peer.paths.size(); ++i)
    if (peer.paths[i].local == local && peer.paths[i].remote == remote) return i;
  return Paths::none;
}

// Those of two spares first: where their number is limited they are the fewest.
bool Paths::open_spares(Peer &peer) {
  auto through_spares = [](const Path &path) { return path.spares > 0; };
  if (std::any_of(peer.paths.begin(), peer.paths.end(), through_spares)) return true;
  size_t opened = 0;
  for (uint8_t spares : {uint8_t{2}, uint8_t{1}})
    for (const KnownAddress &known : peer.addresses) {
      if (opened == most_through_spares || peer.paths.size() == most) break;
      if (spares_of(endpoint_, peer, known.local, known.remote) != spares) continue;
      add_candidate(peer, known, endpoint_.rails()[known.local]->name() + ": a spare that has not answered yet");
      peer.paths.back().spares = spares;
      ++opened;
    }
  return opened > 0;
}

// Nothing is left in use.
void Paths::try_all(Peer &peer) {
  const uint64_t now = coarse_ns();
  for (size_t i = 0; i < peer.paths.size() && peer.live(); ++i) {
    Path &path = peer.paths[i];
    if (!path.paused) continue;
    path.back_off = shortest_back_off;
    path.probe_at = 0;
    probe(peer, i, now);
  }
}

// What goes by the paths in use is not answered, and nobody knows why: perhaps spares are.
void Paths::seek(Peer &peer) {
  constexpr uint64_t for_so_long = 10 * ns_per_s;
  if (peer.state == PIRN_PEER_CONNECTING || !peer.live() || !open_spares(peer)) return;
  const uint64_t now = coarse_ns();
  const bool began_before = now < peer.seek_until;
  peer.seek_until = now + for_so_long;
  if (began_before) return;
  for (Path &path : peer.paths)
    if (path.spares > 0 && path.paused) path.probe_at = 0;
}

bool Paths::spares_wanted(const Peer &peer, uint64_t now) const {
  return now < peer.seek_until || !without_spares_in_use(peer);
}

bool Paths::trying(const Peer &peer, uint64_t now) const {
  const bool spares = spares_wanted(peer, now);
  return std::any_of(peer.paths.begin(), peer.paths.end(),
                     [&](const Path &path) { return path.paused && (path.spares == 0 || spares); });
}

size_t Paths::pinged(Peer &peer, uint16_t local, uint32_t remote) {
  if (peer.state == PIRN_PEER_CONNECTING || !peer.live() || remote >= peer.metadata.rails.size()) return none;
  if (spares_of(endpoint_, peer, local, remote) == 0 || !open_spares(peer)) return none;
  const size_t index = path_of(peer, local, remote);
  // Who tries it is likely to need it, and so are we.
  if (index != none && peer.paths[index].paused) peer.paths[index].probe_at = 0;
  return index;
}

uint32_t Paths::count_spares_in_use(const Peer &peer) const {
  return static_cast<uint32_t>(std::count_if(peer.paths.begin(), peer.paths.end(),
                                             [&](const Path &path) { return path.spares > 0 && in_use(peer, path); }));
}

}  // namespace pirn::core
