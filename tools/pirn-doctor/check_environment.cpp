// SPDX-License-Identifier: Apache-2.0
// Variables: pirn's own, misspelt or refused, and libfabric's FI_* that work against pirn.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <algorithm>

namespace doctor {
namespace {

bool is_true(const std::string &value) {
  static const std::vector<std::string> words_of_truth{"1", "true", "yes", "on", "TRUE", "YES", "ON", "True"};
  return contains(words_of_truth, value);
}
bool is_false(const std::string &value) {
  static const std::vector<std::string> words_of_denial{"0", "false", "no", "off", "FALSE", "NO", "OFF", "False"};
  return contains(words_of_denial, value);
}
bool is_any(const std::string &) { return true; }
bool is_not_false(const std::string &value) { return !is_false(value); }
bool is_chatty(const std::string &value) { return value == "debug" || value == "trace" || value == "info"; }

// Variables whose value alone tells.
struct Trap {
  const char *name;
  bool (*applies)(const std::string &value);
  const char *id;
  Severity severity;
  const char *means, *remedy;
  std::vector<std::string> providers;
};

const Trap traps[] = {
    {"FI_EFA_USE_DEVICE_RDMA", is_true, "env.efa-abort", Severity::warning,
     "libfabric ends the process where the device or its driver has no RDMA", "unset it: libfabric finds out by itself", {"efa"}},
    {"FI_EFA_USE_DEVICE_RDMA", is_false, "env.efa-emulated", Severity::warning,
     "reads and writes are emulated by the target's processor", "unset it", {"efa"}},
    {"FI_EFA_MTU_SIZE", is_any, "env.efa-abort", Severity::warning, "newer libfabric ends the process when it sees this", "unset it", {"efa"}},
    {"FI_EFA_TX_IOV_LIMIT", is_any, "env.efa-abort", Severity::warning, "newer libfabric ends the process when it sees this", "unset it", {"efa"}},
    {"FI_EFA_ENABLE_SHM_TRANSFER", is_true, "env.efa-shm", Severity::warning,
     "peers on this host go over libfabric's shm, where a killed peer can hang the survivor; pirn would switch it off", "unset it", {"efa"}},
    {"FI_EFA_FORK_SAFE", is_true, "env.efa-fork", Severity::warning,
     "with huge pages, registrations fail; kernels since 5.12 make forking safe by themselves", "unset it", {"efa"}},
    {"FI_CXI_OPTIMIZED_MRS", is_not_false, "env.cxi-stale-key", Severity::warning,
     "a withdrawn window can still be reached through a cached key, and all peers of a job must agree; pirn would set 0", "unset it", {"cxi"}},
    {"FI_CXI_MR_MATCH_EVENTS", is_false, "env.cxi-stale-key", Severity::warning,
     "a withdrawn window can still be reached for a while; pirn would set 1", "unset it", {"cxi"}},
    {"FI_MR_CACHE_MAX_COUNT", [](const std::string &value) { return value == "0"; }, "env.no-mr-cache", Severity::note,
     "buffers that were not registered beforehand are mapped anew for each operation", "unset it", {"cxi", "efa", "verbs"}},
    {"FI_TCP_PROV_NAME", is_any, "env.tcp-renamed", Severity::problem,
     "it renames libfabric's tcp provider, which pirn then does not find", "unset it", {"tcp"}},
    {"FI_LOG_LEVEL", is_chatty, "env.log", Severity::note, "libfabric writes much to standard error, which costs time", "unset it", {}},
    {"FI_HOOK", is_any, "env.hook", Severity::note, "each call goes through a hook provider, which costs time", "unset it", {}},
    {"RDMAV_HUGEPAGES_SAFE", is_any, "env.verbs-fork", Severity::note,
     "registration looks for huge pages in /proc each time; kernels since 5.12 make forking safe by themselves", "unset it", {"verbs", "efa"}},
};

// "cxi,efa" lets those through, "^shm" all but those. A list of the first kind leaves layers such as ofi_rxm alone.
bool lets_through(const std::string &filter, const std::vector<std::string> &names) {
  const bool excludes = filter.rfind('^', 0) == 0;
  const auto listed = split(excludes ? filter.substr(1) : filter, ',');
  const bool named = std::any_of(names.begin(), names.end(), [&](const std::string &name) { return contains(listed, name); });
  const bool layer_hidden = excludes && contains(names, "verbs") && contains(listed, "ofi_rxm");
  return named != excludes && !layer_hidden;
}

void check_filter(const Node &node, const std::string &filter, Findings &out) {
  struct Wanted {
    const char *provider;
    std::vector<std::string> names;
    bool here;
  };
  const Wanted all[] = {{"cxi", {"cxi"}, !node.hardware.cxi.empty()},
                        {"efa", {"efa"}, node.hardware.has_efa()},
                        {"verbs", {"verbs"}, node.hardware.has_verbs()},
                        {"tcp", {"net", "tcp"}, node.demanded == "tcp"}};
  for (const Wanted &wanted : all) {
    const bool demanded = node.demanded == wanted.provider;
    if ((!wanted.here && !demanded) || lets_through(filter, wanted.names)) continue;
    out.push_back({"env.provider-hidden", demanded ? Severity::problem : Severity::warning, "FI_PROVIDER", filter,
                   fmt::format("libfabric hides {} from pirn", wanted.provider),
                   "unset FI_PROVIDER; PIRN_PROVIDER chooses without hiding the rest", {wanted.provider}});
  }
}

void check_provider_path(const Node &node, const std::string &value, Findings &out) {
  for (std::string folder : split(value, ':')) {
    if (folder.front() == '@') folder.erase(0, 1);
    if (folder.front() == '+' || node.system.exists(folder)) continue;
    out.push_back({"env.provider-path", Severity::warning, "FI_PROVIDER_PATH", folder + " does not exist",
                   "libfabric searches only here for providers in files of their own", "correct or unset it"});
  }
}

// Variables that filter by the name of a device or interface.
void check_device_filters(const Node &node, Findings &out) {
  struct Filter {
    const char *name, *folder, *provider;
    bool prefix;  // names may be the beginnings of names
  };
  static const Filter filters[] = {{"FI_VERBS_DEVICE_NAME", "/sys/class/infiniband/", "verbs", true},
                                   {"FI_VERBS_IFACE", "/sys/class/net/", "verbs", true},
                                   {"FI_TCP_IFACE", "/sys/class/net/", "tcp", false},
                                   {"FI_NET_IFACE", "/sys/class/net/", "tcp", false},
                                   {"FI_SOCKETS_IFACE", "/sys/class/net/", "sockets", false},
                                   {"FI_CXI_DEVICE_NAME", "/sys/class/cxi/", "cxi", false}};
  for (const Filter &filter : filters) {
    const std::string *value = node.system.variable(filter.name);
    if (!value) continue;
    for (const std::string &name : split(*value, ',')) {
      const auto present = node.system.list(filter.folder);
      const bool found = std::any_of(present.begin(), present.end(), [&](const std::string &other) {
        return other == name || (filter.prefix && other.rfind(name, 0) == 0);
      });
      if (found) continue;
      out.push_back({"env.device-missing", Severity::problem, filter.name, name + " is not here",
                     fmt::format("libfabric's {} sees no device", filter.provider),
                     present.empty() ? "unset it" : "unset it, or choose from: " + join(present, ", "), {filter.provider}});
    }
  }
}

}  // namespace

void check_pirn_settings(const Node &node, Findings &out) {
  if (!node.pirn.settings_error.empty())
    out.push_back({"env.setting-refused", Severity::problem, "", node.pirn.settings_error, "pirn_context_open fails",
                   "correct or unset it; `pirn-info -c` lists what is allowed"});
  if (node.pirn.settings.empty()) return;
  for (const auto &entry : node.system.environment()) {
    const std::string &name = entry.first;
    if (name.rfind("PIRN_", 0) != 0 || contains(node.pirn.settings, name)) continue;
    const auto nearer = [&](const auto &a, const auto &b) { return edit_distance(name, a) < edit_distance(name, b); };
    const auto nearest = std::min_element(node.pirn.settings.begin(), node.pirn.settings.end(), nearer);
    const bool near = edit_distance(name, *nearest) * 3 <= name.size() - 5;  // the prefix is no likeness
    out.push_back({"env.setting-unknown", Severity::warning, name, "not a setting of pirn", "it has no effect",
                   near ? fmt::format("did you mean {}?", *nearest) : "unset it; `pirn-info -c` lists the settings"});
  }
}

void check_fabric_environment(const Node &node, Findings &out) {
  for (const Trap &trap : traps)
    if (const std::string *value = node.system.variable(trap.name); value && trap.applies(*value))
      out.push_back({trap.id, trap.severity, trap.name, *value, trap.means, trap.remedy, trap.providers});
  if (const std::string *filter = node.system.variable("FI_PROVIDER")) check_filter(node, *filter, out);
  if (const std::string *path = node.system.variable("FI_PROVIDER_PATH")) check_provider_path(node, *path, out);
  check_device_filters(node, out);
}

}  // namespace doctor
