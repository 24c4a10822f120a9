// SPDX-License-Identifier: Apache-2.0
#include "checks.h"
#include "words.h"

#include <algorithm>

namespace doctor {

Findings examine(const System &system, const PirnFacts &pirn, const std::string &provider) {
  constexpr void (*checks[])(const Node &, Findings &) = {
      check_providers,  check_libfabric,      check_memlock,       check_files,          check_hugepages,
      check_ptrace,     check_ports,          check_pcie,          check_addresses,      check_interfaces,
      check_verbs_userspace, check_efa,       check_slingshot,     check_vni,            check_device_files,
      check_container,  check_shared_memory,  check_pirn_settings, check_fabric_environment, check_local_folder,
      check_gpu_driver, check_gpu_files,      check_gpu_runtime,   check_gpu_links,      check_gpu_paths, check_gpu_memory};
  const std::string *demand = system.variable("PIRN_PROVIDER");
  const bool demanded = demand && *demand != "auto";
  const Node node{system, pirn, find_hardware(system), !provider.empty() ? provider : demanded ? *demand : ""};
  Findings findings;
  for (const auto check : checks) check(node, findings);
  if (!provider.empty())
    std::erase_if(findings, [&](const Finding &f) { return !f.providers.empty() && !contains(f.providers, provider); });
  std::stable_sort(findings.begin(), findings.end(), [](const Finding &a, const Finding &b) { return a.severity > b.severity; });
  return findings;
}

}  // namespace doctor
