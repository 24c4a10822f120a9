// SPDX-License-Identifier: Apache-2.0
// A remote endpoint, as seen from here. Guarded by the endpoint's lock.
#pragma once

#include "bootstrap/bootstrap.h"
#include "core/mailbox.h"
#include "core/memory.h"
#include "core/op.h"

#include <pirn/peer.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace pirn::core {

class Endpoint;

// A local rail and the remote rail it talks to (paths.h).
struct Path {
  uint16_t local = 0;
  uint16_t remote = 0;
  fabric::FabricAddress address = 0;
  uint32_t outstanding = 0;  // pieces in flight
  uint64_t backlog = 0;      // their bytes
  bool stuck = false;        // nothing of it completes: its backlog is not in its rail's (scheduler.h)
  uint64_t moved = 0;        // bytes of completed pieces
  uint32_t unannounced = 0;  // changes of the local rail's address that the peer has not confirmed
  uint64_t moved_at = 0;     // when a piece completed last, or the first of those in flight was posted
  bool detour = false;       // not one of the pairs; serves while its local rail's own are paused
  uint8_t spares = 0;        // how many of its two rails are spares; serves while no path with fewer does
  bool paused = false;
  std::string why;          // paused
  uint64_t paused_at = 0;
  uint64_t back_off = 0;    // until the next probe; 0: never paused
  uint64_t probe_at = 0;
  uint64_t probe = 0;       // id of the ping that proves it, 0: none sent
  bool probing = false;     // that ping is with the provider
  uint64_t resumed_at = 0;
};

// A NIC of the peer, as the address vector of a local rail has it.
struct KnownAddress {
  uint16_t local = 0;
  uint16_t remote = 0;
  fabric::FabricAddress address = 0;
};

// What one handshake agreed on. A second handshake with a peer that is up is either one more session with the same peer
// object of the other side, or the sign that it gave the first up; the first frame tells (see sessions.cpp).
struct Session {
  uint64_t own_token = 0;                // in frames to us
  uint64_t remote_token = 0;             // in frames to the peer; 0: a hello of ours that another handshake overtook
  bootstrap::ConnectionId lifeline = 0;  // 0: made in band
  bool confirmed = false;
  bool wants_accept = false;            // to be accepted once confirmed
  bootstrap::ConnectionId attempt = 0;  // connect call that waits for the confirmation
  uint64_t greeted = 0;
  uint64_t number = 0;  // later ones are greater
};

struct Peer {
  Peer() : pending_peer_link(this), watched_link(this), talk_link(this) {}

  Endpoint *endpoint = nullptr;
  Endpoint *neighbour =
      nullptr;  // its endpoint, where the provider maps the memory of peers in this process (neighbours.h)
  wire::Instance instance{};
  wire::Metadata metadata;
  std::vector<KnownAddress> addresses;
  std::vector<Path> paths;  // only grows: pieces name theirs by index
  std::vector<uint32_t> unannounced;  // per local rail, as in its paths
  size_t pairs = 0;         // the first so many are neither detours nor through spares
  uint64_t seek_until = 0;  // spares are tried until then, even while a path without them is in use
  uint64_t control_moved_at = 0;
  uint32_t control_path = 0;
  uint32_t state = PIRN_PEER_CONNECTING;
  std::string why;                              // of SUSPECT, CLOSED, LOST, or a refused hello
  pirn_status end_status = PIRN_ERR_PEER_LOST;  // what its transfers end with once CLOSED or LOST
  std::string address;                          // where it was reached, for people

  std::vector<Session> sessions;  // the one in use first; frames with one of their tokens are from it
  uint64_t remote_token = 0;      // of the session in use
  uint32_t own_epoch = 0;
  uint32_t remote_epoch = 0;   // 0: no frame seen yet
  uint64_t epoch_session = 0;  // number of the latest session that it was seen in
  bool epoch_settled = false;  // seen in more than greetings

  uint64_t handles = 0;        // held by the application
  uint64_t op_references = 0;  // transfers not yet released
  bool accept_queued = false;
  bool library_owned = false;  // accepted in the background without a callback
  bool bye_sent = false;
  std::unique_ptr<bootstrap::Handshake> hello;  // in band, while CONNECTING
  std::vector<std::byte> hello_frame;           // to repeat until answered
  uint64_t hello_sent = 0;
  uint64_t hello_deadline = 0;

  Mailbox mailbox;
  std::vector<std::byte> assembling;  // notification under reassembly
  uint64_t assembling_total = 0;
  bool blocked = false;  // its next notification does not fit our memory limit

  List<Op, &Op::pending_link> pending;        // large transfers, by turns
  List<Op, &Op::pending_link> pending_first;  // small ones, and those that go alone, in order
  Op *exclusive = nullptr;         // a retried op that must be alone in flight
  uint32_t outstanding = 0;        // pieces in flight
  uint32_t control_in_flight = 0;  // control frames with the provider
  uint64_t active_ops = 0;
  uint32_t episode = 0;  // counts times of trouble

  uint64_t last_heard = 0;
  uint64_t last_ping = 0;
  uint64_t busy_since = 0;  // since when work has been outstanding without a pause
  uint64_t suspect_since = 0;
  bool transport_error = false;  // in this episode

  std::vector<Window *> windows;  // imported from it, in that order
  Route route = Route::fabric;  // of the latest transfer
  uint64_t bytes_written = 0;
  uint64_t bytes_read = 0;

  Link<Peer> pending_peer_link;  // engine: has pending ops
  Link<Peer> watched_link;       // health: has something outstanding
  Link<Peer> talk_link;          // control: has frames or an acknowledgement to send

  bool live() const { return state <= PIRN_PEER_SUSPECT; }
  // The session a token of ours belongs to; the one in use if none.
  Session &session_of(uint64_t own_token) {
    auto found = std::find_if(sessions.begin(), sessions.end(),
                              [&](const Session &session) { return session.own_token == own_token; });
    return found == sessions.end() ? sessions.front() : *found;
  }
  bool has_lifeline() const {
    return std::any_of(sessions.begin(), sessions.end(), [](const Session &session) { return session.lifeline != 0; });
  }
};

}  // namespace pirn::core
