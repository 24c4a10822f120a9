// SPDX-License-Identifier: Apache-2.0
#include "wire/blob.h"
#include "wire/metadata.h"

#include <array>
#include <cstring>
#include <string_view>

namespace pirn::wire {

namespace {

struct Form {
  const char *prefix;
  uint32_t magic;
};

constexpr Form forms[] = {{"pirn:meta1:", metadata_magic}, {"pirn:win1:", window_magic}};
constexpr const char scheme[] = "pirn:";
constexpr const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr uint8_t no_digit = 0xff;

constexpr std::array<uint8_t, 256> make_digits() {
  std::array<uint8_t, 256> digits{};
  for (uint8_t &digit : digits) digit = no_digit;
  for (uint8_t i = 0; i < 64; ++i) digits[static_cast<unsigned char>(alphabet[i])] = i;
  return digits;
}

constexpr std::array<uint8_t, 256> digits = make_digits();

void append_base64(std::string &out, std::span<const std::byte> bytes) {
  uint32_t bits = 0;
  unsigned held = 0;
  for (const std::byte byte : bytes) {
    bits = (bits << 8 | static_cast<uint32_t>(byte)) & 0xffff;
    held += 8;
    for (; held >= 6; held -= 6) out += alphabet[(bits >> (held - 6)) & 63];
  }
  if (held > 0) out += alphabet[(bits << (6 - held)) & 63];
}

// `at`: where the text starts in what the user gave, for errors.
Result<std::vector<std::byte>> decode_base64(std::string_view text, size_t at) {
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const uint8_t digit = digits[static_cast<unsigned char>(text[i])];
    if (digit == no_digit)
      return fail(PIRN_ERR_INVALID, "blob text has a character that is not URL-safe base64 at position %zu", at + i);
    bits = (bits << 6 | digit) & 0xfff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<std::byte>(bits >> held & 0xff));
    }
  }
  // One text per blob: left-over bits must be fewer than a digit, and zero.
  if (held >= 6 || (bits & ((1u << held) - 1)) != 0)
    return fail(PIRN_ERR_INVALID, "blob text is cut off or damaged at its end");
  return bytes;
}

Status check_blob(std::span<const std::byte> blob) {
  switch (blob_magic(blob)) {
    case metadata_magic:
      return decode_metadata(blob).status();
    case window_magic:
      return decode_window(blob).status();
    default:
      return fail(PIRN_ERR_INVALID, "neither a metadata blob nor a window blob: it starts with other bytes");
  }
}

// Line ends and the terminating zero come along when texts are pasted, read from files or counted with their zero.
std::string_view without_trailing_blanks(std::string_view text) {
  constexpr std::string_view blanks(" \t\r\n\0", 5);
  const size_t last = text.find_last_not_of(blanks);
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

Result<std::vector<std::byte>> from_text(std::string_view given) {
  const std::string_view text = without_trailing_blanks(given);
  for (const Form &form : forms) {
    const size_t length = std::strlen(form.prefix);
    if (text.substr(0, length) != form.prefix) continue;
    const size_t longest = length + (max_blob * 4 + 2) / 3;
    if (text.size() > longest)
      return fail(PIRN_ERR_INVALID, "blob text is too long: %zu characters, at most %zu", text.size(), longest);
    Result<std::vector<std::byte>> blob = decode_base64(text.substr(length), length);
    if (!blob.is_ok()) return blob;
    if (blob_magic(blob.value()) != form.magic)
      return fail(PIRN_ERR_INVALID, "blob text starts with %s but holds something else", form.prefix);
    Status status = check_blob(blob.value());
    if (!status.is_ok()) return status;
    return blob;
  }
  return fail(PIRN_ERR_INVALID, "not a blob text: it must start with %s or %s", forms[0].prefix, forms[1].prefix);
}

}  // namespace

Result<std::string> blob_to_text(std::span<const std::byte> blob) {
  Status status = check_blob(blob);
  if (!status.is_ok()) return status;
  const uint32_t magic = blob_magic(blob);
  std::string text = magic == forms[0].magic ? forms[0].prefix : forms[1].prefix;
  append_base64(text, blob);
  return text;
}

Result<std::vector<std::byte>> blob_from_text(const std::string &text) { return from_text(text); }

Result<std::vector<std::byte>> blob_from_any(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (text.substr(0, std::strlen(scheme)) == scheme) return from_text(text);
  Status status = check_blob(bytes);
  if (!status.is_ok()) return status;
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

}  // namespace pirn::wire
