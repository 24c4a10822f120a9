// SPDX-License-Identifier: Apache-2.0
// Owners of pirn's handles, and the one kind of error that ends a run.
#pragma once

#include "options.h"

#include <pirn/pirn.h>

#include <memory>
#include <stdexcept>
#include <string>

// Ends the run; what() is complete text for the user.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws Failure with pirn's own words unless the status is OK.
void check(pirn_status status, const std::string &what);

template <typename T, pirn_status (*close)(T *)>
struct Closer {
  void operator()(T *handle) const { close(handle); }
};
template <typename T, pirn_status (*close)(T *)>
using Handle = std::unique_ptr<T, Closer<T, close>>;

using Context = Handle<pirn_context, pirn_context_close>;
using Endpoint = Handle<pirn_endpoint, pirn_endpoint_close>;
using Peer = Handle<pirn_peer, pirn_peer_close>;
using Region = Handle<pirn_region, pirn_region_deregister>;
using Window = Handle<pirn_window, pirn_window_close>;
using Prepared = Handle<pirn_prepared, pirn_prepared_release>;

Context open_context();
Endpoint open_endpoint(pirn_context *context, const Options &options);
// Timeout and path as asked for; valid while options is.
pirn_transfer_params transfer_params(const Options &options);
std::string listener_address(pirn_endpoint *endpoint);
pirn_peer_info peer_info(pirn_peer *peer);
std::string explain(pirn_peer *peer);
Window import_window(pirn_peer *peer, const std::string &blob_text);
