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

void join_neighbours(Endpoint &endpoint) {
  std::lock_guard guard(table_mutex);
  table()[endpoint.instance()] = &endpoint;
}

Endpoint *find_neighbour(const wire::Instance &instance) {
  std::lock_guard guard(table_mutex);
  auto found = table().find(instance);
  return found == table().end() ? nullptr : found->second;
}

// From here on no peer is made by it, or of it. False if it was not there.
static bool take_out(const Endpoint &endpoint) {
  std::lock_guard guard(table_mutex);
  return table().erase(endpoint.instance()) != 0;
}

static void tell_others(const Endpoint &leaving) {
  std::vector<Endpoint *> others;
  {
    std::lock_guard guard(table_mutex);
    for (auto &[instance, other] : table()) others.push_back(other);
  }
  for (Endpoint *other : others) other->neighbour_left(leaving.instance());
}

void leave_neighbours(Endpoint &endpoint) {
  std::lock_guard leaving(leaving_mutex);
  if (!take_out(endpoint)) return;
  endpoint.part("the endpoint was closed");
  tell_others(endpoint);
}

void reset_among_neighbours(Endpoint &endpoint) {
  std::lock_guard leaving(leaving_mutex);
  const bool stays = take_out(endpoint);
  endpoint.part("the rail had to be reset to make memory quiet");
  tell_others(endpoint);
  endpoint.reset_now();
  if (stays) join_neighbours(endpoint);
}

}  // namespace pirn::core
