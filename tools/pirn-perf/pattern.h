// SPDX-License-Identifier: Apache-2.0
// Bytes that tell where they belong: each depends on a seed and on its position in the window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

constexpr unsigned char background = 0xEE;  // what memory holds where no transfer may have been

struct Wrong {
  uint64_t position;
  unsigned expected, found;
};

void fill_pattern(unsigned char *memory, uint64_t length, uint64_t seed, uint64_t position);
std::optional<Wrong> check_pattern(const unsigned char *memory, uint64_t length, uint64_t seed, uint64_t position);
std::optional<Wrong> check_background(const unsigned char *memory, uint64_t length, uint64_t position);

// A small fast generator; the sequence for a seed is always the same.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  uint64_t below(uint64_t limit) { return limit ? next() % limit : 0; }

 private:
  uint64_t state_;
};
