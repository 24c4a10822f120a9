// SPDX-License-Identifier: Apache-2.0
#include "fabric/discovery.h"

#include "base/text.h"
#include "fabric/calls.h"
#include "fabric/nic.h"

#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace pirn::fabric {
namespace {

using InfoList = std::unique_ptr<fi_info, void (*)(fi_info *)>;

// Asked for both scopes, IP providers leave out loopback, and 1.17's shm does not answer at all.
uint64_t wanted_caps(const Profile &profile) {
  uint64_t scopes = profile.same_process_only || profile.ip_addressed ? 0 : FI_LOCAL_COMM | FI_REMOTE_COMM;
  return FI_MSG | FI_RMA | FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE | scopes;
}

constexpr uint64_t served_modes = FI_CONTEXT | FI_CONTEXT2;
constexpr int served_mr_modes = FI_MR_LOCAL | FI_MR_RAW | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY |
                                FI_MR_ENDPOINT | FI_MR_HMEM;

// libfabric reads its parameters when the first fi_getinfo of the process loads the providers, so all of them are set
// before it. A value that the user has set stands.
void apply_environment() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (const Profile *profile : profiles()) {
      const char *const *pair = profile->environment;
      for (; pair && pair[0]; pair += 2) setenv(pair[0], pair[1], 0);
    }
  });
}

void fill_hints(fi_info *hints, const Profile &profile, const char *provider) {
  hints->caps = wanted_caps(profile);
  hints->mode = served_modes;
  hints->ep_attr->type = FI_EP_RDM;
  hints->domain_attr->mr_mode = served_mr_modes & ~(profile.checks_offsets_only ? FI_MR_VIRT_ADDR : 0);
  hints->domain_attr->threading = FI_THREAD_DOMAIN;
  hints->fabric_attr->prov_name = strdup(provider);
}

int ask(const Calls &calls, const Profile &profile, const char *provider, uint64_t more_caps, fi_info **list) {
  InfoList hints(calls.allocinfo(), calls.freeinfo);
  if (!hints) return -FI_ENOMEM;
  fill_hints(hints.get(), profile, provider);
  hints->caps |= more_caps;
  if (!hints->fabric_attr->prov_name) return -FI_ENOMEM;
  return calls.getinfo(version_to_request(calls), nullptr, nullptr, 0, hints.get(), list);
}

// What was asked is not always what is granted: 1.17 ignores names in hints, and answers "net" with "net;ofi_rxm" too.
bool acceptable(const fi_info &info, const Profile &profile, const char *provider) {
  if (!info.fabric_attr || !info.fabric_attr->prov_name || !info.domain_attr || !info.ep_attr || !info.tx_attr ||
      !info.rx_attr)
    return false;
  return strcmp(info.fabric_attr->prov_name, provider) == 0 && info.ep_attr->type == FI_EP_RDM &&
         (info.caps & wanted_caps(profile)) == wanted_caps(profile) && (info.mode & ~served_modes) == 0 &&
         (info.domain_attr->mr_mode & ~served_mr_modes & ~FI_MR_MMU_NOTIFY) == 0 &&
         info.ep_attr->msg_prefix_size == 0;
}

bool link_is_down(const fi_info &info) {
  return info.nic && info.nic->link_attr && info.nic->link_attr->state == FI_LINK_DOWN;
}

size_t fabric_preference(const Profile &profile, const fi_info &info) {
  size_t place = 0;
  if (!profile.fabric_names) return place;
  for (; profile.fabric_names[place]; place++)
    if (info.fabric_attr->name && strcmp(info.fabric_attr->name, profile.fabric_names[place]) == 0) break;
  return place;
}

// The device behind a domain. A device appears once per service it offers ("hca_0", "hca_0-xrc") and once per
// address; over IP each address of an interface is a NIC of its own.
bool same_device(const Nic &a, const Nic &b) {
  if (a.profile->ip_addressed) return a.name == b.name && a.address == b.address;
  if (!a.pci_address.empty() || !b.pci_address.empty()) return a.pci_address == b.pci_address;
  return a.name == b.name;
}

// libfabric promises no order, and peers match rails by position: so PCI order, except that an IP provider has one
// best address.
bool better(const Nic &a, const Nic &b) {
  int class_a = address_class(a.address), class_b = address_class(b.address);
  if (a.profile->ip_addressed) return class_a < class_b;
  if (a.pci_address != b.pci_address) return a.pci_address < b.pci_address;
  if (class_a != class_b) return class_a < class_b;
  return a.name < b.name;
}

