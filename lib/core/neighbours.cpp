// SPDX-License-Identifier: Apache-2.0
#include "core/neighbours.h"

#include "core/endpoint.h"

#include <mutex>
#include <set>

namespace pirn::core {

static std::mutex neighbours_mutex;

static std::set<Endpoint *> &neighbours() {
  static std::set<Endpoint *> all;
  return all;
}

void join_neighbours(Endpoint &endpoint) {
  std::lock_guard guard(neighbours_mutex);
  neighbours().insert(&endpoint);
}

void leave_neighbours(Endpoint &endpoint) {
  std::lock_guard guard(neighbours_mutex);
  if (neighbours().erase(&endpoint) == 0) return;
  for (Endpoint *other : neighbours()) other->neighbour_left(endpoint.instance());
}

void reset_among_neighbours(Endpoint &endpoint) {
  std::lock_guard guard(neighbours_mutex);
  for (Endpoint *other : neighbours())
    if (other != &endpoint) other->neighbour_left(endpoint.instance());
  endpoint.reset_now();
}

}  // namespace pirn::core
