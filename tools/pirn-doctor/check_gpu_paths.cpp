// SPDX-License-Identifier: Apache-2.0
// What decides how GPU memory is shared between processes of one host: channels, containers, and the folder in which
// the processes meet.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <cstring>

namespace doctor {
namespace {

const std::string channels = "/dev/nvidia-caps-imex-channels";

void check_channels(const Node &node, Findings &out) {
  const auto names = node.system.list(channels);
  size_t closed = 0;
  for (const std::string &name : names) {
    const int error = node.system.open_error(channels + "/" + name);
    if (error == 0) continue;
    ++closed;
    out.push_back({"gpu.imex-closed", Severity::warning, channels + "/" + name, strerror(error),
                   "GPU memory is not shared by handles that cross hosts (IMEX)", "give this user the right to read and write it"});
  }
  if (!names.empty() && closed == 0) out.push_back({"gpu.imex", Severity::ok, channels, join(names, ", "), "", ""});
  if (names.empty())
    out.push_back({"gpu.no-imex", Severity::ok, channels, "no channel",
                   "only hosts that share an NVLink domain need one (nvidia-imex, nvidia-modprobe -i)", ""});
}

bool is_first_process(const System &system) {
  const std::string own = system.link_name("/proc/self/ns/pid"), first = system.link_name("/proc/1/ns/pid");
  return !own.empty() && own == first;
}

}  // namespace

void check_gpu_paths(const Node &node, Findings &out) {
  if (node.hardware.nvidia) check_channels(node, out);
  if ((node.hardware.nvidia || node.hardware.compute_amd) && !node.hardware.container.empty() && is_first_process(node.system))
    out.push_back({"gpu.equal-pids", Severity::ok, "", "process numbers begin at 1 in this container",
                   "two processes with one number in two containers cannot map each other's plain GPU memory: pirn stages it, or shares "
                   "memory of pirn_memory_alloc by file descriptor", ""});
}

void check_local_folder(const Node &node, Findings &out) {
  const std::string *set = node.system.variable("PIRN_LOCAL_DIR");
  const std::string folder = set ? *set : "/dev/shm";
  const bool container = !node.hardware.container.empty();
  const std::string remedy = container ? "mount one folder of the host (hostPath or emptyDir, docker -v) into all of them, and name it by PIRN_LOCAL_DIR"
                                       : "make it, or name another one by PIRN_LOCAL_DIR";
  if (folder.empty()) {
    if (container)
      out.push_back({"local.no-folder", Severity::note, "PIRN_LOCAL_DIR", "empty", "processes of other containers on this host that have "
                     "a network namespace of their own are not met: bytes between them take the network", remedy});
    return;
  }
  const auto mounts = split(node.system.text("/proc/self/mountinfo"), '\n');
  bool own = false;
  for (const std::string &line : mounts)
    if (const auto columns = words(line); columns.size() > 8 && columns[4] == folder) own = columns[columns.size() - 2] == "shm";
  if (!node.system.exists(folder) && node.system.exists("/dev"))
    out.push_back({"local.folder-missing", Severity::warning, folder, "not there",
                   "processes of this host meet only inside one network namespace", remedy});
  else if (container && own)
    out.push_back({"local.folder-private", Severity::note, folder, "a /dev/shm of this container or pod alone",
                   "processes of other containers on this host that have a network namespace of their own are not met: bytes between "
                   "them take the network", remedy});
  else
    out.push_back({"local.folder", Severity::ok, folder, "processes of this host meet here", "", ""});
}

}  // namespace doctor
