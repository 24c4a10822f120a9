// SPDX-License-Identifier: Apache-2.0
// cmocka for C++ tests, and random numbers whose seed is printed (repeat a run with TEST_SEED=n).
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}
// cmocka's macros would swallow functions of these names.
#undef fail
#undef fail_msg
#undef skip
#define fail_test(...) (print_error("ERROR: " __VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

#define assert_text(actual, expected) assert_string_equal(std::string(actual).c_str(), std::string(expected).c_str())
#define assert_contains(actual, part) assert_non_null(strstr(std::string(actual).c_str(), (part)))

class Seeded {
 public:
  Seeded() {
    const char *given = std::getenv("TEST_SEED");
    const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    engine_.seed(seed);
  }

  uint64_t any() { return engine_(); }
  uint64_t between(uint64_t low, uint64_t high) { return std::uniform_int_distribution<uint64_t>(low, high)(engine_); }

  std::vector<std::byte> bytes(size_t count) {
    std::vector<std::byte> result(count);
    for (std::byte &byte : result) byte = static_cast<std::byte>(any());
    return result;
  }

  std::string printable(size_t count) {
    std::string result;
    while (result.size() < count) result += static_cast<char>(between(0x20, 0x7e));
    return result;
  }

  template <size_t N>
  std::array<uint8_t, N> array() {
    std::array<uint8_t, N> result{};
    for (uint8_t &byte : result) byte = static_cast<uint8_t>(any());
    return result;
  }

 private:
  std::mt19937_64 engine_;
};
