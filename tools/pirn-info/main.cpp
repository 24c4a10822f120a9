// SPDX-License-Identifier: Apache-2.0
// pirn-info: what this build and this machine offer, and what is configured.
#include "collect.h"
#include "devices.h"
#include "explain.h"
#include "topology.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <memory>
#include <string>

namespace {

struct Options {
  bool settings = false, json = false, no_devices = false;
  std::string topology, explain;
  double timeout_s = 5;
};

void declare(CLI::App &app, Options &options) {
  auto *what = app.add_option_group("what to print");
  what->add_flag("-c,--config", options.settings, "settings: value in force, where it came from, default, allowed values");
  what->add_flag("--json", options.json, "everything as one JSON document");
  what->add_flag("--topology{tree}", options.topology,
                 "devices, NICs, distances and the rails chosen, as a tree; --topology=dot: as a graph for DOT")
      ->check(CLI::IsMember({"tree", "dot"}));
  auto *explained = what->add_option("--explain", options.explain,
                                     "PROVIDER, all, or HOST:PORT of a listening endpoint: why each provider, NIC and path "
                                     "is or is not chosen");
  explained->type_name("WHAT")->check([](const std::string &text) { return text.empty() ? "it is empty" : ""; });
  what->require_option(0, 1);
  app.add_option("--timeout", options.timeout_s, "seconds that --explain HOST:PORT waits for the peer")
      ->needs(explained)
      ->check(CLI::Range(0.001, 3600.0));
  app.add_flag("--no-devices", options.no_devices, "load no device runtime (driver); devices are not listed");
  app.footer("Exit: 0 printed, 1 a setting is malformed or no endpoint can be opened, 2 the peer was not reached,\n"
             "64 wrong usage.");
}

int print(pirn_context *context, const Options &options) {
  if (!options.explain.empty()) return explain(context, options.explain, options.timeout_s);
  nlohmann::json facts = collect(context);
  if (!options.settings && !options.no_devices) add_devices(context, facts);
  if (options.topology == "dot")
    print_topology_dot(context, facts);
  else if (!options.topology.empty())
    print_topology(context, facts);
  else if (options.json)
    fmt::print("{}\n", facts.dump(2));
  else
    options.settings ? print_settings(facts) : print_overview(facts);
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  CLI::App app{"pirn-info: version, providers, NICs and settings of pirn on this machine"};
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }

  pirn_context *opened = nullptr;
  const pirn_status status = pirn_context_open(nullptr, &opened);
  if (status != PIRN_OK) {
    fmt::print(stderr, "pirn-info: {}: {}\n", pirn_status_string(status), pirn_last_error());
    return 1;
  }
  const std::unique_ptr<pirn_context, pirn_status (*)(pirn_context *)> context(opened, pirn_context_close);
  try {
    return print(context.get(), options);
  } catch (const std::exception &error) {
    fmt::print(stderr, "pirn-info: {}\n", error.what());
    return 1;
  }
}
