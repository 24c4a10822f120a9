// SPDX-License-Identifier: Apache-2.0
// Which providers pirn can use, and what brings those that are missing.
#include "checks.h"
#include "words.h"

#include <fmt/core.h>

#include <algorithm>

namespace doctor {
namespace {

bool has_hardware(const Node &node, const std::string &provider) {
  const Hardware &hardware = node.hardware;
  if (provider == "verbs") return hardware.has_verbs();
  if (provider == "efa") return hardware.has_efa() || !hardware.efa_pci.empty();
  if (provider == "cxi") return !hardware.cxi.empty() || !hardware.cassini_pci.empty();
  return true;
}

std::string source_of(const std::string &provider) {
  if (provider == "verbs")
    return "Debian packages: libfabric1 (the provider), ibverbs-providers (drivers of the NICs for programs), rdma-core "
           "(kernel modules and device files at boot): apt-get install libfabric1 ibverbs-providers rdma-core; then "
           "give the NIC's interface an IP address";
  if (provider == "efa")
    return "Debian packages libfabric1 and ibverbs-providers bring an old one; better is AWS's EFA installer, which puts "
           "driver and libfabric into /opt/amazon/efa: set LD_LIBRARY_PATH to its lib or lib64";
  if (provider == "cxi")
    return "no Debian package brings it before libfabric 1.21; HPE's libfabric is in /opt/cray/libfabric: set "
           "LD_LIBRARY_PATH to its lib64, or build libfabric with --enable-cxi";
  return "Debian package libfabric1: apt-get install libfabric1; FI_PROVIDER must not leave the provider out";
}

void check_one(const Node &node, const Provider &provider, Findings &out) {
  if (provider.usable) {
    out.push_back({"provider.usable", Severity::ok, provider.name, "libfabric " + provider.fabric, "", "", {provider.name}});
    return;
  }
  const bool demanded = node.demanded == provider.name;
  if (!demanded && !has_hardware(node, provider.name)) {
    out.push_back({"provider.no-hardware", Severity::ok, provider.name, "not usable, and no device that needs it", "", "",
                   {provider.name}});
    return;
  }
  out.push_back({"provider.unusable", Severity::problem, provider.name, provider.reason,
                 demanded ? "it is demanded, and pirn does not fall back"
                          : "the hardware is here, but pirn takes another way or none",
                 source_of(provider.name), {provider.name}});
}

}  // namespace

void check_providers(const Node &node, Findings &out) {
  const PirnFacts &pirn = node.pirn;
  if (pirn.crashed) {
    out.push_back({"provider.crash", Severity::problem, "libfabric", pirn.missing,
                   "every program that opens a context of pirn and asks for providers ends the same way",
                   "look at the findings on FI_* variables; start with `env -i`; leave the provider out with "
                   "FI_PROVIDER=^NAME, or take it out of FI_PROVIDER_PATH, until it is repaired"});
    return;
  }
  if (!pirn.missing.empty()) {
    out.push_back({"provider.not-asked", Severity::note, "", pirn.missing, "providers and libfabric were not looked at",
                   "put the output of `pirn-info --json` into pirn-info.json in the root that is examined"});
    return;
  }
  for (const Provider &provider : pirn.providers) check_one(node, provider, out);
  if (std::none_of(pirn.providers.begin(), pirn.providers.end(), [](const Provider &p) { return p.usable; }))
    out.push_back({"provider.none", Severity::problem, "", "no provider is usable", "pirn cannot open an endpoint here",
                   "install Debian package libfabric1 and bring a network interface up; unset FI_PROVIDER"});
  for (const Nic &nic : pirn.nics)
    if (nic.link_speed == 0 && (nic.provider == "verbs" || nic.provider == "efa" || nic.provider == "cxi"))
      out.push_back({"provider.speed-unknown", Severity::note, nic.name, "neither libfabric nor sysfs tells its link speed",
                     "shares of a transfer cannot be weighed by speed", "a newer libfabric and kernel driver", {nic.provider}});
}

}  // namespace doctor
