// SPDX-License-Identifier: Apache-2.0
// Version 1 is frozen: its bytes are files. A file that must change means a new version.
// `golden_test DIR` compares; `golden_test DIR --write` writes the files that are missing.
#include "../check.h"

#include "decode_any.h"
#include "samples.h"
#include "wire/bytes.h"

#include <fstream>
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
  std::vector<Sample> all;
  for (const auto &list : {blob_samples(), frame_samples(), newer_blob_samples(), newer_frame_samples()})
    all.insert(all.end(), list.begin(), list.end());
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

Frame frame_of(const Bytes &bytes) {
  Result<Frame> frame = decode_frame(bytes);
  assert_text(frame.status().text, "");
  return frame.value();
}

// Header of a frame of the hot path, read back; body_size is what the body has.
void check_header(const Frame &frame, Kind kind) {
  Header wanted = sample_header(kind);
  wanted.body_size = static_cast<uint32_t>(frame.body.size());
  assert_true(frame.header == wanted);
}

void check_handshake_header(const Frame &frame, Kind kind, uint64_t token) {
  Header wanted;
  wanted.kind = kind;
  wanted.token = token;
  wanted.body_size = static_cast<uint32_t>(frame.body.size());
  assert_true(frame.header == wanted);
}

void check_handshake(const std::string &prefix) {
  const Bytes hello = golden(prefix + "hello"), challenge = golden(prefix + "challenge");
  check_handshake_header(frame_of(hello), Kind::hello, 0);
  check_handshake_header(frame_of(challenge), Kind::challenge, 0x99);
  for (const Bytes *bytes : {&hello, &challenge}) {
    Result<Hello> decoded = decode_hello(frame_of(*bytes).body);
    assert_text(decoded.status().text, "");
    assert_true(decoded.value() == sample_hello());
    assert_true(decode_metadata(decoded.value().metadata).value() == sample_metadata());
  }
  const Bytes proof = golden(prefix + "proof"), welcome = golden(prefix + "welcome");
  check_handshake_header(frame_of(proof), Kind::proof, 0x99);
  assert_true(decode_proof(frame_of(proof).body).value().proof == counting<32>(0xa0));
  check_handshake_header(frame_of(welcome), Kind::welcome, 0x99);
  assert_true(decode_welcome(frame_of(welcome).body).value() == (Welcome{PIRN_ERR_REFUSED, "the keys differ"}));
}

void check_window_frames(const std::string &prefix) {
  const std::pair<const char *, Kind> plain[] = {{"window_close", Kind::window_close},
                                                 {"window_withdraw", Kind::window_withdraw},
                                                 {"window_quiesced", Kind::window_quiesced}};
  for (const auto &[name, kind] : plain) {
    const Bytes bytes = golden(prefix + name);
    check_header(frame_of(bytes), kind);
    assert_true(decode_window_ref(frame_of(bytes).body).value() == (WindowRef{5, 0}));
  }
  const Bytes open = golden(prefix + "window_open"), opened = golden(prefix + "window_opened");
  check_header(frame_of(open), Kind::window_open);
  assert_true(decode_window_ref(frame_of(open).body).value() == (WindowRef{5, 6}));
  check_header(frame_of(opened), Kind::window_opened);
  assert_true(decode_window_opened(frame_of(opened).body).value() == (WindowOpened{5, PIRN_ERR_WINDOW_GONE, {}, 0}));
  const Bytes shared = golden(prefix + "window_opened_shared");
  assert_true(decode_window_opened(frame_of(shared).body).value() == (WindowOpened{5, PIRN_OK, counting<16>(0x50), 1}));
  const Bytes update = golden(prefix + "window_update"), no_update = golden(prefix + "window_no_update");
  check_header(frame_of(update), Kind::window_update);
  assert_true(decode_window_update(frame_of(update).body).value() ==
              (WindowUpdate{5, 31, PIRN_OK, {0x7f0012345000, 0xdeadbeefcafe}}));
  assert_true(decode_window_update(frame_of(no_update).body).value() ==
              (WindowUpdate{5, 0, PIRN_ERR_NO_MEMORY, {0, no_key}}));
  const Bytes want = golden(prefix + "window_want");
  check_header(frame_of(want), Kind::window_want);
  assert_true(decode_window_want(frame_of(want).body).value() == (WindowWant{5, 31}));
}

