// SPDX-License-Identifier: Apache-2.0
#include "api/copy_out.h"
#include "api/error.h"
#include "api/handles.h"
#include "api/params.h"

using namespace pirn;
using namespace pirn::api;

static Result<core::EndpointOptions> options_of(const pirn_endpoint_params &p, core::Context &context) {
  const Settings &settings = context.settings();
  core::EndpointOptions options;
  if (p.device && std::string(p.device) != "host") {
    auto found = context.devices().find(p.device);
    if (!found.is_ok()) return found.status();
    options.device = found.value();
  }
  options.provider = p.provider ? p.provider : settings.provider;
  options.nics = p.nics ? p.nics : settings.nics;
  options.provider_by_call = p.provider != nullptr;
  options.nics_by_call = p.nics != nullptr;
  options.spares = settings.spare_nics;
  switch (p.progress) {
    case PIRN_PROGRESS_DEFAULT:
      options.progress = settings.progress == "manual" ? core::ProgressMode::manual
                         : settings.progress == "spin" ? core::ProgressMode::spin
                                                       : core::ProgressMode::thread;
      break;
    case PIRN_PROGRESS_THREAD:
      options.progress = core::ProgressMode::thread;
      break;
    case PIRN_PROGRESS_SPIN:
      options.progress = core::ProgressMode::spin;
      break;
    case PIRN_PROGRESS_MANUAL:
      options.progress = core::ProgressMode::manual;
      break;
    default:
      return fail(PIRN_ERR_INVALID, "progress %u: expected one of PIRN_PROGRESS_* (0..3)", p.progress);
  }
  return options;
}

extern "C" {

pirn_status pirn_endpoint_open(pirn_context *context, const pirn_endpoint_params *params, pirn_endpoint **endpoint) {
  return guard([&]() -> Status {
    if (!endpoint) return missing("endpoint");
    *endpoint = nullptr;
    if (!context) return missing("context");
    pirn_endpoint_params p;
    if (Status bad = import_params(params, &p); !bad.is_ok()) return bad;
    auto options = options_of(p, *unwrap(context));
    if (!options.is_ok()) return options.status();
    auto opened = core::Endpoint::open(*unwrap(context), options.value());
    if (!opened.is_ok()) return opened.status();
    *endpoint = wrap(opened.take().release());
    return Status::ok();
  });
}

pirn_status pirn_endpoint_close(pirn_endpoint *endpoint) {
  return guard([&]() -> Status {
    delete unwrap(endpoint);
    return Status::ok();
  });
}

pirn_status pirn_endpoint_metadata(pirn_endpoint *endpoint, void *buffer, size_t *length) {
  return guard([&]() -> Status {
    if (!length) return missing("length");
    if (!endpoint) return missing("endpoint");
    return copy_out(unwrap(endpoint)->metadata(), buffer, length);
  });
}

pirn_status pirn_endpoint_explain(pirn_endpoint *endpoint, char *buffer, size_t *length) {
  return guard([&]() -> Status {
    if (!length) return missing("length");
    if (!endpoint) return missing("endpoint");
    return copy_out(unwrap(endpoint)->explain(), buffer, length);
  });
}

pirn_status pirn_endpoint_listen(pirn_endpoint *endpoint, const char *address) {
  return guard([&]() -> Status {
    if (!endpoint) return missing("endpoint");
    if (!address) return missing("address");
    return unwrap(endpoint)->listen(address);
  });
}

pirn_status pirn_endpoint_address(pirn_endpoint *endpoint, char *buffer, size_t *length) {
  return guard([&]() -> Status {
    if (!length) return missing("length");
    if (!endpoint) return missing("endpoint");
    auto address = unwrap(endpoint)->listen_address();
    if (!address.is_ok()) return address.status();
    return copy_out(address.value(), buffer, length);
  });
}

pirn_status pirn_endpoint_accept(pirn_endpoint *endpoint, uint64_t timeout_ns, pirn_peer **peer) {
  return guard([&]() -> Status {
    if (!peer) return missing("peer");
    *peer = nullptr;
    if (!endpoint) return missing("endpoint");
    auto accepted = unwrap(endpoint)->accept(timeout_ns);
    if (!accepted.is_ok()) return accepted.status();
    *peer = wrap(accepted.value());
    return Status::ok();
  });
}

pirn_status pirn_endpoint_accept_start(pirn_endpoint *endpoint, pirn_accept_fn callback, void *arg) {
  return guard([&]() -> Status {
    if (!endpoint) return missing("endpoint");
    unwrap(endpoint)->accept_background(true, callback, arg);
    return Status::ok();
  });
}

pirn_status pirn_endpoint_accept_stop(pirn_endpoint *endpoint) {
  return guard([&]() -> Status {
    if (!endpoint) return missing("endpoint");
    unwrap(endpoint)->accept_background(false, nullptr, nullptr);
    return Status::ok();
  });
}

pirn_status pirn_endpoint_progress(pirn_endpoint *endpoint, uint64_t *events) {
  return guard([&]() -> Status {
    if (events) *events = 0;
    if (!endpoint) return missing("endpoint");
    uint64_t happened = unwrap(endpoint)->progress_manually();
    if (events) *events = happened;
    return Status::ok();
  });
}

pirn_status pirn_endpoint_fd(pirn_endpoint *endpoint, int32_t *fd) {
  return guard([&]() -> Status {
    if (!fd) return missing("fd");
    *fd = -1;
    if (!endpoint) return missing("endpoint");
    auto opened = unwrap(endpoint)->event_fd();
    if (!opened.is_ok()) return opened.status();
    *fd = opened.value();
    return Status::ok();
  });
}

}  // extern "C"
