// SPDX-License-Identifier: Apache-2.0
#include "../check.h"

#include "samples.h"
#include "wire/blob.h"

#include <functional>

using namespace pirn;
using namespace pirn::wire;

namespace {

// Offsets of version 1.
constexpr size_t body = 16;
constexpr size_t window_length = body + 2 + 32, window_access = body + 2 + 40, window_count = body + 2 + 44;

void expect_metadata_error(Bytes blob, const char *text) {
  Result<Metadata> result = decode_metadata(blob);
  assert_false(result.is_ok());
  assert_text(result.error().text, text);
  assert_int_equal(result.error().code, PIRN_ERR_INVALID);
}

void expect_window_error(Bytes blob, const char *text) {
  Result<WindowBlob> result = decode_window(blob);
  assert_false(result.is_ok());
  assert_text(result.error().text, text);
  assert_int_equal(result.error().code, PIRN_ERR_INVALID);
}

Metadata random_metadata(Seeded &random) {
  Metadata metadata;
  metadata.instance = random.array<16>();
  metadata.host = random.array<16>();
  metadata.process = random.array<16>();
  metadata.bootstrap = random.printable(random.between(0, 255));
  metadata.rails.resize(random.between(1, max_rails));
  for (RailAddress &rail : metadata.rails) {
    rail = {random.printable(random.between(1, 15)), random.printable(random.between(1, 31)),
            random.bytes(random.between(1, 140)), random.any()};
  }
  return metadata;
}

WindowBlob random_window(Seeded &random) {
  WindowBlob window;
  window.instance = random.array<16>();
  window.window = random.any();
  window.capability = random.any();
  window.length = random.between(1, UINT64_MAX / 2);
  window.access = static_cast<uint32_t>(random.between(1, 3));
  window.rails.resize(random.between(1, max_rails));
  window.on_device = random.any() & 1;
  for (WindowBlob::RailKey &rail : window.rails) rail = {random.any() / 2, random.any()};
  return window;
}

Bytes changed(Bytes blob, size_t at, uint8_t value) {
  blob[at] = static_cast<std::byte>(value);
  reseal(blob);
  return blob;
}

}  // namespace

static void crc32c__check_value_of_the_standard__is_met(void **) {
  const char digits[] = "123456789";
  assert_int_equal(crc32c(std::as_bytes(std::span(digits, 9))), 0xe3069283);
  assert_int_equal(crc32c({}), 0);
}

static void round_trip__random_metadata_and_windows__are_equal(void **) {
  Seeded random;
  for (int i = 0; i < 500; ++i) {
    const Metadata metadata = random_metadata(random);
    const Bytes blob = encode_metadata(metadata);
    assert_true(!blob.empty() && blob.size() <= max_blob);
    assert_true(decode_metadata(blob).value() == metadata);
    const WindowBlob window = random_window(random);
    assert_true(decode_window(encode_window(window)).value() == window);
  }
}

