// SPDX-License-Identifier: Apache-2.0
#include "collect.h"
#include "devices.h"
#include "machine.h"

#include <fmt/core.h>

using nlohmann::json;

namespace {

std::vector<std::string> link_row(const json &link) {
  const auto kind = link.at("kind").get<std::string>();
  const auto lanes = link.at("lanes").get<uint32_t>();
  const bool access = link.at("peer_access").get<bool>(), atomics = link.at("atomics").get<bool>();
  return {link.at("from").get<std::string>(),
          link.at("to").get<std::string>(),
          kind.empty() ? "unknown" : lanes == 0 ? kind : fmt::format("{} x{}", kind, lanes),
          speed_text(link.at("speed_bits_per_s").get<uint64_t>()),
          !access ? "no" : atomics ? "yes, with atomics" : "yes",
          link.at("distance").get<std::string>(),
          link.at("reason").get<std::string>()};
}

std::string joined(const json &words) {
  std::string all;
  for (const auto &word : words) all += (all.empty() ? "" : ", ") + word.get<std::string>();
  return all.empty() ? "none" : all;
}

std::string nics_text(const json &nics) {
  if (nics.is_null()) return "unknown: the topology of this machine cannot be read";
  std::string all;
  for (const auto &nic : nics)
    all += fmt::format("{}{} {} ({}{})", all.empty() ? "" : ", ", nic.at("provider").get<std::string>(),
                       nic.at("name").get<std::string>(), nic.at("distance").get<std::string>(),
                       nic.at("preferred").get<bool>() ? ", preferred" : "");
  return all.empty() ? "none with a known distance" : all;
}

}  // namespace

void print_devices(const json &facts) {
  fmt::print("\ndevices\n");
  for (const auto &kind : facts.at("device_kinds")) {
    const auto reason = kind.at("reason").get<std::string>(), version = kind.at("version").get<std::string>();
    fmt::print("  {}: {}\n", kind.at("name").get<std::string>(),
               reason.empty() ? fmt::format("{}, {} usable", version, kind.at("device_count").get<uint32_t>())
                              : "not usable: " + reason);
  }
  for (const auto &device : facts.at("devices")) {
    fmt::print("  {}  {}, {:.1f} GiB\n", device.at("name").get<std::string>(), device.at("description").get<std::string>(),
               static_cast<double>(device.at("memory_bytes").get<uint64_t>()) / (1 << 30));
    fmt::print("    PCI {}, UUID {}\n    features: {}\n    nearest NICs: {}\n", device.at("pci_address").get<std::string>(),
               device.at("uuid").get<std::string>(), joined(device.at("features")), nics_text(device.at("nearest_nics")));
    for (const auto &lack : device.at("lacks"))
      fmt::print("    lacks: {}: {}\n", lack.at("feature").get<std::string>(), lack.at("reason").get<std::string>());
  }
  const auto &links = facts.at("device_links");
  if (links.empty()) return;
  fmt::print("\nlinks between devices\n");
  std::vector<std::vector<std::string>> rows{{"from", "to", "link", "speed", "peer access", "distance", "reason"}};
  for (const auto &link : links) rows.push_back(link_row(link));
  print_table(rows);
}

std::string device_at(const json &facts, const std::string &pci_address) {
  for (const auto &device : facts.value("devices", json::array()))
    if (device.at("pci_address") == pci_address)
      return ": " + device.at("name").get<std::string>() + " " + device.at("description").get<std::string>();
  return "";
}
