// SPDX-License-Identifier: Apache-2.0
// The owner's side of staging: lends each peer that uses our windows on devices a ring of slots in host memory, open to it
// by RMA, and mapped by it if it is a process of this host; the latter also rings on those devices, and one in plain host
// memory for windows that are host memory. Copies between slots and
// windows on its demand, having checked window, rights and bounds. wire/stage.h has the frames. A ring that another process
// could map is never lent a second time. Called under the endpoint's lock; nothing here waits.
#pragma once

#include "core/control.h"
#include "core/memory.h"
#include "core/staging_slots.h"
#include "wire/stage.h"

#include <list>
#include <span>
#include <string>
#include <vector>

namespace pirn::core {

class Loans {
 public:
  Loans(Endpoint &endpoint, Rings &rings, SlotCopies &copies)
      : endpoint_(endpoint), rings_(rings), copies_(copies) {}
  ~Loans();  // the endpoint's memory is gone already

  void wanted(Peer &peer, const wire::StageWant &want);
  void move(Peer &peer, const wire::StageMove &move);
  void ended(Peer &peer);  // it is lost or closed: takes its slots back when the last copy is over
  bool closed(Peer &peer, uint64_t window);  // it has: if that was of slots, takes them back likewise, and true

  bool busy(uint64_t window) const;  // copies from or to it are under way
  bool copying(const Peer &peer) const;      // for it
  bool active() const;
  size_t progress();
  uint32_t slots_of(const Peer &peer) const;  // lent to it
  std::string explain(const Peer &peer) const;

 private:
  struct Loan {
    Peer *peer = nullptr;  // nullptr: it has ended, or closed the slots
    Ring ring;
    Region *region = nullptr;
    Advertised *window = nullptr;
    std::vector<bool> in_use;  // per slot: a copy of ours is under way
    uint32_t jobs = 0;
  };
  struct Job {
    Loan *loan = nullptr;
    SlotCopies::Mark mark;
    uint64_t request = 0;
    uint64_t window = 0;
    uint32_t slot = 0;
  };

  Loan *find(const Peer &peer, uint64_t slots);  // 0: of SlotMemory::host
  Loan *known(const Peer &peer, wire::SlotMemory memory, const Home &device);
  Result<Ring> make(const Peer &peer, wire::SlotMemory memory, const Home &device);
  Result<Loan *> lend(Peer &peer, wire::SlotMemory memory, const Home &device);
  Status start(Loan &loan, const wire::StageMove &move);
  void copy(const Loan &loan, const wire::StageMove &move, std::span<const device::Block> blocks);
  Result<Advertised *> check(const Loan &loan, const wire::StageMove &move) const;
  void answer(Peer &peer, uint64_t request, const Status &status, Control::When when = Control::When::now);
  void take_back(Loan &loan);

  Endpoint &endpoint_;
  Rings &rings_;
  SlotCopies &copies_;
  std::list<Loan> loans_;
  std::vector<Job> jobs_;
};

}  // namespace pirn::core
