// SPDX-License-Identifier: Apache-2.0
// The kernel's drivers of GPUs: that they are there, and new enough.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

namespace doctor {
namespace {

constexpr int oldest_nvidia = 470;  // CUDA 11.4

// "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build ..." -> "580.65.06".
std::string nvidia_release(const std::string &text) {
  for (const std::string &word : words(split(text, '\n').empty() ? "" : split(text, '\n').front()))
    if (parse_version(word)) return word;
  return "";
}

void check_nvidia(const System &system, Findings &out) {
  const std::string text = system.text("/proc/driver/nvidia/version"), release = nvidia_release(text);
  const auto number = parse_version(release);
  if (!number) return;
  const bool open = text.find("Open Kernel Module") != std::string::npos;
  const std::string seen = fmt::format("NVIDIA's {}driver {}", open ? "open " : "", release);
  if (number->major < oldest_nvidia)
    out.push_back({"gpu.driver-old", Severity::problem, "cuda", seen, "GPU memory cannot be used: libcuda.so.1 lacks calls that pirn needs",
                   fmt::format("a driver from release {} (CUDA 11.4) on", oldest_nvidia)});
  else
    out.push_back({"gpu.driver", Severity::ok, "cuda", seen, "", ""});
}

}  // namespace

void check_gpu_driver(const Node &node, Findings &out) {
  for (const Gpu &gpu : node.hardware.gpus)
    if (gpu.nvidia && (gpu.driver.empty() || gpu.driver == "nouveau") && !node.hardware.nvidia)
      out.push_back({"gpu.no-driver", Severity::warning, gpu.pci,
                     gpu.driver.empty() ? "a GPU of NVIDIA without a kernel driver" : "a GPU of NVIDIA with the driver nouveau",
                     "its memory cannot be used",
                     "Debian packages nvidia-open-kernel-dkms (or nvidia-kernel-dkms) and libcuda1 from non-free, or NVIDIA's "
                     "own; then modprobe nvidia nvidia-uvm"});
  if (node.hardware.nvidia) check_nvidia(node.system, out);
}

}  // namespace doctor
