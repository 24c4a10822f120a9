// SPDX-License-Identifier: Apache-2.0
// Which of a peer's paths carry traffic. Called under the endpoint's lock.
//
// A path whose NIC, here or there, fails or stalls is paused: its pieces go by other paths. It is probed by pings, ever
// more rarely, and comes back when one is answered. The last path in use is never paused: trouble on it is the peer's
// trouble (health.h). Where one NIC of the peer is gone, ours may reach another one by a detour.
//
// Spares, ours and the peer's, are ways of last resort. Their paths are opened when no other is left, must answer a ping
// before they carry anything, and carry only as long as no path with fewer spares is in use. While they are tried the
// peer is suspect, even though no path is left in use.
#pragma once

#include "base/result.h"
#include "core/peer.h"

#include <string>

namespace pirn::core {

class RailSlot;

class Paths {
 public:
  static constexpr size_t none = SIZE_MAX;
  static constexpr size_t most = 64;  // per peer, detours included

  explicit Paths(Endpoint &endpoint) : endpoint_(endpoint) {}

  // Pairs local rails with the peer's rails of the same protocol: each is in at least one path. Every local rail
  // learns the addresses of all of them (wire::max_rails at most): some NICs serve only those whose address they have,
  // and the peer could not take a detour to us otherwise.
  Status open(Peer &peer);
  void close(Peer &peer);  // nothing of it is in flight, and nothing will be
  void address_changed(Peer &peer, const wire::AddressChange &change);
  static size_t pairs(const Peer &peer);  // paths that are no detours
  // The path for the next piece of `op`, or none. `refused` has a bit for each path that takes nothing now. `first`:
  // of its peer's turn (scheduler.h).
  size_t choose(const Peer &peer, const Op &op, uint64_t refused, bool first) const;
  // The path for control frames: one in use, and after next_control() another one, if there is one: perhaps by a spare.
  size_t control(const Peer &peer) const;
  void next_control(Peer &peer);
  // A ping came from that rail of the peer's. The path to answer by, where it is one through spares; or none.
  size_t pinged(Peer &peer, uint16_t local, uint32_t remote);
  bool trying(const Peer &peer, uint64_t now) const;  // some paused path is being probed

  // A path failed. True: it is paused, and others carry on; false: it was the last one in use, and is paused only if there
  // are spares to try.
  bool failed(Peer &peer, size_t path, const std::string &why);
  // A local rail failed. Peers that it was the last way to are suspect, or lost if it is `gone` for now.
  void rail_failed(const RailSlot &rail, const std::string &why, bool gone);
  // A local rail is open again: its paths are probed at once.
  void rail_opened(const RailSlot &rail);
  void pong(Peer &peer, uint64_t id);
  bool in_use(const Peer &peer, const Path &path) const;
  // A local rail has another address, and the peer was told; it has confirmed it. In between some providers refuse
  // one-sided operations from there, so that none are posted.
  void announcing(Peer &peer, uint32_t rail);
  void announced(Peer &peer, uint32_t rail);
  uint32_t count_in_use(const Peer &peer) const;
  uint32_t count_spares_in_use(const Peer &peer) const;  // of these
  // Probes, and looks for stalls.
  void tick(Peer &peer, uint64_t now);
  // "; rail 1 to remote rail 0: ..." for each paused path.
  static std::string troubles(const Peer &peer);

 private:
  size_t in_use_besides(const Peer &peer, size_t path) const;
  void pause(Peer &peer, size_t path, const std::string &why);
  void open_detours(Peer &peer, size_t path);
  bool open_spares(Peer &peer);  // false: there are none
  void try_all(Peer &peer);
  void seek(Peer &peer);
  bool spares_wanted(const Peer &peer, uint64_t now) const;
  void add_candidate(Peer &peer, const KnownAddress &known, std::string why);
  void probe(Peer &peer, size_t path, uint64_t now);
  bool may_be_reached(const Peer &peer) const;  // through a spare, although no path is in use
  void look_for_stuck(Peer &peer, uint64_t now);
  bool stalled(const Peer &peer, size_t path, uint64_t now) const;
  bool mute(const Path &path, uint64_t now);

  Endpoint &endpoint_;
  uint64_t next_probe_ = 1ull << 63;  // told apart from the pings of health
};

}  // namespace pirn::core
