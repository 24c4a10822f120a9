// SPDX-License-Identifier: Apache-2.0
#include "profiles.h"

namespace pirn::fabric {
namespace {

const char *const names[] = {"sockets", nullptr};

}  // namespace

// The reference provider: slow, with a progress thread of its own, and the only one here that implements every flag.
// After a peer died, posts to it return -ENOENT at once. libfabric has declared it unmaintained: on demand only.
const Profile sockets_profile = {
    .name = "sockets",
    .fabric_providers = names,
    .fabric_names = nullptr,
    .visibility = Visibility::delivery_complete,
    .rank = -1,
    .same_process_only = false,
    .needs_event_queue = false,
    .checks_offsets_only = false,
    .queue_goes_with_endpoint = false,
    .domain_goes_with_endpoint = false,
    .device_memory = DeviceMemoryWay::none,
    .most_in_flight = 96,  // it works on 128 at a time, of all peers and directions, and the rest waits behind them
    .ip_addressed = true,
    .environment = nullptr,
    .unfit_from = 0,
    .unfit_because = nullptr,
    .missing_hint = "needs libfabric with the sockets provider, and a network interface that is up",
};

}  // namespace pirn::fabric
