// SPDX-License-Identifier: Apache-2.0
// Limits of the process: locked memory, descriptors, huge pages, and what ptrace has to do with it.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

namespace doctor {
namespace {

constexpr uint64_t mib = 1 << 20;

std::string field(const System &system, const std::string &file, const std::string &name) {
  for (const std::string &line : split(system.text(file), '\n'))
    if (line.rfind(name + ":", 0) == 0) return join(words(line.substr(name.size() + 1)), " ");
  return "";
}

// The kernel does not count locked memory of who holds CAP_IPC_LOCK in the initial user namespace.
bool may_lock_all(const System &system) {
  constexpr uint64_t ipc_lock = 14;
  uint64_t capabilities = 0;
  for (const char c : field(system, "/proc/self/status", "CapEff")) {
    const auto digit = std::string("0123456789abcdef").find(c);
    if (digit == std::string::npos) return false;
    capabilities = capabilities << 4 | digit;
  }
  const auto map = words(system.text("/proc/self/uid_map"));
  return (capabilities >> ipc_lock & 1) != 0 && map.size() == 3 && map[2] == "4294967295";
}

}  // namespace

void check_memlock(const Node &node, Findings &out) {
  const std::vector<std::string> providers{"verbs", "efa"};
  const auto limit = node.system.soft_limit("Max locked memory");
  if (!limit) return;
  const std::string seen = "ulimit -l: " + bytes_text(*limit);
  if (*limit == System::unlimited || node.hardware.rdma.empty() || may_lock_all(node.system)) {
    out.push_back({"limits.memlock", Severity::ok, "", seen, "", "", providers});
    return;
  }
  out.push_back({"limits.memlock-low", *limit < 256 * mib ? Severity::problem : Severity::warning, "", seen,
                 "registered memory is locked: queues and regions beyond this are refused (ENOMEM)",
                 "ulimit -l unlimited; for good: `* - memlock unlimited` in /etc/security/limits.d/rdma.conf, "
                 "LimitMEMLOCK=infinity in a systemd unit (slurmd's too), --ulimit memlock=-1 for a container",
                 providers});
}

void check_files(const Node &node, Findings &out) {
  const auto soft = node.system.soft_limit("Max open files");
  const auto hard = node.system.hard_limit("Max open files");
  if (!soft || !hard) return;
  const std::string seen = fmt::format("ulimit -n: {}, at most {}", *soft == System::unlimited ? "unlimited" : std::to_string(*soft),
                                       *hard == System::unlimited ? "unlimited" : std::to_string(*hard));
  if (*soft >= 4096) {
    out.push_back({"limits.files", Severity::ok, "", seen, "", ""});
    return;
  }
  out.push_back({"limits.files-few", *soft < 1024 ? Severity::warning : Severity::note, "", seen,
                 "each peer takes a descriptor for the bootstrap connection, and tcp one or two more for its bytes",
                 *hard > *soft ? "ulimit -n 65536 (or the most allowed) before programs with hundreds of peers"
                               : "`* - nofile 65536` in /etc/security/limits.d, LimitNOFILE= in a unit, --ulimit nofile= "
                                 "for a container"});
}

void check_hugepages(const Node &node, Findings &out) {
  const auto total = parse_number(field(node.system, "/proc/meminfo", "HugePages_Total"));
  const auto free = parse_number(field(node.system, "/proc/meminfo", "HugePages_Free"));
  if (!total || !free) return;
  const std::string seen = fmt::format("{} reserved, {} free, of {}", *total, *free,
                                       field(node.system, "/proc/meminfo", "Hugepagesize"));
  if (*total > 0 && *free == 0)
    out.push_back({"memory.hugepages-used-up", Severity::note, "", seen,
                   "registering large regions in 4 KiB pages takes longer and fills the NIC's translation tables",
                   "sysctl vm.nr_hugepages=N with more than are in use"});
  else if (*total == 0 && node.has_fabric())
    out.push_back({"memory.no-hugepages", Severity::note, "", seen,
                   "registering large regions in 4 KiB pages takes longer and fills the NIC's translation tables; "
                   "transparent huge pages help only memory that is aligned and touched",
                   "sysctl vm.nr_hugepages=N, and allocate large buffers there", {"verbs", "efa", "cxi"}});
  else
    out.push_back({"memory.hugepages", Severity::ok, "", seen, "", ""});
}

void check_ptrace(const Node &node, Findings &out) {
  const std::string scope = node.system.text("/proc/sys/kernel/yama/ptrace_scope");
  if (scope.empty()) return;
  out.push_back({"kernel.ptrace", Severity::ok, "", "kernel.yama.ptrace_scope = " + scope,
                 "it limits copies between processes (CMA); pirn uses shm inside one process only, where they are allowed", "",
                 {"shm"}});
}

}  // namespace doctor
