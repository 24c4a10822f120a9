// SPDX-License-Identifier: Apache-2.0
// Every check: reads the node, appends what it finds, changes nothing. Which ids a check may give is in README.md.
#pragma once

#include "finding.h"
#include "hardware.h"
#include "pirn_facts.h"

namespace doctor {

struct Node {
  const System &system;
  const PirnFacts &pirn;
  Hardware hardware;
  std::string demanded;  // the provider that is asked about, or that PIRN_PROVIDER demands; "" if none

  // True if an RDMA, EFA or Slingshot device is here to be used.
  bool has_fabric() const { return !hardware.rdma.empty() || !hardware.cxi.empty(); }
};

void check_providers(const Node &node, Findings &out);
void check_libfabric(const Node &node, Findings &out);
void check_memlock(const Node &node, Findings &out);
void check_files(const Node &node, Findings &out);
void check_hugepages(const Node &node, Findings &out);
void check_ptrace(const Node &node, Findings &out);
void check_ports(const Node &node, Findings &out);
void check_pcie(const Node &node, Findings &out);
void check_addresses(const Node &node, Findings &out);
void check_interfaces(const Node &node, Findings &out);
void check_verbs_userspace(const Node &node, Findings &out);
void check_efa(const Node &node, Findings &out);
void check_slingshot(const Node &node, Findings &out);
void check_vni(const Node &node, Findings &out);
void check_device_files(const Node &node, Findings &out);
void check_container(const Node &node, Findings &out);
void check_shared_memory(const Node &node, Findings &out);
void check_pirn_settings(const Node &node, Findings &out);
void check_fabric_environment(const Node &node, Findings &out);
void check_gpu_memory(const Node &node, Findings &out);
void check_gpu_driver(const Node &node, Findings &out);
void check_gpu_files(const Node &node, Findings &out);
void check_gpu_runtime(const Node &node, Findings &out);
void check_gpu_links(const Node &node, Findings &out);
void check_gpu_paths(const Node &node, Findings &out);
void check_local_folder(const Node &node, Findings &out);

// All of them, worst first, then in the order above; with `provider`, only what matters to it.
Findings examine(const System &system, const PirnFacts &pirn, const std::string &provider);

}  // namespace doctor
