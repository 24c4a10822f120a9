// SPDX-License-Identifier: Apache-2.0
#include "base/pci_address.h"
#include "fabric/discovery.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace pirn::fabric {

bool same_nic(const Nic &a, const Nic &b) { return a.profile == b.profile && a.name == b.name && a.address == b.address; }

Result<std::vector<std::string>> nic_entries(const std::string &list) {
  std::vector<std::string> entries;
  if (list.find_first_not_of(" \t") == std::string::npos) return entries;
  for (size_t start = 0; start <= list.size();) {
    size_t end = std::min(list.find(',', start), list.size());
    std::string entry = list.substr(start, end - start);
    size_t first = entry.find_first_not_of(" \t");
    if (first == std::string::npos) return fail(PIRN_ERR_INVALID, "NIC list \"%s\" has an empty entry", list.c_str());
    entries.push_back(entry.substr(first, entry.find_last_not_of(" \t") - first + 1));
    start = end + 1;
  }
  return entries;
}

namespace {

// "::1" and "0:0:0:0:0:0:0:1" are the same address.
bool same_address(const std::string &a, const std::string &b) {
  if (a == b) return true;
  in6_addr first, second;
  return inet_pton(AF_INET6, a.c_str(), &first) == 1 && inet_pton(AF_INET6, b.c_str(), &second) == 1 &&
         memcmp(&first, &second, sizeof first) == 0;
}

// "21:00.0" and "0000:21:00.0" are the same device.
bool same_device(const std::string &entry, const Nic &nic) {
  auto wanted = parse_pci_address(entry);
  return wanted && wanted == parse_pci_address(nic.pci_address);
}

bool contains(const std::vector<Nic> &nics, const Nic &nic) {
  return std::any_of(nics.begin(), nics.end(), [&](const Nic &other) { return same_nic(other, nic); });
}

// Adds what `entry` names; false if that is nothing. Of an interface with several addresses a name means the best one.
bool add_matching(const std::vector<Nic> &nics, const std::string &entry, std::vector<Nic> &chosen) {
  bool any = false;
  std::vector<std::string> interfaces;
  for (const Nic &nic : nics) {
    bool by_name = fnmatch(entry.c_str(), nic.name.c_str(), 0) == 0;
    if (by_name && nic.profile->ip_addressed) {
      by_name = std::find(interfaces.begin(), interfaces.end(), nic.name) == interfaces.end();
      interfaces.push_back(nic.name);
    }
    if (!by_name && !same_address(entry, nic.address) && !same_device(entry, nic)) continue;
    any = true;
    if (!contains(chosen, nic)) chosen.push_back(nic);
  }
  return any;
}

std::string names_of(const std::vector<Nic> &nics) {
  std::string out;
  for (const Nic &nic : nics) {
    if (!out.empty()) out += ", ";
    out += nic.name;
    std::string also = nic.address;
    if (!nic.pci_address.empty()) also += (also.empty() ? "" : ", ") + nic.pci_address;
    if (!also.empty()) out += " (" + also + ")";
  }
  return out;
}

std::vector<Nic> best_of(const ProviderFound &provider) {
  if (!provider.profile->ip_addressed) return provider.nics;
  return {provider.nics.front()};
}

// The first entry that names nothing, or "" if every entry was found.
std::string select(const ProviderFound &provider, const std::vector<std::string> &entries, std::vector<Nic> &chosen) {
  for (const std::string &entry : entries)
    if (!add_matching(provider.nics, entry, chosen)) return entry;
  return "";
}

Result<std::vector<Nic>> choose_from(const std::vector<const ProviderFound *> &usable,
                                     const std::vector<std::string> &entries) {
  if (entries.empty()) return best_of(*usable.front());
  std::string existing, missing;
  for (const ProviderFound *provider : usable) {
    std::vector<Nic> chosen;
    std::string entry = select(*provider, entries, chosen);
    if (entry.empty()) return chosen;
    missing = entry;
    existing += std::string(existing.empty() ? "" : "; ") + provider->profile->name + ": " + names_of(provider->nics);
  }
  return fail(PIRN_ERR_INVALID, "no NIC is named \"%s\"; there are %s", missing.c_str(), existing.c_str());
}

}  // namespace

Result<std::vector<Nic>> choose_nics(const std::vector<ProviderFound> &found, const std::string &provider,
                                     const std::string &nics) {
  auto entries = nic_entries(nics);
  if (!entries.is_ok()) return entries.error();
  bool automatic = provider == "auto";
  std::vector<const ProviderFound *> usable;
  std::string reasons, known;
  bool considered = false;
  for (const ProviderFound &candidate : found) {
    known += std::string(known.empty() ? "" : ", ") + candidate.profile->name;
    if (automatic ? candidate.profile->rank < 0 : provider != candidate.profile->name) continue;
    considered = true;
    if (!candidate.nics.empty())
      usable.push_back(&candidate);
    else
      reasons += std::string(reasons.empty() ? "" : "; ") + candidate.profile->name + ": " + candidate.reason;
  }
  if (!considered && !automatic)
    return fail(PIRN_ERR_INVALID, "provider \"%s\" is unknown; known are auto, %s", provider.c_str(), known.c_str());
  if (usable.empty()) return fail(PIRN_ERR_UNAVAILABLE, "no usable provider: %s", reasons.c_str());
  std::stable_sort(usable.begin(), usable.end(), [](const ProviderFound *a, const ProviderFound *b) {
    return a->profile->rank > b->profile->rank;
  });
  return choose_from(usable, entries.value());
}

}  // namespace pirn::fabric
