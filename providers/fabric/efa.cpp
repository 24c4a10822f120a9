// SPDX-License-Identifier: Apache-2.0
#include "profiles.h"

namespace pirn::fabric {
namespace {

const char *const names[] = {"efa", nullptr};

// "efa-direct" (libfabric >= 2.1) posts straight to the device; it offers RMA only where the device can both read and
// write. "efa" emulates what is missing. Before 2.1 the fabric is called otherwise, and is the only one.
const char *const fabrics[] = {"efa-direct", "efa", nullptr};

// The provider would carry peers on this host over shared memory, with the semantics and the hazards of shm.
const char *const environment[] = {"FI_EFA_ENABLE_SHM_TRANSFER", "0", nullptr};

}  // namespace

// - libfabric calls abort() when the device reports an error and no event queue is bound.
// - Nothing is ordered, not even the bytes inside one write.
// - An emulated write's transmit completion is not visibility: ask for delivery. Of a device write the completion is the
//   device's acknowledgement.
// - The target must know the initiator's address before the first operation (efa-direct): peers exchange both ways.
// - Emulated operations need the target to poll.
// - Asked for device memory it makes a context on the first device to try what works.
const Profile efa_profile = {
    .name = "efa",
    .fabric_providers = names,
    .fabric_names = fabrics,
    .visibility = Visibility::delivery_complete,
    .rank = 30,
    .same_process_only = false,
    .needs_event_queue = true,
    .checks_offsets_only = false,
    .queue_goes_with_endpoint = false,
    .domain_goes_with_endpoint = false,
    .device_memory = DeviceMemoryWay::dma_buf,
    .most_in_flight = 0,
    .ip_addressed = false,
    .environment = environment,
    .unfit_from = 0,
    .unfit_because = nullptr,
    .missing_hint = "needs an EC2 instance with EFA attached, the efa kernel module (modprobe efa), and libfabric with "
                    "the efa provider (AWS's EFA installer puts it in /opt/amazon/efa)",
};

}  // namespace pirn::fabric
