// SPDX-License-Identifier: Apache-2.0
// Faults from the environment, read once when the provider is loaded. README.md lists the variables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

namespace pirn::sim_nic {

struct Faults {
  size_t queue_size = 0;     // PIRN_SIM_QUEUE: transmit and receive depth
  uint64_t again_every = 0;  // PIRN_SIM_EAGAIN: every nth post is refused
  size_t reorder = 0;        // PIRN_SIM_REORDER: completions shuffled within this window
  size_t out_of_order = 0;   // PIRN_SIM_OOO: operations executed out of order within this window
  uint64_t seed = 1;         // PIRN_SIM_SEED
  uint64_t rnr_ns = 0;       // PIRN_SIM_RNR_MS: how long a receiver may have no receive posted; 0: for ever
};
const Faults &faults();

// PIRN_SIM_DIE=RAIL:OPS[:MS], PIRN_SIM_STALL=RAIL:OPS[:MS], PIRN_SIM_ERROR=RAIL:NTH, PIRN_SIM_RATE=GBIT[,GBIT],
// PIRN_SIM_LATENCY_US=US[,US]: of one endpoint on one rail.
struct FaultState {
  uint64_t posts = 0;
  uint64_t again_count = 0;
  uint64_t die_after = UINT64_MAX;
  uint64_t dead_ns = UINT64_MAX;  // over verbs, for how long
  uint64_t stall_after = UINT64_MAX;
  uint64_t stall_ns = UINT64_MAX;
  uint64_t fail_nth = 0;
  double bytes_per_ns = 0;   // 0: as fast as it goes
  uint64_t latency_ns = 0;
  uint64_t wire_free_at = 0;  // ns
  uint64_t stalled_until = 0;  // ns
  bool dead = false;
  uint64_t dead_until = 0;  // ns
  std::mt19937_64 random;
};
FaultState faults_of_rail(size_t rail);

}  // namespace pirn::sim_nic
