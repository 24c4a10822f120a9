// SPDX-License-Identifier: Apache-2.0
// Two processes: an owner that is killed or stopped at each step, or lives in another PID namespace.
#include "process.h"

#include <csignal>

using namespace fixture;

namespace {

void owner__killed_before_it_looked__fails_the_connect(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  Process owner(settings);
  Asker asker(settings);
  owner.signal_it(SIGSTOP);
  asker.start();
  asker.channel.progress(now_ns());
  owner.kill_it();
  assert_true(drive({&asker}, [&] { return asker.failures.size() == 1; }));
  assert_contains(asker.failures[0].text, "path: ");
  assert_contains(asker.failures[0].text, "abstract: connect");
}

void owner__killed_when_connected__is_told(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  Process owner(settings);
  Asker asker(settings);
  const ConnectionId id = asker.connect();
  assert_int_equal(asker.ups.at(id).holder.pid, owner.pid());
  owner.kill_it();
  assert_true(drive({&asker}, [&] { return asker.ends.size() == 1; }));
  assert_int_equal(asker.ends[0].id, id);
  // What it left is removed by the next one that listens there.
  assert_int_equal(directory.entries().size(), 1);
  assert_int_equal(sweep(directory.path(), this_host()), 1);
}

void owner__killed_with_a_question_open__is_told(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  Process owner(settings);
  Asker asker(settings);
  const ConnectionId id = asker.connect();
  assert_true(asker.channel.ask(id, {window_of_silence, 0, 0, 1}, UINT64_MAX).is_ok());
  drive({&asker}, [] { return false; }, 30);
  owner.kill_it();
  assert_true(drive({&asker}, [&] { return asker.ends.size() == 1; }));
  assert_int_equal(asker.answers.size(), 0);
}

void owner__stopped__question_ends_at_its_deadline(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  Process owner(settings);
  Asker asker(settings);
  const ConnectionId id = asker.connect();
  owner.signal_it(SIGSTOP);
  assert_true(asker.channel.ask(id, {window_of_file, 0, 0, 1}, now_ns() + 50 * ns_per_ms).is_ok());
  assert_true(drive({&asker}, [&] { return asker.answers.size() == 1; }));
  assert_int_equal(asker.answers[0].status.code, PIRN_ERR_TIMEOUT);
  assert_int_equal(asker.ends.size(), 0);
}

void owner__is_pid_1_of_another_namespace__serves_as_any(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  const Process owner(settings, offer_file, Process::Where::apart);
  if (!owner.refusal().empty()) {
    std::printf("SKIP: %s\n", owner.refusal().c_str());
    _skip(__FILE__, __LINE__);
  }
  Asker asker(settings);
  const ConnectionId id = asker.connect();
  assert_int_equal(asker.ups.at(id).holder.pid, owner.pid());
  const Side::Answer answer = asker.question(id, {window_of_file, 0, 0, 1});
  assert_text(answer.status.text, "");
  std::array<char, 10> content{};
  assert_int_equal(pread(answer.offer.files.at(0).get(), content.data(), 10, 0), 10);
  assert_memory_equal(content.data(), "BBBBBBBBBB", 10);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(owner__killed_before_it_looked__fails_the_connect),
      cmocka_unit_test(owner__killed_when_connected__is_told),
      cmocka_unit_test(owner__killed_with_a_question_open__is_told),
      cmocka_unit_test(owner__stopped__question_ends_at_its_deadline),
      cmocka_unit_test(owner__is_pid_1_of_another_namespace__serves_as_any),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
