// SPDX-License-Identifier: Apache-2.0
#include "core/copies.h"

#include "base/clock.h"
#include "core/endpoint.h"
#include "core/scheduler.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pirn::core {

// In flight on a stream, see lane_bytes.
static constexpr size_t lane_batches = 32;
static constexpr size_t batch_copies = 128;           // calls under the endpoint's lock
static constexpr uint64_t processor_slice = 2 << 20;  // bytes that the processor copies per round of progress
static constexpr size_t processor_runs = 512;
static constexpr uint64_t plain_ring_from = 64 << 10;  // bytes of a transfer
// Host memory that is not page-locked is copied while the call lasts, under the endpoint's lock.
static constexpr uint64_t pageable_bytes = 4 << 20;

Copies::~Copies() {
  for (auto &lane : lanes_) close(*lane);
}

// -- Which way

static Result<Route> settle_route(Route demand, Route offered, const std::string &why, bool on_device) {
  const Route route = demand == Route::unknown ? offered : demand;
  const char *colon = why.empty() ? "" : ": ";
  if (demand == Route::ipc && (offered == Route::device_ring || offered == Route::host_ring)) return offered;
  if (route != offered && route != Route::fabric)
    return fail(PIRN_ERR_UNAVAILABLE, "path \"%s\" was demanded, \"%s\" is there%s%s", route_name(route),
                route_name(offered), colon, why.c_str());
  return route == Route::fabric && on_device ? Route::staged : route;
}

// How copies of memory at `near` reach the window, or slots for it; `fabric` says why they do not.
Route Copies::reach(const Op &op, Window &window, const Home &near, std::string *why) const {
  const bool small = !window.blob.on_device && op.demand == Route::unknown && op.total < plain_ring_from;
  // Whatever would be found, small writes into plain memory take the fabric.
  if (small && window.plain && op.kind == OpKind::write) return Route::fabric;
  const Reach *known = reach_of(window, near);
  if (!known) endpoint_.sharing().seek(window, near);
  if (!known || known->route == Route::unknown) return Route::unknown;
  const bool one_way = known->in_owner && op.kind == OpKind::write;
  if (known->route != Route::fabric && !one_way) return known->route;
  *why = known->why;
  if (one_way) *why += ", which writes nothing";
  // A part by a ring costs two messages, a small piece over the fabric one.
  if (small) return Route::fabric;
  if (!endpoint_.sharing().may_have(window)) return Route::fabric;
  auto lent = endpoint_.staging().ring(window, near);
  if (lent.is_ok()) return lent.value()->memory == wire::SlotMemory::device ? Route::device_ring : Route::host_ring;
  if (lent.error().code == PIRN_ERR_AGAIN) return Route::unknown;
  *why += "; " + lent.error().text;
  return Route::fabric;
}

Result<Route> Copies::route(const Op &op) const {
  Route offered = Route::self;  // the farthest that is needed
  std::string why;
  bool on_device = false, sought = false, blocked = false;
  const Window *last = nullptr;
  Home last_near;
  for (uint32_t i = 0; i < op.count; ++i) {
    const Segment segment = op.element(i);
    Window &window = *segment.window;
    const Home &near = segment.region->memory->home;
    if (&window == last && near == last_near) continue;
    last = &window;
    last_near = near;
    if (window.state == WindowState::opening) return Route::unknown;
    if (window.state == WindowState::gone) return fail(window.gone_status, "the window was withdrawn by its owner");
    on_device = on_device || near.table || window.blob.on_device;
    if (op.demand == Route::fabric) continue;
    const Route found = reach(op, window, near, &why);
    sought = sought || found == Route::unknown;
    blocked = blocked || found == Route::fabric;
    if (found != Route::unknown) offered = std::max(offered, found);
  }
  if (sought) return Route::unknown;
  auto settled = settle_route(op.demand, blocked ? Route::fabric : offered, blocked ? why : "", on_device);
  return settled.is_ok() && settled.value() == Route::staged ? endpoint_.direct().route(op) : settled;
}

// -- Handing over

