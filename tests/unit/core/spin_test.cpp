// SPDX-License-Identifier: Apache-2.0
// When a wait polls, and when it sleeps at once.
#include "core/spin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
extern "C" {
#include <cmocka.h>
}

using pirn::core::Spin;

namespace {

constexpr uint64_t longest = 50'000, shorter = 8'000, longer = 90'000;  // ns

// Waits that end like this until one polls; returns how many did not.
uint32_t rests(Spin &spin) {
  uint32_t count = 0;
  while (spin.begin() == 0) {
    spin.slept(shorter);
    ++count;
  }
  return count;
}

void begin__nothing_known__polls_for_the_whole_time(void **) {
  Spin spin(longest);
  for (int i = 0; i < 100; ++i) {
    assert_int_equal(spin.begin(), longest);
    spin.caught();
  }
}

void slept__shortly_after_a_spin__rests_twice_as_often_each_time(void **) {
  Spin spin(longest);
  assert_int_equal(rests(spin), 0);
  for (const uint32_t expected : {4u, 8u, 16u, 32u, 64u, 64u, 64u}) {
    spin.slept(shorter);
    assert_int_equal(rests(spin), expected);
  }
}

void slept__longer_than_a_spin__polls_the_next_time(void **) {
  Spin spin(longest);
  for (int i = 0; i < 100; ++i) {
    assert_int_equal(spin.begin(), longest);
    spin.slept(longer);
  }
}

void caught__after_rests__polls_on_and_forgets_them(void **) {
  Spin spin(longest);
  for (int i = 0; i < 3; ++i) {
    rests(spin);
    spin.slept(shorter);
  }
  rests(spin);
  spin.caught();
  assert_int_equal(spin.begin(), longest);
  spin.slept(shorter);
  assert_int_equal(rests(spin), Spin::fewest);
}

void caught__while_resting__proves_nothing(void **) {
  Spin spin(longest);
  rests(spin);
  spin.slept(shorter);
  assert_int_equal(spin.begin(), 0);
  spin.caught();
  assert_int_equal(rests(spin), Spin::fewest - 1);
  spin.slept(shorter);
  assert_int_equal(rests(spin), 2 * Spin::fewest);
}

void slept__no_spin_configured__changes_nothing(void **) {
  Spin spin(0);
  for (int i = 0; i < 10; ++i) {
    assert_int_equal(spin.begin(), 0);
    spin.slept(shorter);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(begin__nothing_known__polls_for_the_whole_time),
      cmocka_unit_test(slept__shortly_after_a_spin__rests_twice_as_often_each_time),
      cmocka_unit_test(slept__longer_than_a_spin__polls_the_next_time),
      cmocka_unit_test(caught__after_rests__polls_on_and_forgets_them),
      cmocka_unit_test(caught__while_resting__proves_nothing),
      cmocka_unit_test(slept__no_spin_configured__changes_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
