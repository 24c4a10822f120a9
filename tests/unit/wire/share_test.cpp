// SPDX-License-Identifier: Apache-2.0
// Messages of the same-host channel: version 1 is frozen, its bytes are files; what breaks a limit is refused.
// `share_test DIR` compares; `share_test DIR --write` writes the files that are missing.
#include "../check.h"

#include "share_samples.h"

#include <fstream>
#include <functional>
#include <iterator>

using namespace pirn;
using namespace pirn::wire;

namespace {

std::string golden_dir;

std::string golden_path(const std::string &name) { return golden_dir + "/" + name + ".bin"; }

Bytes golden(const std::string &name) {
  std::ifstream file(golden_path(name), std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (text.empty()) fail_test("%s is missing or empty", golden_path(name).c_str());
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::vector<Sample> all_samples() {
  std::vector<Sample> all = share_samples();
  for (const Sample &sample : newer_share_samples()) all.push_back(sample);
  return all;
}

int write_missing() {
  for (const Sample &sample : all_samples()) {
    if (std::ifstream(golden_path(sample.name)).good()) continue;
    std::ofstream file(golden_path(sample.name), std::ios::binary);
    file.write(reinterpret_cast<const char *>(sample.bytes.data()), static_cast<std::streamsize>(sample.bytes.size()));
    std::printf("wrote %s\n", golden_path(sample.name).c_str());
  }
  return 0;
}

// The body of a golden file, after its header was checked.
Bytes body_of(const std::string &name, ShareKind kind, uint32_t request = 0) {
  const Bytes bytes = golden(name);
  const Result<ShareMessage> message = decode_share_message(bytes);
  assert_text(message.status().text, "");
  assert_int_equal(message.value().kind, static_cast<uint8_t>(kind));
  assert_int_equal(message.value().request, request);
  return {message.value().body.begin(), message.value().body.end()};
}

void check_fields(const std::string &prefix) {
  assert_true(decode_share_hello(body_of(prefix + "share_hello", ShareKind::hello)).value() == sample_share_hello());
  assert_true(decode_share_challenge(body_of(prefix + "share_challenge", ShareKind::challenge)).value() ==
              sample_share_challenge());
  assert_true(decode_share_proof(body_of(prefix + "share_proof", ShareKind::proof)).value() == sample_share_proof());
  assert_true(decode_share_welcome(body_of(prefix + "share_welcome", ShareKind::welcome)).value() ==
              sample_share_welcome());
  const uint32_t request = sample_share_request;
  assert_true(decode_share_ask(body_of(prefix + "share_ask", ShareKind::ask, request)).value() == sample_share_ask());
  const Bytes answer = body_of(prefix + "share_answer", ShareKind::answer, request);
  assert_true(decode_share_answer(answer, sample_share_files).value() == sample_share_answer());
  const Bytes plain = body_of(prefix + "share_plain", ShareKind::answer, request);
  assert_true(decode_share_answer(plain, 0).value() == sample_share_plain());
  const Bytes refusal = body_of(prefix + "share_refusal", ShareKind::answer, request);
  assert_true(decode_share_answer(refusal, 0).value() == sample_share_refusal());
  const Bytes gone = body_of(prefix + "share_gone", ShareKind::gone);
  assert_int_equal(decode_share_gone(gone).value().allocation, 0x99aabbccddeeff00);
  body_of(prefix + "share_bye", ShareKind::bye);
  const Bytes released = body_of(prefix + "share_released", ShareKind::released);
  assert_int_equal(decode_share_released(released).value().window, 0x1122334455667788);
}

Status decode_any(const Bytes &bytes) {
  const Result<ShareMessage> message = decode_share_message(bytes);
  if (!message.is_ok()) return message.status();
  const auto body = message.value().body;
  switch (static_cast<ShareKind>(message.value().kind)) {
    case ShareKind::hello: return decode_share_hello(body).status();
    case ShareKind::challenge: return decode_share_challenge(body).status();
    case ShareKind::proof: return decode_share_proof(body).status();
    case ShareKind::welcome: return decode_share_welcome(body).status();
    case ShareKind::ask: return decode_share_ask(body).status();
    case ShareKind::answer: return decode_share_answer(body, 0).status();
    case ShareKind::gone: return decode_share_gone(body).status();
    case ShareKind::bye: return Status::ok();
    case ShareKind::released: return decode_share_released(body).status();
  }
  return Status::ok();  // of a kind that only newer peers know: skipped
}

}  // namespace

static void encode__every_sample__is_the_golden_file_byte_for_byte(void **) {
  for (const Sample &sample : all_samples()) {
    if (sample.bytes != golden(sample.name)) fail_test("%s differs from its golden file", sample.name.c_str());
  }
}

static void decode__golden_messages__have_the_known_fields(void **) { check_fields(""); }

static void decode__messages_of_a_newer_peer__skip_what_was_appended(void **) {
  assert_true(golden("newer_share_answer").size() > golden("share_answer").size() + 13);
  check_fields("newer_");
}

static void decode__every_truncation__is_invalid(void **) {
  for (const Sample &sample : all_samples()) {
    for (size_t length = 0; length < sample.bytes.size(); ++length) {
      const Bytes cut(sample.bytes.begin(), sample.bytes.begin() + static_cast<std::ptrdiff_t>(length));
      const Status status = decode_any(cut);
      assert_int_equal(status.code, PIRN_ERR_INVALID);
      assert_true(!status.text.empty());
    }
  }
}

static void decode__bodies_cut_under_a_right_header__are_truncated(void **) {
  for (const Sample &sample : share_samples()) {
    if (sample.name == "share_answer") continue;  // below, with its descriptors
    for (size_t length = share_header_size; length < sample.bytes.size(); ++length) {
      Bytes cut(sample.bytes.begin(), sample.bytes.begin() + static_cast<std::ptrdiff_t>(length));
      put_u32(cut, 12, static_cast<uint32_t>(length - share_header_size));
      assert_contains(decode_any(cut).text, "is truncated");
    }
  }
  const Bytes body = body_of("share_answer", ShareKind::answer, sample_share_request);
  for (size_t length = 0; length < body.size(); ++length) {
    const Bytes cut(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(length));
    assert_contains(decode_share_answer(cut, sample_share_files).status().text, "is truncated");
  }
}

static void decode__wrong_magic_version_or_sizes__is_invalid(void **) {
  const Bytes good = golden("share_ask");
  const std::pair<size_t, const char *> spoilt[] = {
      {0, "other bytes"}, {4, "of version"}, {6, "says that it has"}, {7, "says that it has"}, {12, "says that"}};
  for (const auto &[at, why] : spoilt) {
    Bytes bytes = good;
    bytes[at] ^= std::byte{0x40};
    assert_contains(decode_share_message(bytes).status().text, why);
  }
  assert_contains(decode_share_message(Bytes(max_share_message + 1)).status().text, "allowed: 16..49152");
}

static void decode__kind_of_a_newer_peer__is_told_as_it_is(void **) {
  Bytes bytes = golden("share_bye");
  bytes[5] = std::byte{200};
  assert_int_equal(decode_share_message(bytes).value().kind, 200);
}

static void answer__descriptors_not_named_or_named_twice__is_invalid(void **) {
  const Bytes body = body_of("share_answer", ShareKind::answer, sample_share_request);
  assert_contains(decode_share_answer(body, 0).status().text, "names descriptor 1; 0 came");
  assert_contains(decode_share_answer(body, 1).status().text, "names descriptor 1; 1 came");
  assert_contains(decode_share_answer(body, 3).status().text, "3 descriptors came, but 2 are named");
  assert_contains(decode_share_answer(body, max_share_files + 1).status().text, "at most 64 and 128");
}

static void answer__over_a_limit__is_not_encoded(void **) {
  const std::function<void(ShareAnswer &)> spoilers[] = {
      [](ShareAnswer &a) { a.status = PIRN_IN_PROGRESS; },
      [](ShareAnswer &a) { a.status = PIRN_ERR_IO; },
      [](ShareAnswer &a) { a.chunks.clear(); },
      [](ShareAnswer &a) { a.window_length = a.end() - 1; },
      [](ShareAnswer &a) { a.chunks[0].length = 0; },
      [](ShareAnswer &a) { a.chunks[0].length = UINT64_MAX; },
      [](ShareAnswer &a) { a.chunks[1].offset += 1; },
      [](ShareAnswer &a) { a.chunks[1].offset -= 1; },
      [](ShareAnswer &a) { a.chunks[0].allocation_offset = a.chunks[0].allocation_length + 1; },
      [](ShareAnswer &a) { a.chunks[0].allocation_length -= 0x1000; },
      [](ShareAnswer &a) { a.chunks[0].pci_device = 32; },
      [](ShareAnswer &a) { a.chunks[0].pci_function = 8; },
      [](ShareAnswer &a) { a.chunks[0].handles[0].kind = ShareHandleKind{0}; },
      [](ShareAnswer &a) { a.chunks[0].handles[0].kind = ShareHandleKind{7}; },
      [](ShareAnswer &a) { a.chunks[0].handles[1].file = 0; },
      [](ShareAnswer &a) { a.chunks[0].handles[0].file = 0; },
      [](ShareAnswer &a) { a.chunks[0].handles[1].bytes.resize(65); },
      [](ShareAnswer &a) { a.chunks[1].handles[1].bytes.resize(7); },
      [](ShareAnswer &a) { a.chunks[1].handles[1].kind = ShareHandleKind::host_guard; },
      [](ShareAnswer &a) { a.chunks[0].handles.resize(5, a.chunks[0].handles[1]); },
      [](ShareAnswer &a) { a.chunks.resize(65, a.chunks[1]); },
  };
  for (const auto &spoil : spoilers) {
    ShareAnswer answer = sample_share_answer();
    assert_false(encode_share_answer(1, answer).empty());
    spoil(answer);
    assert_true(encode_share_answer(1, answer).empty());
  }
}

// The largest that the limits allow still fits a message.
static void answer__of_the_most_chunks_handles_and_text__is_encoded(void **) {
  ShareAnswer answer;
  answer.window_length = 64;
  answer.reason = std::string(300, 'r');
  for (size_t i = 0; i < max_share_chunks; ++i) {
    ShareChunk chunk;
    chunk.offset = i;
    chunk.length = chunk.allocation_length = 1;
    chunk.why_none = std::string(300, '\n');
    const Bytes bytes(share_handle_bytes, std::byte{1});
    for (size_t file : {2 * i, 2 * i + 1})
      chunk.handles.push_back({ShareHandleKind::host_file, static_cast<uint8_t>(file), bytes});
    chunk.handles.resize(max_share_handles, {ShareHandleKind::device_fabric, ShareHandle::no_file, bytes});
    answer.chunks.push_back(chunk);
  }
  const Bytes message = encode_share_answer(9, answer);
  assert_in_range(message.size(), 30000, max_share_message);
  const Result<ShareAnswer> again = decode_share_answer(decode_share_message(message).value().body, max_share_files);
  assert_text(again.status().text, "");
  assert_int_equal(again.value().reason.size(), 255);
  assert_text(again.value().chunks[63].why_none, std::string(255, '?'));
  assert_true(again.value().chunks[63].handles == answer.chunks[63].handles);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  golden_dir = argv[1];
  if (argc > 2 && std::string(argv[2]) == "--write") return write_missing();
  const CMUnitTest tests[] = {
      cmocka_unit_test(encode__every_sample__is_the_golden_file_byte_for_byte),
      cmocka_unit_test(decode__golden_messages__have_the_known_fields),
      cmocka_unit_test(decode__messages_of_a_newer_peer__skip_what_was_appended),
      cmocka_unit_test(decode__every_truncation__is_invalid),
      cmocka_unit_test(decode__bodies_cut_under_a_right_header__are_truncated),
      cmocka_unit_test(decode__wrong_magic_version_or_sizes__is_invalid),
      cmocka_unit_test(decode__kind_of_a_newer_peer__is_told_as_it_is),
      cmocka_unit_test(answer__descriptors_not_named_or_named_twice__is_invalid),
      cmocka_unit_test(answer__over_a_limit__is_not_encoded),
      cmocka_unit_test(answer__of_the_most_chunks_handles_and_text__is_encoded),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
