// SPDX-License-Identifier: Apache-2.0
#include "../check.h"

#include "samples.h"

using namespace pirn;
using namespace pirn::wire;

namespace {

std::span<const std::byte> bytes_of(const std::string &text) { return std::as_bytes(std::span(text)); }

void expect_error(const std::string &given, const char *text) {
  Result<Bytes> result = blob_from_text(given);
  assert_false(result.is_ok());
  assert_text(result.error().text, text);
  assert_int_equal(result.error().code, PIRN_ERR_INVALID);
}

// Every next one is a byte longer.
Bytes blob_of_odd_size(size_t extra) {
  Metadata metadata = sample_metadata();
  metadata.bootstrap = std::string(extra, 'h');
  return encode_metadata(metadata);
}

}  // namespace

static void to_text__window_of_version_1__is_this_very_text(void **) {
  assert_text(blob_to_text(encode_window(sample_window())).value(),
              "pirn:win1:cGlyVwEAAABkAAAAdNmILSwAEBESExQVFhcYGRobHB0eHwgHBgUEAwIBEDJUdpi6"
              "3P4AAABAAQAAAAMAAAACABAAAFA0EgB_AADvvq3eAAAAABAAAAAAAAAAAAD__________w");
}

static void round_trip__every_remainder_of_base64__is_equal(void **) {
  for (size_t extra = 0; extra < 12; ++extra) {
    const Bytes blob = blob_of_odd_size(extra);
    const std::string text = blob_to_text(blob).value();
    assert_int_equal(text.find("pirn:meta1:"), 0);
    assert_int_equal(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:"),
                     std::string::npos);
    assert_true(blob_from_text(text).value() == blob);
  }
}

static void from_any__binary_text_and_text_with_its_zero__give_the_binary(void **) {
  for (const Sample &sample : blob_samples()) {
    const std::string text = blob_to_text(sample.bytes).value();
    assert_true(blob_from_any(sample.bytes).value() == sample.bytes);
    assert_true(blob_from_any(bytes_of(text)).value() == sample.bytes);
    assert_true(blob_from_any(bytes_of(text + '\0')).value() == sample.bytes);
    assert_true(blob_from_any(bytes_of(text + " \r\n")).value() == sample.bytes);
    assert_true(blob_from_text(text + "\n").value() == sample.bytes);
  }
}

static void from_text__every_truncation__is_invalid(void **) {
  for (const Sample &sample : blob_samples()) {
    const std::string text = blob_to_text(sample.bytes).value();
    for (size_t length = 0; length < text.size(); ++length) {
      assert_int_equal(blob_from_text(text.substr(0, length)).status().code, PIRN_ERR_INVALID);
      assert_int_equal(blob_from_any(bytes_of(text.substr(0, length))).status().code, PIRN_ERR_INVALID);
    }
  }
}

static void from_text__malformed__says_what_is_wrong(void **) {
  const std::string text = blob_to_text(encode_window(sample_window())).value();
  expect_error("", "not a blob text: it must start with pirn:meta1: or pirn:win1:");
  expect_error("pirn:win2:AAAA", "not a blob text: it must start with pirn:meta1: or pirn:win1:");
  expect_error(" " + text, "not a blob text: it must start with pirn:meta1: or pirn:win1:");
  expect_error("pirn:meta1:" + text.substr(10), "blob text starts with pirn:meta1: but holds something else");
  std::string bad = text;
  bad[20] = '+';
  expect_error(bad, "blob text has a character that is not URL-safe base64 at position 20");
  expect_error("pirn:win1:A", "blob text is cut off or damaged at its end");
  expect_error("pirn:win1:" + std::string(20000, 'A'), "blob text is too long: 20010 characters, at most 9568");
  bad = text;
  bad[60] = bad[60] == 'A' ? 'B' : 'A';
  assert_contains(blob_from_text(bad).status().text, "is damaged: checksum");
}

static void from_text__left_over_bits_set__is_invalid(void **) {
  // Two texts for one blob would make texts unfit as keys. Find a size that leaves bits over.
  std::string text;
  for (size_t extra = 0; (text.size() - 11) % 4 != 2; ++extra) text = blob_to_text(blob_of_odd_size(extra)).value();
  ++text.back();
  expect_error(text, "blob text is cut off or damaged at its end");
}

static void to_text__malformed_blob__is_invalid(void **) {
  Bytes blob = encode_window(sample_window());
  blob.back() ^= std::byte{1};
  assert_int_equal(blob_to_text(blob).status().code, PIRN_ERR_INVALID);
  assert_int_equal(blob_from_any(blob).status().code, PIRN_ERR_INVALID);
  assert_text(blob_to_text({}).status().text, "neither a metadata blob nor a window blob: it starts with other bytes");
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(to_text__window_of_version_1__is_this_very_text),
      cmocka_unit_test(round_trip__every_remainder_of_base64__is_equal),
      cmocka_unit_test(from_any__binary_text_and_text_with_its_zero__give_the_binary),
      cmocka_unit_test(from_text__every_truncation__is_invalid),
      cmocka_unit_test(from_text__malformed__says_what_is_wrong),
      cmocka_unit_test(from_text__left_over_bits_set__is_invalid),
      cmocka_unit_test(to_text__malformed_blob__is_invalid),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
