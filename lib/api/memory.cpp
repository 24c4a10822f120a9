// SPDX-License-Identifier: Apache-2.0
#include "api/copy_out.h"
#include "api/error.h"
#include "api/handles.h"
#include "api/params.h"
#include "core/allocations.h"

using namespace pirn;
using namespace pirn::api;

static Status kind_of(const pirn_region_params *params, uint32_t *kind) {
  pirn_region_params p;
  if (Status bad = import_params(params, &p); !bad.is_ok()) return bad;
  if (p.kind > PIRN_MEMORY_DEVICE)
    return fail(PIRN_ERR_INVALID, "memory kind %u: expected one of PIRN_MEMORY_* (0..2)", p.kind);
  *kind = p.kind;
  return Status::ok();
}

// The device that memory is asked of; nullptr: the host.
static Result<const device::Device *> device_named(core::Context &context, const char *name) {
  if (!name || std::string(name) == "host") return static_cast<const device::Device *>(nullptr);
  return context.devices().find(name);
}

extern "C" {

pirn_status pirn_memory_alloc(pirn_context *context, const char *device, uint64_t length, void **address) {
  return guard([&]() -> Status {
    if (!address) return missing("address");
    *address = nullptr;
    if (!context) return missing("context");
    auto found = device_named(*unwrap(context), device);
    if (!found.is_ok()) return found.status();
    const device::Device *of = found.value();
    auto made = core::Allocations::of_process().make(of ? of->operations : nullptr, of ? of->info.ordinal : 0, length);
    if (!made.is_ok()) return made.status();
    *address = made.value();
    return Status::ok();
  });
}

pirn_status pirn_memory_free(pirn_context *context, void *address) {
  return guard([&]() -> Status {
    if (!context) return missing("context");
    if (!address) return Status::ok();
    return core::Allocations::of_process().free(address);
  });
}

pirn_status pirn_region_register(pirn_endpoint *endpoint, void *address, uint64_t length,
                                 const pirn_region_params *params, pirn_region **region) {
  return guard([&]() -> Status {
    if (!region) return missing("region");
    *region = nullptr;
    if (!endpoint) return missing("endpoint");
    uint32_t kind = 0;
    if (Status bad = kind_of(params, &kind); !bad.is_ok()) return bad;
    auto made = unwrap(endpoint)->register_memory(address, length, kind);
    if (!made.is_ok()) return made.status();
    *region = wrap(made.value());
    return Status::ok();
  });
}

pirn_status pirn_region_register_many(pirn_endpoint *endpoint, const pirn_memory *ranges, uint64_t count,
                                      const pirn_region_params *params, pirn_region **regions) {
  return guard([&]() -> Status {
    if (!regions) return missing("regions");
    for (uint64_t i = 0; i < count; ++i) regions[i] = nullptr;
    if (!endpoint) return missing("endpoint");
    if (!ranges) return missing("ranges");
    uint32_t kind = 0;
    if (Status bad = kind_of(params, &kind); !bad.is_ok()) return bad;
    for (uint64_t i = 0; i < count; ++i) {
      auto made = unwrap(endpoint)->register_memory(ranges[i].address, ranges[i].length, kind);
      if (made.is_ok()) {
        regions[i] = wrap(made.value());
        continue;
      }
      while (i-- > 0) {
        (void)unwrap(endpoint)->deregister(unwrap(regions[i]));
        regions[i] = nullptr;
      }
      return made.status();
    }
    return Status::ok();
  });
}

pirn_status pirn_region_deregister(pirn_region *region) {
  return guard([&]() -> Status {
    if (!region) return Status::ok();
    return unwrap(region)->endpoint->deregister(unwrap(region));
  });
}

pirn_status pirn_region_advertise(pirn_region *region, uint64_t offset, uint64_t length, uint32_t access, void *blob,
                                  size_t *blob_length, uint64_t *window_id) {
  return guard([&]() -> Status {
    if (window_id) *window_id = 0;
    if (!blob_length) return missing("blob_length");
    if (!region) return missing("region");
    uint64_t id = 0;
    std::span<std::byte> room(static_cast<std::byte *>(blob), blob ? *blob_length : 0);
    Status status = unwrap(region)->endpoint->advertise(unwrap(region), offset, length, access, room, blob_length, &id);
    if (window_id) *window_id = id;
    return status;
  });
}

pirn_status pirn_region_withdraw(pirn_region *region, uint64_t window_id, uint64_t timeout_ns) {
  return guard([&]() -> Status {
    if (!region) return missing("region");
    return unwrap(region)->endpoint->withdraw(unwrap(region), window_id, timeout_ns);
  });
}

pirn_status pirn_window_import(pirn_peer *peer, const void *blob, size_t length, pirn_window **window) {
  return guard([&]() -> Status {
    if (!window) return missing("window");
    *window = nullptr;
    if (!peer) return missing("peer");
    if (!blob) return missing("blob");
    auto imported = unwrap(peer)->endpoint->import(*unwrap(peer), {static_cast<const std::byte *>(blob), length});
    if (!imported.is_ok()) return imported.status();
    *window = wrap(imported.value());
    return Status::ok();
  });
}

pirn_status pirn_window_close(pirn_window *window) {
  return guard([&]() -> Status {
    if (!window) return Status::ok();
    return unwrap(window)->peer->endpoint->close(unwrap(window));
  });
}

pirn_status pirn_window_get(pirn_window *window, uint64_t *length, uint32_t *access) {
  return guard([&]() -> Status {
    if (length) *length = 0;
    if (access) *access = 0;
    if (!window) return missing("window");
    if (length) *length = unwrap(window)->blob.length;
    if (access) *access = unwrap(window)->blob.access;
    return Status::ok();
  });
}

pirn_status pirn_blob_to_text(const void *blob, size_t blob_length, char *text, size_t *length) {
  return guard([&]() -> Status {
    if (!length) return missing("length");
    if (!blob) return missing("blob");
    auto made = wire::blob_to_text({static_cast<const std::byte *>(blob), blob_length});
    if (!made.is_ok()) return made.status();
    return copy_out(made.value(), text, length);
  });
}

pirn_status pirn_blob_from_text(const char *text, void *blob, size_t *blob_length) {
  return guard([&]() -> Status {
    if (!blob_length) return missing("blob_length");
    if (!text) return missing("text");
    auto made = wire::blob_from_text(text);
    if (!made.is_ok()) return made.status();
    return copy_out(made.value(), blob, blob_length);
  });
}

}  // extern "C"
