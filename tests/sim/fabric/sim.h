// SPDX-License-Identifier: Apache-2.0
// The objects behind the simulated NICs. Each wraps its counterpart of an inner software provider, which moves the
// bytes over loopback; what stands between the two are the rules and the faults.
//
// Threads: every call into a domain holds the domain's lock. Where the user promised FI_THREAD_DOMAIN, two calls at
// once are a broken rule.
#pragma once

#include "board.h"
#include "device_memory.h"
#include "faults.h"
#include "persona.h"

#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

namespace pirn::sim_nic {

constexpr uint32_t provider_version = FI_VERSION(9999, 0);  // wins over a provider of the same name
constexpr int FI_MR_BASIC_BIT = 1;                           // the name is deprecated in newer headers
constexpr size_t most_parts = 4;

// One line on stderr: what was done that the hardware would not forgive.
void rule_broken(const Persona &persona, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct Connection;  // verbs.h
struct Domain;
struct Endpoint;
struct Queue;

struct Fabric {
  fid_fabric fid = {};
  const Persona *persona = nullptr;
  fi_info *inner_info = nullptr;
  fid_fabric *inner = nullptr;
  size_t children = 0;
  std::atomic<uint32_t> dead_rails{0};  // bits: nobody connects to these any more
};

struct Event {
  int error, provider_error;
  fid *object = nullptr;  // null: the device
};

struct EventQueue {
  fid_eq fid = {};
  Fabric *fabric = nullptr;
  fid_eq *inner = nullptr;  // of connected endpoints
  size_t users = 0;
  std::mutex mutex;
  std::deque<Event> errors;
};

// What we know of an address that was inserted.
struct Peer {
  uint16_t port = 0;
  fi_addr_t inner = FI_ADDR_NOTAVAIL;
  std::unique_ptr<BoardView> board;
};

struct AddressVector {
  fid_av fid = {};
  Domain *domain = nullptr;
  fid_av *inner = nullptr;
  std::map<fi_addr_t, Peer> peers;
  fi_addr_t next = 0;
  std::vector<Endpoint *> users;
};

struct Registration {
  fid_mr fid = {};
  Domain *domain = nullptr;
  Endpoint *endpoint = nullptr;  // with FI_MR_ENDPOINT
  fid_mr *inner = nullptr;
  char *base = nullptr;
  size_t length = 0;
  NicMapping device;  // of device memory: where we reach it
  uint64_t access = 0;
  uint64_t key = 0;
  uint64_t inner_key = 0;
  bool enabled = false;
  char *reached(const void *address) const {
    auto *at = const_cast<char *>(static_cast<const char *>(address));
    return device.map ? device.alias + (at - base) : at;
  }
};

enum class Kind : uint8_t { write, read, send, receive };

// An operation from its post to its completion. The inner provider knows it by its number.
struct Request {
  uint64_t number;  // never given twice in a domain
  Kind kind;
  Endpoint *endpoint;  // null once that was closed
  Queue *queue;
  void *context;
  uint64_t flags;
  bool report;       // a successful completion is reported
  bool owns_context;  // scribbled into the user's context
  uint64_t length;
  size_t parts;
  iovec local[most_parts];
  Registration *descriptors[most_parts];
  fi_addr_t peer;
  fi_rma_iov remote;
  uint64_t data;
  std::vector<char> copy;  // injected bytes
  uint64_t due;            // ns; not launched before
  uint64_t first_refusal;  // ns; when the inner provider first had no room
  // Of connected endpoints only:
  Fault doomed;      // what the NIC will find wrong with it
  bool half_way;     // its bytes are on the way, the note that follows them is not yet
  bool by_write;     // a receive that a write with data consumed
  bool done;         // completed, unreported while an earlier one is not
  Fault result;
  uint64_t result_length;
};

struct Entry {
  void *context;
  uint64_t flags;
  uint64_t length;
  uint64_t data;
  Fault fault;
};

struct Queue {
  fid_cq fid = {};
  Domain *domain = nullptr;
  fid_cq *inner = nullptr;
  fi_cq_format format = FI_CQ_FORMAT_CONTEXT;
  size_t size = 0;
  size_t committed = 0;  // entries that may still come, or stand unread
  bool wait_fd = false;
  int handed_out = -1;  // a descriptor of ours for the inner one's, which may become another
  size_t users = 0;
  std::deque<Entry> entries;
  std::set<Endpoint *> endpoints;  // those whose operations it moves on
};

struct Endpoint {
  fid_ep fid = {};
  Domain *domain = nullptr;
  fid_ep *inner = nullptr;
  fi_info *info = nullptr;
  AddressVector *addresses = nullptr;
  Queue *transmit_queue = nullptr, *receive_queue = nullptr;
  EventQueue *events = nullptr;
  bool selective = false, enabled = false;
  uint16_t port = 0;
  std::unique_ptr<BoardView> board;
  size_t outstanding = 0, receives = 0, bound = 0;
  std::deque<Request *> waiting;  // accepted, not launched yet
  std::set<Request *> launched;
  FaultState faults;
  std::unique_ptr<Connection> connection;  // of connected endpoints
};

struct Domain {
  fid_domain fid = {};
  Fabric *fabric = nullptr;
  const Persona *persona = nullptr;
  fi_info *inner_info = nullptr;
  fid_domain *inner = nullptr;
  size_t rail = 0;
  int mr_mode = 0;
  bool device_memory = false;    // FI_HMEM was asked for
  Ways ways;                     // it is taken in
  uint64_t device_bytes = 0;     // registered
  bool single_threaded = false;  // FI_THREAD_DOMAIN was promised
  std::mutex mutex;
  size_t children = 0;
  uint64_t next_key = 0;
  std::set<Queue *> queues;
  std::set<AddressVector *> vectors;
  std::set<Registration *> registrations;
  std::set<Endpoint *> endpoints;
  std::set<Request *> orphans;  // of closed endpoints; the inner provider may still hand them back
  // Not yet handed back, by their numbers.
  std::unordered_map<uint64_t, Request *> live;
  uint64_t last_number = 0;
  // Of connected endpoints: one state of the NIC for all, and one board, which hangs on an endpoint of our own.
  FaultState faults;
  std::unique_ptr<Endpoint> registry;
  int reserved_port = -1;  // a socket that holds the number of the board
};

// The domain's lock, and the watch over the promise of FI_THREAD_DOMAIN.
class Guard {
 public:
  explicit Guard(Domain &domain) : domain_(domain) {
    if (domain_.mutex.try_lock()) return;
    if (domain_.single_threaded)
      rule_broken(*domain_.persona, "FI_THREAD_DOMAIN was promised, and two threads are in the domain at once");
    domain_.mutex.lock();
  }
  ~Guard() { domain_.mutex.unlock(); }
  Guard(const Guard &) = delete;

 private:
  Domain &domain_;
};

// Connections come and go; their NIC stays as it is.
inline FaultState &faults_of(Endpoint &endpoint) {
  return endpoint.connection ? endpoint.domain->faults : endpoint.faults;
}

// libfabric's inline calls do not look before they jump: every slot that is not served refuses.
template <typename R, typename... A>
void refuse(R (*&slot)(A...)) {
  slot = [](A...) -> R { return -FI_ENOSYS; };
}
fi_ops no_operations();  // these three: domain.cpp
fi_ops_ep no_options();
fi_ops_cm no_connections();

int open_fabric(fi_fabric_attr *attr, fid_fabric **out, void *context);                        // fabric.cpp
int open_domain(fid_fabric *fabric, fi_info *info, fid_domain **out, void *context);           // domain.cpp
int open_events(fid_fabric *fabric, fi_eq_attr *attr, fid_eq **out, void *context);            // events.cpp
int open_addresses(fid_domain *domain, fi_av_attr *attr, fid_av **out, void *context);         // addresses.cpp
int open_queue(fid_domain *domain, fi_cq_attr *attr, fid_cq **out, void *context);             // queue.cpp
int open_endpoint(fid_domain *domain, fi_info *info, fid_ep **out, void *context);             // endpoint.cpp
fi_ops_mr *registration_calls();                                                               // registration.cpp
void publish_all(Endpoint &endpoint);   // registrations that any endpoint of the domain may serve
BoardView *board_of(Peer &peer);        // addresses.cpp; null: there is no such endpoint (any more)

fi_ops_msg *message_calls();  // post.cpp
fi_ops_rma *rma_calls();      // post.cpp
// What the inner provider hands back for it: no address, which another operation may have by then.
inline void *context_of(const Request &request) { return reinterpret_cast<void *>(request.number); }
void start(Request *request);                    // launch.cpp: faults, then to the inner provider
void kill_nic(Endpoint &endpoint);               // launch.cpp
void move_on(Endpoint &endpoint);                // launch.cpp: what waits and is due
void finish(Request *request, const Fault &fault, uint64_t length);  // queue.cpp
void drop(Domain &domain, Request *request);  // queue.cpp; without a word
void deliver(Request *request, const Fault &fault, uint64_t length);  // queue.cpp: in whatever order it is called
void abandon(Endpoint &endpoint);                                     // endpoint.cpp
void unbind(Endpoint &endpoint);                                      // endpoint.cpp
int bind_queue(Endpoint &endpoint, Queue &queue, uint64_t flags);     // endpoint.cpp
void drain(Queue &queue);                        // queue.cpp: takes what the inner provider has completed
bool pending_work(const Queue &queue);           // queue.cpp: something moves only when the queue is read
void renew_inner(Domain &domain);                // renewal.cpp: once its last endpoint is closed
int open_inner(Queue &queue);                    // queue.cpp
int open_inner(AddressVector &av);               // addresses.cpp; with all that is in it
int open_inner(Registration &registration);      // registration.cpp
uint64_t now_ns();

}  // namespace pirn::sim_nic
