// SPDX-License-Identifier: Apache-2.0
#include "../check.h"

#include "base/clock.h"
#include "base/log.h"

#include <cerrno>
#include <thread>
#include <unistd.h>

using namespace pirn;

namespace {

struct Line {
  uint32_t level;
  std::string text;
};

void keep(void *arg, uint32_t level, const char *line) {
  static_cast<std::vector<Line> *>(arg)->push_back({level, line});
}

// What `action` writes to standard error.
template <typename Action>
std::string standard_error_of(Action action) {
  std::FILE *file = std::tmpfile();
  const int saved = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  action();
  dup2(saved, STDERR_FILENO);
  close(saved);
  std::rewind(file);
  std::string result;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) result += static_cast<char>(c);
  std::fclose(file);
  return result;
}

}  // namespace

static void write__less_important_than_the_level__is_dropped(void **) {
  std::vector<Line> lines;
  const Log log(PIRN_LOG_WARN, keep, &lines);
  log.write(PIRN_LOG_INFO, "not %s", "this");
  log.write(PIRN_LOG_WARN, "but %s", "that");
  log.write(PIRN_LOG_ERROR, "and %d", 1);
  assert_int_equal(lines.size(), 2);
  assert_int_equal(lines[0].level, PIRN_LOG_WARN);
  assert_text(lines[0].text, "but that");
  assert_int_equal(lines[1].level, PIRN_LOG_ERROR);
  assert_text(lines[1].text, "and 1");
}

static void write__no_callback__goes_to_standard_error_with_prefix(void **) {
  const std::string seen = standard_error_of([] {
    const Log log(PIRN_LOG_DEBUG, nullptr, nullptr);
    log.write(PIRN_LOG_ERROR, "a");
    log.write(PIRN_LOG_WARN, "b");
    log.write(PIRN_LOG_INFO, "c");
    log.write(PIRN_LOG_DEBUG, "d");
  });
  assert_text(seen, "pirn ERROR: a\npirn WARN: b\npirn INFO: c\npirn DEBUG: d\n");
}

static void write__control_characters__cannot_forge_a_line(void **) {
  const std::string seen = standard_error_of([] {
    const Log log(PIRN_LOG_WARN, nullptr, nullptr);
    log.write(PIRN_LOG_WARN, "%s", "peer \x1b[2J says\npirn ERROR: all lost\x7f");
  });
  assert_text(seen, "pirn WARN: peer  [2J says pirn ERROR: all lost \n");
}

static void write__closed_standard_error__keeps_errno_and_returns(void **) {
  const int saved = dup(STDERR_FILENO);
  close(STDERR_FILENO);
  errno = ENOTTY;
  const Log log(PIRN_LOG_WARN, nullptr, nullptr);
  log.write(PIRN_LOG_WARN, "nobody listens");
  const int after = errno;
  dup2(saved, STDERR_FILENO);
  close(saved);
  assert_int_equal(after, ENOTTY);
}

static void write__four_threads__lines_stay_whole(void **) {
  constexpr int threads = 4, per_thread = 500;
  const std::string filler(300, 'x');
  const std::string seen = standard_error_of([&] {
    const Log log(PIRN_LOG_WARN, nullptr, nullptr);
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t) {
      all.emplace_back([&] {
        for (int i = 0; i < per_thread; ++i) log.write(PIRN_LOG_WARN, "%s", filler.c_str());
      });
    }
    for (std::thread &thread : all) thread.join();
  });
  const std::string line = "pirn WARN: " + filler + "\n";
  assert_int_equal(seen.size(), line.size() * threads * per_thread);
  for (size_t at = 0; at < seen.size(); at += line.size()) assert_text(seen.substr(at, line.size()), line);
}

static void allow__burst_used_up__counts_until_the_next_period(void **) {
  RateLimit limit(2, ns_per_s);
  uint64_t suppressed = 99;
  const uint64_t start = 5 * ns_per_s;
  assert_true(limit.allow(start, &suppressed));
  assert_int_equal(suppressed, 0);
  assert_true(limit.allow(start + 1, &suppressed));
  for (int i = 0; i < 7; ++i) assert_false(limit.allow(start + ns_per_s - 1, &suppressed));
  assert_true(limit.allow(start + ns_per_s, &suppressed));
  assert_int_equal(suppressed, 7);
  assert_true(limit.allow(start + ns_per_s, &suppressed));
  assert_int_equal(suppressed, 0);
  assert_false(limit.allow(start + ns_per_s, &suppressed));
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(write__less_important_than_the_level__is_dropped),
      cmocka_unit_test(write__no_callback__goes_to_standard_error_with_prefix),
      cmocka_unit_test(write__control_characters__cannot_forge_a_line),
      cmocka_unit_test(write__closed_standard_error__keeps_errno_and_returns),
      cmocka_unit_test(write__four_threads__lines_stay_whole),
      cmocka_unit_test(allow__burst_used_up__counts_until_the_next_period),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
