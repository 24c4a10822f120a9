// SPDX-License-Identifier: Apache-2.0
// How a verbs NIC is addressed: interfaces, IP addresses, GIDs and RoCE versions; and MTU and speed of interfaces.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace doctor {
namespace {

const std::string net_class = "/sys/class/net/";

bool is_global(const Gid &gid) { return gid.value.rfind("fe80:", 0) != 0; }

void check_roce_version(const Node &node, const RdmaDevice &device, const Port &port, Findings &out) {
  const std::string subject = fmt::format("{} port {}", device.name, port.number);
  const auto has = [&](const char *type) {
    return std::any_of(port.gids.begin(), port.gids.end(), [&](const Gid &gid) { return gid.type == type; });
  };
  const bool old = has("IB/RoCE v1"), current = has("RoCE v2");
  const std::string seen = fmt::format("{} GIDs: {}", port.gids.size(), current ? old ? "RoCE v1 and v2" : "RoCE v2" : "RoCE v1 only");
  if (!current && old) {
    out.push_back({"rdma.roce-v1-only", Severity::warning, subject, seen,
                   "RoCE v1 does not leave its Ethernet segment, and cannot talk to peers that use v2",
                   "enable RoCE v2 in the NIC's firmware or driver; a NIC that has none reaches only its own segment", {"verbs"}});
    return;
  }
  const std::string mode = node.system.text(
      fmt::format("/sys/kernel/config/rdma_cm/{}/ports/{}/default_roce_mode", device.name, port.number));
  if (mode == "IB/RoCE v1")
    out.push_back({"rdma.roce-mode-v1", Severity::warning, subject, "rdma_cm's default_roce_mode: " + mode,
                   "connections are made with RoCE v1 although the NIC has v2",
                   "cma_roce_mode -d DEVICE -p PORT -m 2 (Debian package rdma-core's tools), on all nodes alike", {"verbs"}});
  else
    out.push_back({"rdma.roce", Severity::ok, subject, seen, "", "", {"verbs"}});
}

void check_roce_address(const RdmaDevice &device, const Port &port, Findings &out) {
  const std::string subject = fmt::format("{} port {}", device.name, port.number);
  if (device.netdevs.empty()) {
    out.push_back({"rdma.no-interface", Severity::problem, subject, "none of its network interfaces can be seen here",
                   "rdma_cm addresses the NIC by the IP address of its interface, which another network namespace holds",
                   "docker run --network host, hostNetwork: true, or a CNI plugin that moves the NIC (rdma system set netns exclusive)",
                   {"verbs"}});
    return;
  }
  if (std::any_of(port.gids.begin(), port.gids.end(), is_global)) return;
  out.push_back({"rdma.no-address", Severity::problem, subject,
                 fmt::format("no IP address on {} ({} GIDs, all link-local)", join(device.netdevs, ", "), port.gids.size()),
                 "the verbs provider meets peers by rdma_cm, which needs an IP address on every NIC",
                 fmt::format("ip address add A.B.C.D/N dev {}", device.netdevs.front()), {"verbs"}});
}

void check_ipoib(const Node &node, const RdmaDevice &device, Findings &out) {
  if (device.netdevs.empty()) {
    out.push_back({"rdma.no-ipoib", Severity::problem, device.name, "no IPoIB interface here",
                   "the verbs provider meets peers by rdma_cm, which needs an IP address on every NIC",
                   "modprobe ib_ipoib, then ip address add A.B.C.D/N dev ib0; in a container share the host's network", {"verbs"}});
    return;
  }
  for (const std::string &name : device.netdevs)
    if (has_ip_address(node.system, name)) {
      out.push_back({"rdma.ipoib", Severity::ok, device.name, name + " has an IP address", "", "", {"verbs"}});
      return;
    }
  out.push_back({"rdma.no-address", Severity::problem, device.name, "no IP address on " + join(device.netdevs, ", "),
                 "the verbs provider meets peers by rdma_cm, which needs an IP address on every NIC",
                 fmt::format("ip address add A.B.C.D/N dev {}", device.netdevs.front()), {"verbs"}});
}

// RDMA packets take the largest of 1024, 2048 and 4096 bytes that fits with its headers.
void check_roce_mtu(const Node &node, const RdmaDevice &device, const Port &port, Findings &out) {
  constexpr int64_t headers = 58;  // of RoCE v2 over IPv6
  for (const std::string &name : device.netdevs) {
    const auto mtu = node.system.number(net_class + name + "/mtu");
    if (!mtu) continue;
    const std::string seen = fmt::format("MTU {}", *mtu);
    if (*mtu >= 4096 + headers) {
      out.push_back({"rdma.mtu", Severity::ok, name, seen, "", "", {"verbs"}});
      continue;
    }
    const int fits = *mtu >= 2048 + headers ? 2048 : 1024;
    out.push_back({"rdma.mtu-small", port.rate >= 100'000'000'000 ? Severity::warning : Severity::note, name, seen,
                   fmt::format("RDMA packets carry at most {} of 4096 bytes", *mtu < 1024 + headers ? 512 : fits),
                   fmt::format("ip link set dev {} mtu 9000, on all nodes and switches alike", name), {"verbs"}});
  }
}

// Interfaces of verbs NICs that share an IPv4 network, with the kernel answering for one on another.
void check_same_subnet(const Node &node, Findings &out) {
  std::vector<std::string> names;
  for (const RdmaDevice &device : node.hardware.rdma) names.insert(names.end(), device.netdevs.begin(), device.netdevs.end());
  std::map<std::string, std::vector<std::string>> networks;  // destination and mask -> interfaces
  for (const std::string &line : split(node.system.text("/proc/self/net/route"), '\n')) {
    const auto columns = words(line);
    if (columns.size() > 7 && contains(names, columns[0]) && columns[2] == "00000000" && columns[7] != "00000000") {
      auto &members = networks[columns[1] + "/" + columns[7]];
      if (!contains(members, columns[0])) members.push_back(columns[0]);
    }
  }
  const auto setting = [&](const std::string &name, const char *key) {
    const std::string conf = "/proc/sys/net/ipv4/conf/";
    return std::max(node.system.number(conf + "all/" + key).value_or(0), node.system.number(conf + name + "/" + key).value_or(0));
  };
  for (const auto &[network, members] : networks) {
    const bool loose = std::any_of(members.begin(), members.end(), [&](const std::string &name) {
      return setting(name, "arp_ignore") < 1 || setting(name, "arp_announce") < 2;
    });
    if (members.size() < 2 || !loose) continue;
    out.push_back({"rdma.same-subnet", Severity::warning, join(members, ", "), "in one IPv4 network, arp_ignore and arp_announce not set",
                   "the kernel answers for one NIC's address on another, so connections meet the wrong NIC or none",
                   "a network for each NIC, or sysctl net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 with a "
                   "routing table for each source address",
                   {"verbs"}});
  }
}

}  // namespace

