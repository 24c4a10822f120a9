// SPDX-License-Identifier: Apache-2.0
// What a rail is made of; shared by the files that implement Rail.
#pragma once

#include "fabric/calls.h"
#include "fabric/rail.h"

#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_rma.h>

#include <cstring>
#include <map>
#include <unordered_map>

namespace pirn::fabric {

struct FidCloser {
  template <typename T>
  void operator()(T *object) const {
    fi_close(&object->fid);
  }
};
template <typename T>
using Fid = std::unique_ptr<T, FidCloser>;

// Errors carried to the caller by one poll, each with room for the provider's words.
constexpr size_t errors_per_poll = 16;
constexpr size_t error_text_size = 192;

struct Registration {
  Registration *previous = nullptr;
  Registration *next = nullptr;
  Fid<fid_mr> mr;  // none for local use on a rail that needs no descriptors
  void *descriptor = nullptr;
  uint64_t key = 0;
  void *address = nullptr;
  size_t length = 0;
  uint32_t remote_access = 0;
  std::shared_ptr<const DeviceMemory> device;  // none: host memory
};

// An address in use, by its FabricAddress.
struct Address {
  fi_addr_t provider = FI_ADDR_NOTAVAIL;  // the provider's number for it, of the domain of now
  std::vector<std::map<std::string, FabricAddress>::iterator> spellings;
  size_t users = 0;  // of insert() less those of remove()
};

struct Rail::State {
  State(const Nic &nic_, const Calls &calls_, const Log &log_) : calls(calls_), log(log_), nic(nic_) {}
  ~State();

  const Calls &calls;
  const Log &log;
  Nic nic;
  std::string name;
  std::shared_ptr<fi_info> info;  // this rail's own copy
  Limits limits = {};
  uint64_t write_flags = 0;
  bool endpoint_registrations = false;  // FI_MR_ENDPOINT: a registration belongs to an enabled endpoint
  bool provider_keys = false;           // FI_MR_PROV_KEY
  Status device_memory = Status::ok();  // why none can be registered
  uint64_t most_in_flight = 0;          // as asked for; 0: as the provider likes
  int wait_fd = -1;
  std::vector<std::byte> address;
  Registration *registrations = nullptr;
  std::map<std::string, FabricAddress> inserted;  // by their bytes
  std::vector<Address> addresses;
  std::vector<FabricAddress> unused;  // of these
  std::unordered_map<fi_addr_t, FabricAddress> numbers;

  // Destroyed in reverse: the endpoint first, the fabric last.
  Fid<fid_fabric> fabric;
  Fid<fid_domain> domain;
  Fid<fid_av> av;
  Fid<fid_cq> cq;
  Fid<fid_eq> eq;
  Fid<fid_ep> ep;  // none after a reset that failed

  uint32_t polls_since_event_check = 0;
  bool slept = false;  // since the event queue was looked at
  char error_texts[errors_per_poll][error_text_size];

  // "tcp/eth0: fi_domain: Cannot allocate memory"
  Status step_failed(const char *step, ssize_t rc) const;

  Status take_info(std::shared_ptr<fi_info> chosen);  // rail.cpp; opens everything
  Status open_objects();
  Status open_domain();   // with what hangs on it, but no endpoint
  Status open_queue(uint64_t max_in_flight);
  void read_back_limits();

  // endpoint.cpp. `source` replaces the NIC's source address if not empty; `by_name` asks for it with fi_setname too,
  // for providers that take the source address for a prefix.
  Status open_endpoint(std::span<const std::byte> source, bool by_name);
  Status read_address();
  // Without an endpoint only. The descriptor to wait on may become another one.
  Status renew_queue();
  Status renew_domain();

  void check_events(Status *failure);  // completion.cpp

  Result<fi_addr_t> insert(const std::string &bytes);  // addresses.cpp
  Status insert_again();  // all of them, into a new address vector

  Status attach(Registration &registration);  // mr.cpp
  int attach(Registration &registration, fi_mr_attr &attr, uint64_t flags);  // a negative fi_errno
  Status attach_device(Registration &registration, fi_mr_attr &attr);        // device_memory.cpp
  Status refuse_copies(fid_ep *endpoint);  // of device memory by libfabric; an error: the NIC does not reach it
  void close_registrations();
  Status reopen_registrations();
};

}  // namespace pirn::fabric
