// SPDX-License-Identifier: Apache-2.0
// One endpoint on a simulated NIC, through libfabric alone, for the simulator's own tests. Failures end the test.
#pragma once

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

namespace pirn::sim_nic {

constexpr int every_mr_mode = FI_MR_LOCAL | FI_MR_RAW | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY |
                              FI_MR_ENDPOINT | FI_MR_HMEM;

// What fi_getinfo answers for one fabric ("efa", "efa-direct", "cxi"), or null. Owned by the caller.
fi_info *find(const char *fabric, int mr_mode = every_mr_mode, uint64_t mode = FI_CONTEXT | FI_CONTEXT2,
              uint64_t more_caps = 0);
const char *provider_of(const char *fabric);

struct Result {
  void *context = nullptr;
  uint64_t flags = 0;
  size_t length = 0;
  int error = 0, provider_error = 0;
};

struct Node {
  struct Options {
    int mr_mode = every_mr_mode;
    size_t queue_size = 512;
    bool events = true;
    size_t rail = 0;
    bool device_memory = false;  // FI_HMEM
  };

  Node(const char *name, const Options &options);
  explicit Node(const char *name) : Node(name, Options()) {}
  ~Node();
  Node(const Node &) = delete;

  fi_addr_t insert(const std::vector<unsigned char> &address);
  std::vector<unsigned char> address();
  void open_endpoint();  // none may be open; enabled
  void enable();
  void close_endpoint();
  // The next completion, polling `other`, too; no context after `milliseconds`.
  Result next(Node *other = nullptr, int milliseconds = 5000);
  bool poll(Result &out);
  bool poll_error(Result &out);

  fi_info *info = nullptr, *chosen = nullptr;
  fid_fabric *fabric = nullptr;
  fid_domain *domain = nullptr;
  fid_av *av = nullptr;
  fid_cq *cq = nullptr;
  fid_eq *eq = nullptr;
  fid_ep *ep = nullptr;
};

// A registered buffer of random bytes; bound and enabled where that is asked for.
struct Buffer {
  Buffer(Node &owner, size_t size, uint64_t access, bool ready = true);
  ~Buffer();
  Buffer(const Buffer &) = delete;
  void make_ready();
  uint64_t remote_address(size_t offset) const;
  void *descriptor() const;
  uint64_t key() const { return fi_mr_key(mr); }

  Node &node;
  std::vector<unsigned char> bytes;
  fid_mr *mr = nullptr;
};

// Two nodes that know each other, unless the target is to know nobody.
struct Pair {
  explicit Pair(const char *fabric) : Pair(fabric, Node::Options()) {}
  Pair(const char *fabric, const Node::Options &options, bool target_knows = true)
      : initiator(fabric, options), target(fabric, options) {
    to_target = initiator.insert(target.address());
    if (target_knows) to_initiator = target.insert(initiator.address());
  }
  // Posts; retries EAGAIN, polling both sides.
  ssize_t write(Buffer &from, size_t at, size_t length, uint64_t address, uint64_t key, void *context,
                uint64_t flags = FI_DELIVERY_COMPLETE);

  Node initiator, target;
  fi_addr_t to_target, to_initiator = FI_ADDR_NOTAVAIL;
};

// What was written to stderr while it lived.
class Captured {
 public:
  Captured();
  ~Captured();
  bool contains(const char *text) const;

 private:
  int file_, before_;
};

std::mt19937_64 generator();
constexpr uint64_t both_local = FI_READ | FI_WRITE | FI_SEND | FI_RECV;
constexpr uint64_t both_remote = FI_REMOTE_READ | FI_REMOTE_WRITE;

}  // namespace pirn::sim_nic
