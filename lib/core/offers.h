// SPDX-License-Identifier: Apache-2.0
// What a window lies in, as other processes of this host can be given it. Under the endpoint's lock.
#pragma once

#include "core/memory.h"
#include "local/channel.h"

namespace pirn::core {

// Device memory, or host memory of pirn_memory_alloc: others can map it.
bool can_be_shared(const Advertised &window);

// The chunks of the window from ask.offset on, as many as fit one answer, with handles of the kinds asked for. A status
// other than OK: it has none. The files are the caller's. With `tell_address`, who asks is told where plain host memory lies
// in this process, and its guard.
local::Offer offer_of(Advertised &window, const wire::ShareAsk &ask, bool tell_address);

}  // namespace pirn::core
