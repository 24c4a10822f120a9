// SPDX-License-Identifier: Apache-2.0
#include "collect.h"
#include "devices.h"
#include "machine.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

using Row = std::vector<std::string>;

std::string text(const nlohmann::json &item, const char *key) {
  const auto value = item.at(key).get<std::string>();
  return value.empty() ? "-" : value;
}

}  // namespace

void print_table(const std::vector<Row> &rows) {
  Row::size_type columns = rows.empty() ? 0 : rows.front().size();
  std::vector<size_t> width(columns, 0);
  for (const Row &row : rows)
    for (size_t i = 0; i < columns; ++i) width[i] = std::max(width[i], row[i].size());
  for (const Row &row : rows) {
    std::string line = " ";
    for (size_t i = 0; i < columns; ++i) line += fmt::format(" {:<{}}", row[i], i + 1 == columns ? 0 : width[i]);
    fmt::print("{}\n", line);
  }
}

void print_overview(const nlohmann::json &facts) {
  fmt::print("pirn {}\n  build: {}\n  libfabric: {}\n\nproviders, best first\n", facts.at("version").get<std::string>(),
             facts.at("build").get<std::string>(), facts.at("libfabric").get<std::string>());
  std::vector<Row> rows;
  for (const auto &p : facts.at("providers")) {
    const bool usable = p.at("usable").get<bool>();
    rows.push_back({text(p, "name"), usable ? "usable" : "not usable",
                    usable ? fmt::format("libfabric {}, {} NICs", text(p, "fabric"), p.at("nic_count").get<uint32_t>())
                           : text(p, "reason")});
  }
  print_table(rows);
  fmt::print("\nNICs of usable providers\n");
  rows.clear();
  for (const auto &n : facts.at("nics"))
    rows.push_back({text(n, "provider"), text(n, "name"), text(n, "address"), text(n, "pci_address"),
                    speed_text(n.at("link_speed_bits_per_s").get<uint64_t>())});
  print_table(rows);
  if (facts.contains("devices")) print_devices(facts);
}

void print_settings(const nlohmann::json &facts) {
  std::vector<Row> rows{{"setting", "value", "source", "default", "allowed"}};
  for (const auto &s : facts.at("settings"))
    rows.push_back({text(s, "name"), text(s, "value"), text(s, "source"), text(s, "default"), text(s, "allowed")});
  print_table(rows);
}
