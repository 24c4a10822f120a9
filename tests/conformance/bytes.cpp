// SPDX-License-Identifier: Apache-2.0
#include "bytes.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pirn_test {

namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t canary_seed = 0xca9a7715;

uint64_t pattern_word(uint64_t seed, uint64_t index) { return mix(seed * 0x9e3779b97f4a7c15u + index); }

uint64_t round_up(uint64_t size) { return (size + page - 1) / page * page; }

}  // namespace

uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

void fill_pattern(void *to, uint64_t length, uint64_t seed, uint64_t start) {
  auto *out = static_cast<uint8_t *>(to);
  while (length > 0) {
    const uint64_t word = pattern_word(seed, start / 8);
    const uint64_t skip = start % 8;
    const uint64_t take = std::min(length, 8 - skip);
    std::memcpy(out, reinterpret_cast<const uint8_t *>(&word) + skip, take);
    out += take;
    start += take;
    length -= take;
  }
}

uint64_t digest_of(const void *at, uint64_t length) {
  const auto *in = static_cast<const uint8_t *>(at);
  uint64_t digest = length;
  for (uint64_t word = 0; length > 0; word = 0) {
    const uint64_t take = std::min<uint64_t>(length, sizeof word);
    std::memcpy(&word, in, take);
    digest = mix(digest ^ word);
    in += take;
    length -= take;
  }
  return digest;
}

uint64_t find_mismatch(const void *at, uint64_t length, uint64_t seed, uint64_t start) {
  const auto *in = static_cast<const uint8_t *>(at);
  uint64_t done = 0;
  while (done < length) {
    const uint64_t word = pattern_word(seed, (start + done) / 8);
    const uint64_t skip = (start + done) % 8;
    const uint64_t take = std::min(length - done, 8 - skip);
    const auto *want = reinterpret_cast<const uint8_t *>(&word) + skip;
    if (std::memcmp(in + done, want, take) != 0) {
      while (in[done] == *want) ++done, ++want;
      return done;
    }
    done += take;
  }
  return all_match;
}

Buffer::Buffer(uint64_t size, bool sparse) : mapped_(round_up(size) + 2 * page), size_(size) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (sparse ? MAP_NORESERVE : 0);
  void *at = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (at == MAP_FAILED) {
    std::perror("mmap of a test buffer");
    std::exit(1);
  }
  mapping_ = static_cast<uint8_t *>(at);
  data_ = mapping_ + page;
  fill_pattern(mapping_, page, canary_seed);
  fill_pattern(data_ + size_, slack() + page, canary_seed + 1);
}

Buffer::~Buffer() { munmap(mapping_, mapped_); }

uint64_t Buffer::slack() const { return round_up(size_) - size_; }

bool Buffer::canaries_intact() const {
  return find_mismatch(mapping_, page, canary_seed) == all_match &&
         find_mismatch(data_ + size_, slack() + page, canary_seed + 1) == all_match;
}

}  // namespace pirn_test
