// SPDX-License-Identifier: Apache-2.0
// RDMA ports: state, physical state, speed, width; and the PCIe link they hang on.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace doctor {
namespace {

const char *provider_of(const RdmaDevice &device) { return device.is_efa() ? "efa" : "verbs"; }

void check_state(const RdmaDevice &device, const Port &port, Findings &out) {
  const std::string subject = fmt::format("{} port {}", device.name, port.number);
  const std::string seen = fmt::format("{}, {}, {}", port.state, port.phys_state, port.rate_text);
  const std::vector<std::string> providers{provider_of(device)};
  if (port.state == "ACTIVE") {
    out.push_back({"rdma.port", Severity::ok, subject, seen, "", "", providers});
  } else if (port.state == "INIT" || port.state == "ARMED") {
    out.push_back({"rdma.no-subnet-manager", Severity::warning, subject, seen,
                   "the cable is fine, but no subnet manager has configured the port",
                   "start one on a switch or host (Debian package opensm), and look at its log", providers});
  } else if (port.phys_state == "Disabled") {
    out.push_back({"rdma.port-disabled", Severity::note, subject, seen, "the port was switched off",
                   "ip link set dev INTERFACE up; ibportstate for InfiniBand", providers});
  } else {
    out.push_back({"rdma.port-down", Severity::warning, subject, seen, "the port carries nothing",
                   "check cable, transceiver and switch port; `ip link set dev INTERFACE up`; dmesg tells of the driver",
                   providers});
  }
}

// Only InfiniBand's own links are four lanes wide throughout; Ethernet has one-lane ports that are whole.
void check_width(const RdmaDevice &device, const Port &port, Findings &out) {
  if (port.state != "ACTIVE" || port.link_layer != "InfiniBand") return;
  const bool narrow = port.rate_text.find("(1X ") != std::string::npos || port.rate_text.find("(2X ") != std::string::npos;
  if (!narrow) return;
  out.push_back({"rdma.link-narrow", Severity::warning, fmt::format("{} port {}", device.name, port.number), port.rate_text,
                 "the link came up with fewer lanes than it has", "reseat or replace the cable; reset the port", {"verbs"}});
}

// Ports of NICs of one model that came up slower than the fastest of them.
void check_even(const std::vector<RdmaDevice> &devices, Findings &out) {
  std::map<std::string, uint64_t> fastest;
  for (const RdmaDevice &device : devices)
    for (const Port &port : device.ports)
      if (port.state == "ACTIVE") fastest[device.model] = std::max(fastest[device.model], port.rate);
  for (const RdmaDevice &device : devices)
    for (const Port &port : device.ports)
      if (!device.model.empty() && port.state == "ACTIVE" && port.rate < fastest[device.model])
        out.push_back({"rdma.rate-uneven", Severity::warning, fmt::format("{} port {}", device.name, port.number),
                       fmt::format("{}, others of its model {}", speed_text(port.rate), speed_text(fastest[device.model])),
                       "this NIC takes a smaller share of every striped transfer",
                       "check cable and switch port, and the speed that is configured there", {provider_of(device)}});
}

// Net of encoding, per lane; 0 if it says nothing ("Unknown" in virtual machines).
double lane_gbps(const std::string &speed) {
  const auto value = words(speed);
  if (value.empty()) return 0;
  static const std::map<std::string, double> lanes{{"2.5", 2.0}, {"5.0", 4.0}, {"8.0", 7.877}, {"16.0", 15.75},
                                                   {"32.0", 31.5}, {"64.0", 63.0}};
  const auto found = lanes.find(value[0]);
  return found == lanes.end() ? 0 : found->second;
}

}  // namespace

void check_ports(const Node &node, Findings &out) {
  bool any_verbs = false, any_active = false;
  for (const RdmaDevice &device : node.hardware.rdma) {
    for (const Port &port : device.ports) {
      check_state(device, port, out);
      check_width(device, port, out);
      any_verbs |= !device.is_efa();
      any_active |= !device.is_efa() && port.state == "ACTIVE";
    }
  }
  if (any_verbs && !any_active)
    out.push_back({"rdma.no-active-port", Severity::problem, "", "no port of any RDMA NIC is active",
                   "the verbs provider cannot be used", "see the ports above", {"verbs"}});
  check_even(node.hardware.rdma, out);
}

void check_pcie(const Node &node, Findings &out) {
  for (const RdmaDevice &device : node.hardware.rdma) {
    const std::string path = "/sys/class/infiniband/" + device.name + "/device/";
    const std::string speed = node.system.text(path + "current_link_speed"), best = node.system.text(path + "max_link_speed");
    const auto width = node.system.number(path + "current_link_width"), widest = node.system.number(path + "max_link_width");
    const double lane = lane_gbps(speed);
    if (lane == 0 || lane_gbps(best) == 0 || !width || !widest || *width < 1 || *width > 32) continue;
    uint64_t rate = 0;
    for (const Port &port : device.ports) rate += port.state == "ACTIVE" ? port.rate : 0;
    const double pcie = lane * static_cast<double>(*width) * 1e9;
    const std::string seen = fmt::format("x{} at {}, capable of x{} at {}; ports {}", *width, speed, *widest, best, speed_text(rate));
    if (pcie < static_cast<double>(rate))
      out.push_back({"rdma.pcie-slow", Severity::warning, device.name, seen, "the PCIe link is slower than the ports",
                     "another slot, or let the firmware train it anew; a NIC with two ports shares one slot by design",
                     {provider_of(device)}});
    else if (*width < *widest || lane < lane_gbps(best))
      out.push_back({"rdma.pcie-reduced", Severity::note, device.name, seen,
                     "the PCIe link runs below what the NIC can, still enough for its ports",
                     "another slot, if latency or a second port matter", {provider_of(device)}});
    else
      out.push_back({"rdma.pcie", Severity::ok, device.name, seen, "", "", {provider_of(device)}});
  }
}

}  // namespace doctor
