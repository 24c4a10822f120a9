// SPDX-License-Identifier: Apache-2.0
#include "profiles.h"

namespace pirn::fabric {
namespace {

const char *const names[] = {"shm", nullptr};

}  // namespace

// Not between processes: libfabric 1.17's shm takes locks that live in shared memory. A peer that is killed while it
// holds one leaves the survivor hung inside libfabric, and a dead peer is never reported. Within one process both ends
// die together, so there it is safe.
// With virtual addressing 1.17 copies straight into the target without a look at keys, rights and bounds (measured: a
// read of a write-only registration succeeds).
// With offsets it checks, but a refused operation never completes at the initiator: only a deadline ends it.
// 2.5.1 crashes while it makes progress for two endpoints of one process, each driven by a thread of its own, with
// either addressing: refused.
// Device memory of the same process is copied by pirn itself.
// It has no descriptor to wait on, and a write's delivery is acknowledged only when the target polls.
const Profile shm_profile = {
    .name = "shm",
    .fabric_providers = names,
    .fabric_names = nullptr,
    .visibility = Visibility::delivery_complete,
    .rank = -2,
    .same_process_only = true,
    .needs_event_queue = false,
    .checks_offsets_only = true,
    .queue_goes_with_endpoint = false,
    .domain_goes_with_endpoint = true,  // its address vector holds what peers that are gone announced
    .device_memory = DeviceMemoryWay::none,
    .most_in_flight = 0,
    .ip_addressed = false,
    .environment = nullptr,
    .unfit_from = 2,
    .unfit_because = "libfabric 2's shm ends the process with a segmentation fault (seen with 2.5.1); use tcp",
    .missing_hint = "needs libfabric with the shm provider",
};

}  // namespace pirn::fabric
