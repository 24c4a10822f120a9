// SPDX-License-Identifier: Apache-2.0
// Bytes that can be checked anywhere: a pattern is a pure function of a seed and a
// position, so both sides of a transfer know what must be where. Every buffer lies between canary
// pages; a write outside it is found at the end of the test.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pirn_test {

constexpr uint64_t all_match = UINT64_MAX;

uint64_t mix(uint64_t value);  // splitmix64

void fill_pattern(void *to, uint64_t length, uint64_t seed, uint64_t start = 0);
// Position of the first byte that differs from the pattern, or all_match.
uint64_t find_mismatch(const void *at, uint64_t length, uint64_t seed, uint64_t start = 0);
uint64_t digest_of(const void *at, uint64_t length);

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() { return mix(state_++); }
  uint64_t below(uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }

 private:
  uint64_t state_;
};

class Buffer {
 public:
  // sparse: address space only, pages appear when touched; such a buffer has canaries too.
  explicit Buffer(uint64_t size, bool sparse = false);
  ~Buffer();
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;

  uint8_t *data() const { return data_; }
  uint8_t *at(uint64_t offset) const { return data_ + offset; }
  uint64_t size() const { return size_; }
  bool canaries_intact() const;

 private:
  uint64_t slack() const;  // bytes between the end of the data and the end of its last page
  uint8_t *mapping_ = nullptr;
  uint64_t mapped_ = 0;
  uint8_t *data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace pirn_test
