// SPDX-License-Identifier: Apache-2.0
// The life of a window between its owner and its importers:
//
//   importer                         owner
//   WINDOW_OPEN(id, capability)  ->  checks, remembers the importer
//                                <-  WINDOW_OPENED(status)
//                                <-  WINDOW_UPDATE(rail, address, key): where the blob is out of date, before OPENED;
//                                    and when a reset has changed it
//   ... one-sided traffic ...
//   WINDOW_WANT(rail)            ->  that rail is to be used, and has no key, or one that failed
//                                <-  WINDOW_UPDATE: the key, or why there is none now
//                                <-  WINDOW_WITHDRAW: no new traffic, please finish
//   WINDOW_QUIESCED              ->  nothing is in flight: the registration can be closed
//   WINDOW_CLOSE                 ->  the importer is done by itself
//
// An importer that does not quiesce in time is cut off: its owner resets the rails. Called under the endpoint's lock.
#pragma once

#include "core/memory.h"
#include "core/peer.h"

#include <memory>
#include <unordered_map>
#include <vector>

namespace pirn::core {

class RailSlot;

class Windows {
 public:
  explicit Windows(Endpoint &endpoint) : endpoint_(endpoint) {}

  // Importer's side.
  Result<Window *> import(Peer &peer, const wire::WindowBlob &blob);
  Status close(Window *window);
  void opened(Peer &peer, const wire::WindowOpened &body);
  void updated(Peer &peer, const wire::WindowUpdate &body);
  void want(Window &window, uint16_t rail);  // asks the owner for the key, now and then
  // These bytes failed on the way to that rail of the owner's. Where a reset of it may have changed the keys none of
  // theirs is used again until the owner has confirmed it.
  void doubt(const Op &op, const Range &range, const RailSlot &local, uint16_t remote);

  // Owner's side.
  void withdraw(Advertised &window);  // asks the importers
  bool quiet(const Advertised &window) const { return window.importers.empty(); }
  void cut_off(Advertised &window);  // what is left of the importers
  void wanted(Peer &peer, const wire::WindowWant &body);
  void rail_was_reset(const RailSlot &rail);  // tells importers the keys that have changed

  void control(Peer &peer, wire::Kind kind, const wire::WindowRef &body);
  void ended(Peer &peer);  // it is closed or lost
  void op_finished();      // a window that quiesces may have become quiet

 private:
  void send(Peer &peer, wire::Kind kind, uint64_t window, uint64_t capability, bool answer = false);
  void open(Peer &peer, const wire::WindowRef &body);
  void tell(Peer &peer, const Advertised &window, size_t rail, pirn_status status, bool answer);
  void gone(Window &window, pirn_status status, const char *why);
  Reach reach(const Window &window) const;

  Endpoint &endpoint_;
  std::unordered_map<Window *, std::unique_ptr<Window>> imported_;
  std::vector<Window *> quiescing_;
};

}  // namespace pirn::core
