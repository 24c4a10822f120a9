// SPDX-License-Identifier: Apache-2.0
// The importer's side of loans (loans.h): asks owners of windows, mostly on devices, for slots, and finds out how memory of ours
// reaches them.
//
//   device ring   slots on the window's device, mapped here: devices copy between them and our memory
//   host ring     slots in host memory that both processes map: our device, or the processor, copies
//   over rails    the same slots, or such that are not shared, by RMA
//
// Windows in host memory that cannot be mapped have a host ring only: for writes, and for reads that the kernel does not do.
//
// Each is asked for when one that is better is not to be had, which the owner or the mapping says. Called under the
// endpoint's lock; nothing here waits.
#pragma once

#include "core/memory.h"
#include "wire/stage.h"

#include <list>
#include <string>
#include <vector>

namespace pirn::core {

class Endpoint;

// Slots that a peer lends us.
struct Lent {
  wire::SlotMemory memory = wire::SlotMemory::host;
  Peer *peer = nullptr;
  Window *window = nullptr;  // the slots
  uint32_t slots = 0;
  uint32_t slot_bytes = 0;
  std::vector<uint32_t> free;
  bool ended = false;     // the peer is lost or closed
  uint32_t asked_by = 0;  // wishes that it answers
  uint32_t parts = 0;     // that have one of its slots
};

class Borrowing {
 public:
  explicit Borrowing(Endpoint &endpoint) : endpoint_(endpoint) {}

  // Slots through which memory at `near` and the window exchange bytes without the fabric. AGAIN: not known yet, and
  // Engine::wake() of the peer will tell. UNAVAILABLE: there are none, with what each rung said.
  Result<Lent *> ring(const Window &window, const Home &near);
  // Slots in host memory for the same by the rails. AGAIN: the owner has not answered yet.
  Result<Lent *> host(const Window &window);

  void answered(Peer &peer, const wire::StageLent &body);
  void forget(const Window &window);  // it is closed
  void ended(Peer &peer);
  bool in_use(const Peer &peer) const;  // some slots of it
  // Gives back what nobody uses any more. True: some of it waits for a user to let go.
  bool sweep();
  std::string explain(const Peer &peer) const;

 private:
  struct Wish {
    enum class State : uint8_t { asked, ready, refused };
    wire::SlotMemory memory = wire::SlotMemory::host;
    Peer *peer = nullptr;
    uint64_t window = 0;  // of the owner's, for which it was asked; 0: of SlotMemory::host
    Home near;            // of slots on a device
    State state = State::asked;
    Lent *lent = nullptr;
    Status why;          // refused
    uint64_t until = 0;  // and not asked again before
  };

  Wish *find(wire::SlotMemory memory, const Window &window, const Home &near);
  Result<Lent *> borrow(wire::SlotMemory memory, const Window &window, const Home &near);
  Status reach(const Lent &lent, const Home &near);
  Result<Lent *> device_ring(const Window &window, const Home &near);
  Result<Lent *> host_ring(const Window &window, const Home &near, wire::SlotMemory memory);
  Result<Lent *> plain_ring(const Window &window, const Home &near);
  Result<Lent *> take(Peer &peer, const wire::StageLent &body, wire::SlotMemory memory);
  static void refuse(Wish &wish, const Status &why);
  static void let_go(Wish &wish);

  Endpoint &endpoint_;
  std::list<Wish> wishes_;
  std::list<Lent> lent_;
};

}  // namespace pirn::core
