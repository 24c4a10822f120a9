// SPDX-License-Identifier: Apache-2.0
#include "core/paths.h"

#include "base/clock.h"
#include "core/endpoint.h"
#include "core/neighbours.h"
#include "core/scheduler.h"

#include <algorithm>
#include <array>
#include <set>

namespace pirn::core {

static constexpr uint64_t shortest_back_off = 20 * ns_per_ms;
static constexpr uint64_t longest_back_off = 5 * ns_per_s;
static constexpr uint64_t mute_back_off = 32 * shortest_back_off;  // several probes in a second were in vain

static std::string names_of(const wire::Metadata &metadata) {
  std::string names;
  for (const wire::RailAddress &rail : metadata.rails)
    names += text("%s%s (%s)", names.empty() ? "" : ", ", rail.provider.c_str(), rail.protocol.c_str());
  return names;
}

static const KnownAddress *find(const Peer &peer, uint16_t local, uint16_t remote) {
  for (const KnownAddress &known : peer.addresses)
    if (known.local == local && known.remote == remote) return &known;
  return nullptr;
}

Status Paths::open(Peer &peer) {
  const fabric::Profile &profile = endpoint_.rails().front()->fabric().profile();
  if (profile.same_process_only && peer.metadata.process != endpoint_.process())
    return fail(PIRN_ERR_UNAVAILABLE,
                "provider %s does not survive the death of a peer process, so pirn uses it inside one process only; "
                "use another provider between processes",
                profile.name);
  if (profile.same_process_only && !(find_neighbour(peer.instance) && find_neighbour(endpoint_.instance())))
    return fail(PIRN_ERR_UNAVAILABLE, "one of the two endpoints is closed or being reset");
  // All rails of an endpoint are of one provider and protocol.
  const std::string &protocol = endpoint_.nics().front().fabric_provider;
  std::vector<uint16_t> all, remotes;  // that speak it, and those of them that are no spares
  for (uint16_t remote = 0; remote < peer.metadata.rails.size(); ++remote) {
    const wire::RailAddress &rail = peer.metadata.rails[remote];
    if (rail.provider != profile.name || rail.protocol != protocol) continue;
    all.push_back(remote);
    if (!rail.spare) remotes.push_back(remote);
  }
  if (remotes.empty())
    return fail(PIRN_ERR_UNAVAILABLE, "no provider in common: here %s (%s), there %s", profile.name, protocol.c_str(),
                names_of(peer.metadata).c_str());
  Status refused;
  for (const auto &rail : endpoint_.rails()) {
    if (rail->spare() && (peer.metadata.features & wire::feature_spares) == 0) continue;
    for (uint16_t remote : all) {
      auto inserted = rail->fabric().insert(peer.metadata.rails[remote].address);
      if (inserted.is_ok()) peer.addresses.push_back({rail->index(), remote, inserted.value()});
      else refused = inserted.status();
    }
  }
  const size_t locals = endpoint_.rails().size() - endpoint_.spares();
  for (size_t i = 0; i < std::max(locals, remotes.size()); ++i) {
    Path path;
    path.local = static_cast<uint16_t>(i % locals);
    path.remote = remotes[i % remotes.size()];
    const KnownAddress *known = find(peer, path.local, path.remote);
    if (known == nullptr) {
      close(peer);
      return refused;
    }
    path.address = known->address;
    peer.paths.push_back(std::move(path));
  }
  peer.pairs = peer.paths.size();
  peer.unannounced.resize(endpoint_.rails().size());
  return Status::ok();
}

void Paths::close(Peer &peer) {
  for (const KnownAddress &known : peer.addresses) endpoint_.rails()[known.local]->retire(known.address);
  peer.addresses.clear();
}

void Paths::address_changed(Peer &peer, const wire::AddressChange &change) {
  if (change.rail >= peer.metadata.rails.size()) return;
  peer.metadata.rails[change.rail].address = change.address;
  for (KnownAddress &known : peer.addresses) {
    if (known.remote != change.rail) continue;
    RailSlot &rail = *endpoint_.rails()[known.local];
    auto inserted = rail.fabric().insert(change.address);
    if (!inserted.is_ok()) continue;
    rail.retire(std::exchange(known.address, inserted.value()));
    for (Path &path : peer.paths)
      if (path.local == known.local && path.remote == known.remote) path.address = known.address;
  }
}

size_t Paths::pairs(const Peer &peer) {
  return static_cast<size_t>(
      std::count_if(peer.paths.begin(), peer.paths.end(), [](const Path &path) { return !path.detour; }));
}

// A detour serves only while its local rail has no better way, a spare only while nobody has.
bool Paths::in_use(const Peer &peer, const Path &path) const {
  if (path.paused) return false;
  if (path.spares > 0)
    return std::none_of(peer.paths.begin(), peer.paths.end(),
                        [&](const Path &other) { return !other.paused && other.spares < path.spares; });
  if (!path.detour) return true;
  return std::none_of(peer.paths.begin(), peer.paths.end(), [&](const Path &other) {
    return !other.detour && other.spares == 0 && !other.paused && other.local == path.local;
  });
}

uint32_t Paths::count_in_use(const Peer &peer) const {
  return static_cast<uint32_t>(
      std::count_if(peer.paths.begin(), peer.paths.end(), [&](const Path &path) { return in_use(peer, path); }));
}

size_t Paths::in_use_besides(const Peer &peer, size_t path) const {
  size_t count = 0;
  for (size_t i = 0; i < peer.paths.size(); ++i) count += i != path && !peer.paths[i].paused;
  return count;
}

size_t Paths::choose(const Peer &peer, const Op &op, uint64_t refused, bool first) const {
  const bool small = op.total <= small_transfer;
  const uint64_t bytes = std::min(op.total, op.piece_bytes);
  const size_t count = peer.paths.size();
  const uint64_t chunk = endpoint_.settings().chunk_size;
  uint64_t limit = first ? first_backlog_limit(bytes, chunk) : backlog_limit(op.piece_bytes), fastest = 0;
  auto takes = [&](const Path &path) {
    const RailSlot &rail = *endpoint_.rails()[path.local];
    return path.unannounced == 0 && rail.takes(path.outstanding) &&
           (small || (!path.stuck && has_room(rail.backlog, bytes, limit, rail.link_speed(), fastest)));
  };
  if (peer.pairs == 1 && (count == 1 || !peer.paths.front().paused)) return refused == 0 && takes(peer.paths.front()) ? 0 : none;
  if (!small) {
    for (const Path &path : peer.paths) fastest = std::max(fastest, endpoint_.rails()[path.local]->link_speed());
    if (endpoint_.engine().only_large(op))
      limit = last_backlog_limit(op.piece_bytes, op.total - op.moved - op.in_flight, count);
  }
  std::array<RailLoad, most> loads;
  for (size_t i = 0; i < count; ++i) {
    const Path &path = peer.paths[i];
    const RailSlot &rail = *endpoint_.rails()[path.local];
    // The path's own bytes count twice, so that one local rail shares its work among several remote ones.
    loads[i] = {rail.backlog + path.backlog, rail.link_speed(),
                (refused >> i & 1) == 0 && in_use(peer, path) && takes(path)};
  }
  return pick_rail({loads.data(), count}, bytes);
}

size_t Paths::control(const Peer &peer) const {
  size_t count = peer.paths.size();
  for (size_t i = 0; i < count; ++i) {
    size_t path = (peer.control_path + i) % count;
    const bool sought = i == 0 && peer.paths[path].spares > 0 && !peer.paths[path].paused;
    if (sought || in_use(peer, peer.paths[path])) return path;
  }
  return 0;
}

void Paths::next_control(Peer &peer) {
  const size_t count = peer.paths.size(), now = control(peer);
  size_t spare = none;
  for (size_t i = 1; i < count; ++i) {
    const size_t other = (now + i) % count;
    if (in_use(peer, peer.paths[other])) {
      peer.control_path = static_cast<uint32_t>(other);
      return;
    }
    if (spare == none && peer.paths[other].spares > 0 && !peer.paths[other].paused) spare = other;
  }
  if (spare != none) peer.control_path = static_cast<uint32_t>(spare);
  else seek(peer);
}

bool Paths::failed(Peer &peer, size_t path, const std::string &why) {
  Path &failing = peer.paths[path];
  if (failing.paused && failing.spares > 0 && failing.resumed_at == 0) failing.why = why;
  if (failing.paused) return true;
  const bool others = in_use_besides(peer, path) > 0;
  if (!others && (peer.state == PIRN_PEER_CONNECTING || !open_spares(peer))) return false;
  pause(peer, path, why);
  if (!others) try_all(peer);
  return others;
}

void Paths::pause(Peer &peer, size_t index, const std::string &why) {
  uint64_t now = coarse_ns();
  Path &path = peer.paths[index];
  bool relapse = path.back_off != 0 && now < path.resumed_at + 2 * longest_back_off;
  path.paused = true;
  path.why = why;
  path.paused_at = now;
  path.back_off = relapse ? std::min(path.back_off * 2, longest_back_off) : shortest_back_off;
  path.probe_at = now + path.back_off;
  ++peer.episode;
  endpoint_.log().write(PIRN_LOG_INFO, "peer %s: rail %u to remote rail %u is paused: %s", peer.address.c_str(),
                        path.local, path.remote, why.c_str());
  open_detours(peer, index);
  endpoint_.health().watch(peer);
  // What was in flight there may be lost.
  peer.mailbox.resend(now);
  endpoint_.control().talk(peer);
  endpoint_.engine().wake(peer);
}

// The other NICs of the peer, from the same local rail. They must prove themselves before they carry anything.
void Paths::open_detours(Peer &peer, size_t index) {
  if (peer.paths[index].spares > 0) return;
  const uint16_t local = peer.paths[index].local;
  std::vector<uint16_t> remotes;
  for (const Path &path : peer.paths)
    if (!path.detour && path.spares == 0 && std::find(remotes.begin(), remotes.end(), path.remote) == remotes.end())
      remotes.push_back(path.remote);
  const bool spares = endpoint_.spares() > 0 || peer.metadata.rails.back().spare;
  const size_t limit = spares ? most / 2 : most;  // which need room, too
  for (uint16_t remote : remotes) {
    bool known = std::any_of(peer.paths.begin(), peer.paths.end(),
                             [&](const Path &path) { return path.local == local && path.remote == remote; });
    if (known || peer.paths.size() >= limit) continue;
    const KnownAddress *address = find(peer, local, remote);
    if (address == nullptr) continue;
    add_candidate(peer, *address, "not tried yet");
    peer.paths.back().detour = true;
  }
}

// A path that must answer a ping before it carries anything.
void Paths::add_candidate(Peer &peer, const KnownAddress &known, std::string why) {
  Path path;
  path.local = known.local;
  path.remote = known.remote;
  path.address = known.address;
  path.unannounced = peer.unannounced[known.local];
  path.paused = true;
  path.why = std::move(why);
  path.paused_at = coarse_ns();
  path.back_off = shortest_back_off;
  peer.paths.push_back(std::move(path));
}

void Paths::rail_failed(const RailSlot &rail, const std::string &why, bool gone) {
  endpoint_.members().each([&](Peer &peer) {
    for (size_t i = 0; i < peer.paths.size() && peer.live(); ++i) {
      if (peer.paths[i].local != rail.index() || failed(peer, i, why)) continue;
      if (gone && !may_be_reached(peer)) endpoint_.health().lose(peer, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST, why + troubles(peer));
      else endpoint_.health().suspect(peer, why + troubles(peer), true);
    }
  });
}

bool Paths::may_be_reached(const Peer &peer) const {
  return std::any_of(peer.paths.begin(), peer.paths.end(), [this](const Path &path) {
    return path.spares > 0 && endpoint_.rails()[path.local]->open();
  });
}

void Paths::rail_opened(const RailSlot &rail) {
  endpoint_.members().each([&](Peer &peer) {
    for (Path &path : peer.paths)
      if (path.local == rail.index()) path.probe_at = 0;
  });
}

void Paths::pong(Peer &peer, uint64_t id) {
  for (size_t i = 0; i < peer.paths.size(); ++i) {
    Path &path = peer.paths[i];
    if (path.probe == 0 || path.probe != id) continue;
    path.probe = 0;
    if (path.spares < peer.paths[control(peer)].spares) peer.control_path = static_cast<uint32_t>(i);
    if (!path.paused) continue;
    const bool cut_off = count_in_use(peer) == 0;
    path.paused = false;
    path.why.clear();
    path.resumed_at = path.moved_at = coarse_ns();
    // What was sent while there was no way is lost.
    if (cut_off) peer.mailbox.resend(path.resumed_at);
    if (cut_off) endpoint_.control().talk(peer);
    endpoint_.log().write(PIRN_LOG_INFO, "peer %s: rail %u to remote rail %u works", peer.address.c_str(), path.local,
                          path.remote);
    endpoint_.engine().wake(peer);
  }
}

void Paths::announcing(Peer &peer, uint32_t rail) {
  ++peer.unannounced[rail];
  for (Path &path : peer.paths)
    if (path.local == rail) ++path.unannounced;
}

void Paths::announced(Peer &peer, uint32_t rail) {
  --peer.unannounced[rail];
  for (Path &path : peer.paths)
    if (path.local == rail) --path.unannounced;
  endpoint_.engine().wake(peer);
}

void Paths::probe(Peer &peer, size_t index, uint64_t now) {
  Path &path = peer.paths[index];
  if (now < path.probe_at || path.probing || !endpoint_.rails()[path.local]->open()) return;
  uint64_t id = next_probe_++;
  path.probe = id;
  if (path.probe_at != 0) path.back_off = std::min(path.back_off * 2, longest_back_off);
  path.probe_at = now + path.back_off;
  if (!endpoint_.control().send_probe(peer, index, id)) peer.paths[index].probe = 0;
}

// Its pieces rest while the peer is alive. Another path must be there to carry them.
bool Paths::stalled(const Peer &peer, size_t index, uint64_t now) const {
  const Path &path = peer.paths[index];
  uint64_t patience = endpoint_.settings().rail_timeout;
  return !path.paused && path.outstanding > 0 && now >= path.moved_at + patience &&
         peer.last_heard > path.moved_at + patience / 4 && in_use_besides(peer, index) > 0;
}

// A probe is due, those before it were in vain, and nothing has come through the local rail by any way since: the fault
// may be ours, although not every provider says so. A way by a spare that never worked may just lead nowhere.
bool Paths::mute(const Path &path, uint64_t now) {
  if (path.detour || path.probing || now < path.probe_at || path.back_off < mute_back_off) return false;
  if (path.spares > 0 && path.resumed_at == 0) return false;
  if (!endpoint_.rails()[path.local]->open()) return false;
  bool works = false;
  endpoint_.members().each([&](Peer &peer) {
    if (!peer.live()) return;
    for (const Path &other : peer.paths)
      works = works || (other.local == path.local && !other.paused &&
                        std::max(other.moved_at, other.resumed_at) >= path.paused_at);
  });
  return !works;
}

void Paths::look_for_stuck(Peer &peer, uint64_t now) {
  for (Path &path : peer.paths) {
    if (path.stuck || path.outstanding == 0 || now < path.moved_at + stuck_after) continue;
    path.stuck = true;
    endpoint_.rails()[path.local]->backlog -= path.backlog;
  }
}

void Paths::tick(Peer &peer, uint64_t now) {
  look_for_stuck(peer, now);
  if (peer.paths.size() == 1) return;
  const bool spares = spares_wanted(peer, now);
  for (size_t i = 0; i < peer.paths.size() && peer.live(); ++i) {
    const Path &path = peer.paths[i];
    // A spare in use shows so that the peer looks at its own often enough; and a path that frames were taken away from
    // may get them back.
    const bool shown = !path.paused && (path.spares > 0 ? in_use(peer, path) : peer.paths[control(peer)].spares > 0);
    const bool tried = path.paused && (path.spares == 0 || spares);
    if (tried && mute(path, now)) {
      endpoint_.log().write(PIRN_LOG_INFO, "rail %u reaches nobody: it is opened anew", path.local);
      endpoint_.engine().reset_rail(*endpoint_.rails()[path.local]);
    }
    if (shown || tried) probe(peer, i, now);
    if (stalled(peer, i, now)) {
      uint64_t rested = (now - peer.paths[i].moved_at) / ns_per_ms;
      pause(peer, i, text("nothing completed for %llu ms", static_cast<unsigned long long>(rested)));
      // Its pieces must be let go before they travel by another path: a late one would write after the end.
      endpoint_.engine().reset_rail(*endpoint_.rails()[peer.paths[i].local]);
    }
  }
}

std::string Paths::troubles(const Peer &peer) {
  std::string out;
  std::set<uint16_t> locals, remotes;
  for (const Path &path : peer.paths) {
    if (!path.paused) continue;
    // Through spares there are many ways; what matters is each NIC.
    const bool new_local = locals.insert(path.local).second, new_remote = remotes.insert(path.remote).second;
    if (path.spares == 0 || new_local || new_remote) out += text("; rail %u to remote rail %u: %s", path.local, path.remote, path.why.c_str());
  }
  return out;
}

}  // namespace pirn::core
