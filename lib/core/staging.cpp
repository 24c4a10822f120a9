// SPDX-License-Identifier: Apache-2.0
// The forward way: slots, cutting into parts, what peers lend. What becomes of a part is in staging_part.cpp.
#include "core/staging.h"

#include "base/clock.h"
#include "core/endpoint.h"
#include "core/scheduler.h"
#include "core/staging_part.h"

#include <algorithm>

namespace pirn::core {

using ull = unsigned long long;

static constexpr size_t most_tried = 64;  // transfers per round of progress that find no free slot

Staging::Staging(Endpoint &endpoint)
    : endpoint_(endpoint), rings_(endpoint.settings()), copies_(endpoint.kernels()), loans_(endpoint, rings_, copies_),
      borrowing_(endpoint) {}

Staging::~Staging() {
  if (copies_.in_flight() > 0) return;  // a device hangs, and keeps its slots
  for (const Own &own : own_) rings_.give_back(own.ring);
}

bool Staging::begin(Op &op) {
  (op.total <= small_transfer ? small_ : large_).push_back(&op);
  busy_ = true;
  return true;
}

void Staging::post(Peer &peer, wire::Stage &&stage, Control::When when) {
  const bool answer = std::holds_alternative<wire::StageLent>(stage) || std::holds_alternative<wire::StageMoved>(stage);
  auto message = std::make_shared<Message>();
  message->kind = wire::kind_of(stage);
  message->body = std::move(stage);
  if (answer) endpoint_.control().answer(peer, std::move(message), when);
  else endpoint_.control().post(peer, std::move(message), when);
}

// -- Slots

Result<Staging::Own *> Staging::own_for(const device::Operations &table) {
  for (Own &own : own_)
    if (own.ring.table == &table) return &own;
  auto ring = rings_.take(table);
  if (!ring.is_ok()) return ring.status();
  auto region = endpoint_.memory().add(&endpoint_, ring.value().address, rings_.bytes(), Home{});
  if (!region.is_ok()) {
    rings_.give_back(ring.value());
    return region.status();
  }
  Own own;
  own.ring = ring.value();
  own.region = region.value();
  for (uint32_t i = rings_.slots(); i-- > 0;) own.free.push_back(i);
  own_.push_back(std::move(own));
  return &own_.back();
}

// Slots that the segment's window needs, or nullptr: it is reached itself. AGAIN: not known yet.
Result<Lent *> Staging::slots_for(const Op &op, const Segment &segment) {
  const Window &window = *segment.window;
  if (op.route == Route::staged) return window.blob.on_device ? borrowing_.host(window) : Result<Lent *>(nullptr);
  const Reach *reach = reach_of(window, segment.region->memory->home);
  if (reach && reach->route == Route::ipc && !(reach->in_owner && op.kind == OpKind::write)) return nullptr;
  return borrowing_.ring(window, segment.region->memory->home);
}

// Of a part by a ring, small or large, all but the copies themselves.
Status Staging::make_ready(const Op &op, const Segment &segment, Lent &lent) {
  for (const uint64_t bytes : {small_transfer, small_transfer + 1}) {
    const Segment element{segment.region, segment.local_offset, lent.window, 0, 1};
    Op probe;
    probe.kind = op.kind;
    probe.peer = op.peer;
    probe.elements = &element;
    probe.count = 1;
    probe.total = bytes;
    if (Status status = endpoint_.copies().make_ready(probe); !status.is_ok()) return status;
  }
  return Status::ok();
}

Status Staging::make_ready(const Op &op) {
  Home last;
  const Window *last_window = nullptr;
  for (uint32_t i = 0; i < op.count; ++i) {
    const Segment segment = op.element(i);
    const Home &home = segment.region->memory->home;
    if (segment.window == last_window && home == last) continue;
    if (op.route == Route::staged && home.table) {
      auto own = own_for(*home.table);
      if (!own.is_ok()) return own.status();
      Status status = copies_.make_ready(home, op.kind == OpKind::read, rings_.slots());
      if (!status.is_ok()) return status;
    }
    auto lent = slots_for(op, segment);
    if (!lent.is_ok()) return lent.status();
    if (op.route != Route::staged && lent.value())
      if (Status status = make_ready(op, segment, *lent.value()); !status.is_ok()) return status;
    last = home;
    last_window = segment.window;
  }
  return Status::ok();
}

void Staging::closed(Peer &peer, uint64_t window) {
  if (loans_.closed(peer, window)) busy_ = true;
}

Status Staging::received(Peer &peer, wire::Kind kind, std::span<const std::byte> body) {
  Status problem;
  busy_ = true;
  if (kind == wire::Kind::stage_want) {
    auto want = wire::decode_stage_want(body);
    if (want.is_ok()) loans_.wanted(peer, want.value());
    problem = want.status();
  } else if (kind == wire::Kind::stage_lent) {
    auto offer = wire::decode_stage_lent(body);
    if (offer.is_ok()) borrowing_.answered(peer, offer.value());
    problem = offer.status();
  } else if (kind == wire::Kind::stage_move) {
    auto move = wire::decode_stage_move(body);
    if (move.is_ok()) loans_.move(peer, move.value());
    problem = move.status();
  } else {
    auto answer = wire::decode_stage_moved(body);
    if (answer.is_ok()) moved(peer, answer.value());
    problem = answer.status();
  }
  return problem;
}

// -- Cutting

size_t Staging::pump(std::deque<Op *> &queue) {
  size_t issued = 0, in_vain = 0;
  while (!queue.empty() && in_vain < std::min(queue.size(), most_tried)) {
    Op *op = queue.front();
    const Step step = issue_part(*op);
    if (step == Step::full) break;
    if (step == Step::issued) {
      ++issued;
      in_vain = 0;
    } else {
      ++in_vain;
    }
    if (queue.empty() || queue.front() != op) continue;  // it has ended
    queue.pop_front();
    if (!op->fully_issued()) queue.push_back(op);  // the next turn is another one's
  }
  return issued;
}

static void skip_empty(Op &op) {
  while (op.cursor.element < op.count && op.element(op.cursor.element).length == op.cursor.offset)
    op.cursor = {op.cursor.element + 1, 0};
}

Staging::Step Staging::issue_part(Op &op) {
  skip_empty(op);
  if (op.fully_issued()) {
    if (op.outstanding == 0) endpoint_.engine().copied(op, 0, Status::ok());
    return Step::over;
  }
  const Segment first = op.element(op.cursor.element);
  if (first.window->state != WindowState::open) {
    endpoint_.engine().end(op, first.window->gone_status, "the window was withdrawn by its owner");
    return Step::over;
  }
  if (active_.size() >= 4 * static_cast<size_t>(rings_.slots())) return Step::full;
  auto lent = slots_for(op, first);
  if (!lent.is_ok() && lent.error().code != PIRN_ERR_AGAIN) {
    endpoint_.engine().end(op, lent.error().code, lent.error().text);
    return Step::over;
  }
  if (!lent.is_ok() || (lent.value() && lent.value()->free.empty())) return Step::blocked;
  Own *own = nullptr;
  const device::Operations *table = op.route == Route::staged ? first.region->memory->home.table : nullptr;
  if (table) {
    auto found = own_for(*table);
    if (!found.is_ok()) {
      endpoint_.engine().end(op, found.error().code,
                             "no host memory to stage device memory through: " + found.error().text);
      return Step::over;
    }
    own = found.value();
    if (own->free.empty()) return Step::full;
  }
  StagedPart &part = take(op, own, lent.value());
  gather(op, part);
  start(part);
  return Step::issued;
}

StagedPart &Staging::take(Op &op, Own *own, Lent *lent) {
  if (spare_.empty()) {
    parts_.push_back(std::make_unique<StagedPart>());
    spare_.push_back(parts_.back().get());
  }
  StagedPart &part = *spare_.back();
  spare_.pop_back();
  active_.push_back(&part);
  part.op = &op;
  part.kind = op.kind;
  part.bytes = 0;
  part.elements.clear();
  part.blocks.clear();
  part.remote.clear();
  part.own = own;
  if (own) {
    part.own_slot = own->free.back();
    own->free.pop_back();
  }
  part.lent = lent;
  if (lent) {
    part.lent_slot = lent->free.back();
    lent->free.pop_back();
    ++lent->parts;
  }
  return part;
}

// Whether one part can have both: the same memory at each end, as far as staging sees it.
static bool alike(const Op &op, const Segment &a, const Segment &b) {
  if (!(a.region->memory->home == b.region->memory->home)) return false;
  return a.window == b.window || (op.route == Route::staged && !a.window->blob.on_device && !b.window->blob.on_device);
}

// From the op's cursor on, as much as fits the part's slots.
void Staging::gather(Op &op, StagedPart &part) {
  const Segment first = op.element(op.cursor.element);
  uint64_t limit = part.own || !part.lent ? rings_.slot_bytes() : UINT64_MAX;
  if (part.lent) limit = std::min<uint64_t>(limit, part.lent->slot_bytes);
  part.home = first.region->memory->home;
  part.window = first.window->blob.window;
  const size_t most = wire::max_stage_parts;
  for (; op.cursor.element < op.count && part.bytes < limit && part.elements.size() < most; skip_empty(op)) {
    const Segment segment = op.element(op.cursor.element);
    if (segment.length == op.cursor.offset) continue;
    if (!alike(op, first, segment) || segment.window->state != WindowState::open) break;
    const uint64_t length = std::min(segment.length - op.cursor.offset, limit - part.bytes);
    const uint64_t local = segment.local_offset + op.cursor.offset, there = segment.remote_offset + op.cursor.offset;
    Segment element{segment.region, local, segment.window, there, length};
    if (part.own) {
      const uint64_t at = static_cast<uint64_t>(part.own_slot) * rings_.slot_bytes() + part.bytes;
      std::byte *slot = part.own->ring.address + at, *device = segment.region->address() + local;
      const bool write = part.kind == OpKind::write;
      part.blocks.push_back({write ? slot : device, write ? device : slot, length, 0});
      element.region = part.own->region;
      element.local_offset = at;
    }
    if (part.lent) {
      part.remote.push_back({there, length});
      element.window = part.lent->window;
      element.remote_offset = static_cast<uint64_t>(part.lent_slot) * part.lent->slot_bytes + part.bytes;
    }
    // From slot to slot it is one piece.
    if (part.own && part.lent && !part.elements.empty()) part.elements.front().length += length;
    else part.elements.push_back(element);
    part.bytes += length;
    op.cursor.offset += length;
    if (part.remote.size() == most || part.blocks.size() == most) break;
  }
  skip_empty(op);
}

// -- Ends

void Staging::ended(Op &op) {
  std::erase(small_, &op);
  std::erase(large_, &op);
  if (op.kind == OpKind::read) let_go(op);  // a write's bytes are on their way to the window
}

void Staging::let_go(Op &op) {
  for (StagedPart *part : active_) {
    const bool theirs = part->state == StagedPart::State::asking || part->state == StagedPart::State::answered;
    if (part->op != &op || !theirs) continue;
    part->op = nullptr;  // nothing of ours is touched any more
    --op.outstanding;
    op.in_flight -= part->bytes;
  }
}

void Staging::ended(Peer &peer) {
  loans_.ended(peer);
  borrowing_.ended(peer);
  for (StagedPart *part : active_) {
    if (part->state != StagedPart::State::asking || part->lent->peer != &peer) continue;
    part->state = StagedPart::State::answered;
    part->answer = fail(peer.end_status, "%s", peer.why.c_str());
  }
  busy_ = true;
}

size_t Staging::progress() {
  copies_.look_again();
  size_t events = loans_.progress();
  for (size_t i = 0; i < active_.size(); ++i)
    if (step(*active_[i])) ++events;
  std::erase_if(active_, [this](StagedPart *part) {
    if (part->state != StagedPart::State::idle) return false;
    spare_.push_back(part);
    return true;
  });
  endpoint_.control().flush();  // before what may take longer
  events += pump(small_);
  events += pump(large_);
  const bool ending = borrowing_.sweep();
  busy_ = !active_.empty() || !small_.empty() || !large_.empty() || ending || loans_.active();
  return events;
}

void Staging::finish(uint64_t timeout) {
  copies_.wait(timeout);
  progress();
}

std::string Staging::explain(const Peer &peer) const {
  std::string out = borrowing_.explain(peer) + loans_.explain(peer);
  for (const Own &own : own_)
    out += text(", %u slots of %u bytes for own transfers, %zu of them free", rings_.slots(), rings_.slot_bytes(),
                own.free.size());
  return out.empty() ? "not used yet" : out.substr(2);
}

}  // namespace pirn::core
