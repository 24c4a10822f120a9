// SPDX-License-Identifier: Apache-2.0
// Which NICs an endpoint gets: what is demanded, what there is, what is near. Any thread.
#pragma once

#include "core/affinity.h"
#include "core/context.h"
#include "device/registry.h"

#include <optional>
#include <string>
#include <vector>

namespace pirn::core {

struct NicDemand {
  std::string provider;           // a demand, or "auto"
  std::string nics;               // a list, or ""
  bool provider_by_call = false;  // demanded by the call that opens the endpoint, not by a setting
  bool nics_by_call = false;
  const device::Device *device = nullptr;  // its memory is to be near; nullptr: host memory
  uint64_t spares = 0;                     // at most so many, unless NICs are listed

  bool listed() const { return nics.find_first_not_of(" \t") != std::string::npos; }
};

NicDemand demand_of_settings(const Settings &settings);

struct NicChoice {
  std::vector<fabric::Nic> nics;     // the spares last
  std::vector<bool> far;             // of each: listed, but others of the list are nearer
  size_t spares = 0;                 // the last so many carry only while none of the others works
  std::optional<topo::Place> place;  // what they were to be near to; nothing if that did not matter
};

// Without a list, of several devices those that are near to the calling thread's memory, and spares.
Result<NicChoice> choose(Context &context, const NicDemand &demand);
// The same as a pure function. `machine` nullptr: not known.
Result<NicChoice> choose(const std::vector<fabric::ProviderFound> &found, const NicDemand &demand,
                         const topo::Machine *machine, const topo::Place &place);

}  // namespace pirn::core
