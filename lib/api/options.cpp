// SPDX-License-Identifier: Apache-2.0
#include "api/options.h"

#include "api/handles.h"
#include "api/params.h"

namespace pirn::api {

Status import_options(const pirn_transfer_params *params, core::TransferOptions *options) {
  if (!params) return Status::ok();
  pirn_transfer_params p;
  if (Status bad = import_params(params, &p); !bad.is_ok()) return bad;
  if (p.flags & ~static_cast<uint64_t>(PIRN_TRANSFER_QUEUED))
    return fail(PIRN_ERR_INVALID, "flags 0x%llx: only PIRN_TRANSFER_QUEUED (1) is known",
                static_cast<unsigned long long>(p.flags));
  if (p.notify_length > 0 && !p.notify) return missing("notify");
  options->notify = {static_cast<const std::byte *>(p.notify), p.notify_length};
  options->timeout = p.timeout_ns;
  options->user_data = p.user_data;
  options->queued = p.flags & PIRN_TRANSFER_QUEUED;
  if (p.path) {
    options->path = core::route_named(p.path);
    if (options->path == core::Route::unknown)
      return fail(PIRN_ERR_INVALID, "path \"%s\": expected \"self\", \"ipc\" or \"fabric\"", p.path);
  }
  return Status::ok();
}

}  // namespace pirn::api