// The remote memory stays until the lease is left; a window of another process needs none.
Status Copies::enter(const std::shared_ptr<Lease> &lease) {
  if (!lease || lease->enter()) return Status::ok();
  return fail(PIRN_ERR_WINDOW_GONE, "the owner of the window, in this process, has closed its endpoint or the window");
}

// From the cursor on, as long as it is contiguous at both ends. A run of no bytes: only empty elements were left there.
Result<Copies::Run> Copies::run_of(const Segment &segment, uint64_t offset) const {
  const Home &near = segment.region->memory->home;
  if (segment.window->state == WindowState::gone)
    return fail(segment.window->gone_status, "the window was withdrawn by its owner");
  const Reach *known = reach_of(*segment.window, near);
  if (!known) return fail(PIRN_ERR_INTERNAL, "a window is used on a path that it has not");
  const Reach &reach = *known;
  const uint64_t at = segment.remote_offset + offset;
  Run run;
  run.length = segment.length - offset;
  run.home = near.table ? near : reach.home;
  run.lease = &reach.lease;
  run.near = segment.region->memory;
  run.far = segment.window;
  run.reach = known;
  run.on_devices = near.table && segment.window->blob.on_device;
  run.remote_device = reach.home.device;
  if (run.length == 0) return run;
  auto extent = std::upper_bound(reach.extents.begin(), reach.extents.end(), at,
                                 [](uint64_t wanted, const Extent &other) { return wanted < other.offset; });
  if (extent == reach.extents.begin()) return fail(PIRN_ERR_INTERNAL, "a window is not mapped at its offset %llu",
                                                   static_cast<unsigned long long>(at));
  --extent;
  run.local = segment.region->address() + segment.local_offset + offset;
  run.remote = extent->address + (at - extent->offset);
  run.extent = &*extent;
  run.length = std::min(run.length, extent->offset + extent->length - at);
  return run;
}

void Copies::advance(const Op &op, Cursor *cursor, uint64_t length) {
  cursor->offset += length;
  if (cursor->offset == op.element(cursor->element).length) *cursor = {cursor->element + 1, 0};
}

bool Copies::has_room(const Lane &lane) const {
  return lane.batches.size() < lane_batches && lane.backlog < lane_bytes && !ahead(lane);
}

bool Copies::issue(Op &op) {
  if (op.prepared && blocks_of(op) && !op.selection) return issue_prepared(op);
  while (!op.fully_issued()) {
    auto run = next_run(op, op.cursor);
    if (!run.is_ok()) {
      endpoint_.engine().end(op, run.error().code, run.error().text);
      return true;
    }
    if (run.value().length == 0) {
      advance(op, &op.cursor, 0);
      continue;
    }
    if (!run.value().home.table) return issue_by_processor(op);
    auto lane = lane_of(op, run.value());
    if (!lane.is_ok()) {
      endpoint_.engine().end(op, lane.error().code, lane.error().text);
      return true;
    }
    if (!has_room(*lane.value())) return false;
    Status status = fill(op, *lane.value(), run.value());
    if (status.code == PIRN_ERR_AGAIN) return false;
    if (!status.is_ok()) {
      endpoint_.engine().end(op, status.code, status.text);
      return true;
    }
  }
  if (op.outstanding == 0) endpoint_.engine().copied(op, 0, Status::ok());
  return true;
}

Copies::Sliced Copies::copy_slice(Op &op, const Run &piece) {
  if (const auto &there = piece.reach->in_owner) {
    const Status status = op.kind == OpKind::read
                              ? there->memory->read_window(piece.local, piece.remote, piece.length, there->guard)
                              : fail(PIRN_ERR_INTERNAL, "memory that is not mapped was to be written");
    return status.is_ok() ? Sliced::copied : read_failed(op, piece, status);
  }
  Status status = enter(*piece.lease);
  if (!status.is_ok()) {
    endpoint_.engine().end(op, status.code, status.text);
    return Sliced::ended;
  }
  const bool write = op.kind == OpKind::write;
  std::memmove(write ? piece.remote : piece.local, write ? piece.local : piece.remote, piece.length);
  if (*piece.lease) (*piece.lease)->leave();
  return Sliced::copied;
}

