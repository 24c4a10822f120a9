// SPDX-License-Identifier: Apache-2.0
#include "cuda_face.h"
#include "worker.h"

namespace pirn::fake_gpu::cuda {

Result cuMemGetInfo_v2(size_t *available, size_t *total) {
  return run_call(__func__, needs_context, [&](Call &call) {
    size_t used = 0;
    for (const auto &[base, mapping] : engine().mappings)
      if (mapping.chunk && !mapping.chunk->imported() && mapping.chunk->unit() == call.context->unit)
        used += mapping.length;
    *total = settings().memory;
    *available = used < *total ? *total - used : 0;
    return ok;
  });
}

Result cuMemAlloc_v2(Pointer *address, size_t length) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) {
    uint64_t base = 0;
    Code code = address ? allocate(*call.context, length, Kind::plain, base) : invalid_value;
    if (code == ok) *address = base;
    return code;
  });
}

Result cuMemAllocManaged(Pointer *address, size_t length, unsigned) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) {
    void *base = nullptr;
    Code code = address ? allocate_host(*call.context, length, Kind::managed, base) : invalid_value;
    if (code == ok) *address = pointer(base);
    return code;
  });
}

Result cuMemFree_v2(Pointer address) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) { return release(call, address); });
}

Result cuMemHostAlloc(void **address, size_t length, unsigned flags) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) {
    if (!address || flags > 7) return invalid_value;
    return allocate_host(*call.context, length, Kind::pinned, *address);
  });
}

Result cuMemAllocHost_v2(void **address, size_t length) { return cuMemHostAlloc(address, length, 0); }

Result cuMemFreeHost(void *address) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) { return release_host(call, address); });
}

Result cuMemHostRegister_v2(void *address, size_t length, unsigned) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) {
    return register_host(*call.context, address, length);
  });
}

Result cuMemHostUnregister(void *address) {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) { return unregister_host(call.name, address); });
}

Result cuMemHostGetDevicePointer_v2(Pointer *device, void *address, unsigned flags) {
  return run_call(__func__, needs_context, [&](Call &) {
    Mapping *mapping = find_mapping(pointer(address));
    if (flags || !mapping || mapping->on_device()) return invalid_value;
    *device = pointer(address);
    return ok;
  });
}

Result cuMemHostGetFlags(unsigned *flags, void *address) {
  return run_call(__func__, needs_init, [&](Call &) {
    Mapping *mapping = find_mapping(pointer(address));
    if (!mapping || mapping->kind != Kind::pinned) return invalid_value;
    *flags = 2;  // mapped: unified addressing makes all of it so
    return ok;
  });
}

// -- Pools

namespace {

Result allocate_in_order(const char *name, Pointer *address, size_t length, Handle handle, Handle stream_handle) {
  return run_on_stream(name, stream_handle, needs_context, [&](Call &call, const std::shared_ptr<Stream> &stream) {
    if (stream->capture) return not_supported;
    std::shared_ptr<Pool> pool = handle ? engine().pools.find(handle) : nullptr;
    for (const auto &own : engine().default_pools)
      if (own.get() == handle || (!handle && own->unit == stream->context->unit)) pool = own;
    Context *context = pool ? primary_of_unit(pool->unit) : nullptr;
    if (!context || !address) return invalid_value;
    uint64_t base = 0;
    Code code = allocate(pool->unit == call.context->unit ? *call.context : *context, length, Kind::pool, base);
    if (code != ok) return code;
    find_mapping(base)->pool = pool.get();
    *address = base;
    return ok;
  });
}

}  // namespace

Result cuDeviceGetDefaultMemPool(Handle *pool, Device device) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!is_device(device)) return invalid_device;
    *pool = engine().default_pools[static_cast<size_t>(device)].get();
    return ok;
  });
}

Result cuDeviceGetMemPool(Handle *pool, Device device) { return cuDeviceGetDefaultMemPool(pool, device); }

Result cuMemPoolCreate(Handle *pool, const PoolProperties *properties) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!pool || !properties || properties->type != 1 || properties->location.type != 1) return invalid_value;
    if (!is_device(properties->location.id)) return invalid_device;
    if (properties->handle_types) return not_supported;
    auto made = std::make_shared<Pool>();
    made->unit = unit_of(properties->location.id);
    *pool = engine().pools.add(made);
    return ok;
  });
}

Result cuMemPoolDestroy(Handle pool) {
  return run_call(__func__, needs_init, [&](Call &) { return engine().pools.take(pool) ? ok : invalid_value; });
}

Result cuMemAllocAsync(Pointer *address, size_t length, Handle stream) {
  return allocate_in_order(__func__, address, length, nullptr, stream);
}

Result cuMemAllocFromPoolAsync(Pointer *address, size_t length, Handle pool, Handle stream) {
  return allocate_in_order(__func__, address, length, pool, stream);
}

Result cuMemFreeAsync(Pointer address, Handle handle) {
  return run_on_stream(__func__, handle, needs_context, [&](Call &call, const std::shared_ptr<Stream> &stream) {
    Mapping *mapping = find_mapping(address);
    if (!mapping || mapping->base != address || (mapping->kind != Kind::pool && mapping->kind != Kind::plain))
      return invalid_value;
    uint64_t room = mapping->chunk->size();
    return submit(call, stream, {"a free", [=](Context &, Code &) {
                                   Lock lock(engine().lock);
                                   if (Mapping *found = find_mapping(address); found && found->base == address) {
                                     if (found->chunk) found->chunk->tell_freed();
                                     engine().mappings.erase(address);
                                     unreserve(address, room);
                                   }
                                   return Step::done;
                                 }, {}});
  });
}

}  // namespace pirn::fake_gpu::cuda
