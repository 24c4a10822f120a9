// SPDX-License-Identifier: Apache-2.0
#include "core/neighbours.h"

#include "core/endpoint.h"

#include <map>
#include <mutex>
#include <vector>

namespace pirn::core {

// Held while somebody leaves or resets; endpoints' locks are taken under it.
static std::mutex leaving_mutex;
// Guards the table; taken under an endpoint's lock, so no lock is taken under it.
static std::mutex table_mutex;

static std::map<wire::Instance, Endpoint *> &table() {
  static std::map<wire::Instance, Endpoint *> all;
  return all;
}

static std::vector<Endpoint *> others(const Endpoint &endpoint) {
  std::lock_guard guard(table_mutex);
  std::vector<Endpoint *> found;
  for (auto &[instance, other] : table())
    if (other != &endpoint) found.push_back(other);
  return found;
}

void join_neighbours(Endpoint &endpoint) {
  std::lock_guard guard(table_mutex);
  table()[endpoint.instance()] = &endpoint;
}

Endpoint *find_neighbour(const wire::Instance &instance) {
  std::lock_guard guard(table_mutex);
  auto found = table().find(instance);
  return found == table().end() ? nullptr : found->second;
}

void leave_neighbours(Endpoint &endpoint) {
  std::lock_guard leaving(leaving_mutex);
  {
    std::lock_guard guard(table_mutex);
    if (table().erase(endpoint.instance()) == 0) return;
  }
  for (Endpoint *other : others(endpoint)) other->neighbour_left(endpoint.instance());
}

void reset_among_neighbours(Endpoint &endpoint) {
  std::lock_guard leaving(leaving_mutex);
  for (Endpoint *other : others(endpoint)) other->neighbour_left(endpoint.instance());
  endpoint.reset_now();
}

}  // namespace pirn::core
