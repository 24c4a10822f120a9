// SPDX-License-Identifier: Apache-2.0
#include "core/direct.h"

#include "core/endpoint.h"

#include <algorithm>

namespace pirn::core {

std::shared_ptr<const fabric::DeviceMemory> describe_device_memory(const Home &home, void *address, uint64_t length) {
  const device::Operations &table = *home.table;
  auto found = table.identify(address);
  if (table.fabric_interface == 0 || !found.is_ok() || !found.value()) return nullptr;
  if (!table.order_with_nics(*found.value()).is_ok()) return nullptr;
  auto memory = std::make_shared<fabric::DeviceMemory>();
  memory->interface = table.fabric_interface;
  memory->device = home.device;
  memory->base = address;
  device::Allocation part = *found.value();
  part.address = address;
  part.length = length;
  auto exported = table.dma_buf(part);
  if (exported.is_ok()) {
    memory->dma_buf = exported.value().file;
    memory->offset = exported.value().offset;
  } else {
    memory->no_dma_buf = exported.error().text;
  }
  return memory;
}

bool Direct::demanded() const { return endpoint_.settings().device_memory == "direct"; }

// Some providers make a context on a device when they are asked for device memory: not for who uses none.
const char *Direct::not_wanted() const {
  if (endpoint_.settings().device_memory == "staged") return "PIRN_DEVICE_MEMORY=staged";
  if (demanded()) return nullptr;
  const auto tables = device::tables();
  const bool loaded = std::any_of(tables.begin(), tables.end(), [](const device::Operations *table) {
    return table->fabric_interface != 0 && table->load(true).is_ok();
  });
  return loaded ? nullptr : "no device's runtime was initialized when the endpoint was opened";
}

static bool has_key(const wire::WindowBlob &blob) {
  return std::any_of(blob.rails.begin(), blob.rails.end(), [](const auto &rail) { return rail.key != wire::no_key; });
}

Direct::Found Direct::look(const Op &op, const Path &path, std::string *why) {
  const Region *region = nullptr;
  const Window *window = nullptr;
  RailSlot &rail = *endpoint_.rails()[path.local];
  Found found = Found::reached;
  for (uint32_t i = 0; i < op.count; ++i) {
    const Segment segment = op.element(i);
    if (segment.region == region && segment.window == window) continue;
    region = segment.region;
    window = segment.window;
    LocalMemory &memory = *segment.region->memory;
    if (memory.home.table && !endpoint_.memory().reach(memory, path.local)) {
      const Status &takes = rail.fabric().takes_device_memory();
      const std::string &refusal = memory.rails[path.local].why;
      *why = takes.is_ok() ? (refusal.empty() ? "the device's runtime refuses" : refusal) : rail.name() + ": " + takes.text;
      return Found::none;
    }
    if (op.kind == OpKind::read && memory.writes == device::RemoteWrites::unseen) {
      *why = memory.unseen;
      return Found::none;
    }
    if (!segment.window->blob.on_device || segment.window->keys[path.remote].known()) continue;
    // Of an owner whose rails take none nothing is asked.
    if (has_key(segment.window->blob)) endpoint_.windows().want(*segment.window, path.remote);
    if (segment.window->keys[path.remote].ask_at == UINT64_MAX) {
      found = Found::asked;
      continue;
    }
    *why = text("%s: the window's owner has not registered it with its rail %u", rail.name().c_str(), path.remote);
    return Found::none;
  }
  return found;
}

Result<Route> Direct::route(const Op &op) {
  if (endpoint_.settings().device_memory == "staged") return Route::staged;
  const Peer &peer = *op.peer;
  bool asked = false;
  std::string reasons;
  for (const Path &path : peer.paths) {
    if (!endpoint_.paths().in_use(peer, path)) continue;
    std::string why;
    const Found found = look(op, path, &why);
    if (found == Found::reached) return Route::registered;
    asked = asked || found == Found::asked;
    if (!why.empty()) reasons += "; " + why;
  }
  if (asked) return Route::unknown;
  if (!demanded()) return Route::staged;
  return fail(PIRN_ERR_UNAVAILABLE, "PIRN_DEVICE_MEMORY=direct, and no rail is left that both ends are registered with%s%s",
              reasons.c_str(), Paths::troubles(peer).c_str());
}

Status Direct::flush(const Op &op) const {
  const LocalMemory *last = nullptr;
  Home flushed;
  for (uint32_t i = 0; i < op.count; ++i) {
    const LocalMemory &memory = *op.element(i).region->memory;
    const bool known = &memory == last || memory.home == flushed;
    last = &memory;
    if (known || memory.writes != device::RemoteWrites::flushed) continue;
    flushed = memory.home;
    if (Status status = flushed.table->flush_remote_writes(flushed.device); !status.is_ok())
      return fail(status.code, "what was read may not be seen by work of %s:%u: %s", flushed.table->name, flushed.device,
                  status.text.c_str());
  }
  return Status::ok();
}

std::string Direct::explain(const Peer &peer) const {
  const char *not_asked = not_wanted();
  if (endpoint_.settings().device_memory == "staged") return std::string(not_asked) + ": ";
  size_t local = 0, remote = 0;
  for (const auto &rail : endpoint_.rails()) local += rail->fabric().takes_device_memory().is_ok();
  for (const Window *window : peer.windows) remote += window->blob.on_device && has_key(window->blob);
  std::string out = text("direct by rails that both ends are registered with (%zu of %zu rails here take device memory, and "
                         "%zu of the peer's windows in use are registered)", local, endpoint_.rails().size(), remote);
  return out + (demanded() ? "; never " : "; else ");
}

std::string Direct::explain(RailSlot &rail) const {
  const Status &takes = rail.fabric().takes_device_memory();
  return takes.is_ok() ? "can be registered" : "cannot be registered: " + takes.text;
}

}  // namespace pirn::core
