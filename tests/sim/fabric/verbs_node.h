// SPDX-License-Identifier: Apache-2.0
// Connected endpoints on simulated verbs NICs, through libfabric alone, for the simulator's own tests. Failures end the
// test.
#pragma once

#include "node.h"

#include <rdma/fi_cm.h>

#include <deque>

namespace pirn::sim_nic {

fi_info *find_connected(int mr_mode = every_mr_mode, uint64_t operation_flags = 0);

struct ConnectionEvent {
  uint32_t event = 0;  // 0: none came
  fid *object = nullptr;
  fi_info *info = nullptr;
  int error = 0;
  std::string data;
};

// A domain with queues, and after connecting an endpoint.
struct Side {
  explicit Side(bool shared_receives = false);
  ~Side();
  Side(const Side &) = delete;

  void open_endpoint(fi_info *from);  // bound and enabled
  void close_endpoint();
  bool poll(Result &out);
  bool poll_event(ConnectionEvent &out);
  ssize_t receive(void *context, void *into, size_t length, void *descriptor);

  fi_info *info = nullptr;
  fid_fabric *fabric = nullptr;
  fid_domain *domain = nullptr;
  fid_cq *cq = nullptr;
  fid_eq *eq = nullptr;
  fid_ep *shared = nullptr;
  fid_ep *ep = nullptr;
  uint64_t data = 0;  // of the last completion
  std::deque<ConnectionEvent> events;
};

struct Memory {
  Memory(Side &owner, size_t size, uint64_t access);
  ~Memory();
  Memory(const Memory &) = delete;
  uint64_t address(size_t offset) const { return reinterpret_cast<uint64_t>(bytes.data()) + offset; }
  void *descriptor() const { return fi_mr_desc(mr); }
  uint64_t key() const { return fi_mr_key(mr); }

  std::vector<unsigned char> bytes;
  fid_mr *mr = nullptr;
};

// A listening target; connect() brings the initiator to it.
struct Link {
  explicit Link(bool shared_receives = false);
  ~Link();
  Link(const Link &) = delete;

  ConnectionEvent call(const std::string &data);                 // ends with the target's FI_CONNREQ
  void connect(const std::string &data = "", const std::string &answer = "");
  ssize_t write(Memory &from, size_t at, size_t length, uint64_t address, uint64_t key, void *context);
  // The next completion of `of`, and the next event; the other side is polled, too. Nothing after `milliseconds`.
  Result next(Side &of, int milliseconds = 5000);
  ConnectionEvent next_event(Side &of, int milliseconds = 5000);

  Side initiator, target;
  fid_pep *listener = nullptr;
};

}  // namespace pirn::sim_nic
