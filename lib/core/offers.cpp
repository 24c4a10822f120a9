// SPDX-License-Identifier: Apache-2.0
#include "core/offers.h"

#include "core/allocations.h"
#include "local/host_file.h"

#include <algorithm>

namespace pirn::core {
namespace {

using ull = unsigned long long;

void refuse(local::Offer *offer, const Status &why) {
  *offer = {};
  offer->answer.status = why.code;
  offer->answer.reason = why.text;
}

// The kinds of handles of device memory, best first.
struct Kind {
  wire::ShareHandleKind wire;
  device::HandleKind device;
};
constexpr Kind kinds[] = {{wire::ShareHandleKind::device_file, device::HandleKind::file},
                          {wire::ShareHandleKind::device_fabric, device::HandleKind::fabric},
                          {wire::ShareHandleKind::device_legacy, device::HandleKind::legacy}};

void add_handle(local::Offer *offer, wire::ShareChunk *chunk, wire::ShareHandleKind kind, const device::Handle &handle) {
  wire::ShareHandle out;
  out.kind = kind;
  if (handle.kind == device::HandleKind::file) {
    out.file = static_cast<uint8_t>(offer->files.size());
    offer->files.emplace_back(handle.file);
  } else {
    out.bytes.assign(handle.bytes.begin(), handle.bytes.end());
  }
  chunk->handles.push_back(std::move(out));
}

void add_handles(local::Offer *offer, wire::ShareChunk *chunk, const device::Operations &table,
                 const device::Allocation &allocation, uint32_t wanted) {
  for (const Kind &kind : kinds) {
    if ((wanted & wire::share_bit(kind.wire)) == 0) continue;
    auto handle = table.share(allocation, kind.device);
    if (handle.is_ok()) add_handle(offer, chunk, kind.wire, handle.value());
    else chunk->why_none += (chunk->why_none.empty() ? "" : "; ") + handle.error().text;
  }
}

// The part of the window that lies in an allocation of `length` bytes at `start`.
wire::ShareChunk part(const Advertised &window, uint64_t offset, const std::byte *start, uint64_t length, uint64_t id) {
  wire::ShareChunk chunk;
  const std::byte *at = window.address + offset;
  chunk.offset = offset;
  chunk.allocation = id;
  chunk.allocation_offset = static_cast<uint64_t>(at - start);
  chunk.allocation_length = length;
  chunk.length = std::min(window.blob.length - offset, length - chunk.allocation_offset);
  return chunk;
}

Result<wire::ShareChunk> device_chunk(const Advertised &window, uint64_t offset, uint32_t wanted,
                                      const device::Info &device, local::Offer *offer) {
  const device::Operations &table = *window.region->memory->home.table;
  auto found = table.identify(window.address + offset);
  if (!found.is_ok()) return found.status();
  if (!found.value() || !found.value()->on_device())
    return fail(PIRN_ERR_UNAVAILABLE, "there is no device memory at offset %llu of the window any more", static_cast<ull>(offset));
  const device::Allocation &allocation = *found.value();
  wire::ShareChunk chunk = part(window, offset, static_cast<const std::byte *>(allocation.address), allocation.length,
                                allocation.id);
  chunk.device = device.uuid;
  chunk.pci_domain = device.pci.domain;
  chunk.pci_bus = device.pci.bus;
  chunk.pci_device = device.pci.device;
  chunk.pci_function = device.pci.function;
  add_handles(offer, &chunk, table, allocation, wanted);
  return chunk;
}

Result<device::Info> info_of(const Home &home) {
  auto all = home.table->devices();
  if (!all.is_ok()) return all.status();
  for (const device::Info &info : all.value())
    if (info.ordinal == home.device) return info;
  return fail(PIRN_ERR_INTERNAL, "device %s:%u is not among the devices", home.table->name, home.device);
}

local::Offer host_offer(const Advertised &window, const wire::ShareAsk &ask, const SharedHost &shared) {
  local::Offer offer;
  offer.answer.window_length = window.blob.length;
  wire::ShareChunk chunk = part(window, ask.offset, shared.address, shared.length, shared.id);
  if (ask.kinds & wire::share_bit(wire::ShareHandleKind::host_file)) {
    auto file = local::host_file_for(shared.file, (window.blob.access & PIRN_ACCESS_WRITE) != 0);
    if (!file.is_ok()) {
      refuse(&offer, file.status());
      return offer;
    }
    chunk.handles.push_back({wire::ShareHandleKind::host_file, 0, {}});
    offer.files.push_back(file.take());
  }
  offer.answer.chunks.push_back(std::move(chunk));
  return offer;
}

local::Offer device_offer(const Advertised &window, const wire::ShareAsk &ask) {
  local::Offer offer;
  auto device = info_of(window.region->memory->home);
  if (!device.is_ok()) {
    refuse(&offer, device.status());
    return offer;
  }
  offer.answer.window_length = window.blob.length;
  uint64_t offset = ask.offset;
  while (offset < window.blob.length && offer.answer.chunks.size() < wire::max_share_chunks &&
         offer.files.size() < wire::max_share_files) {
    auto chunk = device_chunk(window, offset, ask.kinds, device.value(), &offer);
    if (!chunk.is_ok()) {
      refuse(&offer, chunk.status());
      return offer;
    }
    offset += chunk.value().length;
    offer.answer.chunks.push_back(chunk.take());
  }
  return offer;
}

// Plain host memory: where the kernel finds it. The guard is what takes it back.
local::Offer plain_offer(Advertised &window, const wire::ShareAsk &ask, bool tell_address) {
  constexpr uint32_t wanted = wire::share_bit(wire::ShareHandleKind::host_address) |
                              wire::share_bit(wire::ShareHandleKind::host_guard);
  constexpr uint64_t of_a_window = uint64_t{1} << 63;  // apart from the ids of allocations
  local::Offer offer;
  std::string why;
  if (!tell_address) why = ", and PIRN_CROSS_MEMORY=none at its owner";
  else if (!(window.blob.access & PIRN_ACCESS_READ)) why = ", and the window may not be read";
  if (!why.empty() || (ask.kinds & wanted) != wanted) {
    refuse(&offer, fail(PIRN_ERR_UNAVAILABLE, "the memory is not from pirn_memory_alloc%s", why.c_str()));
    return offer;
  }
  if (!window.guard.is_open()) window.guard = local::Guard::make();
  offer.answer.window_length = window.blob.length;
  wire::ShareChunk chunk = part(window, ask.offset, window.address, window.blob.length, of_a_window | window.blob.window);
  chunk.handles = {local::address_handle(window.address), local::guard_handle(window.guard)};
  offer.answer.chunks.push_back(std::move(chunk));
  return offer;
}

}  // namespace

bool can_be_shared(const Advertised &window) {
  if (window.blob.on_device) return true;
  auto shared = Allocations::of_process().host_at(window.address);
  return shared && window.address + window.blob.length <= shared->address + shared->length;
}

local::Offer offer_of(Advertised &window, const wire::ShareAsk &ask, bool tell_address) {
  local::Offer offer;
  if (ask.offset >= window.blob.length) {
    refuse(&offer, fail(PIRN_ERR_RANGE, "offset %llu is outside the window of %llu bytes", static_cast<ull>(ask.offset),
                        static_cast<ull>(window.blob.length)));
    return offer;
  }
  if (window.blob.on_device) return device_offer(window, ask);
  auto shared = Allocations::of_process().host_at(window.address);
  if (shared && can_be_shared(window)) return host_offer(window, ask, *shared);
  return plain_offer(window, ask, tell_address);
}

}  // namespace pirn::core
