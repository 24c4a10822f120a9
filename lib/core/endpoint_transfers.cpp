// SPDX-License-Identifier: Apache-2.0
// Transfers, as the API asks for them: check, start, test, wait, cancel, take.
#include "core/endpoint.h"

#include <algorithm>
#include <cstring>

namespace pirn::core {

using ull = unsigned long long;

Status Endpoint::check(const Segment &segment, OpKind kind, const Peer *peer) const {
  if (!segment.region || !segment.window)
    return fail(PIRN_ERR_INVALID, "%s is NULL", segment.region ? "window" : "region");
  if (segment.region->endpoint != this || segment.window->peer->endpoint != this)
    return fail(PIRN_ERR_INVALID, "region and window belong to different endpoints");
  if (peer && segment.window->peer != peer)
    return fail(PIRN_ERR_INVALID, "the windows belong to different peers; one transfer goes to one peer");
  uint64_t local = segment.region->length();
  uint64_t remote = segment.window->blob.length;
  if (segment.local_offset > local || segment.length > local - segment.local_offset)
    return fail(PIRN_ERR_RANGE, "local offset %llu + length %llu is outside the region of %llu bytes",
                static_cast<ull>(segment.local_offset), static_cast<ull>(segment.length), static_cast<ull>(local));
  if (segment.remote_offset > remote || segment.length > remote - segment.remote_offset)
    return fail(PIRN_ERR_RANGE, "remote offset %llu + length %llu is outside the window of %llu bytes",
                static_cast<ull>(segment.remote_offset), static_cast<ull>(segment.length), static_cast<ull>(remote));
  uint32_t needed = kind == OpKind::write ? PIRN_ACCESS_WRITE : PIRN_ACCESS_READ;
  if (!(segment.window->blob.access & needed))
    return fail(PIRN_ERR_ACCESS, "the window does not grant %s access", kind == OpKind::write ? "write" : "read");
  return Status::ok();
}

Status Endpoint::admit(const Peer &peer, const TransferOptions &options) const {
  if (!peer.live())
    return fail(peer.end_status, "peer %s is %s: %s", peer.address.c_str(), peer_state_name(peer.state),
                peer.why.c_str());
  if (options.notify.size() > PIRN_NOTIFICATION_MAX)
    return fail(PIRN_ERR_RANGE, "a notification of %zu bytes is over the limit of %u", options.notify.size(),
                PIRN_NOTIFICATION_MAX);
  if (ops_.used() >= settings().max_transfers)
    return fail(PIRN_ERR_AGAIN, "%llu transfers are in flight or not released, as many as PIRN_MAX_TRANSFERS allows",
                static_cast<ull>(ops_.used()));
  return Status::ok();
}

uint64_t Endpoint::deadline_of(const TransferOptions &options) const {
  return deadline_after(coarse_ns(), timeout_or(options.timeout, settings().transfer_timeout));
}

Op *Endpoint::begin(OpKind kind, Peer &peer, const TransferOptions &options) {
  Op *op = ops_.acquire();
  op->kind = kind;
  op->peer = &peer;
  ++peer.op_references;
  op->queued = options.queued;
  op->demand = options.path == Route::unknown ? demanded_ : options.path;
  op->user_data = options.user_data;
  op->deadline = deadline_of(options);
  op->elements = nullptr;
  op->count = 0;
  op->total = 0;
  if (!options.notify.empty()) op->notification.assign(options.notify.begin(), options.notify.end());
  return op;
}

Status Endpoint::launch(Driver::Guard &guard, Op &op, pirn_transfer *id) {
  bool blocking = id == nullptr;
  if (blocking) op.queued = false;
  pirn_transfer own = op.id();
  if (id) *id = own;
  engine_.start(op);
  if (staging_.active()) {
    staging_.progress();
    control_.flush();
  }
  driver_.posted();
  if (!blocking) return Status::ok();
  // The op ends at its own deadline at the latest; the wait must outlast the drain that follows.
  driver_.wait(guard, UINT64_MAX, [&] { return op.terminal(); });
  Status result = outcome(op);
  give_back(op);
  return result;
}

Status Endpoint::transfer(OpKind kind, const Segment &segment, const TransferOptions &options, pirn_transfer *id) {
  if (Status bad = check(segment, kind, nullptr); !bad.is_ok()) return bad;
  auto guard = driver_.lock();
  Peer &peer = *segment.window->peer;
  if (Status bad = admit(peer, options); !bad.is_ok()) return bad;
  if (segment.window->state == WindowState::gone)
    return fail(segment.window->gone_status, "the window was withdrawn by its owner");
  Op *op = begin(kind, peer, options);
  op->single = segment;
  op->elements = &op->single;
  op->count = 1;
  op->total = segment.length;
  ++segment.region->users;
  ++segment.window->users;
  return launch(guard, *op, id);
}

Status Endpoint::transfer(OpKind kind, std::unique_ptr<Segment[]> segments, uint32_t count,
                          const TransferOptions &options, pirn_transfer *id) {
  Peer *peer = nullptr;
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (Status bad = check(segments[i], kind, peer); !bad.is_ok())
      return fail(bad.code, "element %u: %s", i, bad.text.c_str());
    peer = segments[i].window->peer;
    total += segments[i].length;
  }
  auto guard = driver_.lock();
  if (Status bad = admit(*peer, options); !bad.is_ok()) return bad;
  Op *op = begin(kind, *peer, options);
  for (uint32_t i = 0; i < count; ++i) {
    ++segments[i].region->users;
    ++segments[i].window->users;
  }
  op->vector = std::move(segments);
  op->elements = op->vector.get();
  op->count = count;
  op->total = total;
  return launch(guard, *op, id);
}

