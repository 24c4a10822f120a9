// SPDX-License-Identifier: Apache-2.0
#include "core/explain.h"

#include "base/clock.h"
#include "base/text.h"

#include <algorithm>
#include <cstdlib>

namespace pirn::core {
namespace {

using fabric::Nic;
using fabric::ProviderFound;

std::string setting_words(const Context &context, const char *name) {
  static const char *const sources[] = {"default", "environment", "parameters of the context"};
  for (const SettingReport &row : context.setting_report()) {
    if (row.name != name) continue;
    const std::string value = row.value.empty() ? " empty" : "=" + row.value;
    return text("%s%s (%s)", name, value.c_str(), row.source < std::size(sources) ? sources[row.source] : "?");
  }
  return name;
}

std::string call_words(const char *what, const std::string &value) {
  return text("the %s \"%s\" that the program asks for", what, value.c_str());
}

Ground ground(Context &context, const NicDemand &demand) {
  return {context.providers(),
          demand,
          nullptr,
          "",
          {},
          demand.provider_by_call ? call_words("provider", demand.provider) : setting_words(context, "PIRN_PROVIDER"),
          demand.nics_by_call ? call_words("list of NICs", demand.nics) : setting_words(context, "PIRN_NICS"),
          "the thread that opened it"};
}

bool has_devices(const ProviderFound &provider) {
  return std::any_of(provider.nics.begin(), provider.nics.end(), [](const Nic &nic) { return !nic.pci_address.empty(); });
}

void look_at_machine(Context &context, Ground &ground) {
  const auto &machine = context.machine();
  if (machine.is_ok()) ground.machine = &machine.value();
  else ground.machine_trouble = machine.status().text;
}

bool contains(const std::vector<Nic> &nics, const Nic &nic) {
  return std::any_of(nics.begin(), nics.end(), [&](const Nic &other) { return same_nic(other, nic); });
}

bool contains(const std::vector<size_t> &indices, size_t index) {
  return std::find(indices.begin(), indices.end(), index) != indices.end();
}

Result<NicChoice> choose_all(const Ground &ground) {
  return choose(ground.found, ground.demand, ground.machine, ground.place);
}

// As if no other provider were there.
Result<NicChoice> choose_of(const Ground &ground, const ProviderFound &provider) {
  NicDemand demand = ground.demand;
  demand.provider = provider.profile->name;
  return choose({provider}, demand, ground.machine, ground.place);
}

const ProviderFound *chosen_provider(const Ground &ground) {
  auto choice = choose_all(ground);
  if (!choice.is_ok()) return nullptr;
  for (const ProviderFound &provider : ground.found)
    if (provider.profile == choice.value().nics.front().profile) return &provider;
  return nullptr;
}

// The entry of the list that names this NIC, by the same rules as the choice; "" if none does.
std::string naming_entry(const Ground &ground, const ProviderFound &provider, const Nic &nic) {
  auto entries = fabric::nic_entries(ground.demand.nics);
  if (!entries.is_ok()) return "";
  for (const std::string &entry : entries.value()) {
    auto named = fabric::choose_nics({provider}, provider.profile->name, entry);
    if (named.is_ok() && contains(named.value(), nic)) return entry;
  }
  return "";
}

std::string why_by_list(const Ground &ground, const ProviderFound &provider, const Nic &nic) {
  const std::string entry = naming_entry(ground, provider, nic);
  if (!entry.empty()) return text("\"%s\" of %s names it", entry.c_str(), ground.nics_words.c_str());
  for (const Nic &other : provider.nics) {
    if (same_nic(other, nic)) break;
    if (provider.profile->ip_addressed && other.name == nic.name && !naming_entry(ground, provider, other).empty())
      return text("%s names the interface, whose better address is %s", ground.nics_words.c_str(), other.address.c_str());
  }
  return ground.nics_words + " does not name it";
}

std::string why_by_address(const ProviderFound &provider, const Nic &nic) {
  const Nic &best = provider.nics.front();
  const char *kind = fabric::address_kind(nic.address);
  const char *rule = "an IP provider uses one address unless PIRN_NICS lists more";
  if (same_nic(best, nic)) return text("the best address (%s); %s", kind, rule);
  return text("%s; %s %s (%s) comes first, and %s", kind, best.name.c_str(), best.address.c_str(),
              fabric::address_kind(best.address), rule);
}

std::string place_words(const Ground &ground) {
  if (ground.place.kind == topo::Place::Kind::anywhere || !ground.machine ||
      ground.place.domain >= ground.machine->domains.size())
    return text("anywhere (%s is not bound to one of several NUMA nodes)", ground.thread);
  std::string nodes;
  for (uint32_t node : ground.machine->domains[ground.place.domain].nodes)
    nodes += text("%s%u", nodes.empty() ? "" : ", ", node);
  return text("NUMA node %s, to which %s is bound", nodes.c_str(), ground.thread);
}

std::string why_by_distance(const Ground &ground, const ProviderFound &provider, size_t index) {
  const topo::Ranking ranking = topo::rank(*ground.machine, ground.place, pci_addresses(provider.nics));
  const topo::Level level = ranking.distances[index].level;
  const topo::Level best = ranking.distances[ranking.nearest.front()].level;
  if (best == topo::Level::unknown) return "the topology does not know any of these NICs, so that all are used";
  if (!contains(ranking.nearest, index))
    return text("it is farther (%s) than the nearest ones (%s) from %s", topo::level_name(level), topo::level_name(best),
                place_words(ground).c_str());
  if (!contains(ranking.preferred, index))
    return "it is as near as those chosen, but no accelerator's nearest: such a minority serves storage or management";
  if (ground.place.kind == topo::Place::Kind::anywhere)
    return ranking.preferred.size() == provider.nics.size() ? "all NICs are equally near"
                                                            : "it is the nearest NIC of some accelerator";
  return text("no NIC is nearer: %s as %s", topo::level_name(level), place_words(ground).c_str());
}

std::string why(const Ground &ground, const ProviderFound &provider, size_t index, const Result<NicChoice> &choice) {
  const Nic &nic = provider.nics[index];
  if (!choice.is_ok()) return choice.status().text;
  if (ground.demand.listed()) return why_by_list(ground, provider, nic);
  if (provider.profile->ip_addressed) return why_by_address(provider, nic);
  if (provider.nics.size() == 1) return "it is the provider's only NIC";
  if (!ground.machine)
    return "all NICs count as equally near" +
           (ground.machine_trouble.empty() ? "" : ": " + ground.machine_trouble);
  return why_by_distance(ground, provider, index);
}

bool is_spare(const NicChoice &choice, const Nic &nic) {
  return std::any_of(choice.nics.end() - static_cast<ptrdiff_t>(choice.spares), choice.nics.end(),
                     [&](const Nic &other) { return same_nic(other, nic); });
}

std::string why_spare(const Ground &ground, const Nic &nic) {
  const topo::Level level = topo::distance(*ground.machine, ground.place, parse_pci_address(nic.pci_address)).level;
  return text("of the others the next nearest (%s): it carries only while none of those that are chosen works",
              topo::level_name(level));
}

std::string label(const Ground &ground, const Nic &nic) {
  std::string out = nic.name + " (";
  if (!nic.address.empty()) out += nic.address + ", ";
  if (!nic.pci_address.empty()) out += nic.pci_address + ", ";
  out += speed_text(nic.link_speed);
  if (ground.machine && ground.place.kind != topo::Place::Kind::anywhere && !nic.pci_address.empty())
    out += text(", %s", topo::level_name(topo::distance(*ground.machine, ground.place,
                                                        parse_pci_address(nic.pci_address)).level));
  return out + ")";
}

std::string label(const fabric::LeftOut &missing) {
  std::string inside = missing.address;
  if (!missing.pci_address.empty()) inside += (inside.empty() ? "" : ", ") + missing.pci_address;
  return missing.name + (inside.empty() ? "" : " (" + inside + ")");
}

std::string why_not_usable(const ProviderFound &provider) {
  std::string out = "not usable here: " + provider.reason;
  if (const char *filter = std::getenv("FI_PROVIDER"))
    out += text("; FI_PROVIDER=%s restricts what libfabric loads", filter);
  return out;
}

std::string why_provider(const Ground &ground, const ProviderFound &provider, const ProviderFound *chosen) {
  const bool automatic = ground.demand.provider == "auto";
  if (!provider.reason.empty()) return why_not_usable(provider);
  const char *name = provider.profile->name;
  if (!automatic && ground.demand.provider != name) return "not chosen: " + ground.provider_words + " is another one";
  if (automatic && provider.profile->rank < 0)
    return text("not chosen: taken on demand only (PIRN_PROVIDER=%s)%s", name,
                provider.profile->same_process_only ? ", and serves peers inside the same process only" : "");
  if (&provider == chosen) {
    if (!automatic) return "chosen: " + ground.provider_words;
    if (ground.demand.listed()) return "chosen: the best one whose NICs " + ground.nics_words + " names";
    return "chosen: the best one that is usable here";
  }
  if (auto own = choose_of(ground, provider); !own.is_ok()) return "not chosen: " + own.status().text;
  // Only a choice that cannot be made at all leaves nothing chosen.
  if (!chosen) return "not chosen";
  return text("not chosen: usable, but %s ranks higher (%d against %d); PIRN_PROVIDER=%s demands it",
              chosen->profile->name, chosen->profile->rank, provider.profile->rank, name);
}

}  // namespace

Ground ground_here(Context &context) {
  Ground made = ground(context, demand_of_settings(context.settings()));
  made.thread = "this thread";
  if (std::none_of(made.found.begin(), made.found.end(), has_devices)) return made;
  look_at_machine(context, made);
  if (made.machine) made.place = here(*made.machine);
  return made;
}

Ground ground_of(Context &context, const NicDemand &demand, const std::optional<topo::Place> &place) {
  Ground made = ground(context, demand);
  auto nics = fabric::choose_nics(made.found, demand.provider, demand.nics);
  // Only where it was looked at before: the machine is known by now, or known to be unreadable.
  if (place || (!demand.listed() && nics.is_ok() && nics.value().size() > 1)) look_at_machine(context, made);
  if (place) made.place = *place;
  return made;
}

std::string explain_demand(const Ground &ground) {
  std::string out = "demanded: " + ground.provider_words + ", " + ground.nics_words + "\n";
  if (ground.machine) out += "near to: " + place_words(ground) + "\n";
  if (!ground.machine_trouble.empty()) out += "near to: not known: " + ground.machine_trouble + "\n";
  if (auto choice = choose_all(ground); !choice.is_ok())
    out += "no endpoint can be opened: " + choice.status().text + "\n";
  return out;
}

std::string explain_provider(const Ground &ground, const ProviderFound &provider) {
  std::string fabric = provider.fabric_provider.empty() ? "" : " (libfabric's " + provider.fabric_provider + ")";
  return text("provider %s%s: %s\n", provider.profile->name, fabric.c_str(),
              why_provider(ground, provider, chosen_provider(ground)).c_str());
}

std::string explain_nics(const Ground &ground, const ProviderFound &provider) {
  const bool in_use = chosen_provider(ground) == &provider;
  const auto choice = choose_of(ground, provider);
  std::string out;
  for (size_t i = 0; i < provider.nics.size(); ++i) {
    const Nic &nic = provider.nics[i];
    const bool taken = choice.is_ok() && contains(choice.value().nics, nic);
    const bool cut_off = choice.is_ok() && !taken && choice.value().nics.size() == wire::max_rails;
    if (choice.is_ok() && is_spare(choice.value(), nic)) {
      out += text("  NIC %s: %s: %s\n", label(ground, nic).c_str(), in_use ? "chosen as a spare" : "would be a spare",
                  why_spare(ground, nic).c_str());
      continue;
    }
    const char *verdict = in_use ? (taken ? "chosen" : "not chosen") : taken ? "would be chosen" : "would not be chosen";
    out += text("  NIC %s: %s: %s\n", label(ground, nic).c_str(), verdict,
                cut_off ? text("an endpoint has at most %zu rails", wire::max_rails).c_str()
                        : why(ground, provider, i, choice).c_str());
  }
  std::vector<fabric::LeftOut> missing = provider.left_out;
  if (provider.profile->ip_addressed)
    for (fabric::LeftOut &each : fabric::interfaces_without(provider.nics)) missing.push_back(std::move(each));
  for (const fabric::LeftOut &each : missing) out += text("  NIC %s: not offered: %s\n", label(each).c_str(), each.why.c_str());
  return out;
}

Result<std::string> explain_providers(Context &context, const std::string &name) {
  std::string known;
  for (const fabric::Profile *profile : fabric::profiles()) known += text("%s%s", known.empty() ? "" : ", ", profile->name);
  if (!name.empty() && !fabric::find_profile(name.c_str()))
    return fail(PIRN_ERR_INVALID, "provider \"%s\" is unknown; known are %s", name.c_str(), known.c_str());
  const Ground ground = ground_here(context);
  std::string out = explain_demand(ground);
  for (const ProviderFound &provider : ground.found)
    if (name.empty() || name == provider.profile->name)
      out += explain_provider(ground, provider) + explain_nics(ground, provider);
  return out;
}

std::string duration_text(uint64_t ns) {
  if (ns < ns_per_s) return text("%llu ms", static_cast<unsigned long long>(ns / ns_per_ms));
  return text("%.1f s", static_cast<double>(ns) / 1e9);
}

std::string speed_text(uint64_t link_speed) {
  return link_speed ? text("%g Gb/s", static_cast<double>(link_speed) / 1e9) : "speed unknown";
}

}  // namespace pirn::core
