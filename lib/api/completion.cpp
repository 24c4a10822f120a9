// SPDX-License-Identifier: Apache-2.0
#include "api/error.h"
#include "api/handles.h"
#include "api/params.h"

using namespace pirn;
using namespace pirn::api;

// Runs `ask`, which fills a result, and hands the result out if the caller wants it.
template <typename Ask>
static pirn_status with_result(pirn_endpoint *endpoint, pirn_result *result, Ask &&ask) {
  return guard([&]() -> Status {
    if (result)
      if (Status bad = clear_output(result); !bad.is_ok()) return bad;
    if (!endpoint) return missing("endpoint");
    pirn_result out{};
    out.struct_size = sizeof(out);
    Status status = ask(result ? &out : nullptr);
    if (result) export_result(out, result);
    return status;
  });
}

extern "C" {

pirn_status pirn_transfer_test(pirn_endpoint *endpoint, pirn_transfer transfer, pirn_result *result) {
  return with_result(endpoint, result, [&](pirn_result *out) { return unwrap(endpoint)->test(transfer, out); });
}

pirn_status pirn_transfer_wait(pirn_endpoint *endpoint, pirn_transfer transfer, uint64_t timeout_ns,
                               pirn_result *result) {
  return with_result(endpoint, result,
                     [&](pirn_result *out) { return unwrap(endpoint)->wait(transfer, timeout_ns, out); });
}

pirn_status pirn_transfer_cancel(pirn_endpoint *endpoint, pirn_transfer transfer) {
  return guard([&]() -> Status {
    if (!endpoint) return missing("endpoint");
    return unwrap(endpoint)->cancel(transfer);
  });
}

pirn_status pirn_transfer_release(pirn_endpoint *endpoint, pirn_transfer transfer) {
  return guard([&]() -> Status {
    if (!endpoint) return missing("endpoint");
    return unwrap(endpoint)->release(transfer);
  });
}

pirn_status pirn_endpoint_poll(pirn_endpoint *endpoint, uint64_t timeout_ns, pirn_result *results, size_t result_size,
                               uint64_t capacity, uint64_t *count) {
  return guard([&]() -> Status {
    if (!count) return missing("count");
    *count = 0;
    if (!endpoint) return missing("endpoint");
    if (!results) return missing("results");
    if (capacity == 0) return fail(PIRN_ERR_RANGE, "capacity is 0: at least 1 result must fit");
    const Layout &layout = LayoutOf<pirn_result>::value;
    if (Status bad = check_struct_size(layout, result_size); !bad.is_ok()) return bad;
    auto *out = reinterpret_cast<std::byte *>(results);
    *count = unwrap(endpoint)->poll(timeout_ns, capacity, [&](size_t i, const pirn_result &result) {
      export_struct(layout, &result, out + i * result_size, result_size);
    });
    return Status::ok();
  });
}

pirn_status pirn_notification_take(pirn_endpoint *endpoint, uint64_t timeout_ns, pirn_notification *notification,
                                   void *buffer, size_t *length) {
  return guard([&]() -> Status {
    if (notification)
      if (Status bad = clear_output(notification); !bad.is_ok()) return bad;
    if (!length) return missing("length");
    if (!endpoint) return missing("endpoint");
    std::span<std::byte> room(static_cast<std::byte *>(buffer), buffer ? *length : 0);
    *length = 0;
    core::Peer *peer = nullptr;
    Status status = unwrap(endpoint)->take_notification(timeout_ns, room, length, &peer);
    if (notification && peer) {
      pirn_notification out{sizeof(out), wrap(peer), *length};
      export_result(out, notification);
    }
    return status;
  });
}

}  // extern "C"
