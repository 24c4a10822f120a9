// SPDX-License-Identifier: Apache-2.0
#include "core/mailbox.h"

#include <algorithm>

namespace pirn::core {

// Sequence 0 marks unreliable frames, so the counters step over it.
uint32_t Mailbox::following(uint32_t sequence) { return sequence == UINT32_MAX ? 1 : sequence + 1; }

void Mailbox::post(std::shared_ptr<Message> message) {
  uint64_t total = 0;
  if (auto *data = std::get_if<std::vector<std::byte>>(&message->body)) total = data->size();
  uint64_t offset = 0;
  do {
    uint64_t length = std::min<uint64_t>(total - offset, wire::notify_fragment_max());
    frames_.push_back({next_sequence_, message, static_cast<uint32_t>(offset), static_cast<uint32_t>(length),
                       offset + length == total});
    next_sequence_ = following(next_sequence_);
    offset += length;
  } while (offset < total);
}

void Mailbox::answer(std::shared_ptr<Message> message) {
  if (answers_ == most_answers) {
    overrun_ = true;
    return;
  }
  message->answer = true;
  ++answers_;
  post(std::move(message));
}

OutFrame *Mailbox::next_to_send(size_t ahead) {
  const size_t index = unsent_ + ahead;
  if (index >= frames_.size() || index >= window) return nullptr;
  return &frames_[index];
}

void Mailbox::sent(uint64_t now) {
  uint32_t sequence = frames_[unsent_].sequence;
  if (highest_sent_ == 0 || precedes_or_is(highest_sent_, sequence)) highest_sent_ = sequence;
  ++unsent_;
  last_activity_ = now;
}

void Mailbox::resend(uint64_t now) {
  unsent_ = 0;
  last_activity_ = now;
  backoff_ = std::min(2 * backoff_, last_backoff);
}

bool Mailbox::resend_due(uint64_t now) const { return unsent_ > 0 && now >= last_activity_ + backoff_; }

void Mailbox::disown(const Op *op) {
  for (OutFrame &frame : frames_)
    if (frame.message->op == op) frame.message->op = nullptr;
}

void Mailbox::clear() {
  frames_.clear();
  answers_ = 0;
  overrun_ = false;
  unsent_ = 0;
  early_.clear();
  acknowledged_now();
}

void Mailbox::owe(uint64_t now) {
  if (owed_ == 0) owed_since_ = now;
  if (++owed_ >= most_owed) acknowledgement_due = true;
}

void Mailbox::acknowledged_now() {
  owed_ = 0;
  acknowledgement_due = false;
}

bool Mailbox::keep(uint32_t sequence, wire::Kind kind, std::span<const std::byte> body) {
  uint32_t ahead = sequence - expected_;
  if (ahead >= window) return false;
  return early_.emplace(sequence, Early{kind, {body.begin(), body.end()}}).second;
}

const Mailbox::Early *Mailbox::next_in_order() const {
  auto found = early_.find(expected_);
  return found == early_.end() ? nullptr : &found->second;
}

void Mailbox::taken() {
  early_.erase(expected_);
  expected_ = following(expected_);
}

}  // namespace pirn::core
