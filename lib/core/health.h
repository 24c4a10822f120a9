// SPDX-License-Identifier: Apache-2.0
// Is the peer still there? Pings peers that have work outstanding, confirms or
// drops suspicions, and declares peers lost. Called under the endpoint's lock.
//
//   UP --transport error, silence--> SUSPECT --any frame--> UP
//                                       |--deadline--> LOST
#pragma once

#include "core/peer.h"

#include <string>

namespace pirn::core {

class Health {
 public:
  explicit Health(Endpoint &endpoint) : endpoint_(endpoint) {}

  void watch(Peer &peer);         // it has something outstanding now
  void heard(Peer &peer);         // a frame or a completion came from it
  void post_refused(Peer &peer);  // the provider takes nothing for it right now
  void suspect(Peer &peer, const std::string &why, bool transport_error);
  void lose(Peer &peer, uint32_t state, pirn_status status, const std::string &why);
  void tick(uint64_t now);
  uint64_t patience(const Peer &peer) const;  // a suspect is lost after this long, ns
  bool busy() const { return !watched_.empty(); }
  void forget(Peer &peer) { peer.watched_link.unlink(); }

 private:
  bool has_work(const Peer &peer) const;
  void check(Peer &peer, uint64_t now, uint64_t blind);
  uint64_t longest_look_away() const;
  void ping(Peer &peer, uint64_t now);

  Endpoint &endpoint_;
  List<Peer, &Peer::watched_link> watched_;
  uint64_t next_ping_id_ = 1;
  uint64_t last_tick_ = 0;
};

}  // namespace pirn::core
