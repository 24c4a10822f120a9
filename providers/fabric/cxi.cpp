// SPDX-License-Identifier: Apache-2.0
#include "profiles.h"

namespace pirn::fabric {
namespace {

const char *const names[] = {"cxi", nullptr};

// With optimized registrations a key that was closed can still reach cached memory. A window that was withdrawn must be
// gone, so the standard kind is used, and its matches are checked. All peers of a job must agree on the first.
const char *const environment[] = {"FI_CXI_OPTIMIZED_MRS", "0", "FI_CXI_MR_MATCH_EVENTS", "1", nullptr};

}  // namespace

// - Registrations belong to one enabled endpoint, addressing is by offset, one local and one remote part per operation.
// - The NIC's acknowledgement does not promise visibility; FI_DELIVERY_COMPLETE adds the flushing read that does.
// - Keys chosen by us must fit 4 bytes, and those below 100 select optimized registrations.
// - Device memory: the provider looks at the address itself, exports its own dma-buf, and ignores one that it is given.
// - Asking for write ordering makes packets slower; pirn needs none.
const Profile cxi_profile = {
    .name = "cxi",
    .fabric_providers = names,
    .fabric_names = nullptr,
    .visibility = Visibility::delivery_complete,
    .rank = 40,
    .same_process_only = false,
    .needs_event_queue = false,
    .checks_offsets_only = false,
    .queue_goes_with_endpoint = false,
    .domain_goes_with_endpoint = false,
    .device_memory = DeviceMemoryWay::address,
    .most_in_flight = 0,
    .ip_addressed = false,
    .environment = environment,
    .unfit_from = 0,
    .unfit_because = nullptr,
    .missing_hint = "needs a Slingshot NIC (cxi0 ...) and libfabric with the cxi provider: the distribution's has none "
                    "before 1.21; HPE's is in /opt/cray/libfabric",
};

}  // namespace pirn::fabric
