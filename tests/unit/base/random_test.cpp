// SPDX-License-Identifier: Apache-2.0
#include "../check.h"

#include "base/random.h"

#include <algorithm>
#include <set>

using namespace pirn;

static void random_bytes__large_request__fills_all_and_nothing_more(void **) {
  // More than the kernel gives in one uninterruptible call.
  constexpr size_t size = 100000;
  std::vector<unsigned char> buffer(size + 1, 0);
  random_bytes(buffer.data(), size);
  assert_int_equal(buffer[size], 0);
  // A stretch of 16 zero bytes has a chance of about 1e-34.
  const std::vector<unsigned char> zeroes(16, 0);
  const auto end = buffer.begin() + size;
  assert_true(std::search(buffer.begin(), end, zeroes.begin(), zeroes.end()) == end);
}

static void random_u64__thousand_draws__are_different_and_not_zero(void **) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_u64());
  assert_int_equal(seen.size(), 1000);
  assert_int_equal(seen.count(0), 0);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(random_bytes__large_request__fills_all_and_nothing_more),
      cmocka_unit_test(random_u64__thousand_draws__are_different_and_not_zero),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
