// SPDX-License-Identifier: Apache-2.0
// A fabric in this process: operation tables of our own behind libfabric's inline
// calls, given to the library as `Calls`. Bytes move by memcpy; the rules of the persona (keys, rights, bounds,
// descriptors, part and size limits, order of opening and closing) are enforced; faults are scripted.
//
// One FakeFabric lives at a time, and must outlive every object opened through it. All functions may be called from any
// thread. Without faults an operation runs at the post and costs about as much as its memcpy (fast mode); as soon as
// one fault is set, operations are recorded and run when their initiator polls.
#pragma once

#include "fabric/calls.h"
#include "fabric/rail.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pirn::sim {

struct FakeNic {
  std::string name;
  std::string address = "192.0.2.1";  // of personas with IP addresses
  std::string fabric = "fake";
  std::string pci;           // "0000:21:00.0"; "" no fid_nic at all
  uint64_t speed = 0;        // bit/s
  bool link_up = true;
};

// One libfabric provider as it shows itself. Every field may be changed before the fabric is made.
struct Persona {
  std::string provider;  // "net"
  std::vector<FakeNic> nics;
  uint32_t address_format = FI_SOCKADDR_IN;
  size_t address_length = 16;
  int mr_mode = 0;
  size_t key_size = 8;
  size_t local_parts = 4;
  size_t remote_parts = 4;
  uint64_t max_message = UINT64_MAX;
  size_t transmit_size = 256;
  size_t receive_size = 256;
  size_t largest_queue = 1 << 20;  // fi_cq_open refuses more
  uint64_t extra_mode = 0;         // mode bits demanded of the user
  bool wait_fd = true;             // FI_WAIT_FD granted
  bool delivery_complete = true;   // accepts FI_DELIVERY_COMPLETE on a write
  // Without FI_DELIVERY_COMPLETE a write completes before its bytes are placed, which happens when the target polls.
  bool lazy_placement = false;
  bool needs_event_queue = false;       // an endpoint without an event queue cannot be enabled
  bool target_must_know_initiator = false;  // one-sided operations fail until the target has inserted our address
  bool keeps_address = true;                // a source address with a port or number is honoured
  int refused_errno = FI_EIO;               // completion error of a bad key, right or bound
  bool device_memory = false;               // FI_HMEM; what is registered is memory of the test's all the same
  bool peer_to_peer = true;                 // the NIC reaches device memory by itself
  int refuses_address = 0, refuses_dma_buf = 0;  // errno of a registration of device memory in this way
};

Persona plain_persona();  // like native tcp: offsets, our keys, no descriptors
Persona verbs_persona();  // virtual addresses, provider's 4-byte keys, descriptors, one remote part
Persona efa_persona();    // as verbs, with opaque addresses, event queue, no waiting
Persona cxi_persona();    // registrations bound to an endpoint, offsets, one part each way

struct Counters {
  uint64_t writes, reads, sends, receives;  // posts accepted
  uint64_t strays;                          // of these, to an address that was removed
  uint64_t eagain;                          // posts refused with EAGAIN, by script or by full queues
  uint64_t completions, error_completions;  // entries handed out
  uint64_t endpoints_opened, endpoints_closed;
  uint64_t registrations;                   // made so far
  uint64_t bytes_moved;
};

// How memory that is not the host's was registered.
struct DeviceRegistration {
  uint32_t interface;
  int device;
  int dma_buf;  // -1: by address
  uint64_t offset;
  const void *address;
  size_t length;
};

class FakeFabric {
 public:
  struct State;

  explicit FakeFabric(std::vector<Persona> personas, uint32_t version = FI_VERSION(1, 17));
  ~FakeFabric();
  FakeFabric(const FakeFabric &) = delete;

  const fabric::Calls &calls() const;
  Counters counters() const;
  size_t live_objects() const;  // fabrics, domains, queues, endpoints, registrations not closed yet
  size_t live_registrations() const;
  std::vector<DeviceRegistration> device_registrations() const;  // made so far

  // What getinfo was asked for.
  uint32_t requested_version() const;
  int offered_mr_mode() const;
  void ignore_names(bool on);      // as 1.17: answers with everything, whatever provider was asked for
  void fail_getinfo(int error);    // positive fi_errno; 0 ends it

  // Endpoints by number: 1 for the first opened. A reopened endpoint that kept its address keeps its number.
  std::vector<uint32_t> endpoints() const;
  uint32_t number_of(std::span<const std::byte> address) const;  // 0: not an address of this fabric

  // Faults. `endpoint` is the target's number; 0 means every one.
  void again(uint64_t posts);                                // the next posts return EAGAIN
  void again_every(uint64_t period, uint64_t burst);         // of every `period` posts, `burst` do
  void fail_post(uint64_t nth, int error);                   // the nth post from now (1: the next) returns -error
  void fail_operation(uint64_t nth, int error, int provider_error);  // ... is accepted and completes in error
  void reorder(uint64_t seed);                               // completions of one poll in random order; 0 ends it
  void hold();                                               // operations stay in flight ...
  void release(size_t operations = SIZE_MAX);                // ... oldest first, SIZE_MAX also ends holding
  size_t in_flight() const;                                  // recorded operations
  void hang(uint32_t endpoint);                              // operations on it stay in flight for ever
  void cut(uint32_t endpoint);                               // operations on it fail with ENOTCONN
  void mend(uint32_t endpoint);                              // ends hang and cut
  void both_ways(bool on);                                   // hang and cut concern what an endpoint starts, too
  void dead_is_again(bool on);                               // posts to a closed endpoint: EAGAIN for ever, not ENOTCONN
  void fail_queue(int error);                                // the next read of a completion queue returns -error
  void fail_event(int error, int provider_error);            // an error on every event queue
  void refuse_registrations(int error);                      // of memory open to peers or not; 0 ends it
  void lose_address();                                       // the next endpoint gets a new address whatever it asks for

 private:
  std::unique_ptr<State> state_;
};

}  // namespace pirn::sim
