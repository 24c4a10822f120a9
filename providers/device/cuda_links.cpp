// SPDX-License-Identifier: Apache-2.0
// Links between devices. The driver's own interface tells who reaches whom; over which links, only libnvidia-ml.so.1.
#include "cuda_nvml.h"
#include "cuda_table.h"

#include <array>

namespace pirn::device::cuda {
namespace {

using nvml::Library;

struct NvLinks {
  bool connected = false;  // directly or through switches
  uint32_t lanes = 0;
  uint64_t speed = 0;
};

Library &library() {
  static Library *one = new Library;  // never destroyed: threads may still ask when the process ends
  return *one;
}

Status status_of_nvml(const Symbol &function, int error) {
  if (error == nvml::success) return Status::ok();
  const auto text = reinterpret_cast<const char *(*)(int)>(library().nvmlErrorString.address);
  return fail(PIRN_ERR_UNAVAILABLE, "libnvidia-ml.so.1: %s: %s", function.name, text(error));
}

Status open_library() {
  Library &all = library();
  static constexpr std::array names = {"libnvidia-ml.so.1"};
  const std::array<Symbol *, 8> symbols = {&all.nvmlInit_v2,
                                           &all.nvmlDeviceGetHandleByPciBusId_v2,
                                           &all.nvmlDeviceGetP2PStatus,
                                           &all.nvmlDeviceGetNvLinkState,
                                           &all.nvmlDeviceGetNvLinkRemotePciInfo_v2,
                                           &all.nvmlDeviceGetNvLinkRemoteDeviceType,
                                           &all.nvmlDeviceGetFieldValues,
                                           &all.nvmlErrorString};
  const Status opened = open_runtime(names, false, symbols);
  return opened.is_ok() ? status_of_nvml(all.nvmlInit_v2, all.nvmlInit_v2()) : opened;
}

Result<nvml::Device> handle_of(const PciAddress &pci) {
  const auto &find = library().nvmlDeviceGetHandleByPciBusId_v2;
  nvml::Device device = nullptr;
  const Status status = status_of_nvml(find, find(pci_text(pci).c_str(), &device));
  if (!status.is_ok()) return status;
  return device;
}

bool leads_to(nvml::Device device, unsigned link, const PciAddress &peer) {
  int type = nvml::remote_device;
  const auto &type_of = library().nvmlDeviceGetNvLinkRemoteDeviceType;
  if (type_of && type_of(device, link, &type) == nvml::success && type == nvml::remote_switch) return true;
  nvml::PciInfo remote{};
  if (library().nvmlDeviceGetNvLinkRemotePciInfo_v2(device, link, &remote) != nvml::success) return false;
  return remote.domain == peer.domain && remote.bus == peer.bus && remote.device == peer.device;
}

uint32_t lanes_to(nvml::Device device, const PciAddress &peer) {
  uint32_t lanes = 0;
  for (unsigned link = 0; link < nvml::most_links; ++link) {
    unsigned active = 0;
    if (library().nvmlDeviceGetNvLinkState(device, link, &active) != nvml::success) break;  // there are no more
    if (active != 0 && leads_to(device, link, peer)) ++lanes;
  }
  return lanes;
}

uint64_t lane_speed(nvml::Device device) {
  nvml::FieldValue speed{};
  speed.field = nvml::field_speed;
  if (library().nvmlDeviceGetFieldValues(device, 1, &speed) != nvml::success || speed.error != nvml::success) return 0;
  return speed.type == nvml::value_unsigned ? uint64_t{speed.number} * 8'000'000 : 0;
}

// The first call opens the library, for good. Error: why nothing is known.
Result<NvLinks> links_between(const PciAddress &device, const PciAddress &peer) {
  static const Status opened = open_library();
  if (!opened.is_ok()) return opened;
  const Result<nvml::Device> from = handle_of(device), to = handle_of(peer);
  if (!from.is_ok()) return from.status();
  if (!to.is_ok()) return to.status();
  int state = 0;
  const auto &ask = library().nvmlDeviceGetP2PStatus;
  const Status asked = status_of_nvml(ask, ask(from.value(), to.value(), nvml::capability_links, &state));
  if (!asked.is_ok()) return asked;
  NvLinks links;
  links.connected = state == nvml::status_ok;
  if (links.connected) links.lanes = lanes_to(from.value(), peer);
  links.speed = links.lanes * (links.connected ? lane_speed(from.value()) : 0);
  return links;
}

}  // namespace

Result<Link> link(uint32_t device, uint32_t peer) {
  const Device from = static_cast<Device>(device), to = static_cast<Device>(peer);
  int direct = 0, atomics = 0;
  Status status = call(driver().cuDeviceCanAccessPeer, &direct, from, to);
  if (status.is_ok() && direct != 0) {
    status = call(driver().cuDeviceGetP2PAttribute, &atomics, pair_atomics, from, to);
  }
  if (!status.is_ok()) return status;
  const Result<PciAddress> here = pci_of(device), there = pci_of(peer);
  if (!here.is_ok()) return here.status();
  if (!there.is_ok()) return there.status();
  Link found;
  found.direct = direct != 0;
  found.atomics = atomics != 0;
  if (!found.direct) found.reason = "the driver allows no direct access between them";
  const Result<NvLinks> links = links_between(here.value(), there.value());
  if (!links.is_ok()) {
    found.reason += (found.reason.empty() ? "" : "; ") + ("the link is unknown: " + links.status().text);
    return found;
  }
  found.kind = links.value().connected ? "NVLink" : "PCIe";
  found.lanes = links.value().lanes;
  found.speed = links.value().speed;
  return found;
}

}  // namespace pirn::device::cuda
