// SPDX-License-Identifier: Apache-2.0
#include "topo/machine.h"

#include <sched.h>

#include <algorithm>

namespace pirn::topo {

// Display controllers and processing accelerators. A plain VGA controller on a slow or unknown link is the console
// of the board or of the hypervisor.
bool Device::is_accelerator() const {
  constexpr uint16_t vga = 0x0300, display = 0x03, accelerator = 0x12;
  constexpr double slowest_link = 1.0;
  if (class_code == vga) return link >= slowest_link;
  return class_code >> 8 == display || class_code >> 8 == accelerator;
}

const Device *Machine::find(const PciAddress &address) const {
  auto place = std::lower_bound(devices.begin(), devices.end(), address,
                                [](const Device &device, const PciAddress &wanted) { return device.address < wanted; });
  return place != devices.end() && place->address == address ? &*place : nullptr;
}

uint32_t Machine::domain_of_node(uint32_t node) const {
  for (uint32_t i = 0; i < domains.size(); ++i) {
    const std::vector<uint32_t> &nodes = domains[i].nodes;
    if (std::find(nodes.begin(), nodes.end(), node) != nodes.end()) return i;
  }
  return nowhere;
}

std::optional<uint32_t> common_domain(const Machine &machine, const std::vector<uint32_t> &cpus) {
  if (cpus.empty() || machine.domains.size() < 2) return {};
  std::optional<uint32_t> smallest;
  for (uint32_t i = 0; i < machine.domains.size(); ++i) {
    const std::vector<uint32_t> &own = machine.domains[i].cpus;
    auto inside = [&](uint32_t cpu) { return std::binary_search(own.begin(), own.end(), cpu); };
    if (!std::all_of(cpus.begin(), cpus.end(), inside)) continue;
    if (!smallest || own.size() < machine.domains[*smallest].cpus.size()) smallest = i;
  }
  return smallest;
}

std::optional<uint32_t> bound_domain(const Machine &machine) {
  if (!machine.this_system) return {};
  uint32_t room = 1024;
  for (const Domain &domain : machine.domains)
    if (!domain.cpus.empty()) room = std::max(room, domain.cpus.back() + 1);
  std::vector<cpu_set_t> mask(CPU_ALLOC_SIZE(room) / sizeof(cpu_set_t) + 1);
  const size_t size = mask.size() * sizeof(cpu_set_t);
  if (sched_getaffinity(0, size, mask.data()) != 0) return {};
  std::vector<uint32_t> cpus;
  for (uint32_t cpu = 0; cpu < size * 8; ++cpu)
    if (CPU_ISSET_S(cpu, size, mask.data())) cpus.push_back(cpu);
  return common_domain(machine, cpus);
}

}  // namespace pirn::topo
