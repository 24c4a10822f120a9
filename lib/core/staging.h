// SPDX-License-Identifier: Apache-2.0
// Transfers with device memory at one end or both that neither a provider nor core/copies takes whole: piece by piece
// through slots. Over the fabric these are page-locked host memory that is registered with the rails, and the owner of the
// window copies between those that it lends and its device (loans.h); within a host our device reaches them itself.
//
//   write   device -> own slot, then by RMA -> window of host memory
//                               or by RMA -> slot lent by the owner, who copies -> its device
//           memory of ours -> slot that the owner lends and we have mapped (borrowing.h), it copies -> its device
//   read    the same backwards
//
// A piece (part) of a staged transfer moves by a transfer of its own, between memories that can be reached, which the
// engine treats as any other: rails, failures, retries, quiet ends. Slots of either side are used again only when nothing
// touches them. Called under the endpoint's lock; nothing here waits for a device or a peer.
#pragma once

#include "core/borrowing.h"
#include "core/control.h"
#include "core/loans.h"
#include "core/op.h"
#include "core/staging_slots.h"
#include "wire/stage.h"

#include <deque>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pirn::core {

class Endpoint;
struct StagedPart;

class Staging {
 public:
  explicit Staging(Endpoint &endpoint);
  ~Staging();  // the endpoint's memory and rails are gone

  // Makes or asks for all that a post of this list needs besides copies; AGAIN: its peer has not answered yet.
  Status make_ready(const Op &op);

  // -- For the engine
  bool begin(Op &op);      // takes over an op whose route is by_parts(); true
  void ended(Op &op);      // its outcome is fixed early
  void let_go(Op &op);     // then, it waits for the window's owner no longer
  void landed(Op &transfer);  // that of a part: it is terminal

  // -- For whoever decides routes
  Result<Lent *> ring(const Window &window, const Home &near) {
    busy_ = true;  // slots that turn out to be of no use are given back
    return borrowing_.ring(window, near);
  }

  // -- For control and windows
  void forget(const Window &window) {
    borrowing_.forget(window);
    busy_ = true;
  }
  void closed(Peer &peer, uint64_t window);  // by the peer, of ours
  Status received(Peer &peer, wire::Kind kind, std::span<const std::byte> body);
  void post(Peer &peer, wire::Stage &&stage, Control::When when = Control::When::now);

  void ended(Peer &peer);  // it is lost or closed
  size_t progress();
  bool active() const { return busy_; }  // progress() has something to do, or soon will
  bool copying() const { return copies_.in_flight() > 0; }  // and no descriptor will tell
  void finish(uint64_t timeout);  // waits for the devices; for closing
  bool under_way(const Peer &peer) const {  // parts that use its slots, or copies that it has demanded
    return borrowing_.in_use(peer) || loans_.copying(peer);
  }
  const Loans &loans() const { return loans_; }
  std::string explain(const Peer &peer) const;

 private:
  // Ours, for one kind of device.
  struct Own {
    Ring ring;
    Region *region = nullptr;
    std::vector<uint32_t> free;
  };
  enum class Step : uint8_t { issued, blocked, full, over };
  friend struct StagedPart;

  Result<Own *> own_for(const device::Operations &table);
  Result<Lent *> slots_for(const Op &op, const Segment &segment);
  Status make_ready(const Op &op, const Segment &segment, Lent &lent);
  size_t pump(std::deque<Op *> &queue);
  Step issue_part(Op &op);
  StagedPart &take(Op &op, Own *own, Lent *lent);
  void gather(Op &op, StagedPart &part);
  void start(StagedPart &part);
  void launch(StagedPart &part);
  void copy(StagedPart &part);
  void request(StagedPart &part);
  bool step(StagedPart &part);
  void moved_by_rail(StagedPart &part);
  void answered(StagedPart &part);
  void give_back_slot(StagedPart &part);
  void give_back_lent(StagedPart &part);
  void drop(StagedPart &part, const Status &status);
  void moved(Peer &peer, const wire::StageMoved &body);

  Endpoint &endpoint_;
  Rings rings_;
  SlotCopies copies_;
  Loans loans_;
  std::deque<Op *> small_, large_;  // not fully cut into parts
  std::list<Own> own_;
  Borrowing borrowing_;
  std::vector<std::unique_ptr<StagedPart>> parts_;
  std::vector<StagedPart *> active_, spare_;
  uint64_t next_request_ = 1;
  bool busy_ = false;
};

}  // namespace pirn::core
