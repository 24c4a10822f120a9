// SPDX-License-Identifier: Apache-2.0
// AWS EFA: instance, PCI device, driver.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

namespace doctor {
namespace {

// Instance families that are bought for EFA. Smaller sizes of others have it, too, but may well do without.
const std::vector<std::string> efa_families{"p4d",     "p4de",    "p5",    "p5e",    "p5en",  "p6-b200", "p6-b300", "p6e-gb200",
                                            "hpc6a",   "hpc6id",  "hpc7a", "hpc7g",  "hpc8a", "trn1",    "trn1n",   "trn2"};

bool bought_for_efa(const std::string &instance) { return contains(efa_families, instance.substr(0, instance.find('.'))); }

}  // namespace

void check_efa(const Node &node, Findings &out) {
  const Hardware &hardware = node.hardware;
  const std::vector<std::string> providers{"efa"};
  if (hardware.has_efa()) {
    for (const RdmaDevice &device : hardware.rdma)
      if (device.is_efa()) out.push_back({"efa.device", Severity::ok, device.name, "driver efa", "", "", providers});
    return;
  }
  if (!hardware.efa_pci.empty()) {
    out.push_back({"efa.driver-missing", Severity::problem, join(hardware.efa_pci, ", "), "EFA on the PCI bus, no RDMA device of driver efa",
                   "the kernel module is not loaded, or failed", "modprobe efa; dmesg | grep efa; AWS's EFA installer has a current one",
                   providers});
    return;
  }
  const bool wanted = bought_for_efa(hardware.instance);
  if (!wanted && node.demanded != "efa") return;
  out.push_back({"efa.none-attached", wanted ? Severity::warning : Severity::problem, hardware.instance,
                 "no EFA device on the PCI bus",
                 hardware.instance.empty() ? "this is no EC2 instance, or hides that it is one"
                                           : "the instance has no network interface of type efa: traffic takes TCP",
                 "launch it with InterfaceType=efa (or efa-only) on its network interfaces, in one placement group, with a "
                 "security group that allows all traffic to and from itself",
                 providers});
}

}  // namespace doctor
