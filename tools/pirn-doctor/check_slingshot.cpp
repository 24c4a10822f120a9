// SPDX-License-Identifier: Apache-2.0
// HPE Slingshot: Cassini NICs, their HSN interfaces, and the VNI that a job was given.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <cstring>

namespace doctor {
namespace {

const std::vector<std::string> cxi_only{"cxi"};

void check_hsn(const Node &node, const CxiDevice &device, Findings &out) {
  if (device.netdevs.empty())
    out.push_back({"cxi.no-interface", Severity::note, device.name, "its HSN interface cannot be seen here",
                   "libfabric's cxi does without; link state and MTU were not checked",
                   "run pirn-doctor on the host, or share its network namespace", cxi_only});
  for (const std::string &name : device.netdevs) {
    const std::string path = "/sys/class/net/" + name + "/";
    const std::string state = node.system.text(path + "operstate");
    const int64_t mtu = node.system.number(path + "mtu").value_or(0), speed = node.system.number(path + "speed").value_or(-1);
    const std::string seen = fmt::format("{} {}, MTU {}, {}", name, state, mtu,
                                         speed > 0 ? speed_text(static_cast<uint64_t>(speed) * 1'000'000) : "speed unknown");
    if (state != "up" && state != "unknown")
      out.push_back({"cxi.link-down", Severity::problem, device.name, seen, "the NIC reaches nobody",
                     fmt::format("ip link set dev {} up; check cable, switch port and fabric manager", name), cxi_only});
    else
      out.push_back({"cxi.link", Severity::ok, device.name, seen, "", "", cxi_only});
  }
}

void check_device_file(const Node &node, const CxiDevice &device, Findings &out) {
  const std::string path = "/dev/" + device.name;
  const int error = node.system.open_error(path);
  if (error == 0) return;
  out.push_back({"cxi.device-file", Severity::problem, path, strerror(error), "the NIC cannot be opened",
                 node.hardware.container.empty() ? "modprobe the cxi user module (cxi_user); check the mode of the device file"
                                                 : fmt::format("give it to the container: --device={}", path),
                 cxi_only});
}

// "VNI" or "VNI,VNI", 1 to 65535.
bool are_vnis(const std::string &list) {
  const auto parts = split(list, ',');
  for (const std::string &part : parts) {
    const auto value = parse_number(part);
    if (!value || *value < 1 || *value > 65535) return false;
  }
  return !parts.empty();
}

void check_job_devices(const Node &node, const std::string &list, Findings &out) {
  for (const std::string &name : split(list, ',')) {
    bool found = false;
    for (const CxiDevice &device : node.hardware.cxi) found |= device.name == name;
    if (!found)
      out.push_back({"cxi.job-device-missing", Severity::problem, "SLINGSHOT_DEVICES", fmt::format("names {}, which is not here", name),
                     "the job was given a NIC that this node or container does not show",
                     "give the container all /dev/cxi*; drain the node if the NIC is gone", cxi_only});
  }
  const std::string *services = node.system.variable("SLINGSHOT_SVC_IDS");
  if (services && split(*services, ',').size() != split(list, ',').size())
    out.push_back({"cxi.job-services", Severity::problem, "SLINGSHOT_SVC_IDS",
                   fmt::format("{} for devices {}", *services, list), "each device needs one service id",
                   "start by the launcher, and hand its SLINGSHOT_* variables on unchanged", cxi_only});
}

}  // namespace

void check_slingshot(const Node &node, Findings &out) {
  const Hardware &hardware = node.hardware;
  if (hardware.cxi.empty() && !hardware.cassini_pci.empty())
    out.push_back({"cxi.driver-missing", Severity::problem, join(hardware.cassini_pci, ", "), "Cassini on the PCI bus, no /sys/class/cxi",
                   "HPE's kernel driver is not loaded", "install HPE's Slingshot host software and load its cxi modules; dmesg",
                   cxi_only});
  for (const CxiDevice &device : hardware.cxi) {
    check_hsn(node, device, out);
    check_device_file(node, device, out);
  }
}

void check_vni(const Node &node, Findings &out) {
  if (node.hardware.cxi.empty()) return;
  const std::string *vnis = node.system.variable("SLINGSHOT_VNIS");
  if (!vnis) {
    bool job = false;
    for (const char *name : {"SLURM_JOB_ID", "PALS_APID", "PBS_JOBID", "FLUX_JOB_ID"}) job |= node.system.variable(name) != nullptr;
    out.push_back({"cxi.no-vni", job ? Severity::warning : Severity::note, "SLINGSHOT_VNIS",
                   job ? "not set, inside a job" : "not set, outside a job",
                   "libfabric takes the NIC's default service and VNI 10, which many sites close to users",
                   "Slurm: SwitchType=switch/hpe_slingshot, and srun --network=job_vni or single_node_vni; hand SLINGSHOT_* on "
                   "to containers and remote shells",
                   cxi_only});
    return;
  }
  if (!are_vnis(*vnis)) {
    out.push_back({"cxi.bad-vni", Severity::problem, "SLINGSHOT_VNIS", *vnis, "not a list of numbers from 1 to 65535",
                   "start by the launcher, and hand its SLINGSHOT_* variables on unchanged", cxi_only});
    return;
  }
  out.push_back({"cxi.vni", Severity::ok, "SLINGSHOT_VNIS", *vnis,
                 "libfabric uses the first, that of the job step: different steps do not reach each other", "", cxi_only});
  if (const std::string *devices = node.system.variable("SLINGSHOT_DEVICES")) check_job_devices(node, *devices, out);
}

}  // namespace doctor