// Each once, and only what is not listed as a NIC.
void leave_out(ProviderFound &found, const Nic &nic, const std::string &why) {
  auto listed = [&](const auto &other) { return other.name == nic.name && other.address == nic.address; };
  if (std::none_of(found.nics.begin(), found.nics.end(), listed) &&
      std::none_of(found.left_out.begin(), found.left_out.end(), listed))
    found.left_out.push_back({nic.name, nic.address, nic.pci_address, why});
}

void sort_and_deduplicate(ProviderFound &found) {
  std::vector<Nic> all = std::move(found.nics);
  found.nics.clear();
  std::stable_sort(all.begin(), all.end(), better);
  for (Nic &nic : all) {
    auto same = [&](const Nic &other) { return same_device(nic, other); };
    auto kept = std::find_if(found.nics.begin(), found.nics.end(), same);
    if (kept == found.nics.end())
      found.nics.push_back(std::move(nic));
    else
      leave_out(found, nic, "the same device as " + kept->name);
  }
}

// Fills `found` from one libfabric provider; false if it has nothing to offer, with the reason added.
bool take_provider(const Calls &calls, const char *provider, ProviderFound &found) {
  fi_info *raw = nullptr;
  int rc = ask(calls, *found.profile, provider, 0, &raw);
  InfoList list(rc == 0 ? raw : nullptr, calls.freeinfo);
  size_t best = SIZE_MAX, down = 0;
  for (const fi_info *info = list.get(); info; info = info->next)
    if (acceptable(*info, *found.profile, provider)) best = std::min(best, fabric_preference(*found.profile, *info));
  for (const fi_info *info = list.get(); info; info = info->next) {
    if (!acceptable(*info, *found.profile, provider) || fabric_preference(*found.profile, *info) != best) continue;
    if (link_is_down(*info)) {
      down++;
      leave_out(found, describe_nic(*found.profile, *info, calls), "the link is down");
      continue;
    }
    Nic nic = describe_nic(*found.profile, *info, calls);
    if (nic.info) found.nics.push_back(std::move(nic));
  }
  if (!found.nics.empty()) {
    found.fabric_provider = provider;
    return true;
  }
  if (!found.reason.empty()) found.reason += "; ";
  if (down)
    found.reason += text("\"%s\": the link is down", provider);
  else if (rc)
    found.reason += text("\"%s\": %s", provider, calls.strerror(-rc));
  else
    found.reason += text("\"%s\": offers no endpoint with one-sided reads and writes", provider);
  return false;
}

}  // namespace

std::shared_ptr<fi_info> info_for_devices(const Nic &nic, const Calls &calls, std::string *why) {
  fi_info *raw = nullptr;
  const int rc = ask(calls, *nic.profile, nic.fabric_provider.c_str(), FI_HMEM, &raw);
  InfoList list(rc == 0 ? raw : nullptr, calls.freeinfo);
  const char *fabric = nic.info->fabric_attr->name;
  for (const fi_info *info = list.get(); info; info = info->next) {
    if (!acceptable(*info, *nic.profile, nic.fabric_provider.c_str()) || !(info->caps & FI_HMEM)) continue;
    const char *other = info->fabric_attr->name;
    if ((fabric == nullptr) != (other == nullptr) || (fabric && strcmp(fabric, other) != 0)) continue;
    if (describe_nic(*nic.profile, *info, calls).name != nic.name) continue;
    return {calls.dupinfo(info), calls.freeinfo};
  }
  *why = text("libfabric's \"%s\" offers no registration of device memory here: %s", nic.fabric_provider.c_str(),
              rc ? calls.strerror(-rc) : "not on this NIC");
  return nullptr;
}

ProviderFound discover_one(const Calls &calls, const Profile &profile, const Log &log) {
  apply_environment();
  ProviderFound found = {};
  found.profile = &profile;
  if (profile.unfit_from != 0 && FI_MAJOR(calls.version()) >= profile.unfit_from) {
    found.reason = profile.unfit_because;
    log.write(PIRN_LOG_DEBUG, "%s: %s", profile.name, found.reason.c_str());
    return found;
  }
  for (const char *const *name = profile.fabric_providers; *name; name++) {
    if (!take_provider(calls, *name, found)) continue;
    found.reason.clear();
    sort_and_deduplicate(found);
    log.write(PIRN_LOG_DEBUG, "%s: libfabric's \"%s\", %zu NIC(s)", profile.name, *name, found.nics.size());
    return found;
  }
  found.reason = text("%s (libfabric says: %s)", profile.missing_hint, found.reason.c_str());
  log.write(PIRN_LOG_DEBUG, "%s: %s", profile.name, found.reason.c_str());
  return found;
}

std::vector<ProviderFound> discover(const Calls &calls, const Log &log) {
  std::vector<ProviderFound> all;
  for (const Profile *profile : profiles()) all.push_back(discover_one(calls, *profile, log));
  return all;
}

}  // namespace pirn::fabric
