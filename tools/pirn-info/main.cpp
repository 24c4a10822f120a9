// SPDX-License-Identifier: Apache-2.0
// pirn-info: what this build and this machine offer, and what is configured.
#include "collect.h"
#include "topology.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <memory>
#include <string>

int main(int argc, char **argv) {
  CLI::App app{"pirn-info: version, providers, NICs and settings of pirn on this machine"};
  bool settings = false, json = false;
  app.add_flag("-c,--config", settings, "settings: value in force, where it came from, default, allowed values");
  app.add_flag("--json", json, "everything as one JSON document");
  std::string topology;
  app.add_flag("--topology{tree}", topology,
               "devices, NICs, distances and the rails chosen, as a tree; --topology=dot: as a graph for DOT")
      ->check(CLI::IsMember({"tree", "dot"}));
  CLI11_PARSE(app, argc, argv);

  pirn_context *opened = nullptr;
  const pirn_status status = pirn_context_open(nullptr, &opened);
  if (status != PIRN_OK) {
    fmt::print(stderr, "pirn-info: {}: {}\n", pirn_status_string(status), pirn_last_error());
    return 1;
  }
  const std::unique_ptr<pirn_context, pirn_status (*)(pirn_context *)> context(opened, pirn_context_close);
  try {
    const nlohmann::json facts = collect(context.get());
    if (topology == "dot")
      print_topology_dot(context.get(), facts);
    else if (!topology.empty())
      print_topology(context.get(), facts);
    else if (json)
      fmt::print("{}\n", facts.dump(2));
    else
      settings ? print_settings(facts) : print_overview(facts);
  } catch (const std::exception &error) {
    fmt::print(stderr, "pirn-info: {}\n", error.what());
    return 1;
  }
  return 0;
}