static void decode__one_flipped_bit_anywhere__is_invalid(void **) {
  for (const Sample &sample : blob_samples()) {
    for (size_t bit = 0; bit < sample.bytes.size() * 8; ++bit) {
      Bytes blob = sample.bytes;
      blob[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
      assert_int_equal(decode_metadata(blob).status().code, PIRN_ERR_INVALID);
      assert_int_equal(decode_window(blob).status().code, PIRN_ERR_INVALID);
    }
  }
}

static void decode__wrong_envelope__says_what_is_wrong(void **) {
  const Bytes good = encode_window(sample_window());
  Bytes bad = good;
  bad[0] = std::byte{'q'};
  expect_window_error(bad, "not a window blob: it starts with other bytes");
  expect_window_error(encode_metadata(sample_metadata()), "not a window blob: it starts with other bytes");
  expect_metadata_error(good, "not a metadata blob: it starts with other bytes");
  bad = good;
  put_u16(bad, 4, 2);
  expect_window_error(bad, "window blob has version 2, this library knows 1");
  bad = good;
  put_u16(bad, 6, 0x8000);
  expect_window_error(bad, "window blob has unknown flags 0x8000");
  bad = good;
  bad.push_back(std::byte{0});
  expect_window_error(bad, "window blob says it has 100 bytes, but 101 were given");
  bad = good;
  bad.back() ^= std::byte{1};
  assert_contains(decode_window(bad).status().text, "window blob is damaged: checksum ");
  expect_window_error({}, "window blob is truncated: 0 bytes, the header alone has 16");
  expect_window_error(Bytes(max_blob + 1), "window blob is too long: 7169 bytes, at most 7168");
}

static void decode__window_that_makes_no_sense__is_invalid(void **) {
  Bytes bad = encode_window(sample_window());
  put_u64(bad, window_length, 0);
  reseal(bad);
  expect_window_error(bad, "window blob: the window is empty");
  bad = encode_window(sample_window());
  expect_window_error(changed(bad, window_access, 0), "window blob has access bits 0; allowed: 1..0x3");
  expect_window_error(changed(bad, window_access, 4), "window blob has access bits 0x4; allowed: 1..0x3");
  expect_window_error(changed(bad, window_count, 0), "window blob has 0 rails; allowed: 1..32");
  expect_window_error(changed(bad, window_count, 33), "window blob has 33 rails; allowed: 1..32");
  expect_window_error(changed(bad, window_count, 3), "window blob: rail 2 is truncated");
  put_u64(bad, window_count + 2 + 2, UINT64_MAX - 5);
  reseal(bad);
  expect_window_error(bad, "window blob: on rail 0 the window wraps around the address space");
}

static void decode__window_up_to_the_last_address__is_valid(void **) {
  WindowBlob window = sample_window();
  window.length = 6;
  window.rails[0].address = UINT64_MAX - 5;
  assert_true(decode_window(encode_window(window)).value() == window);
  window.length = 7;
  assert_true(encode_window(window).empty());
}

static void decode__metadata_that_makes_no_sense__is_invalid(void **) {
  const Bytes good = encode_metadata(sample_metadata());
  const size_t bootstrap = body + 2 + 48;
  const size_t count = bootstrap + 1 + sample_metadata().bootstrap.size();
  const size_t provider = count + 2 + 2;
  const size_t protocol = provider + 1 + 3;
  expect_metadata_error(changed(good, bootstrap + 1, 7), "metadata blob: bootstrap address is not printable");
  expect_metadata_error(changed(good, bootstrap + 1, 0x80), "metadata blob: bootstrap address is not printable");
  expect_metadata_error(changed(good, bootstrap, 200), "metadata blob is truncated before its rails");
  expect_metadata_error(changed(good, count, 0), "metadata blob has 0 rails; allowed: 1..32");
  expect_metadata_error(changed(good, count + 1, 1), "metadata blob has 258 rails; allowed: 1..32");
  expect_metadata_error(changed(good, provider + 1, '\n'), "metadata blob: provider of rail 0 is not printable");
  expect_metadata_error(changed(good, protocol + 1, 0x7f), "metadata blob: protocol of rail 0 is not printable");
  expect_metadata_error(changed(good, provider - 2, 5), "metadata blob: rail 0 is truncated");
}

static void decode__metadata_names_one_too_long_or_empty__are_invalid(void **) {
  Metadata metadata = sample_metadata();
  metadata.bootstrap = "";
  metadata.rails = {{std::string(15, 'p'), std::string(31, 'q'), Bytes(max_address, std::byte{1}), 0}};
  const size_t record = body + 2 + 49 + 2, provider = record + 2, protocol = provider + 16, address = protocol + 40;
  const Bytes good = encode_metadata(metadata);
  assert_true(decode_metadata(good).value() == metadata);
  // Puts one more byte (or all bytes fewer) behind the length field at `at`, of `width` bytes.
  auto resized = [&](size_t at, size_t width, size_t from, size_t to) {
    Bytes blob = good;
    const auto first = blob.begin() + static_cast<std::ptrdiff_t>(at + width);
    if (to > from) blob.insert(first, std::byte{'x'});
    if (to < from) blob.erase(first, first + static_cast<std::ptrdiff_t>(from));
    blob[at] = static_cast<std::byte>(to);
    put_u16(blob, record, static_cast<uint16_t>(get_u16(good, record) + to - from));
    reseal(blob);
    return blob;
  };
  expect_metadata_error(resized(provider, 1, 15, 16),
                        "metadata blob: provider of rail 0 has 16 characters; allowed: 1..15");
  expect_metadata_error(resized(provider, 1, 15, 0),
                        "metadata blob: provider of rail 0 has 0 characters; allowed: 1..15");
  expect_metadata_error(resized(protocol, 1, 31, 32),
                        "metadata blob: protocol of rail 0 has 32 characters; allowed: 1..31");
  expect_metadata_error(resized(protocol, 1, 31, 0),
                        "metadata blob: protocol of rail 0 has 0 characters; allowed: 1..31");
  expect_metadata_error(resized(address, 2, 256, 257),
                        "metadata blob: address of rail 0 has 257 bytes; allowed: 1..256");
}

static void encode__beyond_a_limit__is_empty(void **) {
  using Change = std::function<void(Metadata &)>;
  const Change breaks[] = {
      [](Metadata &m) { m.rails.clear(); },
      [](Metadata &m) { m.rails.resize(max_rails + 1, m.rails[0]); },
      [](Metadata &m) { m.rails[0].provider = ""; },
      [](Metadata &m) { m.rails[0].provider = std::string(16, 'p'); },
      [](Metadata &m) { m.rails[1].protocol = std::string(32, 'p'); },
      [](Metadata &m) { m.rails[1].protocol = "t\tcp"; },
      [](Metadata &m) { m.rails[1].address.clear(); },
      [](Metadata &m) { m.rails[1].address.resize(max_address + 1); },
      [](Metadata &m) { m.bootstrap = std::string(256, '1'); },
      [](Metadata &m) { m.bootstrap = "\xc3\xa4:1"; },
      [](Metadata &m) { m.rails[0].address.resize(max_address), m.rails.resize(max_rails, m.rails[0]); },
  };
  for (const Change &change : breaks) {
    Metadata metadata = sample_metadata();
    assert_false(encode_metadata(metadata).empty());
    change(metadata);
    assert_true(encode_metadata(metadata).empty());
  }
  WindowBlob window = sample_window();
  window.rails.resize(max_rails + 1);
  assert_true(encode_window(window).empty());
  window.rails.clear();
  assert_true(encode_window(window).empty());
  window = sample_window();
  window.access = 4;
  assert_true(encode_window(window).empty());
}

static void decode__random_bytes_under_a_right_envelope__never_crash(void **) {
  Seeded random;
  for (int i = 0; i < 20000; ++i) {
    Bytes blob = blob_samples()[i % 2].bytes;
    const size_t from = random.between(16, blob.size() - 1);
    for (size_t at = from; at < blob.size() && at < from + 4; ++at) blob[at] = static_cast<std::byte>(random.any());
    reseal(blob);
    Result<Metadata> metadata = decode_metadata(blob);
    if (metadata.is_ok()) assert_true(decode_metadata(encode_metadata(metadata.value())).value() == metadata.value());
    Result<WindowBlob> window = decode_window(blob);
    if (window.is_ok()) assert_true(decode_window(encode_window(window.value())).value() == window.value());
    assert_false(metadata.is_ok() && window.is_ok());
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(crc32c__check_value_of_the_standard__is_met),
      cmocka_unit_test(round_trip__random_metadata_and_windows__are_equal),
      cmocka_unit_test(decode__one_flipped_bit_anywhere__is_invalid),
      cmocka_unit_test(decode__wrong_envelope__says_what_is_wrong),
      cmocka_unit_test(decode__window_that_makes_no_sense__is_invalid),
      cmocka_unit_test(decode__window_up_to_the_last_address__is_valid),
      cmocka_unit_test(decode__metadata_that_makes_no_sense__is_invalid),
      cmocka_unit_test(decode__metadata_names_one_too_long_or_empty__are_invalid),
      cmocka_unit_test(encode__beyond_a_limit__is_empty),
      cmocka_unit_test(decode__random_bytes_under_a_right_envelope__never_crash),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
