// SPDX-License-Identifier: Apache-2.0
#include "described.h"

#include <algorithm>
#include <fstream>
#include <iterator>

using namespace pirn;
using namespace pirn::topo;

namespace {

std::string of_all(const Described &described, std::string (*word)(const Ranking &)) {
  std::string out;
  for (const PciAddress &device : accelerators(described.machine))
    out += (out.empty() ? "" : " ") + word(rank(described.machine, Place::at(device), described.nics));
  return out;
}

// What stands between open and close after the name, or nothing.
std::string between(const std::string &text, const std::string &name, char open, char close) {
  const size_t after = text.find(name);
  if (after == std::string::npos) return "";
  const size_t start = text.find(open, after + name.size());
  const size_t end = start == std::string::npos ? start : text.find(close, start + 1);
  return end == std::string::npos ? "" : text.substr(start + 1, end - start - 1);
}

}  // namespace

Described describe(const std::string &file, const std::vector<std::string> &nic_ids) {
  auto loaded = load_machine(file);
  if (!loaded.is_ok()) fail_test("%s", loaded.error().text.c_str());
  Described result{loaded.take(), {}};
  std::ifstream stream(file);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  for (size_t at = text.find("pci_busid="); at != std::string::npos; at = text.find("pci_busid=", at + 1)) {
    const std::string element = text.substr(at, text.find('>', at) - at);
    if (std::find(nic_ids.begin(), nic_ids.end(), between(element, "pci_type=", '[', ']')) == nic_ids.end()) continue;
    result.nics.push_back(parse_pci_address(between(element, "pci_busid=", '"', '"')));
    assert_true(result.nics.back().has_value());
  }
  std::sort(result.nics.begin(), result.nics.end());
  return result;
}

std::vector<PciAddress> accelerators(const Machine &machine) {
  std::vector<PciAddress> found;
  for (const Device &device : machine.devices)
    if (device.is_accelerator()) found.push_back(device.address);
  return found;
}

std::string indices(const std::vector<size_t> &list) {
  std::string out;
  for (size_t index : list) out += (out.empty() ? "" : ",") + std::to_string(index);
  return out;
}

std::string nearest_of_all(const Described &described) {
  return of_all(described, [](const Ranking &ranking) { return indices(ranking.nearest); });
}

std::string preferred_of_all(const Described &described) {
  return of_all(described, [](const Ranking &ranking) { return indices(ranking.preferred); });
}

std::string levels_of_all(const Described &described) {
  return of_all(described, [](const Ranking &ranking) {
    const Level level = ranking.distances[ranking.nearest.front()].level;
    return std::string(1, "shnpmu"[static_cast<size_t>(level)]);
  });
}

std::string preferred_of_domains(const Described &described) {
  std::string out;
  for (uint32_t domain = 0; domain < described.machine.domains.size(); ++domain) {
    const Ranking ranking = rank(described.machine, Place::in_domain(domain), described.nics);
    out += (out.empty() ? "" : " ") + indices(ranking.preferred);
  }
  return out;
}

void check_machine(const std::string &file, const Expected &expected) {
  print_message("%s\n", file.c_str());
  const Described described = describe(file, expected.nic_ids);
  assert_int_equal(described.nics.size(), expected.nics);
  assert_text(nearest_of_all(described), expected.nearest);
  assert_text(preferred_of_all(described), expected.preferred);
  assert_text(levels_of_all(described), expected.levels);
  assert_text(preferred_of_domains(described), expected.host_memory);
}
