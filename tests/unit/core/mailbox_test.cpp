// SPDX-License-Identifier: Apache-2.0
// Two mailboxes with a channel between them that the test controls frame by frame.
#include "core/mailbox.h"

#include "base/clock.h"
#include "../check.h"

#include <pirn/transfer.h>

#include <algorithm>

using namespace pirn;
using namespace pirn::core;

namespace {

// The sequence counters are private and start at 1; the wrap cannot be reached by sending.
template <auto Member, typename Tag>
struct Opened {
  friend constexpr auto opened(Tag) { return Member; }
};
struct NextSequence {
  friend constexpr auto opened(NextSequence);
};
struct Expected {
  friend constexpr auto opened(Expected);
};
template struct Opened<&Mailbox::next_sequence_, NextSequence>;
template struct Opened<&Mailbox::expected_, Expected>;

std::shared_ptr<Message> note(uint32_t value, Op *op = nullptr) {
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::notify;
  std::vector<std::byte> body(sizeof value);
  memcpy(body.data(), &value, sizeof value);
  message->body = body;
  message->op = op;
  return message;
}

std::vector<std::byte> body_of(const OutFrame &frame) {
  const auto &all = std::get<std::vector<std::byte>>(frame.message->body);
  return {all.begin() + frame.offset, all.begin() + frame.offset + frame.length};
}

struct Sent {
  uint32_t sequence;
  std::vector<std::byte> body;
};

std::vector<Sent> send_all(Mailbox &from, uint64_t now = 0) {
  std::vector<Sent> out;
  while (OutFrame *frame = from.next_to_send()) {
    out.push_back({frame->sequence, body_of(*frame)});
    from.sent(now);
  }
  return out;
}

bool keep(Mailbox &to, const Sent &frame) { return to.keep(frame.sequence, wire::Kind::notify, frame.body); }

std::vector<std::byte> take_all(Mailbox &from) {
  std::vector<std::byte> out;
  while (const Mailbox::Early *frame = from.next_in_order()) {
    out.insert(out.end(), frame->body.begin(), frame->body.end());
    from.taken();
  }
  return out;
}

std::vector<std::byte> numbers(uint32_t first, uint32_t count) {
  std::vector<std::byte> out(count * sizeof first);
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t value = first + i;
    memcpy(out.data() + i * sizeof value, &value, sizeof value);
  }
  return out;
}

size_t acknowledge(Mailbox &from, uint32_t sequence, uint64_t now = 0) {
  size_t done = 0;
  from.acknowledged(sequence, now, [&](Message &) { ++done; });
  return done;
}

void keep__frames_in_random_order__are_taken_in_order(void **) {
  Seeded random;
  for (int round = 0; round < 100; ++round) {
    Mailbox from, to;
    for (uint32_t i = 0; i < Mailbox::window; ++i) from.post(note(i));
    std::vector<Sent> frames = send_all(from);
    assert_int_equal(frames.size(), Mailbox::window);
    for (size_t i = frames.size(); i-- > 1;) std::swap(frames[i], frames[random.between(0, i)]);
    std::vector<std::byte> got;
    for (const Sent &frame : frames) {
      assert_true(keep(to, frame));
      for (std::byte byte : take_all(to)) got.push_back(byte);
    }
    std::vector<std::byte> expected = numbers(0, Mailbox::window);
    assert_int_equal(got.size(), expected.size());
    assert_memory_equal(got.data(), expected.data(), expected.size());
    assert_int_equal(acknowledge(from, to.acknowledgement()), Mailbox::window);
    assert_true(from.idle());
  }
}

void keep__duplicates_waiting_or_taken__are_refused(void **) {
  Mailbox from, to;
  from.post(note(0));
  from.post(note(1));
  std::vector<Sent> frames = send_all(from);
  assert_true(keep(to, frames[1]));
  assert_false(keep(to, frames[1]));
  assert_null(to.next_in_order());
  assert_true(keep(to, frames[0]));
  assert_int_equal(take_all(to).size(), 8);
  assert_false(keep(to, frames[0]));
  assert_false(keep(to, frames[1]));
  assert_null(to.next_in_order());
}

void keep__too_far_ahead__is_refused(void **) {
  Mailbox to;
  assert_true(to.keep(Mailbox::window, wire::Kind::notify, {}));
  assert_false(to.keep(Mailbox::window + 1, wire::Kind::notify, {}));
  assert_false(to.keep(UINT32_MAX, wire::Kind::notify, {}));
  assert_int_equal(to.acknowledgement(), 0);
}

