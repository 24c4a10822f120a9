// SPDX-License-Identifier: Apache-2.0
#include "hardware.h"

#include "words.h"

#include <algorithm>

namespace doctor {
namespace {

const std::string rdma_class = "/sys/class/infiniband/";
const std::string cxi_class = "/sys/class/cxi/";
const std::string net_class = "/sys/class/net/";

bool is_zero(const std::string &gid) { return gid.find_first_not_of("0:") == std::string::npos; }

std::vector<Gid> gids_of(const System &system, const std::string &port) {
  std::vector<Gid> gids;
  for (const std::string &slot : system.list(port + "/gids")) {
    const std::string value = system.text(port + "/gids/" + slot);
    if (is_zero(value)) continue;
    gids.push_back({value, system.text(port + "/gid_attrs/types/" + slot), system.text(port + "/gid_attrs/ndevs/" + slot)});
  }
  return gids;
}

std::vector<Port> ports_of(const System &system, const std::string &device) {
  std::vector<Port> ports;
  for (const std::string &name : system.list(device + "/ports")) {
    const std::string port = device + "/ports/" + name;
    const std::string rate = system.text(port + "/rate");
    ports.push_back({static_cast<int>(parse_number(name).value_or(0)), after_colon(system.text(port + "/state")),
                     after_colon(system.text(port + "/phys_state")), system.text(port + "/link_layer"), rate,
                     parse_rate(rate), gids_of(system, port)});
  }
  return ports;
}

// Software devices (rxe, siw) name their interface in `parent`; others are found by PCI device or by GID.
std::vector<std::string> netdevs_of(const System &system, const std::string &device, const std::vector<Port> &ports) {
  std::vector<std::string> names = system.list(device + "/device/net");
  names.push_back(system.text(device + "/parent"));
  for (const Port &port : ports)
    for (const Gid &gid : port.gids) names.push_back(gid.netdev);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::erase_if(names, [&](const std::string &name) { return name.empty() || !system.exists(net_class + name); });
  return names;
}

std::vector<RdmaDevice> rdma_devices(const System &system) {
  std::vector<RdmaDevice> devices;
  for (const std::string &name : system.list(rdma_class)) {
    const std::string path = rdma_class + name;
    auto ports = ports_of(system, path);
    auto netdevs = netdevs_of(system, path, ports);
    const std::string vendor = system.text(path + "/device/vendor");
    devices.push_back({name, system.link_name(path + "/device/driver"),
                       vendor.empty() ? "" : vendor + ":" + system.text(path + "/device/device"), std::move(ports),
                       std::move(netdevs)});
  }
  return devices;
}

std::vector<CxiDevice> cxi_devices(const System &system) {
  std::vector<CxiDevice> devices;
  for (const std::string &name : system.list(cxi_class))
    devices.push_back({name, system.list(cxi_class + name + "/device/net")});
  return devices;
}

std::vector<std::string> pci_devices(const System &system, const std::string &vendor, const std::string &device_prefix) {
  std::vector<std::string> found;
  for (const std::string &address : system.list("/sys/bus/pci/devices")) {
    const std::string path = "/sys/bus/pci/devices/" + address;
    if (system.text(path + "/vendor") == vendor && system.text(path + "/device").rfind(device_prefix, 0) == 0)
      found.push_back(address);
  }
  return found;
}

std::vector<Gpu> find_gpus(const System &system) {
  std::vector<Gpu> gpus;
  for (const std::string &address : system.list("/sys/bus/pci/devices")) {
    const std::string path = "/sys/bus/pci/devices/" + address;
    const std::string vendor = system.text(path + "/vendor"), kind = system.text(path + "/class").substr(0, 4);
    if ((vendor == "0x10de" || vendor == "0x1002") && (kind == "0x03" || kind == "0x12"))
      gpus.push_back({address, vendor == "0x10de", system.link_name(path + "/driver")});
  }
  return gpus;
}

std::string find_container(const System &system) {
  for (const char *file : {"/.dockerenv", "/run/.containerenv"})
    if (system.exists(file)) return file;
  for (const char *name : {"KUBERNETES_SERVICE_HOST", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "container"})
    if (system.variable(name)) return std::string("environment: ") + name;
  const std::string groups = system.text("/proc/1/cgroup") + system.text("/proc/self/cgroup");
  for (const char *word : {"kubepods", "docker", "containerd", "libpod", "/lxc"})
    if (groups.find(word) != std::string::npos) return std::string("cgroup: ") + word;
  return "";
}

std::string find_instance(const System &system) {
  const bool amazon = system.text("/sys/class/dmi/id/sys_vendor") == "Amazon EC2";
  return amazon ? system.text("/sys/class/dmi/id/product_name") : "";
}

}  // namespace

bool Hardware::has_verbs() const {
  return std::any_of(rdma.begin(), rdma.end(), [](const RdmaDevice &device) { return !device.is_efa(); });
}

bool Hardware::has_efa() const {
  return std::any_of(rdma.begin(), rdma.end(), [](const RdmaDevice &device) { return device.is_efa(); });
}

Hardware find_hardware(const System &system) {
  Hardware hardware{};
  hardware.rdma = rdma_devices(system);
  hardware.cxi = cxi_devices(system);
  hardware.efa_pci = pci_devices(system, "0x1d0f", "0xefa");
  hardware.cassini_pci = pci_devices(system, "0x17db", "0x0501");
  hardware.nvidia = system.exists("/proc/driver/nvidia/version");
  hardware.amd = system.exists("/sys/class/kfd/kfd") || system.exists("/sys/module/amdgpu");
  hardware.compute_amd = system.exists("/sys/class/kfd/kfd");
  hardware.gpus = find_gpus(system);
  hardware.container = find_container(system);
  hardware.instance = find_instance(system);
  return hardware;
}

bool has_ip_address(const System &system, const std::string &netdev) {
  // An IPv4 address brings a route to its own network, except a host address (/32) alone.
  for (const std::string &line : split(system.text("/proc/self/net/route"), '\n'))
    if (const auto columns = words(line); !columns.empty() && columns[0] == netdev) return true;
  for (const std::string &line : split(system.text("/proc/self/net/if_inet6"), '\n'))
    if (const auto columns = words(line); columns.size() == 6 && columns[5] == netdev && columns[3] != "20") return true;
  return false;
}

}  // namespace doctor