// Memory that the kernel does not read, as that of a device that is mapped into a process, goes over the fabric instead: all
// of it again, for only memory of ours has changed.
Copies::Sliced Copies::read_failed(Op &op, const Run &piece, const Status &why) {
  const bool final = why.code == PIRN_ERR_WINDOW_GONE || why.code == PIRN_ERR_PEER_LOST || op.kind == OpKind::write;
  if (why.code == PIRN_ERR_PEER_LOST) endpoint_.health().suspect(*op.peer, why.text, false);
  if (!final) endpoint_.sharing().not_readable(*piece.far, piece.near->home, why);
  if (final || op.demand == Route::ipc || op.outstanding > 0) {
    endpoint_.engine().end(op, why.code, why.text);
    return Sliced::ended;
  }
  if (op.prepared) op.prepared->route = Route::unknown;
  op.route = Route::unknown;
  op.cursor = {};
  op.moved = 0;
  return Sliced::restarted;
}

bool Copies::issue_by_processor(Op &op) {
  uint64_t copied = 0;
  for (size_t runs = 0; runs < processor_runs && copied < processor_slice && !op.fully_issued(); ++runs) {
    auto run = next_run(op, op.cursor);
    if (!run.is_ok() || run.value().home.table) break;  // the caller's next turn sees to it
    Run &piece = run.value();
    piece.length = std::min(piece.length, processor_slice - copied);
    const Sliced sliced = piece.length > 0 ? copy_slice(op, piece) : Sliced::copied;
    if (sliced != Sliced::copied) return sliced == Sliced::ended;
    copied += piece.length;
    advance(op, &op.cursor, piece.length);
  }
  op.moved += copied;
  ++slices_;
  if (!op.fully_issued()) return false;
  if (op.outstanding == 0) endpoint_.engine().copied(op, 0, Status::ok());
  return true;
}

// Hands over one batch of the op, whose next run is `first`. On error what was handed over stays accounted for. AGAIN: no
// room for a list.
Status Copies::fill(Op &op, Lane &lane, const Run &first) {
  Batch batch;
  batch.op = &op;
  const bool list = lane.purpose != Purpose::concurrent && for_kernel(op, lane, first);
  batch.counts = first.on_devices && lane.purpose != Purpose::small && !list;
  batch.contested = batch.counts && endpoint_.settings().copy_concurrent == "auto" && several_peers(op, first) &&
                    lane.way() == contests_[lane.home].way();
  if (list || lane.purpose == Purpose::concurrent) {
    auto room = lane.rooms->take();
    if (!room.is_ok()) return room.status();
    if (!room.value()) return fail(PIRN_ERR_AGAIN, "all lists of blocks are in use");
    batch.room = room.value();
  }
  Status status = enter(*first.lease);
  if (status.is_ok()) batch.lease = *first.lease;
  if (status.is_ok()) batch.event = event_of(lane, &status);
  if (status.is_ok() && batch.room) {
    status = submit_blocks(op, lane, &batch);
    if (!status.is_ok()) status = by_engines_instead(lane, &batch, status);
  }
  if (status.is_ok() && !batch.room) status = submit_copies(op, lane, &batch);
  Status finished = finish_batch(op, lane, std::move(batch));
  return status.is_ok() ? finished : status;
}

// Marks the end of what was submitted, if that is anything.
Status Copies::finish_batch(Op &op, Lane &lane, Batch &&batch) {
  if (batch.bytes == 0) {
    drop(lane, batch);
    return Status::ok();
  }
  Status recorded = lane.home.table->record(lane.home.device, batch.event, lane.stream);
  if (!recorded.is_ok()) {
    // Without a mark its end cannot be seen: wait for it here, once.
    (void)lane.home.table->finish(lane.home.device, lane.stream, ns_per_s);
    drop(lane, batch);
    return recorded;
  }
  ++op.outstanding;
  op.in_flight += batch.bytes;
  started(batch, lane);
  lane.backlog += batch.bytes;
  lane.batches.push_back(std::move(batch));
  ++in_flight_;
  return Status::ok();
}

void Copies::drop(Lane &lane, const Batch &batch) {
  if (batch.event) lane.events.push_back(batch.event);
  if (batch.room) lane.rooms->give_back(batch.room);
  if (batch.lease) batch.lease->leave();
}