void next_to_send__window_full__waits_for_an_acknowledgement(void **) {
  Mailbox from;
  for (uint32_t i = 0; i < Mailbox::window + 3; ++i) from.post(note(i));
  assert_int_equal(send_all(from).size(), Mailbox::window);
  assert_null(from.next_to_send());
  assert_int_equal(acknowledge(from, 2), 2);
  std::vector<Sent> more = send_all(from);
  assert_int_equal(more.size(), 2);
  assert_int_equal(more[0].sequence, Mailbox::window + 1);
}

void resend__goes_back_to_the_first_unacknowledged(void **) {
  Mailbox from;
  for (uint32_t i = 0; i < 5; ++i) from.post(note(i));
  send_all(from);
  acknowledge(from, 2);
  from.resend(0);
  std::vector<Sent> again = send_all(from);
  assert_int_equal(again.size(), 3);
  assert_int_equal(again.front().sequence, 3);
  assert_int_equal(again.back().sequence, 5);
  std::vector<std::byte> expected = numbers(2, 1);
  assert_memory_equal(again.front().body.data(), expected.data(), expected.size());
}

void resend_due__only_with_frames_out_and_after_quiet(void **) {
  Mailbox from;
  assert_false(from.resend_due(100 * ns_per_s));
  from.post(note(1));
  assert_false(from.resend_due(100 * ns_per_s));
  send_all(from, ns_per_s);
  assert_false(from.resend_due(ns_per_s));
  assert_true(from.resend_due(10 * ns_per_s));
  acknowledge(from, 1, 10 * ns_per_s);
  assert_false(from.resend_due(100 * ns_per_s));
}

void acknowledged__frames_never_sent__are_kept(void **) {
  Mailbox from;
  for (uint32_t i = 0; i < Mailbox::window + 8; ++i) from.post(note(i));
  assert_int_equal(acknowledge(from, 5), 0);
  send_all(from);
  assert_int_equal(acknowledge(from, Mailbox::window + 8), Mailbox::window);
  assert_false(from.idle());
  std::vector<Sent> rest = send_all(from);
  assert_int_equal(rest.size(), 8);
  assert_int_equal(rest.front().sequence, Mailbox::window + 1);
}

void acknowledged__stale_number__changes_nothing(void **) {
  Mailbox from;
  for (uint32_t i = 0; i < 4; ++i) from.post(note(i));
  send_all(from);
  assert_int_equal(acknowledge(from, 3), 3);
  assert_int_equal(acknowledge(from, 1), 0);
  assert_int_equal(acknowledge(from, UINT32_MAX), 0);
  assert_false(from.idle());
}

void post__64_kib__is_cut_into_fragments_and_done_once(void **) {
  Seeded random;
  Mailbox from, to;
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::notify;
  std::vector<std::byte> body = random.bytes(PIRN_NOTIFICATION_MAX);
  message->body = body;
  from.post(message);
  std::vector<Sent> frames = send_all(from);
  assert_int_equal(frames.size(), (body.size() + wire::notify_fragment_max() - 1) / wire::notify_fragment_max());
  size_t done = 0;
  for (const Sent &frame : frames) {
    assert_int_equal(done, 0);
    assert_true(frame.body.size() <= wire::notify_fragment_max());
    assert_true(keep(to, frame));
    done += acknowledge(from, frame.sequence);
  }
  assert_int_equal(done, 1);
  std::vector<std::byte> got = take_all(to);
  assert_int_equal(got.size(), body.size());
  assert_memory_equal(got.data(), body.data(), body.size());
}

void disown__message_in_flight__its_frames_still_go_out(void **) {
  Op *op = reinterpret_cast<Op *>(16), *other = reinterpret_cast<Op *>(32);
  Mailbox from;
  auto first = note(1, op), second = note(2, other);
  from.post(first);
  from.post(second);
  from.disown(op);
  assert_null(first->op);
  assert_ptr_equal(second->op, other);
  assert_int_equal(send_all(from).size(), 2);
  assert_int_equal(acknowledge(from, 2), 2);
}

// Sequence 0 marks unreliable frames and is stepped over.
void sequence__wraps__order_and_acknowledgements_hold(void **) {
  Seeded random;
  for (int round = 0; round < 50; ++round) {
    Mailbox from, to;
    auto before = static_cast<uint32_t>(random.between(0, 40));
    from.*opened(NextSequence{}) = UINT32_MAX - before;
    to.*opened(Expected{}) = UINT32_MAX - before;
    for (uint32_t i = 0; i < 80; ++i) from.post(note(i));
    std::vector<std::byte> got;
    size_t done = 0;
    for (int turn = 0; turn < 100 && !from.idle(); ++turn) {
      from.resend(0);
      std::vector<Sent> frames = send_all(from);
      for (size_t i = frames.size(); i-- > 1;) std::swap(frames[i], frames[random.between(0, i)]);
      for (const Sent &frame : frames) {
        assert_int_not_equal(frame.sequence, 0);
        if (random.between(0, 3) > 0) keep(to, frame);
      }
      for (std::byte byte : take_all(to)) got.push_back(byte);
      done += acknowledge(from, to.acknowledgement());
    }
    std::vector<std::byte> expected = numbers(0, 80);
    assert_int_equal(got.size(), expected.size());
    assert_memory_equal(got.data(), expected.data(), expected.size());
    assert_int_equal(done, 80);
    assert_true(from.idle());
  }
}

