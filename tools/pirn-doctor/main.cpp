// SPDX-License-Identifier: Apache-2.0
// pirn-doctor: what on this node keeps pirn from a provider or from its speed, and what to do about it.
#include "checks.h"
#include "report.h"

#include <pirn/pirn.h>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <cstdio>

namespace {

constexpr int exit_usage = 64;  // EX_USAGE; 1 and 2 speak of the node

struct Options {
  std::string root = "/";
  std::string provider;
  bool json = false, quiet = false, explain = false;
};

void declare(CLI::App &app, Options &options) {
  app.add_flag("--json", options.json, "one JSON document with all findings");
  auto *quiet = app.add_flag("-q,--quiet", options.quiet, "warnings and problems only, a line each");
  app.add_flag("--explain", options.explain, "also what was looked at and is in order")->excludes(quiet);
  app.add_option("--provider", options.provider, "only what matters to this provider, as if it were demanded")
      ->check(CLI::IsMember({"cxi", "efa", "verbs", "tcp", "sockets", "shm"}));
  app.add_option("--root", options.root,
                 "examine the files below this folder (sys, proc, dev, etc, boot ... of another machine) instead of this "
                 "machine; environment: proc/self/environ, limits: proc/self/limits, pirn: pirn-info.json, the output "
                 "of `pirn-info --json`")
      ->check(CLI::ExistingDirectory);
  app.footer("Each finding: severity, id, what was seen, what it means, remedy. The ids and the JSON are in README.md\n"
             "of tools/pirn-doctor. Changes nothing.\n"
             "Exit: 0 nothing wrong (notes at most), 1 warnings, 2 problems, 64 wrong usage.");
}

doctor::PirnFacts facts_below(const doctor::System &system) {
  if (const auto text = system.read("/pirn-info.json")) return doctor::read_facts(*text);
  doctor::PirnFacts facts;
  facts.missing = "there is no pirn-info.json in " + system.root();
  return facts;
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app{"pirn-doctor: what on this node keeps pirn from a provider or from its speed, and what to do about it"};
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  const doctor::System system(options.root);
  const doctor::PirnFacts pirn = system.root().empty() ? doctor::ask_pirn() : facts_below(system);
  const doctor::Findings findings = doctor::examine(system, pirn, options.provider);
  if (options.json) {
    const auto document = doctor::to_json(findings, {options.root, options.provider, pirn_version_string(), pirn.libfabric});
    fmt::print("{}\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    const auto detail = options.quiet     ? doctor::Detail::quiet
                        : options.explain ? doctor::Detail::explain
                                          : doctor::Detail::normal;
    fmt::print("{}", doctor::to_text(findings, detail));
  }
  return doctor::exit_status(findings);
}
