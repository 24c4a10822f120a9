// SPDX-License-Identifier: Apache-2.0
// Options of pirn-perf that say where memory lies and which path is demanded.
#include "options.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

namespace {

struct Parsed {
  bool go_on;
  int exit;
  Options options;
};

Parsed parse(std::vector<std::string> words) {
  words.insert(words.begin(), "pirn-perf");
  std::vector<char *> argv;
  for (std::string &word : words) argv.push_back(word.data());
  Parsed parsed{false, -1, {}};
  parsed.go_on = parse_options(static_cast<int>(argv.size()), argv.data(), &parsed.options, &parsed.exit);
  return parsed;
}

void expect_wrong_usage(const std::vector<std::string> &words) {
  const Parsed parsed = parse(words);
  if (parsed.go_on) fail_msg("accepted: %s %s", words.front().c_str(), words.back().c_str());
  assert_int_equal(parsed.exit, 2);
}

}  // namespace

static void memory__nothing_said__is_host_on_both_sides_and_any_path(void **) {
  const Parsed parsed = parse({});
  assert_true(parsed.go_on);
  assert_string_equal(parsed.options.memory.c_str(), "host");
  assert_string_equal(parsed.options.peer_memory.c_str(), "host");
  assert_string_equal(parsed.options.path.c_str(), "");
  assert_false(parsed.options.on_device());
  assert_false(parsed.options.same_process());
}

static void memory__each_form__is_kept(void **) {
  for (const std::string text : {"host", "shared", "cuda:0", "cuda:15", "hip:3", "cuda:0/plain"}) {
    const Parsed parsed = parse({"--mem", text, "--peer-mem", text});
    assert_true(parsed.go_on);
    assert_string_equal(parsed.options.memory.c_str(), text.c_str());
    assert_string_equal(parsed.options.peer_memory.c_str(), text.c_str());
    assert_int_equal(parsed.options.on_device(), text.find(':') != std::string::npos);
  }
}

static void memory__malformed__is_wrong_usage(void **) {
  for (const std::string text : {"", "gpu", "cuda", "cuda:", ":0", "cuda:x", "cuda:-1", "cuda:0/other", "cuda:/plain", "/plain",
                                 "host/plain", "CUDA:0", "host:0x"}) {
    expect_wrong_usage({"--mem", text});
    expect_wrong_usage({"--peer-mem", text});
  }
}

static void memory__of_the_partner_of_a_server__is_wrong_usage(void **) {
  expect_wrong_usage({"--server", ":0", "--peer-mem", "cuda:0"});
  assert_true(parse({"--server", ":0", "--mem", "cuda:0"}).go_on);
}

static void memory__of_the_partner_not_said_with_connect__is_whatever_it_has(void **) {
  assert_string_equal(parse({"--connect", "h:1"}).options.peer_memory.c_str(), "");
  assert_string_equal(parse({"--connect", "h:1", "--peer-mem", "host"}).options.peer_memory.c_str(), "host");
}

static void path__each_name__is_a_demand_and_auto_is_none(void **) {
  for (const std::string name : {"self", "ipc", "fabric"})
    assert_string_equal(parse({"--path", name}).options.path.c_str(), name.c_str());
  assert_string_equal(parse({"--path", "auto"}).options.path.c_str(), "");
  for (const char *const wrong : {"", "nvlink", "SELF"}) expect_wrong_usage({"--path", wrong});
}

static void path__self__keeps_both_ends_in_one_process_unless_connecting(void **) {
  assert_true(parse({"--path", "self"}).options.same_process());
  assert_false(parse({"--path", "ipc"}).options.same_process());
  assert_false(parse({"--path", "self", "--connect", "h:1"}).options.same_process());
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(memory__nothing_said__is_host_on_both_sides_and_any_path),
      cmocka_unit_test(memory__each_form__is_kept),
      cmocka_unit_test(memory__malformed__is_wrong_usage),
      cmocka_unit_test(memory__of_the_partner_of_a_server__is_wrong_usage),
      cmocka_unit_test(memory__of_the_partner_not_said_with_connect__is_whatever_it_has),
      cmocka_unit_test(path__each_name__is_a_demand_and_auto_is_none),
      cmocka_unit_test(path__self__keeps_both_ends_in_one_process_unless_connecting),
  };
  return cmocka_run_group_tests_name("perf-options", tests, nullptr, nullptr);
}
