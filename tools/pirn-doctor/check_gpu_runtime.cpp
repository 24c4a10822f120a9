// SPDX-License-Identifier: Apache-2.0
// The runtimes of GPUs as pirn found them when it loaded them, and what the devices lack.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <map>

namespace doctor {
namespace {

const char *packages(const std::string &kind) {
  return kind == "cuda" ? "Debian package libcuda1 (non-free), Ubuntu libnvidia-compute-NNN of the kernel driver's release; in a "
                          "container the NVIDIA Container Toolkit with NVIDIA_DRIVER_CAPABILITIES=compute,utility"
                        : "Debian package libamdhip64-5, ROCm's hip-runtime-amd; LD_LIBRARY_PATH=/opt/rocm/lib where the loader does "
                          "not look there";
}

// What a reason of pirn's says to whoever knows the runtimes. The first that fits counts.
struct Reason {
  const char *part;
  const char *id;
  const char *means;
  const char *remedy;  // nullptr: packages()
};
constexpr Reason reasons[] = {
    {"cannot open shared object", "gpu.no-library", "GPU memory cannot be used: the runtime's library is not here", nullptr},
    {"is too old for pirn", "gpu.library-old", "GPU memory cannot be used", nullptr},
    {"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "gpu.driver-mismatch", "libcuda.so.1 and the kernel module are of different releases",
     "reboot, or rmmod nvidia_uvm nvidia_modeset nvidia && modprobe nvidia, after an upgrade; in a container no libcuda.so.1 of "
     "the image's own may come first"},
    {"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "gpu.driver-mismatch", "a libcuda.so.1 of CUDA's forward compatibility was found, and this GPU may not use it",
     "take /usr/local/cuda/compat out of LD_LIBRARY_PATH"},
    {"CUDA_ERROR_SYSTEM_NOT_READY", "gpu.not-ready", "the NVLink switches are not set up, so no GPU starts",
     "systemctl start nvidia-fabricmanager, of the driver's release"},
    {"_NO_DEVICE", "gpu.none-visible", "the runtime shows this process no GPU", "give it device files, and see CUDA_VISIBLE_DEVICES"},
    {"hipErrorInvalidDevice", "gpu.none-visible", "the runtime shows this process no GPU",
     "give it device files, and see HIP_VISIBLE_DEVICES and ROCR_VISIBLE_DEVICES"},
    {"hipErrorNoDevice", "gpu.none-visible", "the runtime shows this process no GPU",
     "give it device files, and see HIP_VISIBLE_DEVICES and ROCR_VISIBLE_DEVICES"},
    {"no device", "gpu.none-visible", "the runtime shows this process no GPU",
     "give it device files, and see CUDA_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES and ROCR_VISIBLE_DEVICES"},
};
constexpr Reason other = {"", "gpu.runtime-refused", "GPU memory cannot be used", "see the kernel's log (dmesg) for the driver's words"};

const Reason &reason_of(const std::string &text) {
  for (const Reason &reason : reasons)
    if (text.find(reason.part) != std::string::npos) return reason;
  return other;
}

// The variables that hide devices, as set.
std::string hiding(const System &system) {
  std::string all;
  for (const char *name : {"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"})
    if (const std::string *value = system.variable(name)) all += fmt::format("; {}={}", name, *value);
  return all;
}

void check_kind(const Node &node, const DeviceKind &kind, Findings &out) {
  if (kind.reason.empty()) {
    out.push_back({"gpu.runtime", Severity::ok, kind.name, fmt::format("{}, {} devices", kind.version, kind.devices), "", ""});
    return;
  }
  const Reason &reason = reason_of(kind.reason);
  const std::string hidden = std::string(reason.id) == "gpu.none-visible" ? hiding(node.system) : "";
  out.push_back({reason.id, hidden.empty() ? Severity::problem : Severity::note, kind.name, kind.reason + hidden, reason.means,
                 reason.remedy ? reason.remedy : packages(kind.name)});
}

// Features whose lack costs something on one host, as pirn-info calls them.
const std::map<std::string, std::pair<const char *, const char *>> costs{
    {"shares memory by file descriptor",
     {"memory of pirn_memory_alloc and of expandable segments is not shared with other processes directly", "a newer driver or runtime"}},
    {"shares plain allocations", {"memory of the runtime's plain allocator is staged for other processes", "a newer driver or runtime"}},
    {"streams wait on host words", {"no transfers on streams and in graphs", "a newer driver or runtime"}},
    {"kernels for small blocks",
     {"scattered blocks are copied one by one, which costs most of the speed of small ones", "a pirn that was built where nvcc (hipcc) is"}},
};

void check_lacks(const PirnFacts &pirn, Findings &out) {
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> devices;  // by feature and reason
  for (const Lack &lack : pirn.lacks)
    if (costs.count(lack.feature)) devices[{lack.feature, lack.reason}].push_back(lack.device);
  for (const auto &[what, names] : devices)
    out.push_back({"gpu.lacks", Severity::note, join(names, ", "), what.first + ": no: " + what.second, costs.at(what.first).first,
                   costs.at(what.first).second});
}

}  // namespace

void check_gpu_runtime(const Node &node, Findings &out) {
  const bool driver = node.hardware.nvidia || node.hardware.compute_amd;
  if (!node.pirn.devices_missing.empty()) {
    if (node.pirn.devices_crashed)
      out.push_back({"gpu.crash", Severity::problem, "", node.pirn.devices_missing, "every program that uses pirn with GPU memory is in danger",
                     "see the kernel's log (dmesg); nvidia-smi or rocm-smi hangs or fails as well, if it is the driver"});
    else if (driver)
      out.push_back({"gpu.not-asked", Severity::note, "", node.pirn.devices_missing, "what GPUs can do was not looked at",
                     "pirn-info --json > pirn-info.json there"});
    return;
  }
  for (const DeviceKind &kind : node.pirn.kinds) {
    const bool wanted = kind.name == "cuda" ? node.hardware.nvidia : node.hardware.compute_amd;
    const bool kept_away = wanted && !kind.reason.empty() && !node.hardware.container.empty() &&
                           !node.system.exists(kind.name == "cuda" ? "/dev/nvidiactl" : "/dev/kfd");
    if (wanted && !kept_away) check_kind(node, kind, out);  // check_gpu_files() has said what keeps it away
  }
  check_lacks(node.pirn, out);
}

}  // namespace doctor
