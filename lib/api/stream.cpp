// SPDX-License-Identifier: Apache-2.0
#include "api/error.h"
#include "api/handles.h"
#include "api/options.h"
#include "api/params.h"

using namespace pirn;
using namespace pirn::api;

extern "C" {

pirn_status pirn_trigger_create(pirn_prepared *prepared, const pirn_transfer_params *params, pirn_trigger **trigger) {
  return guard([&]() -> Status {
    if (!trigger) return missing("trigger");
    *trigger = nullptr;
    if (!prepared) return missing("prepared");
    core::TransferOptions options;
    if (Status bad = import_options(params, &options); !bad.is_ok()) return bad;
    if (options.queued)
      return fail(PIRN_ERR_INVALID, "PIRN_TRANSFER_QUEUED: what a stream posts has no id to report to the completion queue");
    auto made = unwrap(prepared)->endpoint->make_trigger(*unwrap(prepared), options);
    if (!made.is_ok()) return made.status();
    *trigger = wrap(made.value());
    return Status::ok();
  });
}

pirn_status pirn_stream_post(pirn_trigger *trigger, void *stream) {
  return guard([&]() -> Status { return trigger ? unwrap(trigger)->post_on(stream) : missing("trigger"); });
}

pirn_status pirn_stream_wait(pirn_trigger *trigger, void *stream) {
  return guard([&]() -> Status { return trigger ? unwrap(trigger)->wait_on(stream) : missing("trigger"); });
}

pirn_status pirn_stream_wait_transfer(pirn_endpoint *endpoint, pirn_transfer transfer, void *stream) {
  return guard([&]() -> Status {
    return endpoint ? unwrap(endpoint)->wait_on_stream(transfer, stream) : missing("endpoint");
  });
}

pirn_status pirn_trigger_get_info(pirn_trigger *trigger, pirn_trigger_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!trigger) return missing("trigger");
    pirn_trigger_info found{};
    unwrap(trigger)->endpoint->describe(*unwrap(trigger), &found);
    export_result(found, info);
    return Status::ok();
  });
}

pirn_status pirn_trigger_cancel(pirn_trigger *trigger) {
  return guard([&]() -> Status { return trigger ? unwrap(trigger)->endpoint->cancel(*unwrap(trigger)) : missing("trigger"); });
}

pirn_status pirn_trigger_release(pirn_trigger *trigger) {
  return guard([&]() -> Status {
    if (trigger) unwrap(trigger)->endpoint->release(unwrap(trigger));
    return Status::ok();
  });
}

}  // extern "C"
