// SPDX-License-Identifier: Apache-2.0
// The objects behind the fake fabric; shared by its source files.
#pragma once

#include "fake_fabric.h"

#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_rma.h>
#include <sched.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <unordered_map>

namespace pirn::sim {

// A held lock costs one exchange: the engine's overhead is measured through it.
class SpinLock {
 public:
  void lock() {
    for (int spins = 0; flag_.exchange(true, std::memory_order_acquire); spins++)
      if (spins > 100) sched_yield();
  }
  void unlock() { flag_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> flag_{false};
};

struct Domain;
struct Endpoint;

struct Fabric {
  fid_fabric fid = {};
  size_t children = 0;
};

struct Entry {
  void *context;
  uint64_t flags;
  size_t length;
  int error, provider_error;
};

struct Queue {
  fid_cq fid = {};
  Domain *domain = nullptr;
  std::vector<Entry> ring;  // a power of two
  uint64_t head = 0, tail = 0;
  size_t users = 0;
  int event_fd = -1;
  bool armed = false;  // somebody may be asleep on event_fd

  bool full() const { return tail - head == ring.size(); }
};

struct Events {
  fid_eq fid = {};
  Fabric *fabric = nullptr;
  size_t users = 0;
};

struct Addresses {
  fid_av fid = {};
  Domain *domain = nullptr;
  size_t users = 0;
  std::vector<uint32_t> numbers;  // by fi_addr_t; 0 removed
  std::set<uint32_t> known;
};

struct Region {
  static constexpr uint64_t alive = 0x52e610;
  fid_mr fid = {};
  uint64_t magic = alive;
  Domain *domain = nullptr;
  Endpoint *endpoint = nullptr;  // with FI_MR_ENDPOINT
  uint64_t key = 0;  // shown in fid.key once enabled
  char *base = nullptr;
  size_t length = 0;
  uint64_t access = 0;
  bool enabled = false;
};

struct Domain {
  fid_domain fid = {};
  Fabric *fabric = nullptr;
  const Persona *persona = nullptr;
  size_t children = 0;
  std::unordered_map<uint64_t, Region *> regions;
  Region *last_region = nullptr;  // the one found last
};

enum class Kind : uint8_t { write, read, send };

struct Part {
  char *base;
  size_t length;
};

struct Target {
  uint64_t address, key;
  size_t length;
};

// An operation that was accepted and is not finished.
struct Operation {
  Kind kind;
  Endpoint *from;
  uint32_t to;
  void *context;
  uint64_t flags;
  int error, provider_error;  // scripted
  bool released;
  std::vector<Part> local;
  std::vector<Target> remote;
};

struct Receive {
  void *context;
  char *buffer;
  size_t length;
};

struct Endpoint {
  fid_ep fid = {};
  Domain *domain = nullptr;
  Addresses *addresses = nullptr;
  Queue *queue = nullptr;
  Events *events = nullptr;
  uint32_t number = 0;
  bool enabled = false;
  size_t bound_regions = 0;
  size_t outstanding = 0;  // recorded transmits
  std::vector<std::byte> address;
  std::deque<Receive> receives;
  std::deque<std::vector<char>> unexpected;
  std::vector<Operation> lazy;  // writes to this endpoint that completed before placement
};

struct FakeFabric::State {
  std::vector<Persona> personas;
  uint32_t version;
  fabric::Calls calls;
  mutable SpinLock lock;

  Counters counters = {};
  size_t live = 0, regions = 0;
  uint32_t requested_version = 0;
  int offered_mr_mode = 0;
  bool names_ignored = false;
  int getinfo_error = 0;

  std::vector<Endpoint *> endpoints = {nullptr};  // by number; null when closed
  std::mt19937_64 random{1};                      // keys

  // Faults. `slow` is their sum.
  bool slow = false;
  uint64_t posts = 0, again_left = 0, again_period = 0, again_burst = 0;
  std::map<uint64_t, int> failing_posts;
  std::map<uint64_t, std::pair<int, int>> failing_operations;
  bool reordering = false;
  std::mt19937_64 reorder_random;
  bool holding = false;
  std::set<uint32_t> hung, cut;  // 0: all
  bool both_ways = false;        // these are meant of initiators, too
  bool dead_again = false, address_lost = false;
  int registration_error = 0;
  std::vector<DeviceRegistration> device_registrations;
  int queue_error = 0, event_error = 0, event_provider_error = 0;
  std::deque<Operation> pending;
  size_t lazy_writes = 0;  // in all endpoints

  void update_mode();
};

extern FakeFabric::State *current;

// fake_info.cpp
fabric::Calls fake_calls();

// fake_objects.cpp
int open_fabric(fi_fabric_attr *attr, fid_fabric **out, void *context);
int trywait(fid_fabric *fabric, fid **fids, int count);

// fake_endpoint.cpp
int open_endpoint(fid_domain *domain, fi_info *info, fid_ep **out, void *context);
int register_attr(fid *domain, const fi_mr_attr *attr, uint64_t flags, fid_mr **out);
uint32_t number_in(const Persona &persona, const void *address, size_t length);

// fake_data.cpp
extern fi_ops_rma rma_operations;
extern fi_ops_msg message_operations;
extern fi_ops_cq queue_operations;
void wake(Queue &queue);  // whoever sleeps on its descriptor
void grow(Queue &queue);
inline void push(Queue &queue, const Entry &entry) {
  if (queue.full()) grow(queue);
  queue.ring[queue.tail++ & (queue.ring.size() - 1)] = entry;
  if (queue.armed) wake(queue);
}
void drop_operations(Endpoint &endpoint);  // on close: in flight ones end as cancelled, without moving a byte

}  // namespace pirn::sim
