// SPDX-License-Identifier: Apache-2.0
#include "profiles.h"

namespace pirn::fabric {
namespace {

// The native RDM provider is called "net" in libfabric 1.16 and 1.17 and "tcp" from 1.18 on. In 1.17 "tcp" has
// message endpoints only, and needs the rxm layer on top.
const char *const names[] = {"net", "tcp", "tcp;ofi_rxm", nullptr};

}  // namespace

// Measured on 1.17:
// - A write without FI_DELIVERY_COMPLETE completes when the bytes are in the socket, long before they are placed. "net"
//   honours the flag in fi_writemsg only: fi_write drops the endpoint's op_flags.
// - "AUTO" progress is not asynchronous: a target that does not poll its queue receives nothing.
// - A write with a key the target does not know cuts the connection: the initiator sees ENOTCONN, not an access error.
// - Posting to a dead peer returns EAGAIN for ever while the provider tries to reconnect.
// - An endpoint that closes while the answer to a read comes in reports that read twice, and frees its record twice: what
//   is posted in the same domain afterwards shares a record with others, and never completes. And a connection that was
//   accepted but had said nothing yet refers to the closed endpoint; the next event on it crashes. Only a new domain is
//   free of both. (Below rxm, fi_close itself crashes in the first case.)
// - Removing an address from the address vector does not cut the connection; only closing the endpoint does.
const Profile tcp_profile = {
    .name = "tcp",
    .fabric_providers = names,
    .fabric_names = nullptr,
    .visibility = Visibility::delivery_complete,
    .rank = 10,
    .same_process_only = false,
    .needs_event_queue = false,
    .checks_offsets_only = false,
    .queue_goes_with_endpoint = false,
    .domain_goes_with_endpoint = true,
    .device_memory = DeviceMemoryWay::none,
    .most_in_flight = 0,
    .ip_addressed = true,
    .environment = nullptr,
    .unfit_from = 0,
    .unfit_because = nullptr,
    .missing_hint = "needs libfabric with the tcp provider, and a network interface that is up",
};

}  // namespace pirn::fabric
