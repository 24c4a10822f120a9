// SPDX-License-Identifier: Apache-2.0
#include "../check.h"

#include "base/result.h"
#include "base/text.h"

using namespace pirn;

static void text__every_length_around_the_inner_buffer__is_exact(void **) {
  for (size_t length = 0; length < 600; ++length) {
    const std::string wanted(length, 'x');
    assert_text(text("%s", wanted.c_str()), wanted);
  }
}

static void fail__format_with_values__has_code_and_text(void **) {
  const Status status = fail(PIRN_ERR_RANGE, "offset %d is outside %s", 7, "[0, 4)");
  assert_int_equal(status.code, PIRN_ERR_RANGE);
  assert_text(status.text, "offset 7 is outside [0, 4)");
  assert_false(status.is_ok());
}

static void result__value__is_ok_and_can_be_taken(void **) {
  Result<std::string> result = std::string("cargo");
  assert_true(result.is_ok());
  assert_true(result.status().is_ok());
  assert_text(result.take(), "cargo");
}

static void result__error__keeps_its_status(void **) {
  Result<std::string> result = fail(PIRN_ERR_IO, "lost");
  assert_false(result.is_ok());
  assert_int_equal(result.error().code, PIRN_ERR_IO);
  assert_text(result.status().text, "lost");
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(text__every_length_around_the_inner_buffer__is_exact),
      cmocka_unit_test(fail__format_with_values__has_code_and_text),
      cmocka_unit_test(result__value__is_ok_and_can_be_taken),
      cmocka_unit_test(result__error__keeps_its_status),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