Stage decode_stage(const Frame &frame) {
  switch (frame.header.kind) {
    case Kind::stage_want: return decode_stage_want(frame.body).value();
    case Kind::stage_lent: return decode_stage_lent(frame.body).value();
    case Kind::stage_move: return decode_stage_move(frame.body).value();
    default: return decode_stage_moved(frame.body).value();
  }
}

void check_stage_frames(const std::string &prefix) {
  for (const auto &[name, stage] : stage_samples()) {
    const Bytes bytes = golden(prefix + name);
    check_header(frame_of(bytes), kind_of(stage));
    assert_true(decode_stage(frame_of(bytes)) == stage);
  }
}

void check_control(const std::string &prefix) {
  const Bytes ping = golden(prefix + "ping"), pong = golden(prefix + "pong");
  check_header(frame_of(ping), Kind::ping);
  assert_true(decode_ping(frame_of(ping).body).value() == Ping{77});
  assert_true(decode_ping(frame_of(golden(prefix + "ping_rail")).body).value() == (Ping{78, 31}));
  check_header(frame_of(pong), Kind::pong);
  assert_int_equal(decode_ping(frame_of(pong).body).value().id, UINT64_MAX);
  check_header(frame_of(golden(prefix + "ack")), Kind::ack);
  check_header(frame_of(golden(prefix + "bye")), Kind::bye);
  const Bytes notify = golden(prefix + "notify"), address = golden(prefix + "address");
  check_header(frame_of(notify), Kind::notify);
  const Notify fragment = decode_notify(frame_of(notify).body).value();
  assert_int_equal(fragment.total, 65536);
  assert_int_equal(fragment.offset, 8000);
  assert_int_equal(fragment.data.size(), 11);
  assert_memory_equal(fragment.data.data(), "visible now", 11);
  check_header(frame_of(address), Kind::address);
  assert_true(decode_address(frame_of(address).body).value() == sample_address());
  const Bytes several = golden(prefix + "several");
  check_header(frame_of(several), Kind::several);
  const std::vector<OneOfSeveral> all = decode_several(frame_of(several).body).value(), wanted = sample_several();
  assert_int_equal(all.size(), wanted.size());
  for (size_t i = 0; i < all.size(); ++i) {
    assert_true(all[i].kind == wanted[i].kind);
    assert_true(std::equal(all[i].body.begin(), all[i].body.end(), wanted[i].body.begin(), wanted[i].body.end()));
  }
}

}  // namespace

static void encode__every_sample__is_the_golden_file_byte_for_byte(void **) {
  for (const Sample &sample : all_samples()) {
    const Bytes wanted = golden(sample.name);
    if (sample.bytes != wanted) fail_test("%s differs from its golden file", sample.name.c_str());
  }
}

static void decode__golden_blobs__have_the_known_fields(void **) {
  assert_true(decode_metadata(golden("metadata")).value() == sample_metadata());
  assert_true(decode_metadata(golden("metadata_features")).value() == sample_metadata_with_features());
  assert_true(decode_metadata(golden("metadata_spares")).value() == sample_metadata_with_spares());
  assert_true(decode_window(golden("window")).value() == sample_window());
  assert_true(decode_window(golden("window_on_device")).value() == sample_window_on_device());
}

// A library without spares reads as this one reads a blob that does not claim to have any.
static void decode__spares_unknown__are_passed_over(void **) {
  Bytes blob = golden("metadata_spares");
  Metadata others = sample_metadata_with_spares();
  const size_t record = 16 + 2, features = record + get_u16(blob, 16) - 4;
  put_u32(blob, features, 1);
  reseal(blob);
  others.features = 1;
  others.rails.resize(2);
  assert_true(decode_metadata(blob).value() == others);
}

static void decode__golden_frames__have_the_known_fields(void **) {
  check_handshake("");
  check_control("");
  check_window_frames("");
  check_stage_frames("");
}

