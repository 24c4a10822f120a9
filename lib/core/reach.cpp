// SPDX-License-Identifier: Apache-2.0
#include "core/reach.h"

#include "base/clock.h"

#include <pirn/memory.h>

#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace pirn::core {
namespace {

// Many times what a stream has in flight (core/copies) takes.
constexpr uint64_t lease_timeout = ns_per_s;

using Key = std::pair<wire::Instance, uint64_t>;

struct Offers {
  std::mutex mutex;
  std::map<Key, std::pair<wire::WindowBlob, Offer>> all;
};

Offers &offers() {
  static Offers *made = new Offers;  // outlives endpoints that are closed by static destructors
  return *made;
}

}  // namespace

const char *route_name(Route route) {
  switch (route) {
    case Route::self: return "self";
    case Route::ipc:
    case Route::device_ring:
    case Route::host_ring: return "ipc";
    default: return "fabric";
  }
}

Route route_named(const std::string &name) {
  for (Route route : {Route::fabric, Route::self, Route::ipc})
    if (name == route_name(route)) return route;
  return Route::unknown;
}

bool Lease::enter() {
  inside_.fetch_add(1);
  if (!ended_.load()) return true;
  leave();
  return false;
}

bool Lease::end(uint64_t timeout) {
  ended_.store(true);
  const uint64_t deadline = now_ns() + timeout;
  while (inside_.load() > 0) {
    if (now_ns() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

// The device allocation at `address`, if a loaded runtime knows it as one.
static Result<Home> home_at(const std::byte *address) {
  for (const device::Operations *table : device::tables()) {
    if (!table->load(true).is_ok()) continue;
    auto found = table->identify(address);
    if (!found.is_ok()) return found.status();
    if (found.value() && found.value()->on_device()) return Home{table, found.value()->device};
  }
  return Home{};
}

Result<Home> home_of(void *address, uint64_t length, uint32_t kind) {
  if (kind == PIRN_MEMORY_HOST) return Home{};
  const auto *first = static_cast<const std::byte *>(address);
  auto home = home_at(first);
  if (!home.is_ok()) return home;
  if (!home.value().table && kind == PIRN_MEMORY_DEVICE)
    return fail(PIRN_ERR_INVALID, "%p is no device memory of a runtime that this process has loaded", address);
  auto last = home_at(first + length - 1);
  if (!last.is_ok()) return last;
  if (!(last.value() == home.value()))
    return fail(PIRN_ERR_INVALID, "the range of %llu bytes at %p begins and ends in memory of different devices",
                static_cast<unsigned long long>(length), address);
  return home;
}

void offer(const wire::WindowBlob &window, const Offer &offer) {
  std::lock_guard guard(offers().mutex);
  offers().all[{window.instance, window.window}] = {window, offer};
}

bool end_offer(const wire::WindowBlob &window) {
  std::shared_ptr<Lease> lease;
  {
    std::lock_guard guard(offers().mutex);
    auto found = offers().all.find({window.instance, window.window});
    if (found == offers().all.end()) return true;
    lease = found->second.second.lease;
    offers().all.erase(found);
  }
  return lease->end(lease_timeout);
}

std::optional<Offer> find_offer(const wire::WindowBlob &window) {
  std::lock_guard guard(offers().mutex);
  auto found = offers().all.find({window.instance, window.window});
  if (found == offers().all.end()) return {};
  const wire::WindowBlob &own = found->second.first;
  if (own.capability != window.capability || own.length != window.length || own.access != window.access) return {};
  return found->second.second;
}

}  // namespace pirn::core
