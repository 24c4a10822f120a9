// SPDX-License-Identifier: Apache-2.0
#include "api/error.h"
#include "api/handles.h"
#include "api/params.h"

using namespace pirn;
using namespace pirn::api;

extern "C" {

pirn_status pirn_context_open(const pirn_context_params *params, pirn_context **context) {
  return guard([&]() -> Status {
    if (!context) return missing("context");
    *context = nullptr;
    pirn_context_params p;
    if (Status bad = import_params(params, &p); !bad.is_ok()) return bad;
    if (p.settings_count > 0 && !p.settings) return missing("settings");
    std::vector<std::string> settings;
    for (uint64_t i = 0; i < p.settings_count; ++i) {
      if (!p.settings[i]) return fail(PIRN_ERR_INVALID, "settings[%llu] is NULL", static_cast<unsigned long long>(i));
      settings.emplace_back(p.settings[i]);
    }
    auto opened = core::Context::open(settings, p.log, p.log_arg, fabric::libfabric());
    if (!opened.is_ok()) return opened.status();
    *context = wrap(opened.take().release());
    return Status::ok();
  });
}

pirn_status pirn_context_close(pirn_context *context) {
  return guard([&]() -> Status {
    if (!context) return Status::ok();
    if (uint64_t open = unwrap(context)->endpoints.load())
      return fail(PIRN_ERR_BUSY, "%llu endpoints of the context are open", static_cast<unsigned long long>(open));
    delete unwrap(context);
    return Status::ok();
  });
}

}  // extern "C"