void lossy_channel__everything_arrives_once_and_in_order(void **) {
  Seeded random;
  Mailbox from, to;
  constexpr uint32_t count = 2000;
  for (uint32_t i = 0; i < count; ++i) from.post(note(i));
  std::vector<std::byte> got;
  size_t done = 0;
  std::vector<Sent> channel;
  for (int turn = 0; turn < 100000 && !from.idle(); ++turn) {
    for (Sent &frame : send_all(from)) {
      if (random.between(0, 4) == 0) continue;
      channel.push_back(frame);
      if (random.between(0, 4) == 0) channel.push_back(frame);
    }
    for (size_t i = random.between(0, channel.size()); i-- > 0;) {
      size_t which = random.between(0, channel.size() - 1);
      keep(to, channel[which]);
      channel.erase(channel.begin() + static_cast<ptrdiff_t>(which));
    }
    for (std::byte byte : take_all(to)) got.push_back(byte);
    if (random.between(0, 1)) done += acknowledge(from, to.acknowledgement());
    if (channel.empty()) from.resend(0);
  }
  std::vector<std::byte> expected = numbers(0, count);
  assert_int_equal(got.size(), expected.size());
  assert_memory_equal(got.data(), expected.data(), expected.size());
  assert_int_equal(done, count);
}

void clear__forgets_what_was_to_be_sent_and_what_came_early(void **) {
  Mailbox box;
  box.post(note(1));
  box.keep(1, wire::Kind::notify, {});
  box.acknowledgement_due = true;
  box.clear();
  assert_true(box.idle());
  assert_null(box.next_to_send());
  assert_null(box.next_in_order());
  assert_false(box.acknowledgement_due);
}

void acknowledgement__owed__is_due_once_it_is_for_many(void **) {
  Mailbox box;
  for (uint32_t i = 1; i < Mailbox::most_owed; ++i) box.owe(i);
  assert_true(box.owes());
  assert_false(box.acknowledgement_due);
  assert_false(box.owed_too_long(Mailbox::longest_owed));
  assert_true(box.owed_too_long(Mailbox::longest_owed + 1));  // since the first
  box.owe(100);
  assert_true(box.acknowledgement_due);
  box.acknowledged_now();
  assert_false(box.owes());
  assert_false(box.acknowledgement_due);
}

void answers__beyond_the_most__are_dropped_until_some_are_acknowledged(void **) {
  Mailbox box;
  for (size_t i = 0; i < Mailbox::most_answers; ++i) box.answer(note(static_cast<uint32_t>(i)));
  assert_false(box.overrun());
  box.post(note(0));  // what nobody asked for does not count
  send_all(box);
  assert_int_equal(acknowledge(box, 1), 1);
  box.answer(note(1));
  assert_false(box.overrun());
  box.answer(note(2));
  assert_true(box.overrun());
  size_t left = 0;
  for (uint32_t next = 2; !box.idle(); next += Mailbox::window) {
    send_all(box);
    left += acknowledge(box, next + Mailbox::window - 1);
  }
  assert_int_equal(left, Mailbox::most_answers + 1);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(keep__frames_in_random_order__are_taken_in_order),
      cmocka_unit_test(keep__duplicates_waiting_or_taken__are_refused),
      cmocka_unit_test(keep__too_far_ahead__is_refused),
      cmocka_unit_test(next_to_send__window_full__waits_for_an_acknowledgement),
      cmocka_unit_test(resend__goes_back_to_the_first_unacknowledged),
      cmocka_unit_test(resend_due__only_with_frames_out_and_after_quiet),
      cmocka_unit_test(acknowledged__frames_never_sent__are_kept),
      cmocka_unit_test(acknowledged__stale_number__changes_nothing),
      cmocka_unit_test(post__64_kib__is_cut_into_fragments_and_done_once),
      cmocka_unit_test(disown__message_in_flight__its_frames_still_go_out),
      cmocka_unit_test(sequence__wraps__order_and_acknowledgements_hold),
      cmocka_unit_test(lossy_channel__everything_arrives_once_and_in_order),
      cmocka_unit_test(acknowledgement__owed__is_due_once_it_is_for_many),
      cmocka_unit_test(answers__beyond_the_most__are_dropped_until_some_are_acknowledged),
      cmocka_unit_test(clear__forgets_what_was_to_be_sent_and_what_came_early),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
