// SPDX-License-Identifier: Apache-2.0
// Whether NICs could reach GPU memory: peer-memory modules, or dma-buf in kernel and driver.
#include "checks.h"
#include "words.h"

namespace doctor {
namespace {

// "" if no configuration of the running kernel can be found.
std::string kernel_config(const System &system) {
  const std::string release = system.text("/proc/sys/kernel/osrelease");
  for (const std::string &path : {"/boot/config-" + release, "/lib/modules/" + release + "/config"})
    if (const auto text = system.read(path)) return "\n" + *text + "\n";
  return "";
}

// Whether the kernel's RDMA core takes dma-buf (since 5.12), by its symbols: ib_core may be built from other sources.
bool core_takes_dmabuf(const System &system) {
  return system.text("/proc/kallsyms").find(" ib_umem_dmabuf_get") != std::string::npos;
}

bool has_peer_memory(const Node &node) {
  const System &system = node.system;
  return system.exists("/sys/module/nvidia_peermem") || system.exists("/sys/module/nv_peer_mem") ||
         !system.list("/sys/kernel/mm/memory_peers").empty();
}

}  // namespace

void check_gpu_memory(const Node &node, Findings &out) {
  const std::vector<std::string> providers{"verbs", "efa", "cxi"};
  const System &system = node.system;
  if (!node.has_fabric() || (!node.hardware.nvidia && !node.hardware.amd)) return;
  const bool peer_memory = has_peer_memory(node);
  const bool open_driver = system.text("/proc/driver/nvidia/version").find("Open Kernel Module") != std::string::npos;
  const std::string config = kernel_config(system);
  const bool p2p = config.find("\nCONFIG_PCI_P2PDMA=y\n") != std::string::npos;
  const bool dmabuf = core_takes_dmabuf(system) && (node.hardware.nvidia ? open_driver : p2p);
  if (peer_memory || dmabuf) {
    out.push_back({"gpu.peer-memory", Severity::ok, "", peer_memory ? "a peer-memory module is loaded" : "kernel and driver have dma-buf",
                   "", "", providers});
    return;
  }
  out.push_back({"gpu.no-peer-memory", Severity::note, "", "GPUs, no peer-memory module, and no dma-buf in both RDMA core and GPU driver",
                 "NICs do not reach GPU memory here; nothing is lost to host memory",
                 node.hardware.nvidia ? "modprobe nvidia_peermem (after the RDMA driver), or NVIDIA's open kernel modules with kernel 5.12 or newer"
                                      : "a kernel with CONFIG_PCI_P2PDMA=y and CONFIG_DMABUF_MOVE_NOTIFY=y, or AMD's ROCm kernel driver",
                 providers});
}

}  // namespace doctor
