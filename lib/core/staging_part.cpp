// SPDX-License-Identifier: Apache-2.0
// What becomes of a part, state by state.
#include "core/staging_part.h"

#include "core/endpoint.h"

#include <algorithm>

namespace pirn::core {

using State = StagedPart::State;

static bool abandoned(const StagedPart &part) { return !part.op || part.op->phase != OpPhase::moving; }

void Staging::start(StagedPart &part) {
  Op &op = *part.op;
  ++op.outstanding;
  op.in_flight += part.bytes;
  if (part.kind == OpKind::write && part.own) copy(part);
  else if (part.kind == OpKind::read && part.lent) request(part);
  else launch(part);
}

void Staging::copy(StagedPart &part) {
  auto mark = copies_.start(part.home, part.kind == OpKind::read, part.blocks);
  if (!mark.is_ok()) {
    drop(part, mark.status());
    return;
  }
  part.mark = mark.value();
  part.state = State::copying;
}

void Staging::launch(StagedPart &part) {
  Op &transfer = part.transfer;
  transfer.part = &part;
  transfer.kind = part.kind;
  transfer.peer = part.op->peer;
  transfer.demand = part.op->route == Route::staged ? Route::fabric : Route::ipc;
  transfer.elements = part.elements.data();
  transfer.count = static_cast<uint32_t>(part.elements.size());
  transfer.total = part.bytes;
  transfer.deadline = UINT64_MAX;  // that of the whole ends it
  transfer.text.clear();
  for (const Segment &element : part.elements) {
    ++element.region->users;
    ++element.window->users;
  }
  part.state = State::moving;
  endpoint_.engine().start(transfer);
}

void Staging::landed(Op &transfer) { transfer.part->state = State::landed; }

void Staging::request(StagedPart &part) {
  part.request = next_request_++;
  part.state = State::asking;
  const bool named = part.lent->memory != wire::SlotMemory::host;
  post(*part.lent->peer, wire::StageMove{part.request, part.window, part.lent_slot,
                                         static_cast<uint8_t>(part.kind == OpKind::write), part.remote,
                                         named ? part.lent->window->blob.window : 0},
       Control::When::end_of_round);
}

// The owner's word, as far as it is one that such a copy can end with.
static pirn_status known(int32_t status) {
  switch (status) {
    case PIRN_OK:
    case PIRN_ERR_WINDOW_GONE:
    case PIRN_ERR_ACCESS:
    case PIRN_ERR_RANGE:
    case PIRN_ERR_NO_MEMORY:
    case PIRN_ERR_UNAVAILABLE:
      return status;
    default:
      return PIRN_ERR_IO;
  }
}

void Staging::moved(Peer &peer, const wire::StageMoved &body) {
  for (StagedPart *part : active_) {
    if (part->state != State::asking || part->request != body.request || part->lent->peer != &peer) continue;
    part->state = State::answered;
    part->answer = {known(body.status), body.reason};
    return;
  }
}

// True: it got on.
bool Staging::step(StagedPart &part) {
  switch (part.state) {
    case State::idle:
    case State::asking:
      return false;
    case State::copying: {
      auto done = copies_.done(part.mark);
      if (done.is_ok() && !done.value()) return false;
      if (!done.is_ok() || part.kind == OpKind::read) drop(part, done.status());
      else if (abandoned(part)) drop(part, {PIRN_ERR_CANCELLED, {}});
      else launch(part);
      return true;
    }
    case State::moving:
      if (!abandoned(part) || part.transfer.phase == OpPhase::draining) return false;
      endpoint_.engine().end(part.transfer, part.op->status, "");
      return true;
    case State::landed:
      moved_by_rail(part);
      return true;
    case State::answered:
      answered(part);
      return true;
  }
  return false;
}

void Staging::moved_by_rail(StagedPart &part) {
  const Op &transfer = part.transfer;
  Op &op = *part.op;
  if (op.rail == UINT16_MAX || (transfer.status != PIRN_OK && op.phase == OpPhase::moving)) op.rail = transfer.rail;
  if (transfer.status != PIRN_OK || abandoned(part)) {
    if (op.phase == OpPhase::moving) op.provider_error = transfer.provider_error;
    drop(part, {transfer.status, transfer.text});
  } else if (part.kind == OpKind::write) {
    give_back_slot(part);
    if (part.lent) request(part);
    else drop(part, Status::ok());
  } else {
    give_back_lent(part);
    if (part.own) copy(part);
    else drop(part, Status::ok());
  }
}

void Staging::answered(StagedPart &part) {
  if (!part.answer.is_ok()) drop(part, {part.answer.code, "the owner of the window: " + part.answer.text});
  else if (part.kind == OpKind::write || abandoned(part)) drop(part, Status::ok());
  else launch(part);
}

void Staging::give_back_slot(StagedPart &part) {
  if (part.own) part.own->free.push_back(part.own_slot);
  part.own = nullptr;
}

void Staging::give_back_lent(StagedPart &part) {
  if (part.lent) part.lent->free.push_back(part.lent_slot);
  if (part.lent) --part.lent->parts;
  part.lent = nullptr;
}

void Staging::drop(StagedPart &part, const Status &status) {
  Op *op = part.op;
  give_back_slot(part);
  give_back_lent(part);
  part.op = nullptr;
  part.state = State::idle;
  if (op) endpoint_.engine().copied(*op, part.bytes, status);
}

}  // namespace pirn::core
