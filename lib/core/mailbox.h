// SPDX-License-Identifier: Apache-2.0
// Reliable messages to and from one peer over an unreliable, unordered channel:
// sequence numbers, cumulative acknowledgement, go-back-n, duplicates dropped, order restored. Pure state:
// no I/O, no clock of its own. Guarded by the endpoint's lock.
#pragma once

#include "wire/frame.h"
#include "wire/stage.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <variant>
#include <vector>

namespace pirn::core {

struct Op;

struct Message {
  wire::Kind kind{};
  std::variant<std::monostate, wire::WindowRef, wire::WindowOpened, wire::WindowUpdate, wire::WindowWant,
               wire::AddressChange, wire::Stage, std::vector<std::byte>>
      body;
  bool answer = false;  // the peer has asked for it
  Op *op = nullptr;  // notify: completes when the last fragment is acknowledged; nullptr once the op has ended
};

// One frame of a message: all of it, or a fragment of a notification.
struct OutFrame {
  uint32_t sequence = 0;
  std::shared_ptr<Message> message;
  uint32_t offset = 0;
  uint32_t length = 0;
  bool last = true;
};

class Mailbox {
 public:
  static constexpr size_t window = 32;  // frames sent and not acknowledged; also how far ahead we keep early ones

  // Answers that are not acknowledged. An honest peer asks on only when it hears from us, and then acknowledges: it has
  // hundreds of them, or thousands after a frame was lost. This many are tens of MiB.
  static constexpr size_t most_answers = 65536;

  // Sending.
  void post(std::shared_ptr<Message> message);
  // The same of an answer, unless there are too many: it is dropped then, and the peer not worth another one.
  void answer(std::shared_ptr<Message> message);
  bool overrun() const { return overrun_; }
  OutFrame *next_to_send(size_t ahead = 0);  // so many behind the first; nullptr: nothing, or the window is full
  void sent(uint64_t now);    // the frame next_to_send() returned is with the provider
  void resend(uint64_t now);  // everything unacknowledged goes again
  bool resend_due(uint64_t now) const;
  // Takes in an acknowledgement; calls `done` for each message whose last frame it covers.
  template <typename F>
  void acknowledged(uint32_t sequence, uint64_t now, F &&done) {
    // Frames that were never sent cannot have been taken in, whatever the peer claims.
    while (!frames_.empty() && precedes_or_is(frames_.front().sequence, sequence) &&
           precedes_or_is(frames_.front().sequence, highest_sent_)) {
      OutFrame frame = std::move(frames_.front());
      frames_.pop_front();
      touched_ = true;
      if (unsent_ > 0) --unsent_;
      backoff_ = first_backoff;
      last_activity_ = now;
      if (frame.message->answer) --answers_;
      if (frame.last) done(*frame.message);
    }
  }
  bool idle() const { return frames_.empty(); }
  // Nothing was taken in by either side yet.
  bool pristine() const { return !touched_ && expected_ == 1; }
  // Forgets the op of a message that is no longer waited for; the frames still go out, or the sequence would have a
  // hole.
  void disown(const Op *op);
  void clear();

  // Receiving. Keeps a frame that is new; false: it is a duplicate or too far ahead.
  bool keep(uint32_t sequence, wire::Kind kind, std::span<const std::byte> body);
  struct Early {
    wire::Kind kind{};
    std::vector<std::byte> body;
  };
  // The next frame in order, or nullptr. taken() moves on.
  const Early *next_in_order() const;
  static uint32_t following(uint32_t sequence);  // the number of the next frame
  void taken();
  uint32_t acknowledgement() const { return expected_ - 1; }
  bool acknowledgement_due = false;  // at once

  // An acknowledgement that can wait for a frame which is going to carry it: so many frames, and so long, at most.
  static constexpr uint32_t most_owed = window / 4;
  static constexpr uint64_t longest_owed = 20'000'000;  // ns, well before the other side sends again
  bool owes() const { return owed_ > 0; }
  void owe(uint64_t now);
  bool owed_too_long(uint64_t now) const { return now >= owed_since_ + longest_owed; }
  void acknowledged_now();  // a frame went out

  static bool precedes_or_is(uint32_t a, uint32_t b) { return static_cast<int32_t>(b - a) >= 0; }

 private:
  static constexpr uint64_t first_backoff = 200'000'000;  // ns
  static constexpr uint64_t last_backoff = 2'000'000'000;
  std::deque<OutFrame> frames_;  // unacknowledged first
  size_t answers_ = 0;           // of them
  bool overrun_ = false;
  size_t unsent_ = 0;            // index of the first frame that is to be sent
  uint32_t next_sequence_ = 1;
  uint32_t highest_sent_ = 0;
  uint64_t last_activity_ = 0;
  uint64_t backoff_ = first_backoff;
  bool touched_ = false;  // something of ours was acknowledged
  uint32_t expected_ = 1;
  uint32_t owed_ = 0;
  uint64_t owed_since_ = 0;
  std::map<uint32_t, Early> early_;
};

}  // namespace pirn::core
