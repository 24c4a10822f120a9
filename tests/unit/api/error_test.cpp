// SPDX-License-Identifier: Apache-2.0
#include "api/error.h"

#include <pthread.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <csetjmp>
#include <cstring>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

extern "C" {
#include <cmocka.h>
}

using pirn::Status;
using pirn::api::guard;
using pirn::api::report;

namespace {

void status_string__every_code__has_its_own_text(void **) {
  const pirn_status codes[] = {
      PIRN_OK,              PIRN_IN_PROGRESS,     PIRN_ERR_AGAIN,     PIRN_ERR_TIMEOUT, PIRN_ERR_INVALID,
      PIRN_ERR_RANGE,       PIRN_ERR_ACCESS,      PIRN_ERR_BUSY,      PIRN_ERR_TOO_SMALL, PIRN_ERR_PEER_LOST,
      PIRN_ERR_REFUSED,     PIRN_ERR_WINDOW_GONE, PIRN_ERR_CANCELLED, PIRN_ERR_UNAVAILABLE, PIRN_ERR_NO_MEMORY,
      PIRN_ERR_IO,          PIRN_ERR_INTERNAL,
  };
  std::set<std::string> texts;
  for (const pirn_status code : codes) {
    const char *text = pirn_status_string(code);
    assert_string_not_equal(text, "unknown status");
    assert_true(texts.insert(text).second);
  }
}

void status_string__foreign_codes__are_unknown(void **) {
  for (const pirn_status code : {2, -3, -9, -15, -24, -33, -41, INT32_MIN, INT32_MAX}) {
    assert_string_equal(pirn_status_string(code), "unknown status");
  }
}

void last_error__fresh_thread__is_empty(void **) {
  report(PIRN_ERR_IO, "on the main thread");
  std::string elsewhere = "untouched";
  std::thread([&] { elsewhere = pirn_last_error(); }).join();
  assert_string_equal(elsewhere.c_str(), "");
  assert_string_equal(pirn_last_error(), "on the main thread");
}

void report__success_after_error__keeps_the_text(void **) {
  report(PIRN_ERR_RANGE, "offset 9 is outside");
  assert_int_equal(report(Status::ok()), PIRN_OK);
  assert_int_equal(report(Status{PIRN_IN_PROGRESS, "not an error"}), PIRN_IN_PROGRESS);
  assert_string_equal(pirn_last_error(), "offset 9 is outside");
}

void report__error_without_text__takes_the_text_of_the_code(void **) {
  assert_int_equal(report(Status{PIRN_ERR_BUSY, ""}), PIRN_ERR_BUSY);
  assert_string_equal(pirn_last_error(), "busy");
}

void report__very_long_text__is_cut_with_an_ellipsis(void **) {
  for (const size_t length : {size_t{2046}, size_t{2047}, size_t{2048}, size_t{100000}}) {
    assert_int_equal(report(Status{PIRN_ERR_IO, std::string(length, 'x')}), PIRN_ERR_IO);
    const std::string kept = pirn_last_error();
    const std::string expected =
        length < 2048 ? std::string(length, 'x') : std::string(2044, 'x') + "...";
    assert_string_equal(kept.c_str(), expected.c_str());
  }
}

void guard__body_returns_status__reports_it(void **) {
  assert_int_equal(guard([] { return Status{PIRN_ERR_ACCESS, "window 3 is read-only"}; }), PIRN_ERR_ACCESS);
  assert_string_equal(pirn_last_error(), "window 3 is read-only");
  assert_int_equal(guard([] { return Status::ok(); }), PIRN_OK);
}

void guard__body_returns_code__passes_it_on(void **) {
  assert_int_equal(guard([] { return PIRN_IN_PROGRESS; }), PIRN_IN_PROGRESS);
}

void guard__bad_alloc__is_no_memory(void **) {
  assert_int_equal(guard([]() -> Status { throw std::bad_alloc(); }), PIRN_ERR_NO_MEMORY);
  assert_string_equal(pirn_last_error(), "out of memory");
}

void guard__any_exception__is_internal_with_its_text(void **) {
  assert_int_equal(guard([]() -> pirn_status { throw std::runtime_error("slot table is torn"); }), PIRN_ERR_INTERNAL);
  assert_string_equal(pirn_last_error(), "slot table is torn");
  assert_int_equal(guard([]() -> Status { throw 7; }), PIRN_ERR_INTERNAL);
  assert_string_equal(pirn_last_error(), "unexpected exception");
}

void guard__thread_cancelled_inside__unwinds_and_the_process_lives(void **) {
  pthread_t thread;
  bool unwound = false;
  auto body = [](void *arg) -> void * {
    guard([arg]() -> pirn_status {
      struct Unwound {
        bool *flag;
        ~Unwound() { *flag = true; }
      } mark{static_cast<bool *>(arg)};
      pthread_cancel(pthread_self());
      pthread_testcancel();
      return PIRN_OK;
    });
    return nullptr;
  };
  assert_int_equal(pthread_create(&thread, nullptr, body, &unwound), 0);
  void *result = nullptr;
  assert_int_equal(pthread_join(thread, &result), 0);
  assert_ptr_equal(result, PTHREAD_CANCELED);
  assert_true(unwound);
}

void version__library_and_headers__agree(void **) {
  assert_int_equal(pirn_version(), PIRN_VERSION_NUMBER);
  unsigned major = 99, minor = 99, patch = 99;
  assert_int_equal(sscanf(pirn_version_string(), "%u.%u.%u", &major, &minor, &patch), 3);
  assert_int_equal((major << 16) | (minor << 8) | patch, pirn_version());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(status_string__every_code__has_its_own_text),
      cmocka_unit_test(status_string__foreign_codes__are_unknown),
      cmocka_unit_test(last_error__fresh_thread__is_empty),
      cmocka_unit_test(report__success_after_error__keeps_the_text),
      cmocka_unit_test(report__error_without_text__takes_the_text_of_the_code),
      cmocka_unit_test(report__very_long_text__is_cut_with_an_ellipsis),
      cmocka_unit_test(guard__body_returns_status__reports_it),
      cmocka_unit_test(guard__body_returns_code__passes_it_on),
      cmocka_unit_test(guard__bad_alloc__is_no_memory),
      cmocka_unit_test(guard__any_exception__is_internal_with_its_text),
      cmocka_unit_test(guard__thread_cancelled_inside__unwinds_and_the_process_lives),
      cmocka_unit_test(version__library_and_headers__agree),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
