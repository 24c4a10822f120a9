// SPDX-License-Identifier: Apache-2.0
// The program as scripts see it: standard output, JSON, exit status. Arguments: its path, the path of a libfabric
// provider that aborts.
#include "fixture.h"

#include <sys/wait.h>

namespace {

std::string program, aborting_provider;

struct Ran {
  int exit;
  std::string out;
};

// Without the caller's PIRN_ and FI_ settings; `before` may set some.
Ran run(const std::string &arguments, const std::string &before = "") {
  const std::string command = "env -u PIRN_PROVIDER -u FI_PROVIDER " + before + " " + program + " " + arguments + " 2>&1";
  FILE *const pipe = popen(command.c_str(), "r");
  assert_non_null(pipe);
  Ran ran{};
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) ran.out += static_cast<char>(c);
  const int status = pclose(pipe);
  assert_true(WIFEXITED(status));
  ran.exit = WEXITSTATUS(status);
  return ran;
}

const nlohmann::json &json_finding(const nlohmann::json &document, const char *id) {
  for (const auto &finding : document.at("findings"))
    if (finding.at("id") == id) return finding;
  fail_test("no %s in %s", id, document.dump().c_str());
  return document;
}

}  // namespace

static void json__healthy_node__is_complete_and_exits_0(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0");
  const Ran ran = run("--json --root " + node.root());
  assert_int_equal(ran.exit, 0);
  const auto document = nlohmann::json::parse(ran.out);
  assert_int_equal(document.at("schema").get<int>(), 1);
  assert_text(document.at("libfabric").get<std::string>(), "1.22.0");
  assert_text(document.at("root").get<std::string>(), node.root());
  assert_text(document.at("provider").get<std::string>(), "");
  assert_text(document.at("worst").get<std::string>(), "ok");
  assert_int_equal(document.at("exit").get<int>(), 0);
  const auto &port = json_finding(document, "rdma.port");
  const char *const wanted =
      R"x({"id":"rdma.port","means":"","providers":["verbs"],"remedy":"","seen":"ACTIVE, LinkUp, 400 Gb/sec (4X NDR)",)x"
      R"x("severity":"ok","subject":"mlx5_0 port 1"})x";
  assert_text(port.dump(), wanted);
  const auto &counts = document.at("counts");
  assert_int_equal(counts.at("ok").get<size_t>(), document.at("findings").size());
  assert_int_equal(counts.at("note").get<int>() + counts.at("warning").get<int>() + counts.at("problem").get<int>(), 0);
}

static void json__problem_and_warning__worst_first_and_exits_2(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").limits("65536", "65536").variable("PIRN_NIC", "x");
  const Ran ran = run("--json --root " + node.root() + "/");
  assert_int_equal(ran.exit, 2);
  const auto document = nlohmann::json::parse(ran.out);
  assert_text(document.at("worst").get<std::string>(), "problem");
  assert_int_equal(document.at("counts").at("problem").get<int>(), 1);
  assert_int_equal(document.at("counts").at("warning").get<int>(), 1);
  assert_text(document.at("findings").at(0).at("id").get<std::string>(), "limits.memlock-low");
  assert_text(document.at("findings").at(1).at("id").get<std::string>(), "env.setting-unknown");
  assert_text(document.at("findings").at(1).at("remedy").get<std::string>(), "did you mean PIRN_NICS?");
  for (const auto &finding : document.at("findings"))
    assert_true(finding.at("severity") == "ok" || (!finding.at("means").get<std::string>().empty() &&
                                                   !finding.at("remedy").get<std::string>().empty()));
}

static void text__warning__exits_1_and_names_the_remedy(void **) {
  FakeNode node;
  node.variable("PIRN_PROVDER", "tcp\x1b[2J");
  const Ran ran = run("--root " + node.root());
  assert_int_equal(ran.exit, 1);
  assert_contains(ran.out, "warning  env.setting-unknown: PIRN_PROVDER: not a setting of pirn\n");
  assert_contains(ran.out, "         remedy: did you mean PIRN_PROVIDER?\n");
  assert_contains(ran.out, "0 problems, 1 warnings, 0 notes, ");
  assert_null(strstr(ran.out.c_str(), "memory.shm"));
  assert_contains(run("--explain --root " + node.root()).out, "ok       memory.shm: /dev/shm: 62.5 GiB\n");
}

