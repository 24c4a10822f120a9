// SPDX-License-Identifier: Apache-2.0
#include "core/borrowing.h"

#include "base/clock.h"
#include "core/endpoint.h"

#include <algorithm>

namespace pirn::core {

using ull = unsigned long long;
using wire::SlotMemory;

static constexpr uint64_t ask_again_after = ns_per_s;  // what was refused may be had later: memory is given back

// -- Asking

Borrowing::Wish *Borrowing::find(SlotMemory memory, const Window &window, const Home &near) {
  auto found = std::find_if(wishes_.begin(), wishes_.end(), [&](const Wish &wish) {
    return wish.peer == window.peer && wish.memory == memory &&
           (memory != SlotMemory::device || (wish.window == window.blob.window && wish.near == near));
  });
  return found == wishes_.end() ? nullptr : &*found;
}

static uint32_t feature_of(SlotMemory memory) {
  switch (memory) {
    case SlotMemory::device: return wire::feature_rings;
    case SlotMemory::plain: return wire::feature_plain_host;
    default: return wire::feature_staging;
  }
}

Result<Lent *> Borrowing::borrow(SlotMemory memory, const Window &window, const Home &near) {
  Peer &peer = *window.peer;
  if (!peer.live()) return fail(peer.end_status, "%s", peer.why.c_str());
  Wish *wish = find(memory, window, near);
  if (wish && wish->state == Wish::State::refused && coarse_ns() >= wish->until) {
    wishes_.remove_if([&](const Wish &other) { return &other == wish; });
    wish = nullptr;
  }
  if (!wish) {
    const bool host = memory == SlotMemory::host;
    if (!(peer.metadata.features & feature_of(memory)))
      return fail(PIRN_ERR_UNAVAILABLE, "the peer's library is too old to lend %s memory%s",
                  memory == SlotMemory::device ? "device" : "host", memory == SlotMemory::plain ? " for this" : "");
    if (!host && !endpoint_.sharing().linked(peer)) return fail(PIRN_ERR_UNAVAILABLE, "no connection within the host");
    wishes_.emplace_back();
    wish = &wishes_.back();
    wish->memory = memory;
    wish->peer = &peer;
    if (!host) wish->window = window.blob.window;
    if (memory == SlotMemory::device) wish->near = near;
    endpoint_.staging().post(peer, wire::StageWant{window.blob.window, memory});
  }
  if (wish->state == Wish::State::refused) return wish->why;
  if (wish->state == Wish::State::asked) return fail(PIRN_ERR_AGAIN, "the owner has not answered");
  return wish->lent;
}

void Borrowing::answered(Peer &peer, const wire::StageLent &body) {
  // The owner answers in the order in which it was asked.
  auto wish = std::find_if(wishes_.begin(), wishes_.end(), [&](const Wish &asked) {
    return asked.peer == &peer && asked.state == Wish::State::asked && asked.window == body.window;
  });
  if (wish == wishes_.end()) return;
  auto lent = take(peer, body, wish->memory);
  if (lent.is_ok()) {
    wish->state = Wish::State::ready;
    wish->lent = lent.value();
    ++wish->lent->asked_by;
  } else if (wish->memory != SlotMemory::device && body.status == PIRN_ERR_WINDOW_GONE) {
    wishes_.erase(wish);  // which says nothing of other windows
  } else {
    refuse(*wish, lent.status());
  }
  endpoint_.engine().wake(peer);
}

Result<Lent *> Borrowing::take(Peer &peer, const wire::StageLent &body, SlotMemory memory) {
  if (body.status != PIRN_OK) return fail(body.status, "%s", body.reason.c_str());
  auto blob = wire::decode_window(body.blob);
  if (!blob.is_ok()) return blob.status();
  if (blob.value().length != static_cast<uint64_t>(body.slots) * body.slot_bytes)
    return fail(PIRN_ERR_INVALID, "%u slots of %u bytes are not %llu bytes", body.slots, body.slot_bytes,
                static_cast<ull>(blob.value().length));
  if (blob.value().on_device != (memory == SlotMemory::device))
    return fail(PIRN_ERR_INVALID, "slots in %s memory were asked for, and others are lent",
                memory == SlotMemory::device ? "device" : "host");
  for (Lent &known : lent_)
    if (known.peer == &peer && !known.ended && known.window->blob.window == blob.value().window) return &known;
  auto window = endpoint_.windows().import(peer, blob.value());
  if (!window.is_ok()) return window.status();
  Lent lent;
  lent.memory = memory;
  lent.peer = &peer;
  lent.window = window.value();
  lent.slots = body.slots;
  lent.slot_bytes = body.slot_bytes;
  for (uint32_t i = body.slots; i-- > 0;) lent.free.push_back(i);
  lent_.push_back(std::move(lent));
  return &lent_.back();
}

// -- Rungs

// Whether copies of memory at `near` reach the slots; AGAIN: not known yet.
Status Borrowing::reach(const Lent &lent, const Home &near) {
  Window &slots = *lent.window;
  if (slots.state == WindowState::opening) return fail(PIRN_ERR_AGAIN, "the slots are not open yet");
  if (slots.state == WindowState::gone) return fail(PIRN_ERR_UNAVAILABLE, "the owner took its slots back");
  const Reach *reach = reach_of(slots, near);
  if (!reach && !endpoint_.sharing().linked(*slots.peer))
    return fail(PIRN_ERR_UNAVAILABLE, "no connection within the host");
  if (!reach) {
    endpoint_.sharing().seek(slots, near);
    return fail(PIRN_ERR_AGAIN, "the slots are not mapped yet");
  }
  if (reach->route == Route::unknown) return fail(PIRN_ERR_AGAIN, "the slots are not mapped yet");
  return reach->route == Route::ipc ? Status::ok() : fail(PIRN_ERR_UNAVAILABLE, "%s", reach->why.c_str());
}

Result<Lent *> Borrowing::device_ring(const Window &window, const Home &near) {
  auto lent = borrow(SlotMemory::device, window, near);
  if (!lent.is_ok()) return lent;
  const Status status = reach(*lent.value(), near);
  if (status.is_ok()) return lent;
  if (status.code == PIRN_ERR_AGAIN) return status;
  // Device memory that nobody reaches is not kept.
  Wish &wish = *find(SlotMemory::device, window, near);
  const bool gone = lent.value()->window->state == WindowState::gone;
  let_go(wish);
  refuse(wish, status);
  if (!gone) wish.until = UINT64_MAX;
  return wish.why;
}

Result<Lent *> Borrowing::host_ring(const Window &window, const Home &near, SlotMemory memory) {
  auto lent = borrow(memory, window, near);
  if (!lent.is_ok()) return lent;
  const Status status = reach(*lent.value(), near);
  return status.is_ok() ? lent : Result<Lent *>(status);
}

Result<Lent *> Borrowing::plain_ring(const Window &window, const Home &near) {
  const std::string &allowed = endpoint_.settings().rings;
  Result<Lent *> lent = fail(PIRN_ERR_UNAVAILABLE, "PIRN_RINGS=%s", allowed.c_str());
  if (near.table) lent = fail(PIRN_ERR_UNAVAILABLE, "it is for host memory at both ends");
  else if (allowed == "auto" || allowed == "host") lent = host_ring(window, near, SlotMemory::plain);
  if (lent.is_ok() || lent.error().code == PIRN_ERR_AGAIN) return lent;
  return fail(lent.error().code, "host ring: %s", lent.error().text.c_str());
}

Result<Lent *> Borrowing::ring(const Window &window, const Home &near) {
  const std::string &allowed = endpoint_.settings().rings;
  if (!window.blob.on_device) return plain_ring(window, near);
  std::string why;
  for (const bool device : {true, false}) {
    const char *name = device ? "device" : "host";
    if (allowed != "auto" && allowed != name) {
      why += text("%s%s ring: PIRN_RINGS=%s", why.empty() ? "" : "; ", name, allowed.c_str());
      continue;
    }
    auto lent = device ? device_ring(window, near) : host_ring(window, near, SlotMemory::host);
    if (lent.is_ok() || lent.error().code == PIRN_ERR_AGAIN) return lent;
    why += text("%s%s ring: %s", why.empty() ? "" : "; ", name, lent.error().text.c_str());
  }
  return fail(PIRN_ERR_UNAVAILABLE, "%s", why.c_str());
}

Result<Lent *> Borrowing::host(const Window &window) {
  auto lent = borrow(SlotMemory::host, window, Home{});
  if (lent.is_ok() || lent.error().code == PIRN_ERR_AGAIN || !window.peer->live()) return lent;
  return fail(lent.error().code, "the window is device memory, and its owner lends no host memory through which it could "
                                 "travel over the fabric: %s", lent.error().text.c_str());
}

// -- Ends

void Borrowing::refuse(Wish &wish, const Status &why) {
  wish.state = Wish::State::refused;
  wish.why = why;
  wish.until = coarse_ns() + ask_again_after;
}

void Borrowing::let_go(Wish &wish) {
  if (wish.lent) --wish.lent->asked_by;
  wish.lent = nullptr;
}

void Borrowing::forget(const Window &window) {
  wishes_.remove_if([&](Wish &wish) {
    if (wish.peer != window.peer || wish.window != window.blob.window || wish.state == Wish::State::asked) return false;
    if (wish.memory == SlotMemory::plain) return false;  // it is for others, too
    let_go(wish);
    return true;
  });
}

void Borrowing::ended(Peer &peer) {
  wishes_.remove_if([&](Wish &wish) {
    if (wish.peer != &peer) return false;
    let_go(wish);
    return true;
  });
  for (Lent &lent : lent_) lent.ended = lent.ended || lent.peer == &peer;
}

bool Borrowing::sweep() {
  bool waiting = false;
  lent_.remove_if([&](Lent &lent) {
    if (!lent.ended && lent.asked_by > 0) return false;
    if (lent.parts == 0 && endpoint_.windows().close(lent.window).is_ok()) return true;
    waiting = true;
    return false;
  });
  return waiting;
}

bool Borrowing::in_use(const Peer &peer) const {
  return std::any_of(lent_.begin(), lent_.end(), [&](const Lent &lent) { return lent.peer == &peer && lent.parts > 0; });
}

std::string Borrowing::explain(const Peer &peer) const {
  std::string out;
  for (const Lent &lent : lent_)
    if (lent.peer == &peer && !lent.ended)
      out += text(", it lends %u slots of %u bytes%s, %zu of them free", lent.slots, lent.slot_bytes,
                  lent.memory == SlotMemory::device ? " on a device" : "", lent.free.size());
  for (const Wish &wish : wishes_)
    if (wish.peer == &peer && wish.state == Wish::State::refused)
      out += text(", no slots %s: %s",
                  wish.memory == SlotMemory::device
                      ? text("on the device of window %llu", static_cast<ull>(wish.window)).c_str()
                      : "in host memory",
                  wish.why.text.c_str());
  return out;
}

}  // namespace pirn::core
