// SPDX-License-Identifier: Apache-2.0
// Which providers and NICs this machine offers, and why others are not usable.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "fabric/profile.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct fi_info;

namespace pirn::fabric {

// The entry points of libfabric, so that tests can put a fabric of their own behind the same inline calls.
struct Calls;
const Calls &libfabric();

std::string header_version();     // "1.17", of the headers this was built with
std::string libfabric_version();  // "1.17.0", of the library loaded

struct Nic {
  const Profile *profile;
  std::string fabric_provider;  // libfabric's name in use: "net", "tcp;ofi_rxm"
  std::string fabric;           // libfabric's name of the network that it is on, with the kind of link if it is known
  std::string name;             // domain name
  std::string address;          // printable source address ("192.0.2.2", "::1", "fi_shm://...")
  std::string pci_address;      // "0000:21:00.0" or ""
  uint64_t link_speed = 0;      // bit/s, 0 unknown
  uint64_t max_message = 0;
  std::shared_ptr<fi_info> info;
};

// What cannot be chosen, and why.
struct LeftOut {
  std::string name;
  std::string address;      // or ""
  std::string pci_address;  // or ""
  std::string why;
};

struct ProviderFound {
  const Profile *profile;
  std::string fabric_provider;  // "" if not usable
  std::string reason;           // why not usable, with the remedy; "" if usable
  std::vector<Nic> nics;        // best first; loopback and link-local addresses last; empty if not usable
  std::vector<LeftOut> left_out;  // what libfabric lists, and pirn does not
};

// Asks libfabric once per profile. Never fails: what is missing is in `reason`.
std::vector<ProviderFound> discover(const Calls &calls, const Log &log);
ProviderFound discover_one(const Calls &calls, const Profile &profile, const Log &log);

// Picks the NICs of an endpoint: `provider` is "auto" or a demand; `nics` is a list of names, globs, addresses
// or PCI addresses (short form too), or "".
// Empty list: the best NIC(s) of the provider: all that are real fabric devices, or the first address of an IP provider.
// Errors: UNAVAILABLE with the reason of each provider that was considered; INVALID for a list entry that matches nothing (names what exists).
Result<std::vector<Nic>> choose_nics(const std::vector<ProviderFound> &found, const std::string &provider,
                                     const std::string &nics);

// The entries of a list of NICs. INVALID: one is empty.
Result<std::vector<std::string>> nic_entries(const std::string &list);
bool same_nic(const Nic &a, const Nic &b);

// "IPv4", "IPv6 loopback", "link-local", ...: what kind of address an IP provider's NIC has.
const char *address_kind(const std::string &address);

// Network interfaces of this machine that are not among the NICs of an IP provider. Asks the system each time.
std::vector<LeftOut> interfaces_without(const std::vector<Nic> &nics);

}  // namespace pirn::fabric