// A launch of the batch was refused. An error: engines cannot take over.
Status Copies::by_engines_instead(Lane &lane, Batch *batch, const Status &why) const {
  device::Block *room = std::exchange(batch->room, nullptr);
  const Status over = endpoint_.kernels().refused(lane.home, lane.stream, why);
  if (room && over.is_ok()) lane.rooms->give_back(room);  // else a kernel may read it still: it is lost
  return over;
}

// Piece by piece, by the copy engines.
Status Copies::submit_copies(Op &op, Lane &lane, Batch *batch) {
  for (size_t count = 0; count < batch_copies && batch->bytes < lane_bytes && !op.fully_issued(); ++count) {
    auto run = next_run(op, op.cursor);
    if (!run.is_ok()) break;  // the caller's next turn sees to it
    Run &piece = run.value();
    const uint64_t most = asynchronous(lane, piece) ? lane_bytes : pageable_bytes;
    if (piece.length > 0) {
      if (!(piece.home == lane.home) || *piece.lease != batch->lease || batch->bytes >= most) break;
      piece.length = std::min(piece.length, most - batch->bytes);
      Status status = submit(op, lane, piece);
      if (!status.is_ok()) return status;
    }
    batch->bytes += piece.length;
    advance(op, &op.cursor, piece.length);
  }
  return Status::ok();
}

// Whatever batches in any number take: the lane asks its device for nothing more.
Status Copies::stock(Lane &lane) {
  while (lane.events.size() + lane.batches.size() < lane_batches) {
    auto made = lane.home.table->make_event(lane.home.device);
    if (!made.is_ok()) return made.status();
    lane.events.push_back(made.value());
  }
  return lane.rooms ? lane.rooms->make_all() : Status::ok();
}

Status Copies::make_ready(Op &op) {
  const bool small = op.total <= small_transfer;
  for (uint32_t i = 0; i < op.count; ++i) {
    auto run = run_of(op.element(i), 0);
    if (!run.is_ok()) return run.status();
    if (!run.value().home.table) continue;
    for (uint32_t turn = 0; turn < (small ? 1 : list_lanes); ++turn) {
      auto lane = lane_for(run.value().home, small, turn);
      if (!lane.is_ok()) return lane.status();
      (void)asynchronous(*lane.value(), run.value());
      (void)reaches(*lane.value(), run.value());
      if (Status status = stock(*lane.value()); !status.is_ok()) return status;
    }
  }
  if (op.prepared) (void)blocks_of(op);
  return Status::ok();
}

Status Copies::submit(Op &op, Lane &lane, const Run &run) {
  bool write = op.kind == OpKind::write;
  return lane.home.table->copy(lane.home.device, lane.stream, write ? run.remote : run.local,
                               write ? run.local : run.remote, run.length);
}

// -- Coming back

size_t Copies::reap(Lane &lane) {
  size_t count = 0;
  while (!lane.batches.empty()) {
    auto reached = lane.home.table->reached(lane.home.device, lane.batches.front().event);
    if (reached.is_ok() && !reached.value()) break;
    Batch batch = std::move(lane.batches.front());
    lane.batches.pop_front();
    drop(lane, batch);
    if (batch.list && reached.is_ok()) batch.list->settled = true;
    lane.backlog -= batch.bytes;
    --in_flight_;
    ended(batch, lane);
    ++count;
    endpoint_.engine().copied(*batch.op, batch.bytes, reached.status());
  }
  return count;
}

size_t Copies::progress() {
  size_t count = 0;
  for (auto &lane : lanes_) count += reap(*lane);
  return count;
}

bool Copies::finish(uint64_t timeout) {
  for (auto &lane : lanes_)
    if (!lane->batches.empty()) (void)lane->home.table->finish(lane->home.device, lane->stream, timeout);
  progress();
  return in_flight_ == 0;
}

// -- Lanes

