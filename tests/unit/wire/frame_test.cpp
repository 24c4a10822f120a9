// SPDX-License-Identifier: Apache-2.0
#include "../check.h"

#include "decode_any.h"
#include "samples.h"

#include <pirn/transfer.h>

using namespace pirn;
using namespace pirn::wire;

namespace {

Bytes sample(const std::string &name) {
  for (const Sample &one : frame_samples()) {
    if (one.name == name) return one.bytes;
  }
  fail_test("no sample %s", name.c_str());
  std::abort();
}

void expect_error(const Bytes &frame, const char *text) {
  const Status status = decode_any(frame);
  assert_text(status.text, text);
  assert_int_equal(status.code, PIRN_ERR_INVALID);
}

Bytes with_u32(Bytes frame, size_t at, uint32_t value) {
  put_u32(frame, at, value);
  return frame;
}

Bytes with_u8(Bytes frame, size_t at, uint8_t value) {
  frame[at] = static_cast<std::byte>(value);
  return frame;
}

}  // namespace

static void decode_frame__wrong_header__says_what_is_wrong(void **) {
  const Bytes ping = sample("ping");
  expect_error({}, "frame is truncated: 0 bytes, the header alone has 32");
  expect_error(Bytes(65537), "frame is too long: 65537 bytes, at most 65536");
  expect_error(with_u32(ping, 0, 0x20544547), "not a frame: it starts with 20544547");
  expect_error(with_u8(ping, 4, 2), "frame has version 2, this library knows 1");
  expect_error(with_u8(ping, 5, 0), "frame has unknown kind 0");
  expect_error(with_u8(with_u32(ping, 16, 0), 5, 23), "frame has unknown kind 23");
  expect_error(with_u8(with_u32(ping, 16, 0), 5, 255), "frame has unknown kind 255");
  expect_error(with_u8(ping, 6, 31), "frame header says it has 31 bytes; allowed: 32..40");
  expect_error(with_u8(ping, 6, 41), "frame header says it has 41 bytes; allowed: 32..40");
  expect_error(with_u32(ping, 24, 9), "frame says its body has 9 bytes, but 8 came");
  expect_error(with_u32(ping, 24, UINT32_MAX), "frame says its body has 4294967295 bytes, but 8 came");
}

// A newer peer's, which must be acknowledged.
static void decode_frame__numbered_and_of_unknown_kind__is_let_through(void **) {
  const Frame frame = decode_frame(with_u8(sample("address"), 5, 200)).value();
  assert_int_equal(static_cast<unsigned>(frame.header.kind), 200);
  assert_int_equal(frame.header.sequence, sample_header(Kind::address).sequence);
}

static void decode__notifications_beyond_limits__are_invalid(void **) {
  const Bytes notify = sample("notify");
  const size_t total = 32, offset = 36, size = 40;
  expect_error(with_u32(notify, total, 0), "notification of 0 bytes; allowed: 1..65536");
  expect_error(with_u32(notify, total, 65537), "notification of 65537 bytes; allowed: 1..65536");
  expect_error(with_u32(notify, offset, 65526),
               "notification fragment of 11 bytes at 65526 does not fit into 65536 bytes");
  expect_error(with_u32(notify, offset, UINT32_MAX),
               "notification fragment of 11 bytes at 4294967295 does not fit into 65536 bytes");
  expect_error(with_u32(notify, size, 0), "notification fragment of 0 bytes at 8000 does not fit into 65536 bytes");
  expect_error(with_u32(notify, size, 12), "notification is truncated: its body has 23 bytes");
  expect_error(with_u32(notify, size, UINT32_MAX), "notification is truncated: its body has 23 bytes");
  assert_true(decode_any(with_u32(notify, offset, 65525)).is_ok());
}

static void decode__hello_beyond_limits__is_invalid(void **) {
  const Bytes hello = sample("hello");
  const size_t token = 32 + 16, wants_proof = token + 72, size = wants_proof + 1;
  Bytes bad = hello;
  put_u64(bad, token, 0);
  expect_error(bad, "hello has no token");
  expect_error(with_u8(hello, wants_proof, 2), "hello says 2 to a proof; allowed: 0..1");
  expect_error(with_u32(hello, size, 0), "hello has 0 bytes of metadata; allowed: 1..7168");
  bad = hello;
  bad.resize(32 + 93 + max_blob + 1);
  put_u32(bad, 24, static_cast<uint32_t>(bad.size() - 32));
  put_u32(bad, size, max_blob + 1);
  expect_error(bad, "hello has 7169 bytes of metadata; allowed: 1..7168");
}

