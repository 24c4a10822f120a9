// SPDX-License-Identifier: Apache-2.0
#include "cuda_face.h"
#include "report.h"

namespace pirn::fake_gpu::cuda {

namespace {

Context *context_of(Handle handle) {
  auto *context = static_cast<Context *>(handle);
  return is_context(context) ? context : nullptr;
}

}  // namespace

Result cuDevicePrimaryCtxRetain(Handle *context, Device device) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!context) return invalid_value;
    if (!is_device(device)) return invalid_device;
    Context &primary = *engine().primaries[static_cast<size_t>(device)];
    if (primary.retained++ == 0) activate(primary);
    *context = &primary;
    return ok;
  });
}

Result cuDevicePrimaryCtxRelease_v2(Device device) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!is_device(device)) return invalid_device;
    Context &primary = *engine().primaries[static_cast<size_t>(device)];
    if (primary.retained == 0) {
      report("misuse", "primary context of device %d released more often than retained", device);
      return invalid_context;
    }
    if (--primary.retained == 0) retire(primary);
    return ok;
  });
}

Result cuDevicePrimaryCtxGetState(Device device, unsigned *flags, int *active) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!is_device(device)) return invalid_device;
    *flags = 0;
    *active = engine().primaries[static_cast<size_t>(device)]->alive;
    return ok;
  });
}

Result cuCtxCreate_v2(Handle *context, unsigned, Device device) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!context) return invalid_value;
    if (!is_device(device)) return invalid_device;
    Context *made = new_context(static_cast<uint32_t>(device));
    current_stack().push_back(made);
    *context = made;
    return ok;
  });
}

Result cuCtxDestroy_v2(Handle handle) {
  return run_call(__func__, needs_init, [&](Call &) {
    Context *context = context_of(handle);
    if (!context || context->primary || !context->alive) return invalid_context;
    retire(*context);
    if (current() == context) current_stack().pop_back();
    return ok;
  });
}

Result cuCtxPushCurrent_v2(Handle handle) {
  return run_call(__func__, needs_init, [&](Call &) {
    Context *context = context_of(handle);
    if (!context) return invalid_context;
    current_stack().push_back(context);
    return ok;
  });
}

Result cuCtxPopCurrent_v2(Handle *context) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (current_stack().empty()) {
      report("misuse", "cuCtxPopCurrent with no context current in this thread");
      return invalid_context;
    }
    if (context) *context = current();
    current_stack().pop_back();
    return ok;
  });
}

Result cuCtxSetCurrent(Handle handle) {
  return run_call(__func__, needs_init, [&](Call &) {
    Context *context = handle ? context_of(handle) : nullptr;
    if (handle && !context) return invalid_context;
    if (!current_stack().empty()) current_stack().pop_back();
    if (context) current_stack().push_back(context);
    return ok;
  });
}

Result cuCtxGetCurrent(Handle *context) {
  return run_call(__func__, needs_init, [&](Call &) {
    *context = current();
    return ok;
  });
}

Result cuCtxGetDevice(Device *device) {
  return run_call(__func__, needs_init, [&](Call &call) {
    if (!call.context) return invalid_context;
    *device = static_cast<Device>(call.context->ordinal);
    return ok;
  });
}

Result cuCtxSynchronize() {
  return run_call(__func__, needs_context | unsafe, [&](Call &call) {
    return synchronize_context(call, *call.context);
  });
}

Result cuCtxEnablePeerAccess(Handle peer, unsigned flags) {
  return run_call(__func__, needs_context, [&](Call &call) {
    Context *context = context_of(peer);
    if (flags) return invalid_value;
    return context ? enable_peer(*call.context, *context) : invalid_context;
  });
}

Result cuCtxDisablePeerAccess(Handle peer) {
  return run_call(__func__, needs_context, [&](Call &call) {
    return disable_peer(*call.context, *static_cast<Context *>(peer));
  });
}

}  // namespace pirn::fake_gpu::cuda
