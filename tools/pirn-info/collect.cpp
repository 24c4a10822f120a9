// SPDX-License-Identifier: Apache-2.0
#include "collect.h"

namespace {

const char *source_name(uint32_t source) {
  switch (source) {
    case PIRN_SOURCE_DEFAULT: return "default";
    case PIRN_SOURCE_ENVIRONMENT: return "environment";
    case PIRN_SOURCE_PARAMS: return "parameters";
    default: return "unknown";
  }
}

nlohmann::json collect_providers(pirn_context *context) {
  auto providers = nlohmann::json::array();
  for_each_info<pirn_provider_info>(context, pirn_info_provider, [&](const pirn_provider_info &p) {
    providers.push_back({{"name", p.name}, {"fabric", p.fabric}, {"usable", p.usable != 0}, {"reason", p.reason},
                         {"nic_count", p.nic_count}});
  });
  return providers;
}

nlohmann::json collect_nics(pirn_context *context) {
  auto nics = nlohmann::json::array();
  for_each_info<pirn_nic_info>(context, pirn_info_nic, [&](const pirn_nic_info &n) {
    nics.push_back({{"provider", n.provider}, {"name", n.name}, {"address", n.address}, {"pci_address", n.pci_address},
                    {"link_speed_bits_per_s", n.link_speed}, {"max_message_bytes", n.max_message_size}});
  });
  return nics;
}

nlohmann::json collect_settings(pirn_context *context) {
  auto settings = nlohmann::json::array();
  for_each_info<pirn_setting_info>(context, pirn_info_setting, [&](const pirn_setting_info &s) {
    settings.push_back({{"name", s.name}, {"value", s.value}, {"default", s.default_value}, {"allowed", s.allowed},
                        {"source", source_name(s.source)}, {"doc", s.doc}});
  });
  return settings;
}

}  // namespace

nlohmann::json collect(pirn_context *context) {
  return {{"schema", 1},
          {"version", pirn_version_string()},
          {"build", pirn_info_build()},
          {"libfabric", pirn_info_libfabric_version()},
          {"providers", collect_providers(context)},
          {"nics", collect_nics(context)},
          {"settings", collect_settings(context)}};
}
