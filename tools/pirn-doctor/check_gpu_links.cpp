// SPDX-License-Identifier: Apache-2.0
// What keeps devices on PCI from reaching each other: access control of switches, address translation, the driver.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <algorithm>

namespace doctor {
namespace {

const std::string pci_folder = "/sys/bus/pci/devices/";

// Little-endian words of a configuration space; 0 beyond its end.
uint32_t at(const std::string &config, size_t offset, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes && offset + i < config.size(); ++i)
    value |= static_cast<uint32_t>(static_cast<unsigned char>(config[offset + i])) << (8 * i);
  return value;
}

// A switch's port towards devices: PCI Express capability, type 6.
bool is_downstream_port(const std::string &config) {
  size_t place = at(config, 0x34, 1);
  for (int most = 48; place >= 0x40 && most > 0; --most, place = at(config, place + 1, 1))
    if (at(config, place, 1) == 0x10) return (at(config, place + 2, 2) >> 4 & 0xf) == 6;
  return false;
}

// Access control services: requests between devices are redirected to the host bridge.
bool redirects(const std::string &config) {
  size_t place = 0x100;
  for (int most = 256; place >= 0x100 && most > 0; --most, place = at(config, place, 4) >> 20)
    if ((at(config, place, 4) & 0xffff) == 0x000d) return (at(config, place + 6, 2) & 0x4) != 0;
  return false;
}

void check_access_control(const System &system, Severity severity, Findings &out) {
  constexpr size_t shortest = 0x101;  // who is not root sees 64 bytes
  std::vector<std::string> redirecting;
  size_t ports = 0, unseen = 0;
  for (const std::string &address : system.list("/sys/bus/pci/devices")) {
    if (system.text(pci_folder + address + "/class").rfind("0x0604", 0) != 0) continue;
    const std::string config = system.text(pci_folder + address + "/config");
    if (config.size() < shortest) ++unseen;
    else if (is_downstream_port(config)) {
      ++ports;
      if (redirects(config)) redirecting.push_back(address);
    }
  }
  if (!redirecting.empty())
    out.push_back({"gpu.acs", severity, join(redirecting, ", "), "PCI switches send requests between devices up to the host (ACS)",
                   "GPUs and NICs behind one switch reach each other slowly, or not at all",
                   "disable ACS in the firmware, or as root: setpci -s ADDRESS ECAP_ACS+6.w=0000 for each of them at every boot; "
                   "virtual machines on this host need it on"});
  else if (ports > 0)
    out.push_back({"gpu.no-acs", Severity::ok, "", fmt::format("no redirection at {} ports of PCI switches", ports), "", ""});
  else if (unseen > 0)
    out.push_back({"gpu.acs-unknown", Severity::ok, "", "only root can see whether PCI switches redirect requests (ACS)", "", ""});
}

void check_translation(const Node &node, Severity severity, Findings &out) {
  std::vector<std::string> translated;
  for (const Gpu &gpu : node.hardware.gpus) {
    const std::string group = node.system.link_name(pci_folder + gpu.pci + "/iommu_group");
    if (group.empty()) continue;
    const std::string type = node.system.text("/sys/kernel/iommu_groups/" + group + "/type");
    if (type.rfind("DMA", 0) == 0) translated.push_back(gpu.pci);
  }
  if (translated.empty()) return;
  out.push_back({"gpu.iommu", severity, join(translated, ", "), "the IOMMU translates their addresses",
                 "devices on PCI reach each other slowly, or not at all",
                 "kernel parameters iommu=pt (with intel_iommu=on where it is set), or the IOMMU off in the firmware"});
}

void check_access(const PirnFacts &pirn, Findings &out) {
  std::vector<std::string> apart;
  for (const DeviceLink &link : pirn.links)
    if (!link.peer_access && link.from.substr(0, link.from.find(':')) == link.to.substr(0, link.to.find(':')))
      apart.push_back(link.from + " to " + link.to);
  if (apart.empty()) return;
  const size_t all = apart.size();
  if (all > 8) apart.resize(8);
  out.push_back({"gpu.no-peer-access", Severity::note, "", join(apart, ", ") + (all > 8 ? fmt::format(" and {} more", all - 8) : ""),
                 "bytes between them pass through host memory",
                 "NVLink or xGMI, or GPUs below one host bridge; see gpu.acs and gpu.iommu, and nvidia-smi topo -p2p r"});
}

}  // namespace

void check_gpu_links(const Node &node, Findings &out) {
  const auto &links = node.pirn.links;
  const auto usable = std::count_if(node.hardware.gpus.begin(), node.hardware.gpus.end(), [](const Gpu &gpu) { return !gpu.driver.empty(); });
  check_access(node.pirn, out);
  if (usable == 0 || (usable == 1 && !node.has_fabric())) return;
  const bool off_pci = !links.empty() && std::all_of(links.begin(), links.end(), [](const DeviceLink &link) {
    return link.kind == "NVLink" || link.kind == "xGMI";
  });
  const Severity severity = node.has_fabric() || !off_pci ? Severity::warning : Severity::note;
  check_access_control(node.system, severity, out);
  check_translation(node, severity, out);
}

}  // namespace doctor
