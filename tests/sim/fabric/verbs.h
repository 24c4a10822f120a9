// SPDX-License-Identifier: Apache-2.0
// What connected endpoints (FI_EP_MSG on reliable connections) have beside the common objects: passive endpoints,
// connection events, shared receives, a state per connection, and completions in the order of the posts.
//
// Connection data begins with a greeting of ours, which names the board of the sender's domain.
#pragma once

#include "sim.h"

#include <netinet/in.h>

namespace pirn::sim_nic {

// Numbers of enum ibv_wc_status.
constexpr int wc_local_length = 1, wc_local_protection = 4, wc_flushed = 5, wc_remote_access = 10,
              wc_retries_exceeded = 12, wc_receiver_not_ready = 13;
constexpr Fault flushed = {FI_ECANCELED, wc_flushed};

constexpr size_t connection_data_limit = 56;  // what the connection manager carries for its user

struct Greeting {
  static constexpr uint32_t mark = 0x51e7b5;
  uint32_t magic = mark;
  uint16_t board = 0;
  uint16_t dead = 0;  // a refusal that stands for silence
};

struct Passive {
  fid_pep fid = {};
  Fabric *fabric = nullptr;
  size_t rail = 0;
  fi_info *info = nullptr;
  fid_pep *inner = nullptr;
  EventQueue *events = nullptr;
};

// A connection request that was read; its address is the handle in the user's fi_info.
struct Caller {
  fid handle = {FI_CLASS_CONNREQ, nullptr, nullptr};
  fi_info *inner_info = nullptr;
  uint16_t board = 0;
  ~Caller() { fi_freeinfo(inner_info); }
};

struct Connection {
  enum class State : uint8_t { fresh, connected, failed };
  State state = State::fresh;
  bool broken = false;  // an operation failed; those after it are flushed
  Peer peer;
  Endpoint *shared = nullptr;     // where its receives are posted
  std::deque<Request *> order;    // posted and unreported, oldest first; each is in `waiting` or `launched`
  Request *watched = nullptr;     // the oldest, if it needs a receive of the peer
  uint64_t watched_since = 0;     // ns
  std::unique_ptr<Queue> nobody;  // of a shared receive queue: where its receives count until they complete
  size_t users = 0;               // of a shared receive queue
};

struct Question {
  const char *node, *service;
  uint64_t flags;
  const fi_info *hints;
};

sockaddr_in rail_address(size_t rail, uint16_t port);            // verbs_info.cpp
size_t rail_of(const fi_info &info);                             // verbs_info.cpp; by the domain's name
bool complete_connected(const Question &question, fi_info &info);  // verbs_info.cpp; false: not what was asked for
const char *work_completion_text(int status);                    // verbs_connection.cpp

int open_port(Domain &domain);    // verbs_port.cpp: its board
void close_port(Domain &domain);  // verbs_port.cpp
void kill_port(Domain &domain);   // verbs_port.cpp
void revive_port(Domain &domain);  // verbs_port.cpp; when its time has come, and for good

int open_passive(fid_fabric *fabric, fi_info *info, fid_pep **out, void *context);                    // verbs_passive.cpp
int open_connected(Domain &domain, const fi_info &info, fid_ep **out, void *context);                 // verbs_endpoint.cpp
int open_shared_receives(fid_domain *domain, fi_rx_attr *attr, fid_ep **out, void *context);          // verbs_endpoint.cpp
int open_connection_events(fid_fabric *fabric, fi_eq_attr *attr, fid_eq **out, void *context);        // verbs_events.cpp
int events_trywait(Fabric &fabric, EventQueue &events);                                               // verbs_events.cpp
void report_error(EventQueue &events, fid &object, int error);                                        // verbs_events.cpp
void report_shutdown(Endpoint &endpoint);                                                             // verbs_events.cpp

// verbs_connection.cpp. All with the domain's lock held.
int check_connection(const Endpoint &endpoint, Kind kind);
uint64_t rights_of_connection(Kind kind);  // at the local side, any of them will do
bool admit(Request *request);  // false: the connection is in error, and the request is flushed
ssize_t launch_write_with_data(Request &request, fi_msg_rma &message);
uint64_t take_data(Request &receive, uint64_t length);  // from what launch_write_with_data sends; the length to report
void finish_in_order(Request *request, const Fault &fault, uint64_t length);
Fault error_of_connection(const Request &request, int error);
void hear_of_shutdown(Endpoint &endpoint);
void watch_receiver(Endpoint &endpoint);  // with PIRN_SIM_RNR_MS: gives up on a peer that posts no receive

}  // namespace pirn::sim_nic
