// SPDX-License-Identifier: Apache-2.0
#include "core/triggers.h"

#include "base/clock.h"
#include "core/endpoint.h"

#include <algorithm>
#include <atomic>

namespace pirn::core {

static constexpr uint64_t passed = 2;  // in `idle` of a gate

// Devices read and write the words too.
static uint64_t load(uint64_t &word) { return std::atomic_ref(word).load(std::memory_order_acquire); }

static void let_go(TriggerWords &words, pirn_status status) {
  std::atomic_ref(words.status).store(status, std::memory_order_relaxed);
  std::atomic_ref(words.idle).store(1, std::memory_order_release);
}

// -- Words

TriggerRoom::~TriggerRoom() {
  for (void *page : pages_) (void)table_.release_host(page);
}

Result<TriggerWords *> TriggerRoom::take() {
  if (free_.empty()) {
    auto page = table_.allocate_host(words_per_page * sizeof(TriggerWords));
    if (!page.is_ok()) return page.status();
    pages_.push_back(page.value());
    auto *words = static_cast<TriggerWords *>(page.value());
    for (size_t i = 0; i < words_per_page; ++i) free_.push_back(&words[words_per_page - 1 - i]);
  }
  TriggerWords *words = free_.back();
  free_.pop_back();
  let_go(*words, PIRN_OK);
  return words;
}

// -- In a stream

Status Trigger::post_on(void *stream) const {
  if (Status bad = wait_on(stream); !bad.is_ok()) return bad;
  return room->table().write_word(stream, &words->idle, 0);
}

Status Trigger::wait_on(void *stream) const { return room->table().wait_word(stream, &words->idle, 1); }

Status Triggers::wait_for(const Op &op, void *stream) {
  auto room = room_for({op.elements, op.count});
  if (!room.is_ok()) return room.status();
  const device::Operations &table = room.value()->table();
  auto capturing = table.capturing(stream);
  if (!capturing.is_ok()) return capturing.status();
  if (capturing.value())
    return fail(PIRN_ERR_INVALID, "the stream is being captured, and a transfer happens once: post a trigger in its place");
  if (op.terminal()) return Status::ok();
  std::erase_if(gates_, [](const Gate &gate) {
    if (gate.op || load(gate.words->idle) != passed) return false;
    gate.room->give_back(gate.words);
    return true;
  });
  auto words = room.value()->take();
  if (!words.is_ok()) return words.status();
  std::atomic_ref(words.value()->idle).store(0);
  Status status = table.wait_word(stream, &words.value()->idle, 1);
  if (!status.is_ok()) {
    room.value()->give_back(words.value());
    return status;
  }
  gates_.push_back({&op, room.value(), words.value()});
  // Without it the words are never used again, which is all.
  return table.write_word(stream, &words.value()->idle, passed);
}

void Triggers::open_gates(const Op &op) {
  for (Gate &gate : gates_) {
    if (gate.op != &op) continue;
    let_go(*gate.words, op.status);
    gate.op = nullptr;
  }
}

// -- Making

// Words that streams of the device can reach which has to do with the list, or of the first that there is.
Result<TriggerRoom *> Triggers::room_for(std::span<const Segment> elements) {
  const device::Operations *table = endpoint_.device() ? endpoint_.device()->operations : nullptr;
  if (!table && !elements.empty()) table = elements.front().region->memory->home.table;
  if (!table && !elements.empty()) table = elements.front().window->reach.home.table;
  for (const device::Operations *other : device::tables())
    if (!table && other->load(true).is_ok()) table = other;
  if (!table) return fail(PIRN_ERR_UNAVAILABLE, "no device's runtime is loaded in this process: it has no streams");
  for (auto &room : rooms_)
    if (&room->table() == table) return room.get();
  rooms_.push_back(std::make_unique<TriggerRoom>(*table));
  return rooms_.back().get();
}

Result<Trigger *> Triggers::make(Prepared &prepared, const TransferOptions &options) {
  auto room = room_for(prepared.elements);
  if (!room.is_ok()) return room.status();
  auto words = room.value()->take();
  if (!words.is_ok()) return words.status();
  auto trigger = std::make_unique<Trigger>();
  trigger->endpoint = &endpoint_;
  trigger->prepared = &prepared;
  trigger->room = room.value();
  trigger->words = words.value();
  trigger->notification.assign(options.notify.begin(), options.notify.end());
  trigger->timeout = options.timeout;
  trigger->demand = options.path;
  ++prepared.triggers;
  triggers_.push_back(std::move(trigger));
  last_event_ = coarse_ns();
  return triggers_.back().get();
}

void Triggers::drop(Trigger *trigger) {
  --trigger->prepared->triggers;
  if (load(trigger->words->idle) == 0) let_go(*trigger->words, PIRN_ERR_CANCELLED);
  trigger->room->give_back(trigger->words);
  std::erase_if(triggers_, [trigger](const auto &other) { return other.get() == trigger; });
}

void Triggers::close() {
  for (auto &trigger : triggers_)
    if (load(trigger->words->idle) == 0) let_go(*trigger->words, PIRN_ERR_CANCELLED);
  for (Gate &gate : gates_)
    if (gate.op) let_go(*gate.words, PIRN_ERR_CANCELLED);
  gates_.clear();
  triggers_.clear();
  rooms_.clear();
}

// -- At work

size_t Triggers::progress() {
  size_t events = 0;
  for (auto &trigger : triggers_) {
    if (!trigger->op && load(trigger->words->idle) == 0 && post(*trigger)) ++events;
    if (trigger->op && trigger->op->terminal()) {
      settle(*trigger);
      ++events;
    }
  }
  if (events > 0) last_event_ = coarse_ns();
  return events;
}

// False: there is no slot for it now.
bool Triggers::post(Trigger &trigger) {
  TransferOptions options;
  options.notify = trigger.notification;
  options.timeout = trigger.timeout;
  options.path = trigger.demand;
  const uint64_t now = coarse_ns();
  if (trigger.give_up == 0) trigger.give_up = endpoint_.deadline_of(options);
  auto op = endpoint_.post_now(*trigger.prepared, options);
  if (op.is_ok()) {
    trigger.op = op.value();
    return true;
  }
  if (op.error().code == PIRN_ERR_AGAIN && now < trigger.give_up) return false;
  trigger.give_up = 0;
  ++trigger.posts;
  ++trigger.failed;
  trigger.status = op.error().code;
  trigger.route = Route::unknown;
  trigger.text = op.error().text;
  let_go(*trigger.words, trigger.status);
  return true;
}

void Triggers::settle(Trigger &trigger) {
  Op &op = *std::exchange(trigger.op, nullptr);
  trigger.give_up = 0;
  ++trigger.posts;
  if (op.status != PIRN_OK) ++trigger.failed;
  trigger.status = op.status;
  trigger.route = op.route;
  trigger.text = op.status == PIRN_OK ? "" : op.text;
  endpoint_.give_back(op);
  let_go(*trigger.words, trigger.status);
}

}  // namespace pirn::core
