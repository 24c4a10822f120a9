// SPDX-License-Identifier: Apache-2.0
#include "profiles.h"

namespace pirn::fabric {
namespace {

// Verbs endpoints are connected; the rxm layer makes them datagram-addressed and hands RMA straight to the NIC.
const char *const names[] = {"verbs;ofi_rxm", nullptr};

// One receive queue for all connections. Without it rxm (every release up to 2.4) posts receives to a connection that
// the peer has just closed, and crashes; and each peer costs 1 MiB of buffers. 1024 receives of 16 KiB are plenty for
// control messages; rxm's 4096 would pin 64 MiB a rail. Below lies one completion queue of the receives and 64 (later
// 128) entries times the universe's size: rxm's 1024 is refused where a queue has at most 32767 entries (Soft-RoCE),
// and 128 is more than a rail ever has in flight.
const char *const environment[] = {"FI_OFI_RXM_USE_SRX", "1", "FI_OFI_RXM_MSG_RX_SIZE", "1024", "FI_UNIVERSE_SIZE",
                                   "128", nullptr};

}  // namespace

// - Offers no FI_DELIVERY_COMPLETE: the completion is the reliable connection's acknowledgement, which the target's NIC
//   sends after it issued the writes to memory. For the target's CPU that is visibility.
// - A closed rxm endpoint leaves itself in its queue's list of things to wait for (fi_trywait then crashes).
// - With FI_MR_LOCAL left out rxm registers per operation, so it must be offered: discovery offers every mr_mode bit.
// - A bad key or a dead peer fails the hidden connection and everything in flight on it; the next operation reconnects.
// - Writes up to inject_size are copied by the CPU when the memory counts as host memory: never register device memory
//   as host memory here without setting FI_VERBS_INLINE_SIZE=0.
// - libfabric 1.17 reports link speed 0 for HDR and NDR; discovery asks sysfs then.
const Profile verbs_profile = {
    .name = "verbs",
    .fabric_providers = names,
    .fabric_names = nullptr,
    .visibility = Visibility::transmit_complete,
    .rank = 20,
    .same_process_only = false,
    .needs_event_queue = false,
    .checks_offsets_only = false,
    .queue_goes_with_endpoint = true,
    .domain_goes_with_endpoint = false,
    .device_memory = DeviceMemoryWay::dma_buf,
    .most_in_flight = 0,
    .ip_addressed = false,
    .environment = environment,
    .unfit_from = 0,
    .unfit_because = nullptr,
    .missing_hint = "needs an RDMA NIC that is up, with its kernel driver (ls /sys/class/infiniband), rdma-core, "
                    "an IP address on the NIC's interface (IPoIB or RoCE), and a memlock limit that is not small",
};

}  // namespace pirn::fabric