void check_addresses(const Node &node, Findings &out) {
  for (const RdmaDevice &device : node.hardware.rdma) {
    if (device.is_efa()) continue;
    for (const Port &port : device.ports) {
      if (port.state != "ACTIVE") continue;
      if (port.link_layer == "InfiniBand") {
        check_ipoib(node, device, out);
      } else {
        check_roce_address(device, port, out);
        check_roce_version(node, device, port, out);
        check_roce_mtu(node, device, port, out);
      }
    }
  }
  check_same_subnet(node, out);
}

void check_interfaces(const Node &node, Findings &out) {
  const std::vector<std::string> providers{"tcp", "sockets"};
  bool any = false;
  for (const std::string &name : node.system.list(net_class)) {
    const std::string path = net_class + name;
    const std::string state = node.system.text(path + "/operstate");
    if (name == "lo" || (state != "up" && state != "unknown") || !has_ip_address(node.system, name)) continue;
    any = true;
    const int64_t speed = node.system.number(path + "/speed").value_or(-1);  // Mb/s; -1: the driver does not know
    const std::string seen = fmt::format("{}, MTU {}, {}", state, node.system.text(path + "/mtu"),
                                         speed > 0 ? speed_text(static_cast<uint64_t>(speed) * 1'000'000) : "speed unknown");
    if (speed > 0 && speed < 10'000)
      out.push_back({"net.slow", Severity::note, name, seen, "tcp and sockets are no faster than this",
                     "PIRN_NICS chooses another interface, if there is a faster one", providers});
    else
      out.push_back({"net.interface", Severity::ok, name, seen, "", "", providers});
  }
  if (!any)
    out.push_back({"net.none", Severity::warning, "", "no interface but loopback is up with an IP address",
                   "tcp and sockets reach processes of this host only", "ip link set dev INTERFACE up; ip address add ...",
                   providers});
}

void check_verbs_userspace(const Node &node, Findings &out) {
  static const std::map<std::string, std::string> names{{"mlx5_core", "mlx5"}, {"mlx4_core", "mlx4"}, {"efa", "efa"},
                                                        {"irdma", "irdma"},    {"ice", "irdma"},      {"bnxt_en", "bnxt_re"}};
  for (const RdmaDevice &device : node.hardware.rdma) {
    const auto known = names.find(device.driver);
    const std::string driver = known != names.end() ? known->second : device.name.rfind("rxe", 0) == 0 ? "rxe" : "";
    if (driver.empty() || node.system.exists("/etc/libibverbs.d/" + driver + ".driver")) continue;
    out.push_back({"rdma.no-userspace-driver", Severity::problem, device.name, "/etc/libibverbs.d/" + driver + ".driver is missing",
                   "libibverbs does not see the device, so libfabric does not either",
                   "apt-get install ibverbs-providers, in the container too",
                   {device.is_efa() ? "efa" : "verbs"}});
  }
}

}  // namespace doctor
