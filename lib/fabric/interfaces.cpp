// SPDX-License-Identifier: Apache-2.0
#include "fabric/discovery.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>

namespace pirn::fabric {
namespace {

struct Interface {
  bool up = false;
  bool has_ip = false;
};

// libfabric lists addresses, so an interface without one is known to the system only.
std::map<std::string, Interface> interfaces() {
  std::map<std::string, Interface> all;
  ifaddrs *list = nullptr;
  if (getifaddrs(&list) != 0) return all;
  for (const ifaddrs *item = list; item; item = item->ifa_next) {
    Interface &seen = all[item->ifa_name];
    seen.up = seen.up || (item->ifa_flags & IFF_UP) != 0;
    const int family = item->ifa_addr ? item->ifa_addr->sa_family : AF_UNSPEC;
    seen.has_ip = seen.has_ip || family == AF_INET || family == AF_INET6;
  }
  freeifaddrs(list);
  return all;
}

}  // namespace

std::vector<LeftOut> interfaces_without(const std::vector<Nic> &nics) {
  std::vector<LeftOut> missing;
  for (const auto &interface : interfaces()) {
    const std::string &name = interface.first;
    const Interface &seen = interface.second;
    if (std::any_of(nics.begin(), nics.end(), [&](const Nic &nic) { return nic.name == name; })) continue;
    missing.push_back({name, "", "",
                       !seen.up       ? "the interface is down"
                       : !seen.has_ip ? "the interface has no IP address"
                                      : "libfabric did not list it when it was asked"});
  }
  return missing;
}

}  // namespace pirn::fabric
