// SPDX-License-Identifier: Apache-2.0
// Transfers that a device's stream posts and waits for. Under the endpoint's lock, but post_on() and wait_on().
//
// Each trigger has one word, `idle`, in page-locked memory, which its stream waits for (1) and clears to post; whoever makes
// progress sees the 0, posts the list, and sets 1 when that is terminal. So it is one post at a time, no value changes from
// one replay of a graph to the next, and no post can be lost: before it is taken no other can be made.
#pragma once

#include "base/result.h"
#include "core/op.h"
#include "device/operations.h"

#include <pirn/stream.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pirn::core {

class Endpoint;
struct Prepared;
struct TransferOptions;

// Shared with devices; a line of its own, so that no device's write takes the line of another trigger.
struct alignas(64) TriggerWords {
  uint64_t idle;   // 0: a stream has come by a post that is not terminal yet
  int64_t status;  // of the latest that is
};

class TriggerRoom;

struct Trigger {
  Endpoint *endpoint = nullptr;
  Prepared *prepared = nullptr;
  TriggerWords *words = nullptr;
  std::vector<std::byte> notification;
  uint64_t timeout = 0;
  Route demand = Route::unknown;
  TriggerRoom *room = nullptr;
  Op *op = nullptr;      // at work
  uint64_t give_up = 0;  // coarse clock; 0: no stream has come by
  uint64_t posts = 0;
  uint64_t failed = 0;
  pirn_status status = PIRN_OK;
  Route route = Route::unknown;
  std::string text;

  // Any thread, without the lock.
  Status post_on(void *stream) const;
  Status wait_on(void *stream) const;
};

// Page-locked memory in words; never given back before the end, for a device may still look there.
class TriggerRoom {
 public:
  explicit TriggerRoom(const device::Operations &table) : table_(table) {}
  TriggerRoom(const TriggerRoom &) = delete;
  TriggerRoom &operator=(const TriggerRoom &) = delete;
  ~TriggerRoom();  // no stream comes by any more

  const device::Operations &table() const { return table_; }
  Result<TriggerWords *> take();  // idle is 1
  void give_back(TriggerWords *words) { free_.push_back(words); }

 private:
  static constexpr size_t words_per_page = 64;
  const device::Operations &table_;
  std::vector<void *> pages_;
  std::vector<TriggerWords *> free_;
};

class Triggers {
 public:
  explicit Triggers(Endpoint &endpoint) : endpoint_(endpoint) {}

  Result<Trigger *> make(Prepared &prepared, const TransferOptions &options);
  // Nothing of it is at work; a stream that waits goes on.
  void drop(Trigger *trigger);
  // The stream goes on when the op is terminal.
  Status wait_for(const Op &op, void *stream);

  size_t progress();             // how much has happened
  void finished(const Op &op) {  // is terminal
    if (!gates_.empty()) open_gates(op);
  }
  // Lets go all streams; nothing is at work. For closing.
  void close();
  // Streams may come by at any time, and no descriptor tells.
  bool any() const { return !triggers_.empty(); }
  // A stream may wait for us, or come to.
  bool may_be_waited_for() const {
    return any() || std::any_of(gates_.begin(), gates_.end(), [](const Gate &gate) { return gate.op != nullptr; });
  }
  uint64_t last_event() const { return last_event_; }  // coarse clock

 private:
  // A stream's wait for one transfer.
  struct Gate {
    const Op *op = nullptr;  // nullptr: terminal; `idle` is 2 once the stream has come by
    TriggerRoom *room = nullptr;
    TriggerWords *words = nullptr;
  };

  Result<TriggerRoom *> room_for(std::span<const Segment> elements);
  bool post(Trigger &trigger);
  void settle(Trigger &trigger);
  void open_gates(const Op &op);

  Endpoint &endpoint_;
  std::vector<std::unique_ptr<TriggerRoom>> rooms_;  // one a vendor
  std::vector<std::unique_ptr<Trigger>> triggers_;
  std::vector<Gate> gates_;
  uint64_t last_event_ = 0;
};

}  // namespace pirn::core
