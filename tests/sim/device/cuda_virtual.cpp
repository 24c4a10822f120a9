// SPDX-License-Identifier: Apache-2.0
// Mapped memory, and handles for other processes.
#include "cuda_face.h"
#include "settings.h"
#include "virtual.h"

#include <cstring>

namespace pirn::fake_gpu::cuda {

namespace {

Code check(const Properties *properties) {
  if (!properties || properties->type != 1 || properties->location.type != 1) return invalid_value;
  return is_device(properties->location.id) ? ok : invalid_device;
}

}  // namespace

Result cuMemGetAllocationGranularity(size_t *bytes, const Properties *properties, int option) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!bytes || option < 0 || option > 1) return invalid_value;
    if (Code code = check(properties); code != ok) return code;
    *bytes = granularity;
    return ok;
  });
}

Result cuMemAddressReserve(Pointer *address, size_t length, size_t alignment, Pointer wish, uint64_t flags) {
  return run_call(__func__, needs_init, [&](Call &) {
    uint64_t base = 0;
    Code code = address && !flags ? reserve_range(length, alignment, wish, base) : invalid_value;
    if (code == ok) *address = base;
    return code;
  });
}

Result cuMemAddressFree(Pointer address, size_t length) {
  return run_call(__func__, needs_init, [&](Call &call) { return free_range(call.name, address, length); });
}

Result cuMemCreate(Physical *handle, size_t length, const Properties *properties, uint64_t flags) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!handle || flags) return invalid_value;
    if (Code code = check(properties); code != ok) return code;
    uint64_t made = 0;
    Code code = create_physical(unit_of(properties->location.id), length,
                                static_cast<uint32_t>(properties->handle_types), made);
    if (code == ok) *handle = made;
    return code;
  });
}

Result cuMemRelease(Physical handle) {
  return run_call(__func__, needs_init, [&](Call &) { return release_physical(handle); });
}

Result cuMemMap(Pointer address, size_t length, size_t offset, Physical handle, uint64_t flags) {
  return run_call(__func__, needs_init, [&](Call &) {
    return flags ? invalid_value : map_physical(address, length, offset, handle);
  });
}

Result cuMemUnmap(Pointer address, size_t length) {
  return run_call(__func__, needs_init, [&](Call &call) { return unmap_physical(call.name, address, length); });
}

Result cuMemSetAccess(Pointer address, size_t length, const Access *access, size_t count) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!access || count == 0) return invalid_value;
    for (size_t i = 0; i < count; i++) {
      if (access[i].location.type != 1) return invalid_value;
      if (!is_device(access[i].location.id)) return invalid_device;
      Code code = grant_access(address, length, unit_of(access[i].location.id), static_cast<uint32_t>(access[i].flags));
      if (code != ok) return code;
    }
    return ok;
  });
}

Result cuMemGetAccess(unsigned long long *flags, const Location *location, Pointer address) {
  return run_call(__func__, needs_init, [&](Call &) {
    Mapping *mapping = find_mapping(address);
    if (!flags || !location || !mapping || mapping->kind != Kind::chunk) return invalid_value;
    if (!is_device(location->id)) return invalid_device;
    auto found = mapping->access.find(unit_of(location->id));
    *flags = found == mapping->access.end() ? 0 : found->second;
    return ok;
  });
}

Result cuMemRetainAllocationHandle(Physical *handle, void *address) {
  return run_call(__func__, needs_init, [&](Call &) {
    Mapping *mapping = find_mapping(pointer(address));
    if (!handle || !mapping || mapping->kind != Kind::chunk) return invalid_value;
    *handle = hold_physical(mapping->chunk);
    return ok;
  });
}

Result cuMemGetAllocationPropertiesFromHandle(Properties *properties, Physical handle) {
  return run_call(__func__, needs_init, [&](Call &) {
    auto found = engine().handles.find(handle);
    if (!properties || found == engine().handles.end()) return invalid_value;
    *properties = {};
    properties->type = 1;
    properties->handle_types = static_cast<int>(found->second->handle_types());
    properties->location = {1, ordinal_of(found->second->unit())};
    return ok;
  });
}

Result cuMemExportToShareableHandle(void *shareable, Physical handle, int type, uint64_t flags) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!shareable || flags) return invalid_value;
    if (type == share_file) {
      int file = -1;
      Code code = export_file(handle, file);
      if (code == ok) memcpy(shareable, &file, sizeof file);
      return code;
    }
    FabricHandle fabric;
    Code code = type == share_fabric ? export_fabric(handle, fabric) : invalid_value;
    if (code == ok) memcpy(shareable, &fabric, sizeof fabric);
    return code;
  });
}

Result cuMemImportFromShareableHandle(Physical *handle, void *shareable, int type) {
  return run_call(__func__, needs_init, [&](Call &) {
    uint64_t made = 0;
    Code code = invalid_value;
    if (type == share_file) {
      code = import_file(static_cast<int>(reinterpret_cast<intptr_t>(shareable)), made);  // by value, in the pointer
    } else if (type == share_fabric && shareable) {
      FabricHandle fabric;
      memcpy(&fabric, shareable, sizeof fabric);
      code = import_fabric(fabric, made);
    }
    if (code == ok) *handle = made;
    return code;
  });
}

Result cuMemGetHandleForAddressRange(void *handle, Pointer address, size_t length, int type, uint64_t flags) {
  const bool nic = flags == for_a_nic;
  return run_call(__func__, nic ? needs_init : needs_context, [&](Call &) {
    if (!nic && !settings().dma_buf) return not_supported;
    if (!handle || type != 1 || (flags && !nic)) return invalid_value;
    int file = -1;
    Code code = export_dma_buf({address, length}, file);
    if (code == ok) memcpy(handle, &file, sizeof file);
    return code;
  });
}

Result cuFlushGPUDirectRDMAWrites(int target, int scope) {
  return run_call(__func__, needs_context, [&](Call &) {
    if (target != 0 || (scope != 100 && scope != 200)) return invalid_value;
    return (settings().flush & 1) != 0 ? ok : not_supported;
  });
}

Result cuIpcGetMemHandle(IpcHandle *handle, Pointer address) {
  return run_call(__func__, needs_context, [&](Call &) {
    LegacyHandle legacy;
    Code code = handle ? export_legacy(address, legacy) : invalid_value;
    if (code == ok) memcpy(handle, &legacy, sizeof legacy);
    return code;
  });
}

Result cuIpcOpenMemHandle_v2(Pointer *address, IpcHandle handle, unsigned flags) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) {
    if (!address || flags != 1) return invalid_value;
    LegacyHandle legacy;
    memcpy(&legacy, &handle, sizeof legacy);
    uint64_t base = 0;
    Code code = import_legacy(*call.context, legacy, base);
    if (code == ok) *address = base;
    return code;
  });
}

Result cuIpcCloseMemHandle(Pointer address) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) { return close_legacy(call, address); });
}

Result cuIpcGetEventHandle(IpcHandle *, Handle) {
  return run_call(__func__, needs_context, [](Call &) { return not_supported; });
}

Result cuIpcOpenEventHandle(Handle *, IpcHandle) {
  return run_call(__func__, needs_context, [](Call &) { return not_supported; });
}

}  // namespace pirn::fake_gpu::cuda
