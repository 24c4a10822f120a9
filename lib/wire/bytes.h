// SPDX-License-Identifier: Apache-2.0
// Bounded little-endian reading and writing. Both sides remember that they ran out of room instead of
// failing at each field: read or write everything, then ask ok(). Nothing outside the span is ever touched.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace pirn::wire {

template <typename T>
T little_endian(T value) {
  if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(value));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(value));
  } else {
    return static_cast<T>(__builtin_bswap64(value));
  }
}

// Past the end it yields zeroes and empty spans.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  size_t remaining() const { return rest_.size(); }

  uint8_t u8() { return number<uint8_t>(); }
  uint16_t u16() { return number<uint16_t>(); }
  uint32_t u32() { return number<uint32_t>(); }
  uint64_t u64() { return number<uint64_t>(); }

  std::span<const std::byte> bytes(size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::span<const std::byte> taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  template <size_t N>
  std::array<uint8_t, N> array() {
    std::array<uint8_t, N> result{};
    const std::span<const std::byte> taken = bytes(N);
    if (!taken.empty()) std::memcpy(result.data(), taken.data(), N);
    return result;
  }

  // A byte of length, then so many characters.
  std::string string() {
    const std::span<const std::byte> taken = bytes(u8());
    return std::string(reinterpret_cast<const char *>(taken.data()), taken.size());
  }

  // A record: u16 bytes, then the fields that this library knows and perhaps newer ones, which are skipped.
  Reader record() {
    Reader inner(bytes(u16()));
    inner.ok_ = ok_;
    return inner;
  }

 private:
  template <typename T>
  T number() {
    T value = 0;
    const std::span<const std::byte> taken = bytes(sizeof(T));
    if (!taken.empty()) std::memcpy(&value, taken.data(), sizeof(T));
    return little_endian(value);
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(std::span<std::byte> out) : out_(out) {}

  bool ok() const { return ok_; }
  size_t size() const { return used_; }

  void u8(uint8_t value) { number(value); }
  void u16(uint16_t value) { number(value); }
  void u32(uint32_t value) { number(value); }
  void u64(uint64_t value) { number(value); }

  void bytes(const void *data, size_t count) {
    if (!ok_ || count > out_.size() - used_) {
      ok_ = false;
      return;
    }
    if (count > 0) std::memcpy(out_.data() + used_, data, count);
    used_ += count;
  }

  void skip(size_t count) {
    ok_ = ok_ && count <= out_.size() - used_;
    if (ok_) used_ += count;
  }

  template <size_t N>
  void array(const std::array<uint8_t, N> &value) {
    bytes(value.data(), N);
  }

  void string(const std::string &value, size_t limit) {
    ok_ = ok_ && value.size() <= limit && limit <= UINT8_MAX;
    u8(static_cast<uint8_t>(value.size()));
    bytes(value.data(), value.size());
  }

  // Everything between begin and end becomes one record, whose length is filled in at the end.
  size_t begin_record() {
    const size_t at = used_;
    u16(0);
    return at;
  }

  void end_record(size_t at) {
    if (!ok_) return;
    const size_t length = used_ - at - sizeof(uint16_t);
    ok_ = length <= UINT16_MAX;
    const uint16_t stored = little_endian(static_cast<uint16_t>(length));
    std::memcpy(out_.data() + at, &stored, sizeof(stored));
  }

 private:
  template <typename T>
  void number(T value) {
    const T stored = little_endian(value);
    bytes(&stored, sizeof(stored));
  }

  std::span<std::byte> out_;
  size_t used_ = 0;
  bool ok_ = true;
};

// Names and reasons end up in logs and errors: only what prints may enter.
inline bool is_printable(const std::string &value) {
  for (const char c : value) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

}  // namespace pirn::wire
