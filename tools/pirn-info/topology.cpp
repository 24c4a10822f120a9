// SPDX-License-Identifier: Apache-2.0
#include "topology.h"

#include "collect.h"
#include "devices.h"
#include "machine.h"

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace {

struct Column {
  std::string title;
  std::string place;  // as pirn_info_affinity wants it; "" here
};

pirn_affinity_info affinity(pirn_context *context, const std::string &place, uint64_t index) {
  pirn_affinity_info info{};
  info.struct_size = sizeof info;
  if (pirn_info_affinity(context, place.empty() ? nullptr : place.c_str(), index, &info) != PIRN_OK)
    throw std::runtime_error(pirn_last_error());
  return info;
}

std::string cell(const pirn_affinity_info &info) {
  static const char *const names[] = {"switch", "bridge", "numa", "package", "machine", "-"};
  const std::string name = info.distance < std::size(names) ? names[info.distance] : "?";
  return name + (info.preferred ? "*" : info.spare ? "+" : "");
}

std::vector<Column> columns_of(const Machine &machine) {
  std::vector<Column> columns;
  for (size_t i = 0; i < machine.accelerators.size(); ++i)
    columns.push_back({fmt::format("A{}", i), machine.accelerators[i]});
  for (unsigned node : machine.nodes) columns.push_back({fmt::format("N{}", node), fmt::format("numa:{}", node)});
  columns.push_back({"here", ""});
  return columns;
}

void print_tree(const Shape &shape, const std::string &indent) {
  for (size_t i = 0; i < shape.below.size(); ++i) {
    const bool last = i + 1 == shape.below.size();
    fmt::print("  {}{}{}\n", indent, last ? "`- " : "|- ", shape.below[i].label);
    print_tree(shape.below[i], indent + (last ? "   " : "|  "));
  }
}

void print_distances(pirn_context *context, const nlohmann::json &facts, const Machine &machine) {
  const auto &nics = facts.at("nics");
  const std::vector<Column> columns = columns_of(machine);
  std::vector<std::vector<std::string>> rows{{"NIC", "PCI address"}};
  for (const Column &column : columns) rows.front().push_back(column.title);
  for (uint64_t index = 0; index < nics.size(); ++index) {
    const auto &nic = nics[index];
    const auto pci = nic.at("pci_address").get<std::string>();
    if (pci.empty()) continue;
    rows.push_back({nic.at("provider").get<std::string>() + " " + nic.at("name").get<std::string>(), pci});
    for (const Column &column : columns) rows.back().push_back(cell(affinity(context, column.place, index)));
  }
  if (rows.size() == 1) {
    fmt::print("\ndistances\n  no NIC of a usable provider is a PCI device\n");
    return;
  }
  fmt::print("\ndistances: what the two have in common (* preferred, + spare)\n");
  print_table(rows);
  for (size_t i = 0; i < machine.accelerators.size(); ++i)
    fmt::print("  A{} accelerator {}{}\n", i, machine.accelerators[i], device_at(facts, machine.accelerators[i]));
  fmt::print("  N  memory of a NUMA node; here: memory of the CPUs that this process is bound to\n");
}

std::string setting(const nlohmann::json &facts, const std::string &name) {
  for (const auto &item : facts.at("settings"))
    if (item.at("name") == name) return item.at("value").get<std::string>();
  return "";
}

// The provider that an endpoint without demands takes; "" if there is none.
std::string provider_in_force(const nlohmann::json &facts) {
  const std::string demanded = setting(facts, "PIRN_PROVIDER");
  for (const auto &provider : facts.at("providers")) {
    const auto name = provider.at("name").get<std::string>();
    if (provider.at("usable").get<bool>() && (demanded == "auto" || demanded == name)) return name;
  }
  return "";
}

void print_rails(pirn_context *context, const nlohmann::json &facts) {
  fmt::print("\nrails of an endpoint opened here\n");
  const std::string listed = setting(facts, "PIRN_NICS"), provider = provider_in_force(facts);
  if (!listed.empty()) {
    fmt::print("  as PIRN_NICS demands: {}\n", listed);
    return;
  }
  if (provider.empty()) fmt::print("  none: no usable provider\n");
  const auto &nics = facts.at("nics");
  for (uint64_t index = 0; index < nics.size(); ++index) {
    const auto &nic = nics[index];
    const pirn_affinity_info info = affinity(context, "", index);
    if (nic.at("provider") != provider || (!info.preferred && !info.spare)) continue;
    const auto pci = nic.at("pci_address").get<std::string>(), address = nic.at("address").get<std::string>();
    fmt::print("  {} {} {} {}{}\n", provider, nic.at("name").get<std::string>(), pci.empty() ? address : pci,
               speed_text(nic.at("link_speed_bits_per_s").get<uint64_t>()),
               info.spare ? ", a spare: while none of the others works" : "");
  }
}

std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

const char *style(Shape::Kind kind) {
  switch (kind) {
    case Shape::Kind::accelerator:
      return ", style=filled, fillcolor=palegreen";
    case Shape::Kind::nic:
      return ", style=filled, fillcolor=lightblue";
    case Shape::Kind::unused_nic:
      return ", style=dashed";
    case Shape::Kind::bridge:
      return ", shape=oval";
    default:
      return "";
  }
}

// Prints the shape and what is below it; the name of its node.
std::string print_node(const Shape &shape, size_t &count) {
  const std::string name = shape.pci_address.empty() ? fmt::format("n{}", count++) : quoted(shape.pci_address);
  fmt::print("  {} [label={}{}];\n", name, quoted(shape.label), style(shape.kind));
  for (const Shape &below : shape.below) {
    const std::string other = print_node(below, count);
    fmt::print("  {} -- {};\n", name, other);
  }
  return name;
}

}  // namespace

void print_topology(pirn_context *context, const nlohmann::json &facts) {
  const Machine machine = read_machine(facts);
  fmt::print("{}\n", machine.tree.label);
  print_tree(machine.tree, "");
  print_distances(context, facts, machine);
  print_rails(context, facts);
  if (facts.contains("devices")) print_devices(facts);
}

void print_topology_dot(pirn_context *context, const nlohmann::json &facts) {
  const Machine machine = read_machine(facts);
  fmt::print("graph pirn {{\n  rankdir=LR;\n  node [shape=box];\n");
  size_t count = 0;
  print_node(machine.tree, count);
  const auto &nics = facts.at("nics");
  for (const std::string &accelerator : machine.accelerators) {
    for (uint64_t index = 0; index < nics.size(); ++index) {
      const auto pci = nics[index].at("pci_address").get<std::string>();
      const pirn_affinity_info info = affinity(context, accelerator, index);
      if (pci.empty() || !info.preferred || info.distance == PIRN_DISTANCE_UNKNOWN) continue;
      fmt::print("  {} -- {} [color=blue, constraint=false];\n", quoted(accelerator), quoted(pci));
    }
  }
  fmt::print("}}\n");
}
