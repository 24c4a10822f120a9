// SPDX-License-Identifier: Apache-2.0
// Why a provider and each of its NICs was or was not chosen, for people: a line each. Pure functions of what a choice is
// made on, except that they ask the system for the interfaces that an IP provider does not list. Any thread.
#pragma once

#include "core/selection.h"

#include <string>

namespace pirn::core {

// What a choice is made on.
struct Ground {
  const std::vector<fabric::ProviderFound> &found;
  NicDemand demand;
  const topo::Machine *machine;    // nullptr: nobody looked, or it cannot be read
  std::string machine_trouble;     // why it cannot be read; "" otherwise
  topo::Place place;
  std::string provider_words;      // "PIRN_PROVIDER=tcp (environment)"
  std::string nics_words;
  const char *thread;              // "this thread", "the thread that opened it"
};

// For an endpoint that the calling thread would open with the settings in force.
Ground ground_here(Context &context);
// For a choice that was made.
Ground ground_of(Context &context, const NicDemand &demand, const std::optional<topo::Place> &place);

// What was demanded, where memory is, and, if so, why no endpoint can be opened.
std::string explain_demand(const Ground &ground);
// "provider tcp (libfabric's net): chosen: ...", one line.
std::string explain_provider(const Ground &ground, const fabric::ProviderFound &provider);
// One line for each of its NICs and for each that is left out.
std::string explain_nics(const Ground &ground, const fabric::ProviderFound &provider);

// All of this, of one provider or of all (""), for an endpoint that the calling thread would open with the settings in
// force. INVALID: no provider has this name.
Result<std::string> explain_providers(Context &context, const std::string &name);

std::string duration_text(uint64_t ns);      // "250 ms", "1.2 s"
std::string speed_text(uint64_t link_speed);  // "200 Gb/s", "speed unknown"

}  // namespace pirn::core
