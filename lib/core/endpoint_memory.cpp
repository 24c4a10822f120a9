// SPDX-License-Identifier: Apache-2.0
// Regions and windows, as the API asks for them.
#include "core/endpoint.h"
#include "core/neighbours.h"

#include <algorithm>
#include <cstring>

namespace pirn::core {

using ull = unsigned long long;

Result<Region *> Endpoint::register_memory(void *address, uint64_t length, uint32_t kind) {
  if (!address) return fail(PIRN_ERR_INVALID, "address is NULL");
  if (length == 0) return fail(PIRN_ERR_INVALID, "length is 0; a region has at least 1 byte");
  if (length > UINT64_MAX - reinterpret_cast<uint64_t>(address))
    return fail(PIRN_ERR_RANGE, "address %p + length %llu wraps around", address, static_cast<ull>(length));
  auto home = home_of(address, length, kind);
  if (!home.is_ok()) return home.status();
  auto guard = driver_.lock();
  return memory_->add(this, address, length, home.value());
}

Status Endpoint::deregister(Region *region) {
  auto guard = driver_.lock();
  return memory_->remove(region);
}

Status Endpoint::advertise(Region *region, uint64_t offset, uint64_t length, uint32_t access, std::span<std::byte> room,
                           size_t *blob_size, uint64_t *window) {
  if (access == 0 || (access & ~(PIRN_ACCESS_READ | PIRN_ACCESS_WRITE)))
    return fail(PIRN_ERR_INVALID, "access 0x%x: expected PIRN_ACCESS_READ (1), PIRN_ACCESS_WRITE (2) or both (3)",
                access);
  if (length == 0) return fail(PIRN_ERR_INVALID, "length is 0; a window has at least 1 byte");
  if (offset > region->length() || length > region->length() - offset)
    return fail(PIRN_ERR_RANGE, "offset %llu + length %llu is outside the region of %llu bytes",
                static_cast<ull>(offset), static_cast<ull>(length), static_cast<ull>(region->length()));
  auto guard = driver_.lock();
  wire::WindowBlob shape;
  shape.length = length;
  shape.access = access;
  shape.rails.resize(others_);
  *blob_size = wire::encode_window(shape).size();
  if (room.size() < *blob_size)
    return fail(PIRN_ERR_TOO_SMALL, "the blob needs %zu bytes, the buffer has %zu", *blob_size, room.size());
  auto made = memory_->advertise(region, offset, length, access);
  if (!made.is_ok()) return made.status();
  std::vector<std::byte> blob = wire::encode_window(made.value()->blob);
  std::memcpy(room.data(), blob.data(), blob.size());
  *window = made.value()->blob.window;
  return Status::ok();
}

Status Endpoint::withdraw(Region *region, uint64_t id, uint64_t timeout) {
  auto guard = driver_.lock();
  Advertised *window = memory_->find(id);
  if (!window || window->region != region)
    return fail(PIRN_ERR_INVALID, "the region has no window %llu", static_cast<ull>(id));
  if (window->withdrawing) return fail(PIRN_ERR_BUSY, "window %llu is being withdrawn already", static_cast<ull>(id));
  windows_.withdraw(*window);
  driver_.posted();
  Status left;
  const auto quiet = [&] { return windows_.quiet(*window) && !staging_.loans().busy(id) && !sharing_->left_behind(*window); };
  if (!driver_.wait(guard, timeout_or(timeout, settings().transfer_timeout), quiet)) {
    const bool given = sharing_->given(*window);
    if (shares_memory_with_peers()) {
      guard.unlock();
      reset_among_neighbours(*this);
      driver_.relock(guard);
    }
    if (!windows_.quiet(*window)) windows_.cut_off(*window);
    if (given) left = fail(PIRN_ERR_TIMEOUT, "window %llu is withdrawn, but a process of this host that "
                                              "did not answer has its memory mapped, and may still be copying",
                                              static_cast<ull>(id));
  }
  if (staging_.loans().busy(id)) {
    staging_.finish(ns_per_s);
    if (staging_.loans().busy(id))
      left = fail(PIRN_ERR_TIMEOUT, "window %llu is withdrawn, but its device does not finish copying", static_cast<ull>(id));
  }
  // What was written into it is final now, and nobody flushes for it later.
  if (window->flushes && left.is_ok()) left = memory_->flush_remote_writes();
  sharing_->withdrawn(*window);
  memory_->erase(window);
  return left;
}

Result<Window *> Endpoint::import(Peer &peer, std::span<const std::byte> blob) {
  auto bytes = wire::blob_from_any(blob);
  if (!bytes.is_ok()) return bytes.status();
  auto decoded = wire::decode_window(bytes.value());
  if (!decoded.is_ok()) return decoded.status();
  auto guard = driver_.lock();
  if (!peer.live())
    return fail(peer.end_status, "peer %s is %s: %s", peer.address.c_str(), peer_state_name(peer.state),
                peer.why.c_str());
  auto window = windows_.import(peer, decoded.value());
  driver_.posted();
  return window;
}

Status Endpoint::close(Window *window) {
  auto guard = driver_.lock();
  return windows_.close(window);
}

}  // namespace pirn::core
