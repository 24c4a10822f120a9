// SPDX-License-Identifier: Apache-2.0
// What the calls that start transfers take from pirn_transfer_params.
#pragma once

#include "core/endpoint.h"

#include <pirn/transfer.h>

namespace pirn::api {

// NULL: defaults. `options` refers to the caller's notification.
Status import_options(const pirn_transfer_params *params, core::TransferOptions *options);

}  // namespace pirn::api
