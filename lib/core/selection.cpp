// SPDX-License-Identifier: Apache-2.0
#include "core/selection.h"

#include <algorithm>

namespace pirn::core {

NicDemand demand_of_settings(const Settings &settings) {
  return {settings.provider, settings.nics, false, false, nullptr, settings.spare_nics};
}

static NicChoice narrow(const NicDemand &demand, std::vector<fabric::Nic> nics, const topo::Machine *machine,
                        const topo::Place &place) {
  NicChoice choice;
  std::vector<fabric::Nic> spare;
  if (machine && !demand.listed() && nics.size() > 1) {
    choice.nics = near(*machine, place, nics);
    choice.place = place;
    spare = spares(*machine, place, std::move(nics), choice.nics, demand.spares);
  } else {
    choice.nics = std::move(nics);
  }
  if (choice.nics.size() > wire::max_rails) choice.nics.resize(wire::max_rails);
  choice.spares = std::min(spare.size(), wire::max_rails - choice.nics.size());
  choice.nics.insert(choice.nics.end(), spare.begin(), spare.begin() + static_cast<ptrdiff_t>(choice.spares));
  if (machine && demand.listed()) choice.far = far(*machine, place, choice.nics);
  choice.far.resize(choice.nics.size());
  return choice;
}

Result<NicChoice> choose(const std::vector<fabric::ProviderFound> &found, const NicDemand &demand,
                         const topo::Machine *machine, const topo::Place &place) {
  auto nics = fabric::choose_nics(found, demand.provider, demand.nics);
  if (!nics.is_ok()) return nics.status();
  return narrow(demand, nics.take(), machine, place);
}

Result<NicChoice> choose(Context &context, const NicDemand &demand) {
  auto nics = fabric::choose_nics(context.providers(), demand.provider, demand.nics);
  if (!nics.is_ok()) return nics.status();
  const size_t offered = nics.value().size();
  // The machine is looked at only where it matters: that takes a while.
  const bool ranked = offered > 1 && (!demand.listed() || !nics.value().front().profile->ip_addressed) &&
                      context.machine().is_ok();
  const topo::Machine *machine = ranked ? &context.machine().value() : nullptr;
  const topo::Place place = !ranked         ? topo::Place{}
                            : demand.device ? topo::Place::at(demand.device->info.pci)
                                            : here(*machine);
  NicChoice choice = narrow(demand, nics.take(), machine, place);
  if (choice.nics.size() - choice.spares < offered && choice.place)
    context.log().write(PIRN_LOG_INFO,
                        "%zu of %zu NICs are used, those near to %s, and %zu are spares; PIRN_NICS chooses others",
                        choice.nics.size() - choice.spares, offered,
                        demand.device ? demand.device->name().c_str() : "this process", choice.spares);
  return choice;
}

}  // namespace pirn::core
