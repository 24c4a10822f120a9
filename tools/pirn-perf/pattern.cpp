// SPDX-License-Identifier: Apache-2.0
#include "pattern.h"

#include <algorithm>
#include <cstring>

namespace {

constexpr uint64_t step = 0x9E3779B97F4A7C15;

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// Calls use(bytes, offset, count) with the pattern's bytes for each run of up to 8; stops when it returns false.
template <typename Use>
void for_each_word(uint64_t length, uint64_t seed, uint64_t position, Use use) {
  for (uint64_t done = 0; done < length;) {
    const uint64_t inside = (position + done) % 8, count = std::min<uint64_t>(8 - inside, length - done);
    const uint64_t word = mix(seed + (position + done) / 8 * step);
    unsigned char bytes[8];
    std::memcpy(bytes, &word, sizeof bytes);
    if (!use(bytes + inside, done, count)) return;
    done += count;
  }
}

std::optional<Wrong> first_difference(const unsigned char *found, const unsigned char *expected, uint64_t count,
                                      uint64_t position) {
  for (uint64_t i = 0; i < count; ++i)
    if (found[i] != expected[i]) return Wrong{position + i, expected[i], found[i]};
  return std::nullopt;
}

}  // namespace

void fill_pattern(unsigned char *memory, uint64_t length, uint64_t seed, uint64_t position) {
  for_each_word(length, seed, position, [&](const unsigned char *bytes, uint64_t offset, uint64_t count) {
    std::memcpy(memory + offset, bytes, count);
    return true;
  });
}

std::optional<Wrong> check_pattern(const unsigned char *memory, uint64_t length, uint64_t seed, uint64_t position) {
  std::optional<Wrong> wrong;
  for_each_word(length, seed, position, [&](const unsigned char *bytes, uint64_t offset, uint64_t count) {
    if (std::memcmp(memory + offset, bytes, count) == 0) return true;
    wrong = first_difference(memory + offset, bytes, count, position + offset);
    return false;
  });
  return wrong;
}

std::optional<Wrong> check_background(const unsigned char *memory, uint64_t length, uint64_t position) {
  const bool clean = length == 0 || (memory[0] == background && std::memcmp(memory, memory + 1, length - 1) == 0);
  if (clean) return std::nullopt;
  const unsigned char *const bad = std::find_if(memory, memory + length, [](unsigned char b) { return b != background; });
  return Wrong{position + static_cast<uint64_t>(bad - memory), background, *bad};
}

uint64_t Random::next() { return mix(state_ += step); }