static void decode__other_bodies_beyond_limits__are_invalid(void **) {
  expect_error(with_u32(sample("welcome"), 32, 1), "welcome carries status 1, which is no outcome");
  expect_error(with_u8(sample("welcome"), 37, 0x1b), "welcome gives a reason that is not printable");
  expect_error(with_u32(sample("window_opened"), 40, 5), "window answer carries status 5, which is no outcome");
  expect_error(with_u32(sample("address"), 32, 32), "address change of rail 32; allowed: 0..31");
  expect_error(with_u8(sample("address"), 36, 0), "address change has 0 bytes of address; allowed: 1..256");
  expect_error(with_u32(sample("window_update"), 40, 32), "window update of rail 32; allowed: 0..31");
  expect_error(with_u32(sample("window_update"), 44, 1), "window update carries status 1, which is no outcome");
  expect_error(with_u32(sample("window_update"), 44, static_cast<uint32_t>(PIRN_ERR_NO_MEMORY)),
               "window update with status -31 has a key");
  expect_error(with_u32(sample("window_no_update"), 44, 0), "window update with status 0 lacks a key");
  expect_error(with_u32(sample("window_want"), 40, 32), "window request for rail 32; allowed: 0..31");
  Bytes bad = sample("address");
  bad.resize(32 + 6 + 257);
  put_u32(bad, 24, 6 + 257);
  put_u16(bad, 36, 257);
  expect_error(bad, "address change has 257 bytes of address; allowed: 1..256");
}

static void decode__staging_frames_beyond_limits__are_invalid(void **) {
  expect_error(with_u32(sample("stage_lent"), 32, 1), "staging offer carries status 1, which is no outcome");
  expect_error(with_u32(sample("stage_lent"), 32, static_cast<uint32_t>(PIRN_ERR_NO_MEMORY)),
               "staging offer with status -31 has slots");
  expect_error(with_u32(sample("stage_lent"), 37, 4095), "staging offer of slots of 4095 bytes; at least 4096");
  expect_error(with_u32(sample("stage_lent"), 41, 0), "staging offer of 0 slots; allowed: 1..1024");
  expect_error(with_u32(sample("stage_lent"), 41, 1025), "staging offer of 1025 slots; allowed: 1..1024");
  expect_error(with_u8(sample("stage_not_lent"), 37, 0x1b), "staging offer gives a reason that is not printable");
  const size_t direction = 32 + 20, count = direction + 1, length = count + 2 + 8;
  expect_error(with_u8(sample("stage_read"), direction, 2), "staging request says 2 for its direction; allowed: 0..1");
  Bytes bad = sample("stage_read");
  put_u16(bad, count, 0);
  expect_error(bad, "staging request of 0 parts; allowed: 1..256");
  put_u16(bad, count, 2);
  expect_error(bad, "staging request is truncated: its body has 39 bytes");
  bad = sample("stage_read");
  put_u64(bad, length, 0);
  expect_error(bad, "staging request with a part of 0 bytes; allowed: 1..4294967295");
  put_u64(bad, length, UINT64_MAX);
  expect_error(bad, "staging request with a part of 18446744073709551615 bytes; allowed: 1..4294967295");
  bad = sample("stage_write");
  put_u64(bad, length, UINT32_MAX);
  expect_error(bad, "staging request of 4295032831 bytes; at most 4294967295");
  expect_error(with_u32(sample("stage_moved"), 40, 3), "staging answer carries status 3, which is no outcome");
}

static void decode__several_beyond_limits__are_invalid(void **) {
  const Bytes several = sample("several");
  const size_t count = 32, kind = count + 2, size = kind + 1;
  Bytes bad = several;
  for (const uint16_t wrong : std::initializer_list<uint16_t>{0, 33, 65535}) {
    put_u16(bad, count, wrong);
    const std::string text = std::to_string(wrong) + " frames in one; allowed: 1..32";
    expect_error(bad, text.c_str());
  }
  for (const Kind alone : {Kind::hello, Kind::ping, Kind::ack, Kind::bye, Kind::several, Kind{}}) {
    const auto number = static_cast<uint8_t>(alone);
    const std::string text = "a frame of kind " + std::to_string(number) + " in one of several";
    expect_error(with_u8(several, kind, number), text.c_str());
  }
  bad = several;
  put_u16(bad, size, 65535);
  expect_error(bad, "several frames in one is truncated: its body has 35 bytes");
}

