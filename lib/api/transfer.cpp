// SPDX-License-Identifier: Apache-2.0
#include "api/error.h"
#include "api/handles.h"
#include "api/options.h"
#include "api/params.h"

#include <cstring>

using namespace pirn;
using namespace pirn::api;

static pirn_status move(core::OpKind kind, const core::Segment &segment, const pirn_transfer_params *params,
                        pirn_transfer *transfer) {
  return guard([&]() -> Status {
    if (transfer) *transfer = 0;
    if (!segment.region) return missing("region");
    if (!segment.window) return missing("window");
    core::TransferOptions options;
    if (Status bad = import_options(params, &options); !bad.is_ok()) return bad;
    return segment.region->endpoint->transfer(kind, segment, options, transfer);
  });
}

static core::Segment segment_of(const pirn_segment &in) {
  return {unwrap(in.region), in.local_offset, unwrap(in.window), in.remote_offset, in.length};
}

static Status check_list(const pirn_segment *segments, uint64_t count) {
  if (!segments) return missing("segments");
  if (count == 0 || count > PIRN_VECTOR_MAX)
    return fail(PIRN_ERR_RANGE, "%llu elements: 1..%u are allowed", static_cast<unsigned long long>(count),
                PIRN_VECTOR_MAX);
  if (!segments[0].region) return fail(PIRN_ERR_INVALID, "element 0: region is NULL");
  return Status::ok();
}

static pirn_status move_vector(core::OpKind kind, const pirn_segment *segments, uint64_t count,
                               const pirn_transfer_params *params, pirn_transfer *transfer) {
  return guard([&]() -> Status {
    if (transfer) *transfer = 0;
    if (Status bad = check_list(segments, count); !bad.is_ok()) return bad;
    core::TransferOptions options;
    if (Status bad = import_options(params, &options); !bad.is_ok()) return bad;
    auto copy = std::make_unique<core::Segment[]>(count);
    for (uint64_t i = 0; i < count; ++i) copy[i] = segment_of(segments[i]);
    return copy[0].region->endpoint->transfer(kind, std::move(copy), static_cast<uint32_t>(count), options, transfer);
  });
}

extern "C" {

pirn_status pirn_write(pirn_region *region, uint64_t local_offset, pirn_window *window, uint64_t remote_offset,
                       uint64_t length, const pirn_transfer_params *params, pirn_transfer *transfer) {
  return move(core::OpKind::write, {unwrap(region), local_offset, unwrap(window), remote_offset, length}, params,
              transfer);
}

pirn_status pirn_read(pirn_region *region, uint64_t local_offset, pirn_window *window, uint64_t remote_offset,
                      uint64_t length, const pirn_transfer_params *params, pirn_transfer *transfer) {
  return move(core::OpKind::read, {unwrap(region), local_offset, unwrap(window), remote_offset, length}, params,
              transfer);
}

pirn_status pirn_writev(const pirn_segment *segments, uint64_t count, const pirn_transfer_params *params,
                        pirn_transfer *transfer) {
  return move_vector(core::OpKind::write, segments, count, params, transfer);
}

pirn_status pirn_readv(const pirn_segment *segments, uint64_t count, const pirn_transfer_params *params,
                       pirn_transfer *transfer) {
  return move_vector(core::OpKind::read, segments, count, params, transfer);
}

pirn_status pirn_transfer_prepare(uint32_t operation, const pirn_segment *segments, uint64_t count,
                                  pirn_prepared **prepared) {
  return guard([&]() -> Status {
    if (!prepared) return missing("prepared");
    *prepared = nullptr;
    if (operation != PIRN_WRITE && operation != PIRN_READ)
      return fail(PIRN_ERR_INVALID, "operation %u: expected PIRN_WRITE (1) or PIRN_READ (2)", operation);
    if (Status bad = check_list(segments, count); !bad.is_ok()) return bad;
    std::vector<core::Segment> elements(count);
    for (uint64_t i = 0; i < count; ++i) elements[i] = segment_of(segments[i]);
    auto kind = operation == PIRN_WRITE ? core::OpKind::write : core::OpKind::read;
    auto made = elements[0].region->endpoint->prepare(kind, std::move(elements));
    if (!made.is_ok()) return made.status();
    *prepared = wrap(made.value());
    return Status::ok();
  });
}

pirn_status pirn_prepared_post(pirn_prepared *prepared, const pirn_transfer_params *params, pirn_transfer *transfer) {
  return guard([&]() -> Status {
    if (transfer) *transfer = 0;
    if (!prepared) return missing("prepared");
    core::TransferOptions options;
    if (Status bad = import_options(params, &options); !bad.is_ok()) return bad;
    return unwrap(prepared)->endpoint->post(*unwrap(prepared), nullptr, nullptr, 0, options, transfer);
  });
}

pirn_status pirn_prepared_post_select(pirn_prepared *prepared, const uint32_t *local_index,
                                      const uint32_t *remote_index, uint64_t count, const pirn_transfer_params *params,
                                      pirn_transfer *transfer) {
  return guard([&]() -> Status {
    if (transfer) *transfer = 0;
    if (!prepared) return missing("prepared");
    if (!local_index) return missing("local_index");
    if (count > PIRN_VECTOR_MAX)
      return fail(PIRN_ERR_RANGE, "%llu indices: at most %u are allowed", static_cast<unsigned long long>(count),
                  PIRN_VECTOR_MAX);
    core::TransferOptions options;
    if (Status bad = import_options(params, &options); !bad.is_ok()) return bad;
    return unwrap(prepared)->endpoint->post(*unwrap(prepared), local_index, remote_index, static_cast<uint32_t>(count),
                                            options, transfer);
  });
}

pirn_status pirn_prepared_release(pirn_prepared *prepared) {
  return guard([&]() -> Status {
    if (!prepared) return Status::ok();
    return unwrap(prepared)->endpoint->release(unwrap(prepared));
  });
}

pirn_status pirn_notify(pirn_peer *peer, const void *message, uint64_t length, const pirn_transfer_params *params,
                        pirn_transfer *transfer) {
  return guard([&]() -> Status {
    if (transfer) *transfer = 0;
    if (!peer) return missing("peer");
    if (!message) return missing("message");
    if (length == 0 || length > PIRN_NOTIFICATION_MAX)
      return fail(PIRN_ERR_RANGE, "a notification of %llu bytes: 1..%u are allowed",
                  static_cast<unsigned long long>(length), PIRN_NOTIFICATION_MAX);
    core::TransferOptions options;
    if (Status bad = import_options(params, &options); !bad.is_ok()) return bad;
    options.notify = {static_cast<const std::byte *>(message), length};
    return unwrap(peer)->endpoint->notify(*unwrap(peer), options, transfer);
  });
}

}  // extern "C"
