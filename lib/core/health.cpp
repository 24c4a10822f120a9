// SPDX-License-Identifier: Apache-2.0
#include "core/health.h"

#include "base/clock.h"
#include "core/endpoint.h"

#include <algorithm>

namespace pirn::core {

bool Health::has_work(const Peer &peer) const {
  return peer.live() && (peer.active_ops > 0 || !peer.mailbox.idle() || peer.state != PIRN_PEER_UP ||
                         endpoint_.paths().trying(peer, coarse_ns()));
}

void Health::watch(Peer &peer) {
  if (peer.watched_link.linked() || !peer.live()) return;
  peer.busy_since = coarse_ns();
  watched_.push_back(peer);
}

void Health::heard(Peer &peer) { peer.last_heard = endpoint_.last_tick(); }

// Nothing is in flight and yet the provider takes nothing: it is connecting again to a peer that may be gone.
void Health::post_refused(Peer &peer) {
  if (peer.state != PIRN_PEER_UP || peer.outstanding > 0) return;
  uint64_t now = coarse_ns();
  uint64_t quiet_since = std::max(peer.last_heard, peer.busy_since);
  if (now > quiet_since + endpoint_.settings().heartbeat) suspect(peer, "the provider takes nothing for it", true);
}

void Health::suspect(Peer &peer, const std::string &why, bool transport_error) {
  if (!peer.live()) return;
  watch(peer);
  if (transport_error) peer.transport_error = true;
  if (peer.state != PIRN_PEER_UP) return;
  peer.state = PIRN_PEER_SUSPECT;
  peer.why = why;
  peer.suspect_since = coarse_ns();
  peer.last_ping = 0;
  ++peer.episode;
  endpoint_.log().write(PIRN_LOG_INFO, "peer %s is suspect: %s", peer.address.c_str(), why.c_str());
  // Frames in flight may have gone with the connection.
  peer.mailbox.resend(peer.suspect_since);
  endpoint_.control().talk(peer);
}

void Health::lose(Peer &peer, uint32_t state, pirn_status status, const std::string &why) {
  if (!peer.live()) return;
  bool was_connecting = peer.state == PIRN_PEER_CONNECTING;
  peer.state = state;
  peer.why = why;
  peer.end_status = status;
  peer.neighbour = nullptr;
  peer.watched_link.unlink();
  endpoint_.log().write(state == PIRN_PEER_CLOSED || was_connecting ? PIRN_LOG_INFO : PIRN_LOG_WARN,
                        "peer %s is %s: %s", peer.address.c_str(), peer_state_name(state), why.c_str());
  endpoint_.engine().end_all(peer, status, why);
  endpoint_.control().abandon(peer);
  endpoint_.members().ended(peer);
}

// Silence is a proof only while we look: a process that was stopped, starved, or that seldom makes progress by hand has
// heard nothing from peers that are well. A pause counts as no more than this.
uint64_t Health::longest_look_away() const {
  const Settings &settings = endpoint_.settings();
  return std::max(std::min(settings.peer_timeout, settings.peer_confirm_timeout) / 4, 4 * Endpoint::busy_sleep);
}

uint64_t Health::patience(const Peer &peer) const {
  const bool confirm_fast = peer.transport_error && !peer.has_lifeline();
  return confirm_fast ? endpoint_.settings().peer_confirm_timeout : endpoint_.settings().peer_timeout;
}

void Health::tick(uint64_t now) {
  // The first look ends no pause.
  uint64_t pause = last_tick_ != 0 ? now - last_tick_ : 0;
  last_tick_ = now;
  uint64_t blind = pause - std::min(pause, longest_look_away());
  watched_.each([&](Peer &peer) {
    if (!has_work(peer)) {
      peer.watched_link.unlink();
      return;
    }
    check(peer, now, blind);
  });
}

void Health::check(Peer &peer, uint64_t now, uint64_t blind) {
  if (peer.state == PIRN_PEER_CONNECTING) {
    endpoint_.members().hello_tick(peer, now);
    return;
  }
  endpoint_.paths().tick(peer, now);
  if (!peer.live()) return;
  const Settings &settings = endpoint_.settings();
  if (peer.state == PIRN_PEER_SUSPECT) {
    if (peer.last_heard > peer.suspect_since) {
      peer.state = PIRN_PEER_UP;
      peer.transport_error = false;
      peer.why.clear();
      endpoint_.engine().wake(peer);
      endpoint_.control().talk(peer);
      return;
    }
    peer.suspect_since += blind;
    if (now >= peer.suspect_since + patience(peer)) {
      // With no path in use the reasons are those of each; spares may have failed since.
      const bool cut_off = endpoint_.paths().count_in_use(peer) == 0;
      lose(peer, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST,
           pirn::text("no answer for %llu ms%s%s",
                      static_cast<unsigned long long>((now - peer.suspect_since) / ns_per_ms), cut_off ? "" : " after: ",
                      (cut_off ? Paths::troubles(peer) : std::string(peer.why)).c_str()));
      return;
    }
  }
  if (peer.mailbox.resend_due(now)) {
    endpoint_.paths().next_control(peer);
    peer.mailbox.resend(now);
    endpoint_.control().talk(peer);
  }
  if (blind > 0) peer.busy_since = std::max(peer.last_heard, peer.busy_since) + blind;
  uint64_t silent_since = std::max(peer.last_heard, peer.busy_since);
  if (peer.state == PIRN_PEER_UP && now >= silent_since + settings.peer_timeout) {
    suspect(peer, pirn::text("silent for %llu ms", static_cast<unsigned long long>((now - silent_since) / ns_per_ms)),
            false);
    // The silence is itself the proof: it has been pinged all the while.
    lose(peer, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST, std::string(peer.why));
    return;
  }
  bool probe = peer.state == PIRN_PEER_SUSPECT || now >= silent_since + settings.heartbeat;
  // A suspect is probed more often: a healthy one should be back at work soon.
  uint64_t interval = peer.state == PIRN_PEER_SUSPECT ? settings.heartbeat / 8 : settings.heartbeat;
  if (probe && now >= peer.last_ping + interval) ping(peer, now);
}

void Health::ping(Peer &peer, uint64_t now) {
  // By another path each time: one that is silent may hide that the peer is well.
  endpoint_.paths().next_control(peer);
  bool posted = endpoint_.control().send_ping(peer, next_ping_id_++);
  if (posted) peer.last_ping = now;
  else post_refused(peer);
}

}  // namespace pirn::core
