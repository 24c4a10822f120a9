// SPDX-License-Identifier: Apache-2.0
// How one libfabric provider shows itself, and what it refuses. README.md says where the real one states each rule.
#pragma once

#include <rdma/fabric.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pirn::sim_nic {

// An error as a completion carries it: libfabric's and the provider's number.
struct Fault {
  int error;
  int provider_error;
};

struct Persona {
  const char *provider;
  const char *fabric;
  const char *driver;
  uint32_t protocol;
  uint32_t address_format;
  size_t address_length;
  uint64_t mode;                 // demanded of the user
  int mr_required, mr_optional;  // optional bits are granted when offered
  size_t key_size;
  size_t chosen_key_size;  // where the user chooses keys
  size_t cq_data_size;
  size_t max_message;
  size_t local_parts, remote_parts;
  size_t inject_size;
  size_t transmit_size, receive_size;
  uint64_t order;
  fi_progress progress;
  bool wait_fd;
  bool remote_cq_data;               // false: writes with data are ENOSYS
  bool delivery_complete;            // false: asking for it is refused
  bool early_completion;             // without FI_DELIVERY_COMPLETE a write completes before its bytes are placed
  bool target_must_know_initiator;   // one-sided operations fail until the target has inserted our address
  bool keeps_address;                // a source address with a port or number is honoured
  bool overruns_queue;               // a full completion queue loses completions instead of holding posts back
  uint64_t speed;                    // bit/s
  Fault unreachable, unknown_peer, bad_key;
  bool connected = false;  // FI_EP_MSG: verbs.h
};

struct Device {
  std::string name;    // of the device
  std::string domain;  // of its domain
  uint64_t speed = 0;  // bit/s
  fi_pci_attr pci = {};
};

// Of the provider that this shared object stands in for, best first. Defined once in each shared object.
std::span<const Persona> personas();
Device device(size_t index);

extern const Persona efa_direct_persona, efa_persona, cxi_persona, verbs_persona;

// From the environment; see README.md.
std::string entry_of(const char *variable, size_t index);  // of a list, whose last entry serves the rest; "" without one
size_t device_count();
void apply_lists(size_t index, Device &out);  // PIRN_SIM_SPEEDS, PIRN_SIM_PCI

// A simulated address holds the port of a software endpoint on this host's loopback, and the rail's number.
void encode_address(const Persona &persona, size_t rail, uint16_t port, void *out);
bool decode_address(const Persona &persona, const void *address, uint16_t &port);  // false: not one of this fabric's

}  // namespace pirn::sim_nic
