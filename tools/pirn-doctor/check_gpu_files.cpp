// SPDX-License-Identifier: Apache-2.0
// The device files through which programs reach GPUs.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

namespace doctor {
namespace {

struct Vendor {
  std::string kind;                   // of device: "cuda"
  std::vector<std::string> controls;  // files that every program needs
  std::string folder, prefix;         // of the files of single GPUs
  const char *given;                  // how a container gets them
  const char *made;                   // how a host gets them
};

Vendor nvidia() {
  return {"cuda", {"/dev/nvidiactl", "/dev/nvidia-uvm"}, "/dev", "nvidia",
          "the NVIDIA Container Toolkit: docker run --gpus all, in Kubernetes runtimeClassName: nvidia and nvidia.com/gpu",
          "nvidia-modprobe -u -c=0 (Debian package nvidia-modprobe), or start nvidia-persistenced"};
}

Vendor amd() {
  return {"hip", {"/dev/kfd"}, "/dev/dri", "renderD",
          "docker run --device=/dev/kfd --device=/dev/dri --group-add render, in Kubernetes AMD's device plugin",
          "modprobe amdgpu, with udev running"};
}

std::vector<std::string> gpu_files(const System &system, const Vendor &vendor) {
  std::vector<std::string> files;
  for (const std::string &name : system.list(vendor.folder)) {
    if (name.rfind(vendor.prefix, 0) == 0 && parse_number(name.substr(vendor.prefix.size())))
      files.push_back(vendor.folder + "/" + name);
  }
  return files;
}

// Returns how many are bad.
size_t check_each(const Node &node, const Vendor &vendor, const std::vector<std::string> &files, Findings &out) {
  size_t bad = 0;
  for (const std::string &file : files) {
    const int error = node.system.open_error(file);
    if (error == 0) continue;
    ++bad;
    const bool missing = error == ENOENT;
    out.push_back({missing ? "gpu.device-file-missing" : "gpu.device-file-closed", Severity::problem, file,
                   missing ? "missing" : strerror(error), "GPU memory cannot be used",
                   !node.hardware.container.empty() ? vendor.given
                   : missing                        ? vendor.made
                   : vendor.kind == "hip" ? "usermod -a -G render,video USER, then log in again"
                                          : "it should have mode 0666: see NVreg_DeviceFileMode of the module nvidia, and udev's rules"});
  }
  return bad;
}

// In a container that was given some GPUs of its host.
void check_hidden(const Node &node, const Vendor &vendor, size_t here, Findings &out) {
  const bool nvidia = vendor.kind == "cuda";
  const auto on_host = static_cast<size_t>(std::count_if(node.hardware.gpus.begin(), node.hardware.gpus.end(), [&](const Gpu &gpu) {
    return gpu.nvidia == nvidia && (gpu.driver == "nvidia" || gpu.driver == "amdgpu");
  }));
  if (here >= on_host) return;
  out.push_back({"gpu.hidden", Severity::warning, vendor.kind,
                 fmt::format("device files of {} GPUs, the host has {}", here, on_host),
                 "memory of processes on the other GPUs cannot be mapped here: bytes between them and this container take host "
                 "memory or the network",
                 nvidia ? "give every container all GPUs (NVIDIA_VISIBLE_DEVICES=all), and choose by CUDA_VISIBLE_DEVICES"
                        : "give every container all of /dev/dri, and choose by HIP_VISIBLE_DEVICES"});
}

void check_vendor(const Node &node, const Vendor &vendor, Findings &out) {
  std::vector<std::string> files = gpu_files(node.system, vendor);
  const size_t gpus = files.size();
  const bool none = gpus == 0 && !node.system.exists(vendor.controls.front());
  if (none && !node.hardware.container.empty()) {
    out.push_back({"gpu.not-given", Severity::note, vendor.kind, "the host has GPUs, this container has no device file of one",
                   "GPU memory cannot be used here", vendor.given});
    return;
  }
  files.insert(files.begin(), vendor.controls.begin(), vendor.controls.end());
  if (gpus == 0) files.push_back(vendor.folder + "/" + vendor.prefix + (vendor.kind == "hip" ? "128" : "0"));
  if (check_each(node, vendor, files, out) == 0)
    out.push_back({"gpu.device-files", Severity::ok, vendor.kind, join(files, ", "), "", ""});
  if (gpus > 0) check_hidden(node, vendor, gpus, out);
}

}  // namespace

void check_gpu_files(const Node &node, Findings &out) {
  if (node.hardware.nvidia) check_vendor(node, nvidia(), out);
  if (node.hardware.compute_amd) check_vendor(node, amd(), out);
}

}  // namespace doctor
