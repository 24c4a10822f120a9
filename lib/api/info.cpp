// SPDX-License-Identifier: Apache-2.0
#include "api/copy_out.h"
#include "api/error.h"
#include "api/handles.h"
#include "api/params.h"
#include "core/affinity.h"
#include "core/explain.h"

#include <algorithm>
#include <bit>

using namespace pirn;
using namespace pirn::api;

static Status past_end(const char *what, uint64_t index, size_t count) {
  return fail(PIRN_ERR_RANGE, "%s %llu does not exist: there are %zu", what, static_cast<unsigned long long>(index),
              count);
}

static_assert(static_cast<uint32_t>(topo::Level::pci_switch) == PIRN_DISTANCE_SWITCH &&
              static_cast<uint32_t>(topo::Level::unknown) == PIRN_DISTANCE_UNKNOWN);

static bool contains(const std::vector<size_t> &list, size_t index) {
  return std::find(list.begin(), list.end(), index) != list.end();
}

// 1 for the first, 0 if it is none.
static uint32_t number_among_spares(const fabric::ProviderFound &provider, size_t index, const topo::Machine &machine,
                                    const topo::Place &place, uint64_t most) {
  const std::vector<fabric::Nic> chosen = core::near(machine, place, provider.nics);
  const std::vector<fabric::Nic> spares = core::spares(machine, place, provider.nics, chosen, most);
  for (size_t i = 0; i < spares.size(); ++i)
    if (same_nic(spares[i], provider.nics[index])) return static_cast<uint32_t>(i + 1);
  return 0;
}

static pirn_affinity_info affinity_of(const fabric::ProviderFound &provider, size_t index, const topo::Machine &machine,
                                      const topo::Place &place, uint64_t most_spares) {
  const topo::Ranking ranking = topo::rank(machine, place, core::pci_addresses(provider.nics));
  const topo::Distance &distance = ranking.distances[index];
  const bool preferred = provider.profile->ip_addressed ? index == 0 : contains(ranking.preferred, index);
  return {sizeof(pirn_affinity_info),
          provider.profile->name,
          provider.nics[index].name.c_str(),
          static_cast<uint32_t>(distance.level),
          distance.climb,
          contains(ranking.nearest, index) ? 1u : 0u,
          preferred ? 1u : 0u,
          number_among_spares(provider, index, machine, place, most_spares),
          0};
}

static_assert(PIRN_DEVICE_DMA_BUF == 1u << (device::feature_count - 1));

static uint32_t distance_between(core::Context &context, const device::Info &one, const device::Info &other) {
  const auto &machine = context.machine();
  if (!machine.is_ok()) return PIRN_DISTANCE_UNKNOWN;
  return static_cast<uint32_t>(topo::distance(machine.value(), topo::Place::at(one.pci), other.pci).level);
}

extern "C" {

pirn_status pirn_info_setting(pirn_context *context, uint64_t index, pirn_setting_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!context) return missing("context");
    const auto &report = unwrap(context)->setting_report();
    if (index >= report.size()) return past_end("setting", index, report.size());
    const SettingReport &row = report[index];
    pirn_setting_info out{sizeof(out),         row.name.c_str(), row.value.c_str(), row.default_value.c_str(),
                          row.allowed.c_str(), row.doc.c_str(),  row.source,        0};
    export_result(out, info);
    return Status::ok();
  });
}

pirn_status pirn_info_provider(pirn_context *context, uint64_t index, pirn_provider_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!context) return missing("context");
    const auto &found = unwrap(context)->providers();
    if (index >= found.size()) return past_end("provider", index, found.size());
    const fabric::ProviderFound &row = found[index];
    pirn_provider_info out{sizeof(out),
                           row.profile->name,
                           row.fabric_provider.c_str(),
                           row.reason.c_str(),
                           row.reason.empty() ? 1u : 0u,
                           static_cast<uint32_t>(row.nics.size())};
    export_result(out, info);
    return Status::ok();
  });
}

pirn_status pirn_info_nic(pirn_context *context, uint64_t index, pirn_nic_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!context) return missing("context");
    size_t seen = 0;
    for (const fabric::ProviderFound &provider : unwrap(context)->providers()) {
      for (const fabric::Nic &nic : provider.nics) {
        if (seen++ != index) continue;
        pirn_nic_info out{sizeof(out),         nic.profile->name,       nic.name.c_str(),
                          nic.address.c_str(), nic.pci_address.c_str(), nic.link_speed,
                          nic.max_message};
        export_result(out, info);
        return Status::ok();
      }
    }
    return past_end("NIC", index, seen);
  });
}