Result<Prepared *> Endpoint::prepare(OpKind kind, std::vector<Segment> segments) {
  auto prepared = std::make_unique<Prepared>();
  for (size_t i = 0; i < segments.size(); ++i) {
    if (Status bad = check(segments[i], kind, prepared->peer); !bad.is_ok())
      return fail(bad.code, "element %zu: %s", i, bad.text.c_str());
    prepared->peer = segments[i].window->peer;
    prepared->total += segments[i].length;
    prepared->length = i == 0 || prepared->length == segments[i].length ? segments[i].length : 0;
  }
  prepared->endpoint = this;
  prepared->kind = kind;
  prepared->elements = std::move(segments);
  auto selection = std::make_unique<Selection>();
  selection->local.reserve(prepared->elements.size());
  selection->remote.reserve(prepared->elements.size());
  prepared->spare.push_back(std::move(selection));
  auto guard = driver_.lock();
  for (const Segment &segment : prepared->elements) {
    ++segment.region->users;
    ++segment.window->users;
  }
  Prepared *made = prepared.get();
  prepared_.emplace(made, std::move(prepared));
  return made;
}

// Checks the indices and adds up the bytes.
static Status check_selection(const Prepared &prepared, const uint32_t *local, const uint32_t *remote, uint32_t count,
                              uint64_t *total) {
  size_t size = prepared.elements.size();
  if (count > size) return fail(PIRN_ERR_RANGE, "%u indices for a list of %zu elements", count, size);
  if (prepared.length > 0) {
    uint32_t largest = 0;
    for (uint32_t i = 0; i < count; ++i) largest = std::max(largest, local[i]);
    for (uint32_t i = 0; remote && i < count; ++i) largest = std::max(largest, remote[i]);
    *total = count * prepared.length;
    if (largest < size) return Status::ok();
    *total = 0;  // below it is said where
  }
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t there = remote ? remote[i] : local[i];
    if (local[i] >= size || there >= size)
      return fail(PIRN_ERR_RANGE, "index %u at position %u is outside the list of %zu elements",
                  local[i] >= size ? local[i] : there, i, size);
    if (prepared.elements[local[i]].length != prepared.elements[there].length)
      return fail(PIRN_ERR_INVALID, "position %u pairs element %u of %llu bytes with element %u of %llu bytes", i,
                  local[i], static_cast<ull>(prepared.elements[local[i]].length), there,
                  static_cast<ull>(prepared.elements[there].length));
    *total += prepared.elements[local[i]].length;
  }
  return Status::ok();
}