static void several__as_many_as_fit__are_taken(void **) {
  Bytes frame(max_control_frame);
  const Bytes body(3000), small(1);
  SeveralWriter writer(frame);
  assert_int_equal(writer.finish(sample_header(Kind::several)), 0);  // none
  assert_false(writer.add({Kind::ping, small}));
  assert_false(writer.add({Kind::several, small}));
  assert_true(writer.add({Kind::notify, body}));
  assert_true(writer.add({Kind::notify, body}));
  assert_false(writer.add({Kind::notify, body}));
  const Bytes rest(max_control_frame - header_size - 2 - 2 * 3003 - 3);
  assert_true(writer.add({Kind::notify, rest}));
  assert_false(writer.add({Kind::notify, {}}));
  assert_int_equal(writer.count(), 3);
  frame.resize(writer.finish(sample_header(Kind::several)));
  assert_int_equal(frame.size(), max_control_frame);
  assert_int_equal(decode_several(decode_frame(frame).value().body).value()[2].body.size(), rest.size());
  SeveralWriter many(frame);
  for (size_t i = 0; i < max_several; ++i) assert_true(many.add({Kind::notify, small}));
  assert_false(many.add({Kind::notify, small}));
}

static void encode_stage__beyond_limits__is_0(void **) {
  Bytes frame(max_control_frame);
  const Header header = sample_header(Kind::stage_move);
  StageMove move{1, 2, 3, 1, std::vector<StagePart>(max_stage_parts, {0, 4096})};
  assert_int_equal(encode_stage(frame, header, move), header_size + 23 + 16 * max_stage_parts);
  move.parts.push_back({0, 4096});
  assert_int_equal(encode_stage(frame, header, move), 0);
  assert_int_equal(encode_stage(frame, header, StageMove{1, 2, 3, 1, {}}), 0);
  assert_int_equal(encode_stage(frame, header, StageLent{PIRN_OK, "", min_stage_slot, 1, Bytes(max_blob)}),
                   header_size + 15 + max_blob);
  assert_int_equal(encode_stage(frame, header, StageLent{PIRN_OK, "", min_stage_slot, 1, Bytes(max_blob + 1)}), 0);
  assert_int_equal(encode_stage(frame, header, StageMoved{1, 1, ""}), 0);
  frame.resize(encode_stage(frame, header, StageMoved{1, PIRN_ERR_IO, std::string(300, 'x') + "\n"}));
  assert_true(decode_stage_moved(decode_frame(frame).value().body).value().reason == std::string(255, 'x'));
}

static void encode_notify__largest_fragment__fills_one_control_frame(void **) {
  Seeded random;
  const Bytes data = random.bytes(notify_fragment_max());
  Bytes frame(max_control_frame);
  const Notify notify{PIRN_NOTIFICATION_MAX, 100, data};
  assert_int_equal(encode_notify(frame, sample_header(Kind::notify), notify), max_control_frame);
  const Notify back = decode_notify(decode_frame(frame).value().body).value();
  assert_int_equal(back.data.size(), data.size());
  assert_memory_equal(back.data.data(), data.data(), data.size());
  const Bytes more = random.bytes(notify_fragment_max() + 1);
  assert_int_equal(encode_notify(frame, sample_header(Kind::notify), {PIRN_NOTIFICATION_MAX, 100, more}), 0);
}

static void encode__too_little_room__is_0_and_writes_nothing_beyond(void **) {
  for (size_t room = 0; room < 40; ++room) {
    Bytes frame(room);
    assert_int_equal(encode_ping(frame, sample_header(Kind::ping), {1}), 0);
    assert_int_equal(encode_header(frame, sample_header(Kind::ping)), room < header_size ? 0 : header_size);
  }
}

static void encode_address__beyond_limits__is_0(void **) {
  Bytes frame(max_control_frame);
  const Header header = sample_header(Kind::address);
  assert_int_equal(encode_address(frame, header, {0, Bytes(max_address + 1)}), 0);
  assert_int_equal(encode_address(frame, header, {0, {}}), 0);
  assert_int_equal(encode_address(frame, header, {max_rails, Bytes(1)}), 0);
  assert_int_equal(encode_address(frame, header, {0, Bytes(max_address)}), 32 + 6 + max_address);
}

static void encode_window_update__beyond_limits__is_0(void **) {
  Bytes frame(max_control_frame);
  const Header header = sample_header(Kind::window_update);
  assert_int_equal(encode_window_update(frame, header, {1, max_rails, PIRN_OK, {0, 7}}), 0);
  assert_int_equal(encode_window_update(frame, header, {1, 0, PIRN_OK, {0, no_key}}), 0);
  assert_int_equal(encode_window_update(frame, header, {1, 0, PIRN_ERR_IO, {0, 7}}), 0);
  assert_int_equal(encode_window_update(frame, header, {1, 0, 1, {0, 7}}), 0);
  assert_int_equal(encode_window_update(frame, header, {1, max_rails - 1, PIRN_OK, {0, 7}}), header_size + 32);
  assert_int_equal(encode_window_want(frame, header, {1, max_rails}), 0);
  assert_int_equal(encode_window_want(frame, header, {1, max_rails - 1}), header_size + 12);
}