static void text__control_characters__do_not_reach_the_terminal(void **) {
  FakeNode node;
  node.variable("FI_HOOK", "a\x1b[2Jb\nproblem");
  const Ran ran = run("--root " + node.root());
  assert_contains(ran.out, "note     env.hook: FI_HOOK: a [2Jb problem\n");
}

static void quiet__prints_a_line_for_each_warning_and_problem(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").limits("65536", "1024");
  const Ran ran = run("-q --root " + node.root());
  assert_text(ran.out, "problem  limits.memlock-low: ulimit -l: 64 KiB\n");
  assert_int_equal(ran.exit, 2);
  assert_text(run("-q --root " + node.root() + " --provider tcp").out, "");
}

static void provider__leaves_out_what_does_not_matter_to_it(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").limits("65536", "65536");
  assert_int_equal(run("--root " + node.root() + " --provider tcp").exit, 0);
  const Ran ran = run("--json --root " + node.root() + " --provider verbs");
  assert_int_equal(ran.exit, 2);
  const auto document = nlohmann::json::parse(ran.out);
  assert_text(document.at("provider").get<std::string>(), "verbs");
  for (const auto &finding : document.at("findings"))
    assert_true(finding.at("providers").empty() || finding.at("providers").dump().find("\"verbs\"") != std::string::npos);
}

static void usage__wrong__exits_64_and_help_exits_0(void **) {
  for (const char *wrong : {"--provider other", "--root /nowhere/at/all", "--unknown", "extra", "-q --explain"})
    assert_int_equal(run(wrong).exit, 64);
  const Ran help = run("--help");
  assert_int_equal(help.exit, 0);
  for (const char *part : {"--json", "--quiet", "--explain", "--provider", "--root", "Exit: 0 nothing wrong", "64 wrong usage"})
    assert_contains(help.out, part);
}

// What is found depends on the machine; that pirn and libfabric were asked does not.
static void live__this_machine__asks_pirn(void **) {
  const auto document = nlohmann::json::parse(run("--json --provider tcp").out);
  assert_text(json_finding(document, "libfabric.version").at("seen").get<std::string>(),
              document.at("libfabric").get<std::string>() + " is loaded");
  assert_text(json_finding(document, "provider.usable").at("subject").get<std::string>(), "tcp");
}

static void live__refused_setting__is_a_problem_and_the_rest_is_still_examined(void **) {
  const Ran ran = run("--json", "PIRN_CHUNK_SIZE=zz");
  assert_int_equal(ran.exit, 2);
  const auto document = nlohmann::json::parse(ran.out);
  assert_contains(json_finding(document, "env.setting-refused").at("seen").get<std::string>(), "PIRN_CHUNK_SIZE=zz");
  json_finding(document, "libfabric.version");
}

static void live__provider_that_aborts__is_a_problem_and_the_rest_is_still_examined(void **) {
  const std::string folder = aborting_provider.substr(0, aborting_provider.rfind('/'));
  const Ran ran = run("--json", "FI_PROVIDER_PATH=" + folder);
  assert_int_equal(ran.exit, 2);
  const auto document = nlohmann::json::parse(ran.out);
  assert_contains(json_finding(document, "provider.crash").at("seen").get<std::string>(), "signal 6");
  assert_text(document.at("libfabric").get<std::string>(), "");
  json_finding(document, "limits.memlock");
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  program = argv[1];
  aborting_provider = argv[2];
  const CMUnitTest tests[] = {
      cmocka_unit_test(json__healthy_node__is_complete_and_exits_0),
      cmocka_unit_test(json__problem_and_warning__worst_first_and_exits_2),
      cmocka_unit_test(text__warning__exits_1_and_names_the_remedy),
      cmocka_unit_test(text__control_characters__do_not_reach_the_terminal),
      cmocka_unit_test(quiet__prints_a_line_for_each_warning_and_problem),
      cmocka_unit_test(provider__leaves_out_what_does_not_matter_to_it),
      cmocka_unit_test(usage__wrong__exits_64_and_help_exits_0),
      cmocka_unit_test(live__this_machine__asks_pirn),
      cmocka_unit_test(live__refused_setting__is_a_problem_and_the_rest_is_still_examined),
      cmocka_unit_test(live__provider_that_aborts__is_a_problem_and_the_rest_is_still_examined),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