Status Endpoint::post(Prepared &prepared, const uint32_t *local, const uint32_t *remote, uint32_t count,
                      const TransferOptions &options, pirn_transfer *id) {
  uint64_t total = 0;
  if (local) {
    if (Status bad = check_selection(prepared, local, remote, count, &total); !bad.is_ok()) return bad;
  }
  auto guard = driver_.lock();
  auto begun = begin_post(prepared, options);
  if (!begun.is_ok()) return begun.status();
  Op *op = begun.value();
  if (local) {
    op->count = count;
    op->total = total;
    if (prepared.spare.empty()) prepared.spare.push_back(std::make_unique<Selection>());
    op->selection = std::move(prepared.spare.back());
    prepared.spare.pop_back();
    op->selection->local.assign(local, local + count);
    const uint32_t *there = remote ? remote : local;
    op->selection->remote.assign(there, there + count);
  }
  return launch(guard, *op, id);
}

Result<Op *> Endpoint::begin_post(Prepared &prepared, const TransferOptions &options) {
  if (Status bad = admit(*prepared.peer, options); !bad.is_ok()) return bad;
  Op *op = begin(prepared.kind, *prepared.peer, options);
  op->prepared = &prepared;
  op->elements = prepared.elements.data();
  op->count = static_cast<uint32_t>(prepared.elements.size());
  op->total = prepared.total;
  ++prepared.posts;
  return op;
}

Result<Op *> Endpoint::post_now(Prepared &prepared, const TransferOptions &options) {
  auto op = begin_post(prepared, options);
  if (op.is_ok()) engine_.start(*op.value());
  return op;
}

void Endpoint::prepared_done(Op &op) {
  --op.prepared->posts;
  if (op.selection) op.prepared->spare.push_back(std::move(op.selection));
  op.count = 0;
}

void Endpoint::window_gone(const Window &window) {
  for (auto &[list, owner] : prepared_)
    if (std::any_of(list->elements.begin(), list->elements.end(),
                    [&](const Segment &segment) { return segment.window == &window; }))
      list->route = Route::unknown;
}

Status Endpoint::release(Prepared *prepared) {
  auto guard = driver_.lock();
  if (prepared->posts)
    return fail(PIRN_ERR_BUSY, "%llu posts of the prepared list are in flight", static_cast<ull>(prepared->posts));
  if (prepared->triggers)
    return fail(PIRN_ERR_BUSY, "the prepared list has %u triggers: release them first", prepared->triggers);
  for (const Segment &segment : prepared->elements) {
    --segment.region->users;
    --segment.window->users;
  }
  prepared_.erase(prepared);
  return Status::ok();
}

Status Endpoint::notify(Peer &peer, const TransferOptions &options, pirn_transfer *id) {
  auto guard = driver_.lock();
  if (Status bad = admit(peer, options); !bad.is_ok()) return bad;
  Op *op = begin(OpKind::notify, peer, options);
  return launch(guard, *op, id);
}

void Endpoint::op_finished(Op &op) {
  windows_.op_finished();
  triggers_.finished(op);
  if (!op.queued) return;
  engine_.completions.push_back(op);
  signal();
}

Status Endpoint::outcome(const Op &op) const {
  if (op.status == PIRN_OK) return Status::ok();
  return {op.status, op.text};
}

void Endpoint::give_back(Op &op) {
  --op.peer->op_references;
  ops_.release(op);
}

Result<Op *> Endpoint::find(pirn_transfer id) {
  Op *op = ops_.find(id);
  if (!op) return fail(PIRN_ERR_INVALID, "transfer 0x%llx does not exist or was released", static_cast<ull>(id));
  return op;
}