// Whether a copy engine takes the piece without the processor. Host memory of an endpoint in this process is not
// page-locked by us.
bool Copies::asynchronous(const Lane &lane, const Run &run) const {
  if (run.on_devices) return true;
  if (!run.near->home.table) return Memory::pin(*run.near, *lane.home.table);
  if (run.reach->route != Route::ipc || run.reach->pages == Reach::Pages::not_locked) return false;
  return run.reach->pages == Reach::Pages::locked || endpoint_.sharing().lock_pages(*run.far, run.near->home);
}

// Whether kernels on the lane's device can take both ends. Copy engines take any.
bool Copies::reaches(Lane &lane, const Run &run) {
  if (!run.on_devices || run.remote_device == lane.home.device) return run.on_devices;
  auto known = lane.peers.find(run.remote_device);
  if (known == lane.peers.end())
    known = lane.peers.emplace(run.remote_device,
                               lane.home.table->enable_peer(lane.home.device, run.remote_device).is_ok()).first;
  return known->second;
}

uint64_t Copies::engine_piece() const { return endpoint_.settings().copy_engine_size; }

// Whether what is left of the op, whose next run is `first`, is rather for a kernel, and one can take it.
bool Copies::for_kernel(const Op &op, Lane &lane, const Run &first) const {
  return first.length < engine_piece() && op.count - op.cursor.element >= kernel_pieces && lane.rooms &&
         endpoint_.kernels().work(lane.home) && reaches(lane, first);
}

Result<Copies::Lane *> Copies::lane_of(const Op &op, const Run &first) {
  const PreparedBlocks *list = op.prepared ? op.prepared->blocks.get() : nullptr;
  const bool small = (list ? op.prepared->total : op.total) <= small_transfer;
  auto lane = lane_for(first.home, small);
  if (!lane.is_ok()) return lane;
  if (for_kernel(op, *lane.value(), first)) return list_lane(*lane.value(), list);
  return !small && several_peers(op, first) && by_kernels(first.home) ? concurrent_lane(*lane.value(), op, first) : lane;
}

// Large lists take turns between lanes, of which `first` is one: while the blocks of one run out, those of the next one begin.
Copies::Lane *Copies::list_lane(Lane &first, const PreparedBlocks *list) {
  // A list in the device's memory is first read in the order of the stream that wrote it. Where thread blocks are counted
  // two kernels would have twice as many.
  if (first.purpose == Purpose::small || endpoint_.settings().copy_ctas > 0 || (list && !list->settled)) return &first;
  Lane *best = &first;
  for (uint32_t turn = 1; turn < list_lanes; ++turn) {
    auto lane = lane_for(first.home, false, turn);
    if (!lane.is_ok()) break;  // one does as well
    const bool room = has_room(*lane.value()), had_room = has_room(*best);
    if (room && (!had_room || lane.value()->backlog < best->backlog)) best = lane.value();
  }
  return best;
}

Result<Copies::Lane *> Copies::lane_for(const Home &home, bool small, uint32_t turn) {
  const Purpose purpose = small ? Purpose::small : Purpose::large;
  for (auto &lane : lanes_)
    if (lane->home == home && lane->purpose == purpose && lane->turn == turn) return lane.get();
  return make_lane(home, purpose, turn);
}

Result<Copies::Lane *> Copies::make_lane(const Home &home, Purpose purpose, uint32_t turn) {
  auto lane = std::make_unique<Lane>();
  lane->home = home;
  lane->purpose = purpose;
  lane->turn = turn;
  auto stream = home.table->make_stream(home.device);
  if (!stream.is_ok()) return stream.status();
  lane->stream = stream.value();
  if (endpoint_.kernels().work(home)) lane->rooms = std::make_unique<BlockRooms>(*home.table);
  lanes_.push_back(std::move(lane));
  return lanes_.back().get();
}

void *Copies::event_of(Lane &lane, Status *status) {
  if (!lane.events.empty()) {
    void *event = lane.events.back();
    lane.events.pop_back();
    return event;
  }
  auto made = lane.home.table->make_event(lane.home.device);
  *status = made.status();
  return made.is_ok() ? made.value() : nullptr;
}

void Copies::close(Lane &lane) {
  const device::Operations &table = *lane.home.table;
  for (void *event : lane.events) (void)table.drop_event(lane.home.device, event);
  (void)table.drop_stream(lane.home.device, lane.stream);
}

}  // namespace pirn::core
