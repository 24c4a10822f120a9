// SPDX-License-Identifier: Apache-2.0
// Transfers at work: hands their pieces to the rails, counts completions, ends
// them. Called under the endpoint's lock; nothing here blocks.
//
//   moving -> (notifying) -> done          the good way
//   moving | notifying -> draining -> done an outcome was fixed early (error, cancel,
//                                          deadline, lost peer) and memory must become quiet first
#pragma once

#include "core/op.h"
#include "core/peer.h"

#include <string>

namespace pirn::core {

class Engine {
 public:
  explicit Engine(Endpoint &endpoint) : endpoint_(endpoint) {}

  void start(Op &op);     // filled in by the caller; may finish at once
  void pump();            // tries again what waits
  void wake(Peer &peer);  // something changed for it: state, windows, credit

  void completed(Piece *piece, const fabric::Completion &completion);
  // Of an op that does not go over the fabric (copies.h): that much of it is done, or failed.
  void copied(Op &op, uint64_t bytes, const Status &status);
  void notified(Op &op);  // the target took the notification in

  // Fixes the outcome; the op becomes terminal when it is quiet.
  void end(Op &op, pirn_status status, const std::string &text);
  void end_all(Peer &peer, pirn_status status, const std::string &text);
  void end_using(const Window &window, pirn_status status, const std::string &text);
  bool uses(const Op &op, const Window &window) const;
  bool in_use(const Window &window);  // by an op that is not terminal

  void tick(uint64_t now);  // deadlines, and drains that take too long
  // Drops everything in flight on a rail; ops that go on are sent again.
  void reset_rail(RailSlot &rail);

  bool busy() const { return !active_.empty(); }
  bool waiting() const { return !pending_peers_.empty() || !served_peers_.empty(); }
  // No other transfer that is not small waits to be handed over.
  bool only_large(const Op &op) const;
  uint64_t earliest_deadline() const { return earliest_; }

  List<Op, &Op::queue_link> completions;  // of queued ops

 private:
  struct Parts {
    iovec local[fabric::max_parts];
    void *descriptors[fabric::max_parts];
    fabric::RemotePart remote[fabric::max_parts];
    size_t count = 0;
    uint64_t bytes = 0;
  };
  enum class Step : uint8_t { again, wait, refused, unready, ended };

  bool decide(Op &op);  // which way it goes
  bool may_issue(const Op &op, const Peer &peer) const;
  bool stranded(Op &op);
  bool issue(Op &op);  // true: nothing is left to hand over (or the op has ended)
  bool issue(Op &op, bool *served);  // the same; sets it if anything was handed over
  bool serve(Peer &peer);
  Step issue_one(Op &op);
  Step issue_on(Op &op, size_t path);
  pirn_status reach(const Segment &segment, const Path &path);
  pirn_status build(Op &op, const Path &path, Cursor &cursor, uint64_t limit, Parts *parts);
  void data_done(Op &op);
  void piece_failed(Op &op, const Range &range, size_t path, int error, int provider_error, const char *text);
  void retire(Piece *piece);  // it is with the provider no more
  void settle(Op &op);  // a draining op: done if quiet
  void finish(Op &op);
  void release_uses(Op &op);
  void enqueue(Op &op);
  void drop_exclusive(Op &op);
  static bool alone(const Op &op);

  Endpoint &endpoint_;
  List<Op, &Op::active_link> active_;
  List<Op, &Op::draining_link> draining_;
  List<Peer, &Peer::pending_peer_link> pending_peers_;
  List<Peer, &Peer::pending_peer_link> served_peers_;  // within pump()
  bool in_turn_ = false;  // a piece was posted since a peer's turn began
  uint64_t earliest_ = UINT64_MAX;  // no active op expires before this
};

}  // namespace pirn::core
