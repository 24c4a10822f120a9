// SPDX-License-Identifier: Apache-2.0
#include "core/memory.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "core/direct.h"

#include <algorithm>

namespace pirn::core {

const Reach *reach_of(const Window &window, const Home &near) {
  if (window.reach.route != Route::ipc) return &window.reach;
  for (const SharedReach &shared : window.shared)
    if (shared.near == near) return &shared.reach;
  return nullptr;
}

Memory::~Memory() {
  for (auto &entry : advertised_) take_back(*entry.second);
  for (auto &entry : local_) drop(*entry.second);
  for (Region *region : regions_) delete region;
}

// What rails are told of device memory, if one takes it.
void Memory::describe(LocalMemory &memory) {
  const bool any = std::any_of(rails_.begin(), rails_.end(),
                               [](const auto &rail) { return rail->fabric().takes_device_memory().is_ok(); });
  const Home &home = memory.home;
  if (any && home.table) memory.device = describe_device_memory(home, memory.address, memory.length);
  if (!memory.device) return;
  auto writes = home.table->remote_writes(home.device);
  memory.writes = writes.is_ok() ? writes.value() : device::RemoteWrites::unseen;
  if (memory.writes == device::RemoteWrites::unseen)
    memory.unseen = text("NICs do not write into memory of %s:%u: its work that runs already may never see it%s%s",
                         home.table->name, home.device, writes.is_ok() ? "" : ": ", writes.status().text.c_str());
}

void Memory::count_flushes(Advertised &window) {
  const LocalMemory &memory = *window.region->memory;
  const bool reached = std::any_of(window.rails.begin(), window.rails.end(), [](const OnRail &rail) { return rail.registration; });
  if (window.flushes || !reached || memory.writes != device::RemoteWrites::flushed) return;
  if (!(window.blob.access & PIRN_ACCESS_WRITE)) return;
  window.flushes = true;
  ++flushes_[memory.home];
}

Status Memory::flush_remote_writes() const {
  for (const auto &[home, windows] : flushes_)
    if (Status status = home.table->flush_remote_writes(home.device); !status.is_ok())
      return fail(status.code, "what NICs have written may not be seen by work of %s:%u: %s", home.table->name, home.device,
                  status.text.c_str());
  return Status::ok();
}

// On all near rails, or on none; device memory on those that take it.
Status Memory::register_near(void *address, uint64_t length, uint32_t access, const LocalMemory &memory,
                             std::vector<OnRail> *out) {
  out->resize(rails_.size());
  for (size_t i = 0; i < rails_.size(); ++i) {
    if (rails_[i]->far()) continue;
    if (memory.home.table) {
      (void)reach((*out)[i], i, address, length, access, memory);
      continue;
    }
    auto made = rails_[i]->fabric().register_memory(address, length, access);
    if (!made.is_ok()) {
      deregister_all(*out);
      return made.status();
    }
    (*out)[i].registration = made.value();
  }
  return Status::ok();
}

void Memory::deregister_all(const std::vector<OnRail> &registrations) {
  for (size_t i = 0; i < registrations.size(); ++i) rails_[i]->fabric().deregister(registrations[i].registration);
}

bool Memory::reach(OnRail &there, size_t rail, void *address, uint64_t length, uint32_t access,
                   const LocalMemory &memory) {
  constexpr uint64_t retry_after = ns_per_s;
  if (there.registration) return true;
  const uint64_t now = coarse_ns();
  const bool on_device = memory.home.table != nullptr;
  if (now < there.retry_at || (on_device && !memory.device)) return false;
  if (on_device && !rails_[rail]->fabric().takes_device_memory().is_ok()) return false;
  if (on_device && (access & PIRN_ACCESS_WRITE) && memory.writes == device::RemoteWrites::unseen) {
    if (there.why.empty()) log_.write(PIRN_LOG_INFO, "rail %zu: %s", rail, memory.unseen.c_str());
    there.why = memory.unseen;
    return false;
  }
  auto made = rails_[rail]->fabric().register_memory(address, length, access, memory.device);
  if (made.is_ok()) {
    there.registration = made.value();
    return true;
  }
  there.retry_at = now + retry_after;
  if (on_device) {
    if (there.why != made.error().text) log_.write(PIRN_LOG_INFO, "rail %zu: %s", rail, made.error().text.c_str());
    there.why = made.error().text;
    return false;
  }
  log_.write(PIRN_LOG_WARN, "rail %zu is far and carries nothing of %llu bytes at %p: %s", rail,
             static_cast<unsigned long long>(length), address, made.error().text.c_str());
  return false;
}

bool Memory::reach(Advertised &window, size_t rail) {
  OnRail &there = window.rails[rail];
  if (there.registration) return true;
  if (!reach(there, rail, window.address, window.blob.length, window.blob.access, *window.region->memory)) return false;
  window.keys[rail] = key_of(window, rail);
  count_flushes(window);
  return true;
}

bool Memory::rekeyed(Advertised &window, size_t rail) {
  if (!window.rails[rail].registration) return false;
  const wire::WindowBlob::RailKey key = key_of(window, rail);
  if (key == window.keys[rail]) return false;
  window.keys[rail] = key;
  return true;
}

wire::WindowBlob::RailKey Memory::key_of(const Advertised &window, size_t rail) const {
  const fabric::Registration *registration = window.rails[rail].registration;
  if (!registration) return {0, wire::no_key};
  return {reinterpret_cast<uint64_t>(window.address) - rails_[rail]->fabric().remote_base(registration),
          fabric::Rail::key(registration)};
}

Result<Region *> Memory::add(Endpoint *endpoint, void *address, uint64_t length, const Home &home) {
  auto found = local_.find({address, length});
  if (found == local_.end()) {
    auto memory = std::make_unique<LocalMemory>();
    memory->address = static_cast<std::byte *>(address);
    memory->length = length;
    memory->home = home;
    describe(*memory);
    Status status = register_near(address, length, 0, *memory, &memory->rails);
    if (!status.is_ok()) return status;
    found = local_.emplace(Range{address, length}, std::move(memory)).first;
  }
  auto region = std::make_unique<Region>();
  region->endpoint = endpoint;
  region->memory = found->second.get();
  ++found->second->regions;
  regions_.insert(region.get());
  return region.release();
}

Status Memory::remove(Region *region) {
  if (region->users)
    return fail(PIRN_ERR_BUSY, "the region is used by %llu transfer elements or prepared lists",
                static_cast<unsigned long long>(region->users));
  if (region->windows)
    return fail(PIRN_ERR_BUSY, "the region has %llu windows that are not withdrawn",
                static_cast<unsigned long long>(region->windows));
  LocalMemory *memory = region->memory;
  regions_.erase(region);
  delete region;
  if (--memory->regions == 0) {
    drop(*memory);
    local_.erase({memory->address, memory->length});
  }
  return Status::ok();
}

Result<Advertised *> Memory::advertise(Region *region, uint64_t offset, uint64_t length, uint32_t access) {
  auto window = std::make_unique<Advertised>();
  window->address = region->address() + offset;
  const Home &home = region->memory->home;
  Status status = register_near(window->address, length, access, *region->memory, &window->rails);
  if (!status.is_ok()) return status;
  window->region = region;
  window->blob.instance = instance_;
  window->blob.window = next_window_++;
  window->blob.capability = random_u64();
  window->blob.length = length;
  window->blob.access = access;
  window->blob.on_device = home.table != nullptr;
  for (size_t i = 0; i < rails_.size(); ++i) window->keys.push_back(key_of(*window, i));
  for (size_t i = 0; i < rails_.size() && !rails_[i]->spare(); ++i) window->blob.rails.push_back(window->keys[i]);
  count_flushes(*window);
  ++region->windows;
  offer(window->blob, {window->address, length, home});
  Advertised *made = window.get();
  advertised_.emplace(made->blob.window, std::move(window));
  return made;
}

Advertised *Memory::find(uint64_t window) {
  auto found = advertised_.find(window);
  return found == advertised_.end() ? nullptr : found->second.get();
}

bool Memory::pin(LocalMemory &memory, const device::Operations &table) {
  if (memory.pin_tried) return memory.pinned;
  memory.pin_tried = true;
  auto found = table.identify(memory.address);  // perhaps it is already, by the application
  if (found.is_ok() && found.value()) {
    const auto *start = static_cast<const std::byte *>(found.value()->address);
    memory.pinned = start + found.value()->length >= memory.address + memory.length;
  } else if (table.pin(memory.address, memory.length).is_ok()) {
    memory.pinned = true;
    memory.pinned_by = &table;
  }
  return memory.pinned;
}

void Memory::drop(LocalMemory &memory) {
  if (memory.pinned_by) (void)memory.pinned_by->unpin(memory.address);
  deregister_all(memory.rails);
}

void Memory::take_back(Advertised &window) {
  window.guard.close();
  if (!end_offer(window.blob))
    log_.write(PIRN_LOG_ERROR, "an endpoint of this process still copies to or from window %llu and makes no progress",
               static_cast<unsigned long long>(window.blob.window));
  deregister_all(window.rails);
}

void Memory::erase(Advertised *window) {
  take_back(*window);
  --window->region->windows;
  const auto flushed = window->flushes ? flushes_.find(window->region->memory->home) : flushes_.end();
  if (flushed != flushes_.end() && --flushed->second == 0) flushes_.erase(flushed);
  advertised_.erase(window->blob.window);
}

}  // namespace pirn::core