pirn_status pirn_info_device_kind(pirn_context *context, uint64_t index, pirn_device_kind_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!context) return missing("context");
    const auto &kinds = unwrap(context)->devices().kinds();
    if (index >= kinds.size()) return past_end("device kind", index, kinds.size());
    const device::Kind &kind = kinds[index];
    pirn_device_kind_info out{sizeof(out),         kind.operations->name,    kind.version.c_str(),
                              kind.reason.c_str(), kind.loaded ? 1u : 0u, static_cast<uint32_t>(kind.devices)};
    export_result(out, info);
    return Status::ok();
  });
}

pirn_status pirn_info_device(pirn_context *context, uint64_t index, pirn_device_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!context) return missing("context");
    const auto &devices = unwrap(context)->device_list();
    if (index >= devices.size()) return past_end("device", index, devices.size());
    const core::ListedDevice &device = devices[index];
    pirn_device_info out{sizeof(out), device.name.c_str(), device.info.name.c_str(), device.pci_address.c_str(),
                         {},          device.info.memory,  device.info.features,     0};
    std::copy(device.info.uuid.begin(), device.info.uuid.end(), out.uuid);
    export_result(out, info);
    return Status::ok();
  });
}

pirn_status pirn_info_device_lacks(pirn_context *context, uint64_t index, uint32_t feature, const char **reason) {
  return guard([&]() -> Status {
    if (!reason) return missing("reason");
    *reason = nullptr;
    if (!context) return missing("context");
    if (!std::has_single_bit(feature) || feature > PIRN_DEVICE_DMA_BUF)
      return fail(PIRN_ERR_INVALID, "feature %u: one of PIRN_DEVICE_*, 1 to %u, is allowed", feature, PIRN_DEVICE_DMA_BUF);
    const auto &devices = unwrap(context)->device_list();
    if (index >= devices.size()) return past_end("device", index, devices.size());
    *reason = devices[index].info.lacking[static_cast<size_t>(std::countr_zero(feature))].c_str();
    return Status::ok();
  });
}

pirn_status pirn_info_device_link(pirn_context *context, uint64_t index, uint64_t peer, pirn_device_link_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!context) return missing("context");
    const auto &devices = unwrap(context)->device_list();
    for (const uint64_t one : {index, peer})
      if (one >= devices.size()) return past_end("device", one, devices.size());
    if (index == peer) return fail(PIRN_ERR_INVALID, "%s has no link to itself", devices[index].name.c_str());
    const device::Link &link = unwrap(context)->device_links()[index * devices.size() + peer];
    pirn_device_link_info out{sizeof(out),
                              link.kind.c_str(),
                              link.reason.c_str(),
                              link.speed,
                              link.lanes,
                              link.direct ? 1u : 0u,
                              link.atomics ? 1u : 0u,
                              distance_between(*unwrap(context), devices[index].info, devices[peer].info)};
    export_result(out, info);
    return Status::ok();
  });
}

pirn_status pirn_info_affinity(pirn_context *context, const char *place, uint64_t index, pirn_affinity_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!context) return missing("context");
    const auto &machine = unwrap(context)->machine();
    if (!machine.is_ok()) return machine.status();
    auto from = core::place_named(machine.value(), place);
    if (!from.is_ok()) return from.status();
    uint64_t first = 0;
    for (const fabric::ProviderFound &provider : unwrap(context)->providers()) {
      const uint64_t offset = index - first;
      first += provider.nics.size();
      if (index >= first) continue;
      export_result(affinity_of(provider, offset, machine.value(), from.value(),
                                unwrap(context)->settings().spare_nics),
                    info);
      return Status::ok();
    }
    return past_end("NIC", index, first);
  });
}

pirn_status pirn_info_explain(pirn_context *context, const char *provider, char *buffer, size_t *length) {
  return guard([&]() -> Status {
    if (!length) return missing("length");
    if (!context) return missing("context");
    auto explained = core::explain_providers(*unwrap(context), provider ? provider : "");
    if (!explained.is_ok()) return explained.status();
    return copy_out(explained.value(), buffer, length);
  });
}

const char *pirn_info_libfabric_version(void) {
  static const std::string version = fabric::libfabric_version();
  return version.c_str();
}

const char *pirn_info_build(void) {
  static const std::string build = text("pirn %s, compiler %s, libfabric headers %s", pirn_version_string(),
                                        __VERSION__, fabric::header_version().c_str());
  return build.c_str();
}

}  // extern "C"
