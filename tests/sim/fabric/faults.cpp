// SPDX-License-Identifier: Apache-2.0
#include "faults.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pirn::sim_nic {
namespace {

uint64_t number(const char *variable, uint64_t fallback) {
  const char *text = getenv(variable);
  return text && *text ? strtoull(text, nullptr, 10) : fallback;
}

// "RAIL:A" or "RAIL:A:B", several separated by commas; true if `rail` is among them.
bool find_rail(const char *variable, size_t rail, uint64_t &a, uint64_t &b) {
  for (const char *at = getenv(variable); at && *at;) {
    uint64_t which = 0, first = 0, second = b;
    int fields = sscanf(at, "%" SCNu64 ":%" SCNu64 ":%" SCNu64, &which, &first, &second);
    if (fields >= 2 && which == rail) {
      a = first;
      b = second;
      return true;
    }
    at = strchr(at, ',');
    if (at) at++;
  }
  return false;
}

// The rail's entry of a list, or its last one.
double entry(const char *variable, size_t rail) {
  const char *at = getenv(variable);
  if (!at) return 0;
  for (; rail; rail--) {
    const char *next = strchr(at, ',');
    if (!next) break;
    at = next + 1;
  }
  return strtod(at, nullptr);
}

}  // namespace

const Faults &faults() {
  static const Faults all = [] {
    Faults f;
    f.queue_size = number("PIRN_SIM_QUEUE", 0);
    f.again_every = number("PIRN_SIM_EAGAIN", 0);
    f.reorder = number("PIRN_SIM_REORDER", 0);
    f.out_of_order = number("PIRN_SIM_OOO", 0);
    f.seed = number("PIRN_SIM_SEED", 1);
    f.rnr_ns = number("PIRN_SIM_RNR_MS", 0) * 1000000;
    return f;
  }();
  return all;
}

FaultState faults_of_rail(size_t rail) {
  constexpr double bytes_per_ns_of_gbit = 0.125;
  FaultState state;
  uint64_t unused = 0, dead_ms = 0, stall_ms = 0;
  if (find_rail("PIRN_SIM_DIE", rail, state.die_after, dead_ms) && dead_ms) state.dead_ns = dead_ms * 1000000;
  if (find_rail("PIRN_SIM_STALL", rail, state.stall_after, stall_ms) && stall_ms) state.stall_ns = stall_ms * 1000000;
  find_rail("PIRN_SIM_ERROR", rail, state.fail_nth, unused);
  state.bytes_per_ns = entry("PIRN_SIM_RATE", rail) * bytes_per_ns_of_gbit;
  state.latency_ns = static_cast<uint64_t>(entry("PIRN_SIM_LATENCY_US", rail) * 1e3);
  state.random.seed(faults().seed + rail);
  return state;
}

}  // namespace pirn::sim_nic