void Endpoint::fill(const Op &op, pirn_result *result) const {
  result->transfer = op.id();
  result->user_data = op.user_data;
  result->bytes = op.moved;
  result->peer = reinterpret_cast<pirn_peer *>(op.peer);
  result->status = op.terminal() ? op.status : PIRN_IN_PROGRESS;
  result->provider_error = op.provider_error;
  const bool none = op.route == Route::unknown && op.kind != OpKind::notify;  // notifications travel over the fabric
  copy_text(result->path, sizeof(result->path), none ? "" : route_name(op.route));
  if (op.route == Route::device_ring || op.route == Route::host_ring) {
    copy_text(result->rail, sizeof(result->rail), op.route == Route::device_ring ? "device ring" : "host ring");
  } else if (op.rail != UINT16_MAX) {
    RailSlot &rail = *rails_[op.rail];
    if (op.route == Route::staged) copy_text(result->rail, sizeof(result->rail), rail.name() + ", staged");
    else if (op.route == Route::registered) copy_text(result->rail, sizeof(result->rail), rail.name() + ", direct");
    else if (rail.spare()) copy_text(result->rail, sizeof(result->rail), rail.name());
    else copy_text(result->rail, sizeof(result->rail), rail.fabric().name());
  }
  if (op.status != PIRN_OK && op.terminal())
    copy_text(result->text, sizeof(result->text), text("peer %s: %s", op.peer->address.c_str(), op.text.c_str()));
}

Status Endpoint::test(pirn_transfer id, pirn_result *result) { return wait(id, PIRN_POLL_NOW, result); }

Status Endpoint::wait(pirn_transfer id, uint64_t timeout, pirn_result *result) {
  auto guard = driver_.lock();
  auto found = find(id);
  if (!found.is_ok()) return found.status();
  if (found.value()->queued)
    return fail(PIRN_ERR_INVALID, "transfer 0x%llx reports to the completion queue: use pirn_endpoint_poll",
                static_cast<ull>(id));
  Op *op = found.value();
  if (!op->terminal()) {
    if (timeout == PIRN_POLL_NOW) {
      driver_.drive_once(guard);
      op = ops_.find(id);
    } else {
      driver_.wait(guard, timeout_or(timeout, settings().transfer_timeout),
                   [&] { return (op = ops_.find(id)) == nullptr || op->terminal(); });
    }
    if (!op) return fail(PIRN_ERR_INVALID, "transfer 0x%llx was released by another thread", static_cast<ull>(id));
  }
  if (result) fill(*op, result);
  if (!op->terminal()) return {PIRN_IN_PROGRESS, {}};
  return outcome(*op);
}

Status Endpoint::cancel(pirn_transfer id) {
  auto guard = driver_.lock();
  auto found = find(id);
  if (!found.is_ok()) return found.status();
  Op *op = found.value();
  engine_.end(*op, PIRN_ERR_CANCELLED, "cancelled by the caller");
  pirn_status status = op->status;
  std::string text = op->text;
  driver_.wait(guard, UINT64_MAX, [&] {
    op = ops_.find(id);
    return op == nullptr || op->terminal();
  });
  return {status, text};
}

Status Endpoint::release(pirn_transfer id) {
  auto guard = driver_.lock();
  auto found = find(id);
  if (!found.is_ok()) return found.status();
  if (!found.value()->terminal())
    return fail(PIRN_ERR_BUSY, "transfer 0x%llx is in progress: wait for it or cancel it", static_cast<ull>(id));
  if (found.value()->queued)
    return fail(PIRN_ERR_INVALID, "transfer 0x%llx is released by pirn_endpoint_poll", static_cast<ull>(id));
  give_back(*found.value());
  return Status::ok();
}

Status Endpoint::take_notification(uint64_t timeout, std::span<std::byte> room, size_t *length, Peer **peer) {
  auto guard = driver_.lock();
  if (!control_.has_notification()) driver_.drive_once(guard);
  if (!control_.has_notification() && timeout != PIRN_POLL_NOW)
    driver_.wait(guard, timeout_or(timeout, settings().transfer_timeout),
                 [this] { return control_.has_notification(); });
  if (!control_.has_notification()) return {PIRN_IN_PROGRESS, {}};
  Notification &first = control_.front();
  *length = first.data.size();
  *peer = first.peer;
  if (room.size() < first.data.size())
    return fail(PIRN_ERR_TOO_SMALL, "the notification has %zu bytes, the buffer %zu", first.data.size(), room.size());
  if (Status status = control_.make_data_seen(); !status.is_ok()) return status;
  std::memcpy(room.data(), first.data.data(), first.data.size());
  control_.pop();
  calm();
  return Status::ok();
}

}  // namespace pirn::core
