// SPDX-License-Identifier: Apache-2.0
// What a container, or a login without rights, is kept from.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <cstring>
#include <set>

namespace doctor {
namespace {

constexpr uint64_t mib = 1 << 20;

// "64m", "65536k", "1g", "50%" of tmpfs.
std::optional<uint64_t> tmpfs_size(const std::string &value, uint64_t memory) {
  if (value.empty()) return std::nullopt;
  const std::string units = "kmg";
  const size_t unit = units.find(value.back());
  const bool scaled = unit != std::string::npos || value.back() == '%';
  const auto number = parse_number(scaled ? value.substr(0, value.size() - 1) : value);
  if (!number || *number < 0) return std::nullopt;
  const auto count = static_cast<uint64_t>(*number);
  if (value.back() == '%') return memory / 100 * count;
  return scaled ? count << (10 * (unit + 1)) : count;
}

uint64_t memory_bytes(const System &system) {
  for (const std::string &line : split(system.text("/proc/meminfo"), '\n'))
    if (const auto columns = words(line); columns.size() > 1 && columns[0] == "MemTotal:")
      return static_cast<uint64_t>(parse_number(columns[1]).value_or(0)) << 10;
  return 0;
}

// Size of the file system on /dev/shm: its size= option; without one a tmpfs takes half of memory.
std::optional<uint64_t> shm_size(const System &system) {
  std::optional<uint64_t> size;
  for (const std::string &line : split(system.text("/proc/self/mountinfo"), '\n')) {
    const auto columns = words(line);
    if (columns.size() < 8 || columns[4] != "/dev/shm") continue;
    size = memory_bytes(system) / 2;
    for (const std::string &option : split(columns.back(), ','))
      if (option.rfind("size=", 0) == 0) size = tmpfs_size(option.substr(5), memory_bytes(system));
  }
  return size;
}

std::string cgroup_folder(const System &system) {
  for (const std::string &line : split(system.text("/proc/self/cgroup"), '\n'))
    if (line.rfind("0::", 0) == 0) return "/sys/fs/cgroup" + (line == "0::/" ? "" : line.substr(3));
  return "/sys/fs/cgroup";
}

int processors(const System &system) {
  for (const std::string &line : split(system.text("/proc/self/status"), '\n')) {
    if (line.rfind("Cpus_allowed_list:", 0) != 0) continue;
    int count = 0;
    for (const std::string &range : split(words(line).back(), ',')) {
      const auto ends = split(range, '-');
      const auto first = parse_number(ends.empty() ? "" : ends.front()), last = parse_number(ends.empty() ? "" : ends.back());
      if (first && last) count += static_cast<int>(*last - *first + 1);
    }
    return count;
  }
  return 0;
}

}  // namespace

void check_device_files(const Node &node, Findings &out) {
  std::set<std::string> providers;
  for (const RdmaDevice &device : node.hardware.rdma) providers.insert(device.is_efa() ? "efa" : "verbs");
  if (providers.empty()) return;
  const std::vector<std::string> all(providers.begin(), providers.end());
  std::vector<std::string> wanted;
  for (const std::string &name : node.system.list("/sys/class/infiniband_verbs"))
    if (name.rfind("uverbs", 0) == 0) wanted.push_back(name);
  const bool container = !node.hardware.container.empty();
  if (wanted.empty())
    out.push_back({"rdma.no-uverbs", Severity::problem, "", "no uverbs device in /sys/class/infiniband_verbs",
                   "programs cannot reach the RDMA NICs", "modprobe ib_uverbs (Debian package rdma-core does it at boot)", all});
  if (providers.count("verbs")) wanted.push_back("rdma_cm");
  size_t bad = 0;
  for (const std::string &name : wanted) {
    const int error = node.system.open_error("/dev/infiniband/" + name);
    if (error == 0) continue;
    ++bad;
    const bool missing = error == ENOENT;
    out.push_back({missing ? "rdma.device-file-missing" : "rdma.device-file-closed", Severity::problem, "/dev/infiniband/" + name,
                   missing ? "missing" : strerror(error),
                   name == "rdma_cm" ? "the verbs provider cannot meet peers" : "the NIC behind it cannot be opened",
                   container ? "docker run --device=/dev/infiniband ..., or the RDMA device plugin of Kubernetes"
                   : missing ? "modprobe ib_uverbs rdma_ucm (Debian package rdma-core does it at boot, and udev makes the files)"
                             : "it should have mode 0666, or a group that you are in: see udev's rules",
                   name == "rdma_cm" ? std::vector<std::string>{"verbs"} : all});
  }
  if (bad == 0 && wanted.size() > 0)
    out.push_back({"rdma.device-files", Severity::ok, "/dev/infiniband", join(wanted, ", "), "", "", all});
}

void check_container(const Node &node, Findings &out) {
  const System &system = node.system;
  if (!node.hardware.container.empty())
    out.push_back({"container.here", Severity::ok, "", "a container, says " + node.hardware.container, "", ""});
  const std::string own = system.link_name("/proc/self/ns/net"), first = system.link_name("/proc/1/ns/net");
  if (!own.empty() && !first.empty() && own != first)
    out.push_back({"container.network", Severity::note, "", "a network namespace of its own",
                   "addresses here may not be reachable from other hosts, and NICs of the host may be missing",
                   "hostNetwork: true or docker run --network host, unless it is meant to be so"});
  for (const std::string &line : split(system.text(cgroup_folder(system) + "/rdma.max"), '\n'))
    if (line.find("hca_handle=max") == std::string::npos || line.find("hca_object=max") == std::string::npos)
      out.push_back({"container.rdma-limit", Severity::warning, "", "cgroup: rdma.max: " + line,
                     "queues and registrations on this NIC beyond the limit are refused", "raise rdma.max of the cgroup",
                     {"verbs", "efa"}});
  if (const int count = processors(system); count == 1)
    out.push_back({"container.one-processor", Severity::note, "", "one processor is allowed",
                   "pirn's progress thread and the program take turns on it", "allow a second (cpuset, --cpuset-cpus), or PIRN_PROGRESS=manual"});
}

void check_shared_memory(const Node &node, Findings &out) {
  const auto size = shm_size(node.system);
  if (!size) {
    if (!node.system.exists("/proc/self/mountinfo")) return;
    out.push_back({"memory.no-shm", Severity::warning, "/dev/shm", "not mounted", "the shm provider cannot be used",
                   "mount -t tmpfs -o size=8g tmpfs /dev/shm", {"shm"}});
  } else if (*size <= 64 * mib) {
    out.push_back({"memory.shm-small", Severity::warning, "/dev/shm", bytes_text(*size),
                   "shared memory beyond this ends the process with SIGBUS: the shm provider's, and that of other libraries in it",
                   node.hardware.container.empty() ? "mount -o remount,size=8g /dev/shm"
                                                   : "docker run --shm-size=8g; in Kubernetes an emptyDir with medium: Memory on /dev/shm"});
  } else {
    out.push_back({"memory.shm", Severity::ok, "/dev/shm", bytes_text(*size), "", ""});
  }
}

}  // namespace doctor
