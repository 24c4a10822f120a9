// SPDX-License-Identifier: Apache-2.0
// The forward way of a transfer: start, cut into pieces, post, complete. Early ends
// are in engine_end.cpp.
#include "core/engine.h"

#include "base/clock.h"
#include "core/endpoint.h"
#include "core/scheduler.h"

#include <algorithm>
#include <cerrno>

namespace pirn::core {

void Engine::start(Op &op) {
  Peer &peer = *op.peer;
  op.cursor = {};
  op.outstanding = 0;
  op.in_flight = 0;
  op.moved = 0;
  op.retries = 0;
  op.retry_episode = 0;
  op.retry_moved = 0;
  op.status = PIRN_IN_PROGRESS;
  op.provider_error = 0;
  op.rail = UINT16_MAX;
  op.route = Route::unknown;
  active_.push_back(op);
  ++peer.active_ops;
  earliest_ = std::min(earliest_, op.deadline);
  endpoint_.health().watch(peer);
  if (op.kind == OpKind::notify) {
    data_done(op);
    return;
  }
  op.phase = OpPhase::moving;
  if (op.total == 0) {
    data_done(op);
    return;
  }
  op.piece_bytes = piece_size(op.total, peer.pairs, endpoint_.settings().chunk_size);
  bool waits = !peer.pending_first.empty() || (op.total > small_transfer && !peer.pending.empty());
  in_turn_ = false;
  if (waits || !issue(op)) enqueue(op);
}

void Engine::enqueue(Op &op) {
  if (op.pending_link.linked()) return;
  Peer &peer = *op.peer;
  if (op.total <= small_transfer || alone(op)) peer.pending_first.push_back(op);
  else peer.pending.push_back(op);
  if (!peer.pending_peer_link.linked()) pending_peers_.push_back(peer);
}

// Whoever was served and waits on goes behind the others: they have a turn first when there is room again.
void Engine::pump() {
  pending_peers_.each([this](Peer &peer) {
    const bool served = serve(peer);
    const bool waits = !peer.pending_first.empty() || !peer.pending.empty();
    if (waits && !served) return;
    peer.pending_peer_link.unlink();
    if (waits) served_peers_.push_back(peer);
  });
  while (Peer *peer = served_peers_.pop_front()) pending_peers_.push_back(*peer);
}

// Hands over what the peer waits for, as far as there is room. Whether any of it was.
bool Engine::serve(Peer &peer) {
  bool served = in_turn_ = false;
  while (Op *op = peer.pending_first.front()) {
    if (!issue(*op, &served)) return served;
    op->pending_link.unlink();
  }
  while (Op *op = peer.pending.front()) {
    const bool handed_over = issue(*op, &served);
    op->pending_link.unlink();
    if (handed_over) continue;
    peer.pending.push_back(*op);  // the next round begins with another one
    break;
  }
  return served;
}

bool Engine::issue(Op &op, bool *served) {
  const Cursor from = op.cursor;
  const uint32_t outstanding = op.outstanding;
  const bool handed_over = issue(op);
  if (handed_over || op.outstanding != outstanding || op.cursor.element != from.element || op.cursor.offset != from.offset)
    *served = true;
  return handed_over;
}

void Engine::wake(Peer &peer) {
  bool any = !peer.pending.empty() || !peer.pending_first.empty();
  if (any && !peer.pending_peer_link.linked()) pending_peers_.push_back(peer);
}

// A retried op goes alone, so that one bad op cannot take its neighbours along again and again. Where there are more
// paths the first failure is taken for the path's.
bool Engine::alone(const Op &op) { return op.retries > (op.peer->paths.size() > 1 ? 1 : 0); }

bool Engine::may_issue(const Op &op, const Peer &peer) const {
  if (peer.state != PIRN_PEER_UP) return false;
  if (peer.exclusive) return peer.exclusive == &op;
  return !alone(op) || peer.outstanding == 0;
}

bool Engine::issue(Op &op) {
  if (op.phase != OpPhase::moving) return true;
  if (!may_issue(op, *op.peer)) return false;
  if (op.route == Route::unknown && !decide(op)) return op.phase != OpPhase::moving;
  if (by_parts(op.route)) return endpoint_.staging().begin(op);
  if (op.direct()) return endpoint_.copies().issue(op);
  if (alone(op)) op.peer->exclusive = &op;
  while (!op.fully_issued()) {
    switch (issue_one(op)) {
      case Step::again:
        break;
      case Step::wait:
      case Step::refused:
      case Step::unready:
        return op.route == Route::registered && stranded(op);
      case Step::ended:
        return true;
    }
  }
  return true;
}

// Of a transfer that no path takes now and that has nothing in flight. If none is left that both ends are registered with,
// it starts over through host memory, or ends: true then.
bool Engine::stranded(Op &op) {
  constexpr uint32_t few = 64;
  constexpr uint64_t pause = 10 * ns_per_ms;
  if (op.outstanding > 0 || (op.count > few && coarse_ns() < op.looked_at + pause)) return false;
  op.looked_at = coarse_ns();
  auto route = endpoint_.direct().route(op);
  if (route.is_ok() && route.value() != Route::staged) return false;
  Status status = route.status();
  if (status.is_ok() && op.prepared && op.prepared->triggers > 0)
    status = fail(PIRN_ERR_IO, "no rail is left that both ends are registered with, and while a stream waits nothing else "
                               "can be made ready");
  if (!status.is_ok()) {
    end(op, status.code, status.text);
    return true;
  }
  endpoint_.log().write(PIRN_LOG_INFO, "peer %s: a transfer of %llu bytes starts over, staged", op.peer->address.c_str(),
                        static_cast<unsigned long long>(op.total));
  drop_exclusive(op);
  op.again.clear();
  op.cursor = {};
  op.moved = op.retry_moved = 0;
  op.rail = UINT16_MAX;
  op.peer->route = op.route = Route::staged;
  return endpoint_.staging().begin(op);
}

// False: a window is not open yet, or the op has ended.
bool Engine::decide(Op &op) {
  if (op.prepared && op.demand == op.prepared->demand && op.prepared->route != Route::unknown) {
    op.peer->route = op.route = op.prepared->route;
    return true;
  }
  auto route = endpoint_.copies().route(op);
  if (!route.is_ok()) {
    end(op, route.error().code, route.error().text);
    return false;
  }
  op.route = route.value();
  if (op.route != Route::unknown) op.peer->route = op.route;
  if (op.prepared && !op.selection) {
    op.prepared->demand = op.demand;
    op.prepared->route = op.route;
  }
  return op.route != Route::unknown;
}

bool Engine::only_large(const Op &op) const {
  const auto has_other = [&](const Peer &peer) { return peer.pending.any([&](const Op &other) { return &other != &op; }); };
  return !pending_peers_.any(has_other) && !served_peers_.any(has_other);
}

// Whether both ends of the segment can be used by this path. PIRN_IN_PROGRESS: the window is not confirmed yet; AGAIN: not
// by this path, or not yet; another error: the window is gone.
pirn_status Engine::reach(const Segment &segment, const Path &path) {
  Window &window = *segment.window;
  if (window.state != WindowState::open)
    return window.state == WindowState::opening ? PIRN_IN_PROGRESS : window.gone_status;
  if (!window.keys[path.remote].known()) {
    endpoint_.windows().want(window, path.remote);
    return PIRN_ERR_AGAIN;
  }
  return endpoint_.memory().reach(*segment.region->memory, path.local) ? PIRN_OK : PIRN_ERR_AGAIN;
}

// Gathers as much of the op from `cursor` on as fits one message of the path's rail, at most `limit` bytes. Errors as of
// reach(), if nothing fits.
pirn_status Engine::build(Op &op, const Path &path, Cursor &cursor, uint64_t limit, Parts *parts) {
  RailSlot &rail = *endpoint_.rails()[path.local];
  const fabric::Limits &limits = rail.limits();
  size_t most = std::min({limits.local_parts, limits.remote_parts, fabric::max_parts});
  while (cursor.element < op.count && parts->bytes < limit) {
    Segment segment = op.element(cursor.element);
    if (segment.length == cursor.offset) {
      cursor = {cursor.element + 1, 0};
      continue;
    }
    if (pirn_status status = reach(segment, path); status != PIRN_OK) {
      if (parts->count > 0) break;
      return status;
    }
    uint64_t length = std::min(segment.length - cursor.offset, limit - parts->bytes);
    const wire::WindowBlob::RailKey &key = segment.window->keys[path.remote];
    std::byte *local = segment.region->address() + segment.local_offset + cursor.offset;
    uint64_t remote = key.address + segment.remote_offset + cursor.offset;
    void *descriptor = fabric::Rail::descriptor(segment.region->memory->rails[path.local].registration);
    size_t last = parts->count - 1;
    if (parts->count > 0 && parts->remote[last].key == key.key && parts->descriptors[last] == descriptor &&
        parts->remote[last].address + parts->remote[last].length == remote &&
        static_cast<std::byte *>(parts->local[last].iov_base) + parts->local[last].iov_len == local) {
      parts->local[last].iov_len += length;
      parts->remote[last].length += length;
    } else {
      if (parts->count == most) break;
      parts->local[parts->count] = {local, length};
      parts->descriptors[parts->count] = descriptor;
      parts->remote[parts->count] = {remote, length, key.key};
      ++parts->count;
    }
    parts->bytes += length;
    cursor.offset += length;
    if (cursor.offset == segment.length) cursor = {cursor.element + 1, 0};
  }
  return PIRN_OK;
}

// By the best path that takes it.
Engine::Step Engine::issue_one(Op &op) {
  Peer &peer = *op.peer;
  uint64_t refused = 0, unready = 0;
  for (;;) {
    size_t path = endpoint_.paths().choose(peer, op, refused | unready, !in_turn_);
    if (path == Paths::none) break;
    Step step = issue_on(op, path);
    if (step != Step::refused && step != Step::unready) return step;
    (step == Step::refused ? refused : unready) |= 1ull << path;
  }
  if (refused != 0) endpoint_.health().post_refused(peer);
  return Step::wait;
}

Engine::Step Engine::issue_on(Op &op, size_t index) {
  Peer &peer = *op.peer;
  Path &path = peer.paths[index];
  RailSlot &rail = *endpoint_.rails()[path.local];
  bool repeating = !op.again.empty();
  Range range = repeating ? op.again.back() : Range{op.cursor, UINT64_MAX};
  uint64_t largest = std::min(rail.limits().max_message, op.piece_bytes);
  Parts parts;
  Cursor cursor = range.start;
  pirn_status built = build(op, path, cursor, std::min(range.bytes, largest), &parts);
  if (built == PIRN_IN_PROGRESS) return Step::wait;
  if (built == PIRN_ERR_AGAIN) return Step::unready;
  if (built != PIRN_OK) {
    end(op, built, "the window was withdrawn by its owner");
    return Step::ended;
  }
  if (parts.bytes == 0) {  // only empty elements were left
    op.cursor = cursor;
    if (op.fully_issued() && op.outstanding == 0) data_done(op);
    return Step::again;
  }
  Piece *piece = rail.acquire(path.outstanding);
  if (!piece) return Step::wait;
  piece->op = &op;
  piece->start = range.start;
  piece->bytes = parts.bytes;
  piece->path = static_cast<uint32_t>(index);
  piece->to = path.address;
  fabric::Rma rma{parts.local, parts.descriptors, parts.count, parts.remote, parts.count, path.address, piece};
  int error = 0;
  auto result = op.kind == OpKind::write ? rail.fabric().write(rma, &error) : rail.fabric().read(rma, &error);
  if (result == fabric::PostResult::again) {
    rail.release(piece);
    return Step::refused;
  }
  if (!repeating) op.cursor = cursor;
  else if (range.bytes == parts.bytes) op.again.pop_back();
  else op.again.back() = {cursor, range.bytes - parts.bytes};
  if (result != fabric::PostResult::posted) {
    rail.release(piece);
    piece_failed(op, {range.start, parts.bytes}, index, error, 0, "");
    return op.phase == OpPhase::moving ? Step::wait : Step::ended;
  }
  in_turn_ = true;
  if (path.outstanding++ == 0) path.moved_at = coarse_ns();
  path.backlog += parts.bytes;
  ++op.outstanding;
  op.in_flight += parts.bytes;
  ++peer.outstanding;
  if (!path.stuck) rail.backlog += parts.bytes;
  if (peer.neighbour) peer.neighbour->poke();
  if (op.rail == UINT16_MAX) op.rail = path.local;
  return Step::again;
}

void Engine::retire(Piece *piece) {
  Op &op = *piece->op;
  Path &path = op.peer->paths[piece->path];
  RailSlot &rail = *endpoint_.rails()[piece->rail];
  if (path.stuck) rail.backlog += path.backlog;
  path.stuck = false;
  rail.backlog -= piece->bytes;
  path.backlog -= piece->bytes;
  --path.outstanding;
  --op.outstanding;
  op.in_flight -= piece->bytes;
  --op.peer->outstanding;
  rail.release(piece);
}

void Engine::completed(Piece *piece, const fabric::Completion &completion) {
  Op &op = *piece->op;
  Peer &peer = *op.peer;
  Range range{piece->start, piece->bytes};
  size_t path = piece->path;
  retire(piece);
  if (completion.error == 0) {
    op.moved += range.bytes;
    peer.paths[path].moved += range.bytes;
    peer.paths[path].moved_at = endpoint_.last_tick();
    endpoint_.health().heard(peer);
  }
  if (op.phase == OpPhase::draining) {
    settle(op);
  } else if (completion.error != 0) {
    piece_failed(op, range, path, completion.error, completion.provider_error, completion.text);
  } else if (op.outstanding == 0 && op.fully_issued()) {
    data_done(op);
  }
}

void Engine::copied(Op &op, uint64_t bytes, const Status &status) {
  if (bytes > 0) {
    --op.outstanding;
    op.in_flight -= bytes;
    if (status.is_ok()) op.moved += bytes;
  }
  if (op.phase == OpPhase::draining) settle(op);
  else if (!status.is_ok()) end(op, status.code, status.text);
  else if (op.outstanding == 0 && op.fully_issued()) data_done(op);
}

void Engine::data_done(Op &op) {
  drop_exclusive(op);
  const bool into_devices = op.route == Route::registered && op.kind == OpKind::read;
  if (const Status seen = into_devices ? endpoint_.direct().flush(op) : Status::ok(); !seen.is_ok()) {
    end(op, seen.code, seen.text);
    return;
  }
  if (op.notification.empty()) {
    op.status = PIRN_OK;
    finish(op);
    return;
  }
  op.phase = OpPhase::notifying;
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::notify;
  message->body = std::move(op.notification);
  message->op = &op;
  endpoint_.control().post(*op.peer, std::move(message));
}

void Engine::notified(Op &op) {
  op.status = PIRN_OK;
  finish(op);
}

}  // namespace pirn::core
