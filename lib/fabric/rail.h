// SPDX-License-Identifier: Apache-2.0
// A rail is one NIC at work: fabric, domain, endpoint, address vector, completion
// queue (and event queue where the provider wants one), all RDM.
//
// Not thread-safe: the endpoint that owns the rail calls it under its own lock
// (the domain is opened FI_THREAD_DOMAIN). No call blocks. Nothing here retries:
// PostResult::again is the caller's to park.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "fabric/discovery.h"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pirn::fabric {

// First member of everything whose address is given to the provider as operation
// context. The provider owns `scratch` (a struct fi_context2) until the completion.
struct Work {
  void *scratch[8];
};

// Laid out like struct fi_rma_iov (checked in rail.cpp).
struct RemotePart {
  uint64_t address;  // already adjusted to the rail's addressing: virtual address or offset
  size_t length;
  uint64_t key;
};

using FabricAddress = uint64_t;

constexpr size_t max_parts = 8;

struct Rma {
  const iovec *local;
  void **descriptors;  // one per local part; entries may be nullptr if the rail needs none
  size_t local_count;
  const RemotePart *remote;
  size_t remote_count;
  FabricAddress peer;
  Work *work;
};

enum class PostResult : uint8_t { posted, again, failed };

// What a registration allows. Local use (source of write, sink of read, send and receive buffers) is always allowed.
constexpr uint32_t remote_read = 1;   // == PIRN_ACCESS_READ
constexpr uint32_t remote_write = 2;  // == PIRN_ACCESS_WRITE

// Device memory, as a provider is told of it. Outlives its registrations, for a reset makes them again.
struct DeviceMemory {
  uint32_t interface = 0;  // libfabric's number for this kind of memory
  uint32_t device = 0;     // ordinal
  const void *base = nullptr;  // what the dma-buf's offset is the place of
  int dma_buf = -1;            // closed with this; -1: there is none
  uint64_t offset = 0;
  std::string no_dma_buf;      // why

  DeviceMemory() = default;
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;
  ~DeviceMemory();
};

struct Registration;  // opaque, owned by its rail

struct Completion {
  Work *work;
  size_t length;       // received bytes of a receive
  bool is_receive;
  int error;           // 0, or a positive fi_errno
  int provider_error;  // the provider's own code
  const char *text;    // provider's words for an error; valid until the next poll; "" if none
};

// What the provider really granted, read back when the rail opened.
struct Limits {
  uint64_t max_message;   // bytes in one RMA message
  size_t local_parts;     // iov_limit
  size_t remote_parts;    // rma_iov_limit
  size_t transmit_depth;  // messages in flight, RMA and send together
  size_t receive_depth;   // receives posted at one time
  size_t max_send;        // bytes in one send
  size_t key_size;        // bytes of a remote key
  bool virtual_addressing;  // remote address is the virtual address, else the offset in the registration
  bool needs_descriptor;
  bool endpoint_keys;     // registrations belong to the endpoint: a reset makes new ones, whose keys may be others
};

class Rail {
 public:
  // Opens the NIC. Errors carry the provider's words and the step that failed. `without_devices`: why no device memory is
  // to be registered; nullptr: it is, if that is possible.
  static Result<std::unique_ptr<Rail>> open(const Nic &nic, const Calls &calls, const Log &log, uint64_t max_in_flight,
                                            const char *without_devices = "nobody has asked for it");
  ~Rail();

  const Limits &limits() const;
  const Profile &profile() const;
  const Status &takes_device_memory() const;  // ok, or why no device memory can be registered
  const std::string &name() const;         // "tcp/eth0"
  std::span<const std::byte> address() const;  // what a peer inserts; changes only in reset()
  std::string printable_address() const;

  // The same address may be inserted again, and goes with its last user. Nothing may be in flight to it then: some
  // providers drop what is, without a completion.
  Result<FabricAddress> insert(std::span<const std::byte> address);
  void remove(FabricAddress peer);

  // `device`: whose memory it is; none: the host's. Device memory that the provider refuses is never registered as host
  // memory: an error names what was tried.
  Result<Registration *> register_memory(void *address, size_t length, uint32_t remote_access,
                                         std::shared_ptr<const DeviceMemory> device = {});
  void deregister(Registration *registration);
  static void *descriptor(const Registration *registration);
  static uint64_t key(const Registration *registration);
  // Base to subtract from a virtual address to get the address a peer must use (0 with virtual addressing).
  uint64_t remote_base(const Registration *registration) const;

  // `error` (a positive fi_errno) is set when the result is failed.
  PostResult write(const Rma &rma, int *error);
  PostResult read(const Rma &rma, int *error);
  PostResult send(FabricAddress peer, const void *data, size_t length, void *descriptor, Work *work, int *error);
  PostResult receive(void *buffer, size_t length, void *descriptor, Work *work, int *error);

  // Progress; takes up to `capacity` completions, errors included. A failure of the queue itself is reported in *failure.
  size_t poll(Completion *out, size_t capacity, Status *failure);

  // Descriptor to sleep on, or -1 if the provider has none (then sleep briefly and poll).
  int wait_fd() const;
  // True if it is safe to sleep on wait_fd() now (fi_trywait); always without a descriptor.
  bool may_sleep();

  // Makes all memory quiet: closes the endpoint, which drops every operation and receive in flight, drains the
  // completion queue, opens a new endpoint with the same address. Peers, and registrations that are not tied to an endpoint,
  // stay valid; those that are tied are made again (limits().endpoint_keys). Works in flight get no completion: the caller
  // takes them back. *address_changed: the address is another one now. Peers must be told of it, and of keys that are not
  // what they were. After an error every post fails until a reset succeeds.
  Status reset(bool *address_changed);

  // "connection refused (113)": libfabric's text for a positive fi_errno.
  static std::string error_text(int error);

 private:
  struct State;
  explicit Rail(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pirn::fabric