static void decode__blobs_of_a_newer_peer__skip_the_appended_fields(void **) {
  assert_true(golden("newer_metadata_features").size() > golden("metadata_features").size());
  assert_true(decode_metadata(golden("newer_metadata_features")).value() == sample_metadata_with_features());
  assert_true(decode_metadata(golden("newer_metadata_spares")).value() == sample_metadata_with_spares());
  assert_true(decode_window(golden("newer_window")).value() == sample_window());
}

static void decode__frames_of_a_newer_peer__skip_the_appended_fields(void **) {
  check_handshake("newer_");
  check_control("newer_");
  check_window_frames("newer_");
  check_stage_frames("newer_");
}

static void decode__every_truncation__is_invalid(void **) {
  for (const Sample &sample : all_samples()) {
    const Bytes whole = golden(sample.name);
    for (size_t length = 0; length < whole.size(); ++length) {
      // An exact copy, so that a sanitizer sees each byte read too far.
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      for (const Status &status : {decode_any(cut), decode_metadata(cut).status(), decode_window(cut).status()}) {
        assert_int_equal(status.code, PIRN_ERR_INVALID);
        assert_true(!status.text.empty());
      }
    }
  }
}

static void decode__bodies_cut_under_a_right_header__are_truncated(void **) {
  for (const Sample &sample : frame_samples()) {
    Bytes whole = golden(sample.name);
    // A secret that is not whole is none: an older peer sends none.
    if (sample.name == "window_opened_shared") whole.resize(whole.size() - 17);
    // Nor is a field that is left out where it says nothing.
    const bool appended = sample.name.find("_device") != std::string::npos || sample.name == "stage_want_plain";
    if (sample.name.find("stage_") == 0 && appended) whole.resize(whole.size() - 8);
    for (size_t length = header_size; length < whole.size(); ++length) {
      Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      put_u32(cut, 24, static_cast<uint32_t>(length - header_size));
      const Status status = decode_any(cut);
      if (sample.name == "ping_rail" && length >= header_size + 8) {  // as of who has none to tell
        assert_true(decode_ping(frame_of(cut).body).value() == Ping{78});
        continue;
      }
      assert_int_equal(status.code, PIRN_ERR_INVALID);
      assert_contains(status.text, "is truncated");
    }
  }
}

static void decode__blobs_cut_under_a_right_envelope__are_truncated(void **) {
  Metadata others = sample_metadata_with_spares();
  others.rails.resize(2);
  const size_t without_spares = encode_metadata(others).size() - 16;
  for (const Sample &sample : blob_samples()) {
    const Bytes whole = golden(sample.name);
    for (size_t length = 16; length < whole.size(); ++length) {
      Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      reseal(cut);
      if (sample.name == "metadata_spares" && length == 16 + without_spares) {
        assert_int_equal(decode_metadata(cut).value().rails.size(), 2);
        continue;
      }
      const Status status = sample.name.rfind("window", 0) == 0 ? decode_window(cut).status() : decode_metadata(cut).status();
      assert_int_equal(status.code, PIRN_ERR_INVALID);
      assert_contains(status.text, "truncated");
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  golden_dir = argv[1];
  if (argc > 2 && std::string(argv[2]) == "--write") return write_missing();
  const CMUnitTest tests[] = {
      cmocka_unit_test(encode__every_sample__is_the_golden_file_byte_for_byte),
      cmocka_unit_test(decode__golden_blobs__have_the_known_fields),
      cmocka_unit_test(decode__spares_unknown__are_passed_over),
      cmocka_unit_test(decode__golden_frames__have_the_known_fields),
      cmocka_unit_test(decode__blobs_of_a_newer_peer__skip_the_appended_fields),
      cmocka_unit_test(decode__frames_of_a_newer_peer__skip_the_appended_fields),
      cmocka_unit_test(decode__every_truncation__is_invalid),
      cmocka_unit_test(decode__bodies_cut_under_a_right_header__are_truncated),
      cmocka_unit_test(decode__blobs_cut_under_a_right_envelope__are_truncated),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
