// SPDX-License-Identifier: Apache-2.0
// A transfer at work. Everything here is guarded by the endpoint's lock.
#pragma once

#include "core/list.h"
#include "core/reach.h"
#include "fabric/rail.h"

#include <pirn/transfer.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pirn::core {

struct Peer;
struct Prepared;
struct Region;
struct Window;
struct Op;
struct StagedPart;

struct Segment {
  Region *region = nullptr;
  uint64_t local_offset = 0;
  Window *window = nullptr;
  uint64_t remote_offset = 0;
  uint64_t length = 0;
};

// Position in an op's elements.
struct Cursor {
  uint32_t element = 0;
  uint64_t offset = 0;
};

// Something whose address the provider holds as operation context.
struct Tracked : fabric::Work {
  enum class Kind : uint8_t { piece, send, receive };
  Kind kind = Kind::piece;
  uint16_t rail = 0;
  fabric::FabricAddress to = 0;  // of pieces and sends in flight
};

// One message of an op in flight on a rail.
struct Piece : Tracked {
  Op *op = nullptr;
  Cursor start;
  uint64_t bytes = 0;
  uint32_t path = 0;      // index among the peer's
  Piece *next = nullptr;  // free list of the rail
  bool in_flight = false;
};

// Bytes of an op that have to be sent again.
struct Range {
  Cursor start;
  uint64_t bytes = 0;
};

enum class OpKind : uint8_t { write, read, notify };

enum class OpPhase : uint8_t {
  free,
  moving,     // data is queued or in flight
  notifying,  // data is visible, the notification is on its way
  draining,   // the outcome is fixed; waiting until nothing touches memory
  done,
};

// Index arrays of one post of a prepared list; pooled there.
struct Selection {
  std::vector<uint32_t> local;
  std::vector<uint32_t> remote;
};

struct Op {
  Op() : pending_link(this), active_link(this), queue_link(this), draining_link(this) {}

  uint32_t slot = 0;
  uint32_t generation = 1;
  OpKind kind = OpKind::write;
  OpPhase phase = OpPhase::free;
  Route route = Route::unknown;   // decided when its windows are open
  Route demand = Route::unknown;  // unknown: the nearest
  bool queued = false;  // result goes to the completion queue
  uint8_t retries = 0;  // times of trouble in a row, without a byte moved in between
  uint32_t retry_episode = 0;
  uint64_t retry_moved = 0;  // what had moved at the last of them
  uint64_t looked_at = 0;    // registered: whether a path is left, coarse clock
  Peer *peer = nullptr;
  StagedPart *part = nullptr;  // of a staged transfer, which this moves (staging.h); such an op is in no pool

  Segment single;                     // the only element of plain writes and reads
  std::unique_ptr<Segment[]> vector;  // own copy of writev / readv
  const Segment *elements = nullptr;
  uint32_t count = 0;
  Prepared *prepared = nullptr;
  std::unique_ptr<Selection> selection;

  Cursor cursor;
  uint32_t outstanding = 0;  // pieces in flight
  uint64_t in_flight = 0;    // their bytes
  std::vector<Range> again;  // what has to be sent again
  uint64_t total = 0;
  uint64_t piece_bytes = 0;  // it is cut into pieces of at most this
  uint64_t moved = 0;

  std::vector<std::byte> notification;
  uint64_t user_data = 0;
  uint64_t deadline = 0;  // ns, coarse clock
  uint64_t drain_deadline = 0;

  pirn_status status = PIRN_IN_PROGRESS;
  int provider_error = 0;
  uint16_t rail = 0;
  std::string text;

  Link<Op> pending_link;   // peer: not fully handed to the provider
  Link<Op> active_link;    // endpoint: not terminal
  Link<Op> queue_link;     // endpoint: completion queue
  Link<Op> draining_link;  // endpoint: waiting for quiet

  pirn_transfer id() const { return (static_cast<uint64_t>(generation) << 32) | slot; }
  bool direct() const { return route == Route::self || route == Route::ipc; }  // core/copies moves it
  bool within_host() const { return direct() || route == Route::device_ring || route == Route::host_ring; }
  bool terminal() const { return phase == OpPhase::done; }
  bool fully_issued() const { return cursor.element == count && again.empty(); }

  // Element i, with the selection applied.
  Segment element(uint32_t i) const {
    if (!selection) return elements[i];
    Segment pair = elements[selection->local[i]];
    const Segment &remote = elements[selection->remote[i]];
    pair.window = remote.window;
    pair.remote_offset = remote.remote_offset;
    return pair;
  }
};

// Slots for ops: grows in blocks up to a limit, never shrinks, so that an id can be
// checked for as long as the endpoint lives.
class OpPool {
 public:
  explicit OpPool(uint64_t limit) : limit_(limit) {}
  Op *acquire();         // nullptr: limit reached
  void release(Op &op);  // back to the pool; its id becomes invalid
  Op *find(pirn_transfer id);
  uint64_t used() const { return used_; }

 private:
  static constexpr uint32_t block = 256;
  std::vector<std::unique_ptr<Op[]>> blocks_;
  std::vector<uint32_t> free_;
  uint64_t limit_;
  uint64_t used_ = 0;
};

}  // namespace pirn::core
