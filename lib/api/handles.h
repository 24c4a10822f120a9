// SPDX-License-Identifier: Apache-2.0
// The opaque handles of the ABI are the core's objects; this is the only place that says so.
#pragma once

#include "core/endpoint.h"

#include <pirn/pirn.h>

namespace pirn::api {

#define PIRN_HANDLE(c_type, core_type)                                                       \
  inline core_type *unwrap(c_type *handle) { return reinterpret_cast<core_type *>(handle); } \
  inline c_type *wrap(core_type *object) { return reinterpret_cast<c_type *>(object); }
PIRN_HANDLE(pirn_context, core::Context)
PIRN_HANDLE(pirn_endpoint, core::Endpoint)
PIRN_HANDLE(pirn_peer, core::Peer)
PIRN_HANDLE(pirn_region, core::Region)
PIRN_HANDLE(pirn_window, core::Window)
PIRN_HANDLE(pirn_prepared, core::Prepared)
PIRN_HANDLE(pirn_trigger, core::Trigger)
#undef PIRN_HANDLE

inline Status missing(const char *what) { return fail(PIRN_ERR_INVALID, "%s is NULL", what); }

}  // namespace pirn::api
