// SPDX-License-Identifier: Apache-2.0
// What is known about versions of libfabric: what pirn works around, and what only another version cures.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <iterator>

namespace doctor {
namespace {

constexpr Version any_older{0, 0};
constexpr Version any_newer{1 << 20, 0};

bool always(const Node &) { return true; }
bool with_verbs(const Node &node) { return node.hardware.has_verbs(); }
bool with_efa(const Node &node) { return node.hardware.has_efa(); }
bool with_cassini(const Node &node) { return !node.hardware.cxi.empty(); }
bool with_gpu(const Node &node) { return (node.hardware.nvidia || node.hardware.amd) && node.has_fabric(); }

struct Trap {
  const char *id;
  Version from, below;  // versions that have it: from <= version < below
  Severity severity;
  bool (*matters)(const Node &);
  const char *means;
  const char *remedy;  // "" if pirn works around it
  std::vector<std::string> providers;
};

const Trap traps[] = {
    {"libfabric.too-old", any_older, {1, 17}, Severity::problem, always,
     "pirn is built for libfabric 1.17 and newer; nothing older was tried", "libfabric 1.17 or newer (Ubuntu 22.04 has 1.11)",
     {}},
    {"libfabric.efa-emulated-write", any_older, {1, 18}, Severity::warning, with_efa,
     "writes are copied by the target's processor: this version knows no device RDMA write",
     "libfabric 1.22 or newer: AWS's EFA installer has it in /opt/amazon/efa", {"efa"}},
    {"libfabric.efa-old", {1, 18}, {1, 22}, Severity::note, with_efa,
     "device RDMA write is there, but users of EFA ask for 1.22 as the first that is sound",
     "libfabric 1.22 or newer, 2.1 for the fabric efa-direct", {"efa"}},
    {"libfabric.efa-no-direct", {1, 22}, {2, 1}, Severity::note, with_efa,
     "there is no fabric efa-direct: the first operation to a peer waits for a handshake, and small ones cost more",
     "libfabric 2.1 or newer", {"efa"}},
    {"libfabric.efa-no-descriptor", any_older, {2, 3}, Severity::note, with_efa,
     "completion queues have no descriptor: an idle progress thread cannot sleep on EFA", "libfabric 2.3 or newer", {"efa"}},
    {"libfabric.no-cxi", any_older, {1, 21}, Severity::warning, with_cassini,
     "the distribution's build of this version has no cxi; only HPE's own build has it",
     "HPE's libfabric in /opt/cray/libfabric, or 1.21 or newer built with --enable-cxi", {"cxi"}},
    {"libfabric.rxm-teardown", {1, 17}, {1, 18}, Severity::note, with_verbs,
     "rxm was seen to crash about once in 300 runs when it is closed under load, after all data had arrived",
     "a newer libfabric", {"verbs"}},
    {"libfabric.no-dmabuf", any_older, {1, 20}, Severity::note, with_gpu,
     "device memory cannot be registered by dma-buf: NICs reach GPUs through a peer-memory module only",
     "libfabric 1.20 or newer (1.21 for AMD), or load nvidia_peermem", {"verbs", "efa", "cxi"}},
    {"libfabric.speed-0", any_older, {1, 18}, Severity::ok, with_verbs,
     "HDR and NDR links are reported with speed 0: pirn reads the speed from sysfs", "", {"verbs"}},
    {"libfabric.net-not-tcp", {1, 16}, {1, 18}, Severity::ok, always,
     "the native tcp provider is called net, and tcp has message endpoints only: pirn takes net", "", {"tcp"}},
    {"libfabric.fi-write-flags", {1, 16}, {1, 18}, Severity::ok, always,
     "net's fi_write drops the request for delivery: pirn uses fi_writemsg", "", {"tcp"}},
    {"libfabric.names-ignored", any_older, {1, 19}, Severity::ok, always,
     "providers ignore the name of the domain that is asked for: pirn compares names itself", "", {"tcp", "sockets"}},
    {"libfabric.tcp-not-asynchronous", any_older, any_newer, Severity::ok, always,
     "tcp promises automatic progress and makes none: pirn's progress thread does", "", {"tcp"}},
    {"libfabric.dead-peer-again", any_older, any_newer, Severity::ok, always,
     "posting to a dead peer says `again` for ever: pirn has deadlines and heartbeats", "", {"tcp"}},
    {"libfabric.shm-hang", any_older, any_newer, Severity::ok, always,
     "a killed peer can leave the survivor hung: pirn refuses shm between processes", "", {"shm"}},
    {"libfabric.efa-abort", any_older, any_newer, Severity::ok, with_efa,
     "the provider aborts on errors that nobody listens for: pirn binds an event queue", "", {"efa"}},
    {"libfabric.cxi-writedata", any_older, any_newer, Severity::ok, with_cassini,
     "writes with remote data are off by default: pirn notifies by message", "", {"cxi"}},
};

// libfabric builds of vendors, which stand beside the distribution's.
void check_vendor_build(const Node &node, Version version, Findings &out) {
  if (node.hardware.has_efa() && version < Version{1, 18})
    for (const char *folder : {"/opt/amazon/efa/lib64", "/opt/amazon/efa/lib"})
      if (node.system.exists(std::string(folder) + "/libfabric.so.1"))
        out.push_back({"libfabric.vendor-build-unused", Severity::warning, folder,
                       "AWS's libfabric is installed, and " + node.pirn.libfabric + " was loaded", "EFA runs with less than it can",
                       fmt::format("export LD_LIBRARY_PATH={}", folder), {"efa"}});
  if (node.hardware.cxi.empty()) return;
  for (const Provider &provider : node.pirn.providers) {
    if (provider.name != "cxi" || provider.usable) continue;
    for (const std::string &name : node.system.list("/opt/cray/libfabric"))
      if (node.system.exists("/opt/cray/libfabric/" + name + "/lib64/libfabric.so.1"))
        out.push_back({"libfabric.vendor-build-unused", Severity::warning, "/opt/cray/libfabric/" + name,
                       "HPE's libfabric is installed, and " + node.pirn.libfabric + " was loaded, which has no usable cxi",
                       "Slingshot is not used", fmt::format("export LD_LIBRARY_PATH=/opt/cray/libfabric/{}/lib64", name),
                       {"cxi"}});
  }
}

}  // namespace

void check_libfabric(const Node &node, Findings &out) {
  const auto version = parse_version(node.pirn.libfabric);
  if (!version) return;  // check_providers has said why
  out.push_back({"libfabric.version", Severity::ok, "", node.pirn.libfabric + " is loaded", "", ""});
  for (const Trap &trap : traps)
    if (trap.from <= *version && *version < trap.below && trap.matters(node))
      out.push_back({trap.id, trap.severity, "", "libfabric " + node.pirn.libfabric, trap.means, trap.remedy, trap.providers});
  check_vendor_build(node, *version, out);
}

}  // namespace doctor