static void encode_hello__metadata_at_its_limit__fits_one_control_frame(void **) {
  Hello hello = sample_hello();
  hello.metadata = Bytes(max_blob, std::byte{7});
  Bytes frame = {std::byte{1}};  // encoders append
  encode_hello(frame, Kind::hello, 0, hello);
  assert_true(frame.size() <= max_control_frame + 1);
  frame.erase(frame.begin());
  assert_true(decode_hello(decode_frame(frame).value().body).value() == hello);
  for (const size_t size : {size_t{0}, max_blob + 1}) {
    hello.metadata = Bytes(size);
    Bytes none;
    encode_hello(none, Kind::hello, 0, hello);
    assert_true(none.empty());
  }
}

static void encode_welcome__reason_too_long_or_unprintable__is_tamed(void **) {
  Bytes frame;
  encode_welcome(frame, 1, {PIRN_ERR_REFUSED, "bad\n\x1b" + std::string(300, 'r')});
  const Welcome back = decode_welcome(decode_frame(frame).value().body).value();
  assert_text(back.reason, "bad??" + std::string(250, 'r'));
  assert_int_equal(back.status, PIRN_ERR_REFUSED);
}

static void patch_acknowledged__encoded_frame__changes_only_that_field(void **) {
  Bytes frame = sample("notify");
  const Bytes before = frame;
  patch_acknowledged(frame, 0x0a0b0c0d);
  assert_int_equal(decode_frame(frame).value().header.acknowledged, 0x0a0b0c0d);
  put_u32(frame, 20, sample_header(Kind::notify).acknowledged);
  assert_true(frame == before);
  Bytes tiny(header_size - 1);
  patch_acknowledged(tiny, UINT32_MAX);
  assert_true(tiny == Bytes(header_size - 1));
}

static void round_trip__random_frames__are_equal(void **) {
  Seeded random;
  for (int i = 0; i < 2000; ++i) {
    Header header{Kind::notify,
                  random.any(),
                  static_cast<uint32_t>(random.any()),
                  static_cast<uint32_t>(random.any()),
                  0,
                  static_cast<uint32_t>(random.any())};
    const Bytes data = random.bytes(random.between(1, notify_fragment_max()));
    const auto total = static_cast<uint32_t>(random.between(data.size(), PIRN_NOTIFICATION_MAX));
    const auto offset = static_cast<uint32_t>(random.between(0, total - data.size()));
    Bytes frame(max_control_frame);
    frame.resize(encode_notify(frame, header, {total, offset, data}));
    const Frame back = decode_frame(frame).value();
    header.body_size = static_cast<uint32_t>(12 + data.size());
    assert_true(back.header == header);
    const Notify notify = decode_notify(back.body).value();
    assert_int_equal(notify.total, total);
    assert_int_equal(notify.offset, offset);
    assert_true(Bytes(notify.data.begin(), notify.data.end()) == data);
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(decode_frame__wrong_header__says_what_is_wrong),
      cmocka_unit_test(decode_frame__numbered_and_of_unknown_kind__is_let_through),
      cmocka_unit_test(decode__notifications_beyond_limits__are_invalid),
      cmocka_unit_test(decode__hello_beyond_limits__is_invalid),
      cmocka_unit_test(decode__other_bodies_beyond_limits__are_invalid),
      cmocka_unit_test(encode_notify__largest_fragment__fills_one_control_frame),
      cmocka_unit_test(encode__too_little_room__is_0_and_writes_nothing_beyond),
      cmocka_unit_test(encode_address__beyond_limits__is_0),
      cmocka_unit_test(decode__staging_frames_beyond_limits__are_invalid),
      cmocka_unit_test(decode__several_beyond_limits__are_invalid),
      cmocka_unit_test(several__as_many_as_fit__are_taken),
      cmocka_unit_test(encode_stage__beyond_limits__is_0),
      cmocka_unit_test(encode_window_update__beyond_limits__is_0),
      cmocka_unit_test(encode_hello__metadata_at_its_limit__fits_one_control_frame),
      cmocka_unit_test(encode_welcome__reason_too_long_or_unprintable__is_tamed),
      cmocka_unit_test(patch_acknowledged__encoded_frame__changes_only_that_field),
      cmocka_unit_test(round_trip__random_frames__are_equal),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
