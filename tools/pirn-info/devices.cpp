// SPDX-License-Identifier: Apache-2.0
#include "devices.h"

#include "collect.h"

#include <fmt/core.h>

#include <array>
#include <utility>

using nlohmann::json;

namespace {

constexpr std::array<std::pair<uint32_t, const char *>, 6> feature_words{{
    {PIRN_DEVICE_SHARES_FILES, "shares memory by file descriptor"},
    {PIRN_DEVICE_SHARES_FABRIC, "shares memory across hosts"},
    {PIRN_DEVICE_SHARES_LEGACY, "shares plain allocations"},
    {PIRN_DEVICE_WAITS_ON_WORDS, "streams wait on host words"},
    {PIRN_DEVICE_HAS_KERNELS, "kernels for small blocks"},
    {PIRN_DEVICE_DMA_BUF, "dma-buf"},
}};
constexpr std::array<const char *, 6> distance_names{"switch", "bridge", "numa", "package", "machine", "unknown"};

json features_of(uint32_t bits) {
  auto words = json::array();
  for (const auto &[bit, word] : feature_words)
    if (bits & bit) words.push_back(word);
  return words;
}

json lacks_of(pirn_context *context, uint64_t index, uint32_t bits) {
  auto lacks = json::array();
  for (const auto &[bit, word] : feature_words) {
    const char *reason = "";
    if (bits & bit) continue;
    if (pirn_info_device_lacks(context, index, bit, &reason) != PIRN_OK) throw std::runtime_error(pirn_last_error());
    lacks.push_back({{"feature", word}, {"reason", reason}});
  }
  return lacks;
}

// As 8-4-4-4-12 hexadecimal digits.
std::string uuid_text(const uint8_t (&uuid)[16]) {
  std::string text;
  for (size_t i = 0; i < std::size(uuid); ++i)
    text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
  return text;
}

// Those of which no NIC of the same provider is nearer; null if the machine's topology cannot be read.
json nearest_nics(pirn_context *context, const std::string &pci_address, size_t nic_count) {
  auto nearest = json::array();
  for (uint64_t index = 0; index < nic_count; ++index) {
    pirn_affinity_info info{};
    info.struct_size = sizeof info;
    if (pirn_info_affinity(context, pci_address.c_str(), index, &info) != PIRN_OK) return nullptr;
    if (info.nearest && info.distance < PIRN_DISTANCE_UNKNOWN)
      nearest.push_back({{"provider", info.provider}, {"name", info.name}, {"distance", distance_names[info.distance]},
                         {"preferred", info.preferred != 0}});
  }
  return nearest;
}

json link_of(pirn_context *context, const json &devices, uint64_t from, uint64_t to) {
  pirn_device_link_info link{};
  link.struct_size = sizeof link;
  if (pirn_info_device_link(context, from, to, &link) != PIRN_OK) throw std::runtime_error(pirn_last_error());
  return {{"from", devices[from].at("name")}, {"to", devices[to].at("name")}, {"kind", link.kind},
          {"lanes", link.lanes}, {"speed_bits_per_s", link.speed}, {"peer_access", link.peer_access != 0},
          {"atomics", link.atomics != 0}, {"distance", distance_names.at(link.distance)}, {"reason", link.reason}};
}

json collect_links(pirn_context *context, const json &devices) {
  auto links = json::array();
  for (uint64_t from = 0; from < devices.size(); ++from)
    for (uint64_t to = 0; to < devices.size(); ++to)
      if (from != to) links.push_back(link_of(context, devices, from, to));
  return links;
}

}  // namespace

void add_devices(pirn_context *context, json &facts) {
  auto kinds = json::array(), devices = json::array();
  for_each_info<pirn_device_kind_info>(context, pirn_info_device_kind, [&](const pirn_device_kind_info &kind) {
    kinds.push_back({{"name", kind.name}, {"version", kind.version}, {"reason", kind.reason},
                     {"loaded", kind.loaded != 0}, {"device_count", kind.device_count}});
  });
  const size_t nics = facts.at("nics").size();
  for_each_info<pirn_device_info>(context, pirn_info_device, [&](const pirn_device_info &device) {
    devices.push_back({{"name", device.name}, {"description", device.description}, {"pci_address", device.pci_address},
                       {"uuid", uuid_text(device.uuid)}, {"memory_bytes", device.memory},
                       {"features", features_of(device.features)},
                       {"lacks", lacks_of(context, devices.size(), device.features)},
                       {"nearest_nics", nearest_nics(context, device.pci_address, nics)}});
  });
  facts["device_kinds"] = std::move(kinds);
  facts["device_links"] = collect_links(context, devices);
  facts["devices"] = std::move(devices);
}
