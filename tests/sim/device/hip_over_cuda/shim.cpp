// SPDX-License-Identifier: Apache-2.0
// Opening the driver; versions, devices and errors.
#include "shim.h"

#include "../../../../providers/device/runtime.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

namespace pirn::shim {
namespace {

struct State {
  std::once_flag once;
  std::mutex mutex;
  Driver driver;
  int error = hip::error_not_initialized;
  std::vector<cuda::Context> contexts;  // nullptr: not retained yet
};

State &state() {
  static State *one = new State;  // never destroyed: see providers/device/hip_runtime.cpp
  return *one;
}

thread_local int thread_device = 0;
thread_local int last_error = hip::success;

// For the trace: the HIP function that this thread is in, and the error of the driver that was told of last.
thread_local const char *called = "";
thread_local int driver_error = 0;

bool traces() {
  static const char *const wanted = std::getenv("PIRN_SHIM_HIP_TRACE");
  return wanted != nullptr && std::strcmp(wanted, "1") == 0;
}

std::vector<device::Symbol *> symbols(Driver &driver) {
  return {
      &driver.cuCtxSynchronize,
      &driver.cuMemAllocAsync,
#define REQUIRED(symbol, ...) &driver.symbol,
#define OPTIONAL(symbol, ...) &driver.symbol,
#include "../../../../providers/device/cuda_functions.inc"
#include "../../../device/cuda_extra.inc"
#undef REQUIRED
#undef OPTIONAL
  };
}

void open_driver(State &state) {
  const std::array names = {driver_library};
  const Status opened = device::open_runtime(names, false, symbols(state.driver));
  if (!opened.is_ok()) {
    std::fprintf(stderr, "pirn-hip-shim: %s\n", opened.text.c_str());
    state.error = hip::error_no_device;
    return;
  }
  int count = 0;
  state.error = state.driver.cuInit(0);
  if (state.error == hip::success) state.error = state.driver.cuDeviceGetCount(&count);
  state.contexts.assign(static_cast<size_t>(std::max(count, 0)), nullptr);
  if (state.error == hip::success && count == 0) state.error = hip::error_no_device;
}

struct Named {
  int error;
  const char *name;
};
constexpr std::array names = {
    Named{hip::success, "hipSuccess"},
    Named{hip::error_invalid_value, "hipErrorInvalidValue"},
    Named{hip::error_out_of_memory, "hipErrorOutOfMemory"},
    Named{hip::error_not_initialized, "hipErrorNotInitialized"},
    Named{hip::error_invalid_device_pointer, "hipErrorInvalidDevicePointer"},
    Named{hip::error_no_device, "hipErrorNoDevice"},
    Named{hip::error_invalid_device, "hipErrorInvalidDevice"},
    Named{200, "hipErrorInvalidImage"},
    Named{201, "hipErrorInvalidContext"},
    Named{hip::error_no_binary_for_gpu, "hipErrorNoBinaryForGpu"},
    Named{hip::error_peer_access_unsupported, "hipErrorPeerAccessUnsupported"},
    Named{hip::error_invalid_handle, "hipErrorInvalidHandle"},
    Named{hip::error_not_found, "hipErrorNotFound"},
    Named{hip::error_not_ready, "hipErrorNotReady"},
    Named{700, "hipErrorIllegalAddress"},
    Named{hip::error_peer_access_already_enabled, "hipErrorPeerAccessAlreadyEnabled"},
    Named{hip::error_host_memory_already_registered, "hipErrorHostMemoryAlreadyRegistered"},
    Named{hip::error_host_memory_not_registered, "hipErrorHostMemoryNotRegistered"},
    Named{719, "hipErrorLaunchFailure"},
    Named{hip::error_not_supported, "hipErrorNotSupported"},
    Named{hip::error_stream_capture_unsupported, "hipErrorStreamCaptureUnsupported"},
    Named{901, "hipErrorStreamCaptureInvalidated"},
    Named{902, "hipErrorStreamCaptureMerge"},
    Named{903, "hipErrorStreamCaptureUnmatched"},
    Named{904, "hipErrorStreamCaptureUnjoined"},
    Named{905, "hipErrorStreamCaptureIsolation"},
    Named{906, "hipErrorStreamCaptureImplicit"},
    Named{907, "hipErrorCapturedEvent"},
    Named{908, "hipErrorStreamCaptureWrongThread"},
    Named{hip::error_unknown, "hipErrorUnknown"},
};

// The numbers are the driver's wherever HIP has the error at all.
int translated(int error) {
  const auto known = [error](const Named &named) { return named.error == error; };
  return std::any_of(names.begin(), names.end(), known) ? error : static_cast<int>(hip::error_unknown);
}

}  // namespace

int noted(const char *function, int error) {
  if (error == 0 || error == hip::error_not_ready || !traces()) return error;
  const char *name = nullptr;
  driver().cuGetErrorName(error, &name);
  std::fprintf(stderr, "pirn-hip-shim: %s: %s gave %d %s\n", called, function, error, name != nullptr ? name : "");
  driver_error = error;
  return error;
}

int start(const char *function) {
  called = function;
  driver_error = 0;
  State &state = shim::state();
  std::call_once(state.once, [&state] { open_driver(state); });
  return state.error;
}

const Driver &driver() { return state().driver; }

int shown_version() {
  static const int shown = [] {
    int major = 7, minor = 15;
    const char *wanted = std::getenv("PIRN_SHIM_HIP_VERSION");
    if (wanted != nullptr && std::sscanf(wanted, "%d.%d", &major, &minor) != 2) {
      std::fprintf(stderr, "pirn-hip-shim: PIRN_SHIM_HIP_VERSION=%s is not MAJOR.MINOR\n", wanted);
    }
    return hip::version(major, minor);
  }();
  return shown;
}

int current_device() { return thread_device; }

cuda::Context context_of(int device) {
  State &state = shim::state();
  const std::lock_guard lock(state.mutex);
  if (device < 0 || static_cast<size_t>(device) >= state.contexts.size()) return nullptr;
  cuda::Context &context = state.contexts[static_cast<size_t>(device)];
  if (context == nullptr) state.driver.cuDevicePrimaryCtxRetain(&context, device);
  return context;
}

int bind(const char *function) {
  const int started = start(function);
  if (started != hip::success) return started;
  const cuda::Context context = context_of(thread_device);
  return context == nullptr ? 201 : driver().cuCtxSetCurrent(context);
}

int told(int error, const char *function) {
  if (error == hip::success) return error;
  last_error = translated(error);
  if (error != driver_error && error != hip::error_not_ready && traces()) {
    std::fprintf(stderr, "pirn-hip-shim: %s: %d %s by the shim itself\n", function, error, hipGetErrorName(error));
  }
  driver_error = 0;
  return last_error;
}

int hipInit(unsigned flags) { return told(flags != 0 ? static_cast<int>(hip::error_invalid_value) : start()); }

int hipDriverGetVersion(int *version) { return hipRuntimeGetVersion(version); }

int hipRuntimeGetVersion(int *version) {
  *version = shown_version();
  return hip::success;
}

const char *hipGetErrorName(int error) {
  for (const Named &named : names)
    if (named.error == error) return named.name;
  return "hipErrorUnknown";
}

const char *hipGetErrorString(int error) {
  const char *text = nullptr;
  if (start() == hip::success) driver().cuGetErrorString(error, &text);
  return text != nullptr ? text : "no text";
}

int hipGetLastError() {
  const int last = last_error;
  last_error = hip::success;
  return last;
}

int hipPeekAtLastError() { return last_error; }

int hipGetDeviceCount(int *count) {
  const int started = start();
  return told(started != hip::success ? started : driver().cuDeviceGetCount(count));
}

int hipGetDevice(int *device) {
  *device = thread_device;
  return told(start());
}

int hipSetDevice(int device) {
  const int started = start();
  if (started != hip::success) return told(started);
  if (context_of(device) == nullptr) return told(hip::error_invalid_device);
  thread_device = device;
  return told(bind());
}

int hipDeviceGetName(char *name, int length, int device) {
  return forward([=](const Driver &all) { return all.cuDeviceGetName(name, length, device); });
}

int hipDeviceGetPCIBusId(char *text, int length, int device) {
  return forward([=](const Driver &all) {
    int domain = 0, bus = 0, slot = 0;
    int error = all.cuDeviceGetAttribute(&domain, cuda::attribute_pci_domain, device);
    if (error == 0) error = all.cuDeviceGetAttribute(&bus, cuda::attribute_pci_bus, device);
    if (error == 0) error = all.cuDeviceGetAttribute(&slot, cuda::attribute_pci_device, device);
    if (error == 0) std::snprintf(text, static_cast<size_t>(length), "%04x:%02x:%02x.0", domain, bus, slot);
    return error;
  });
}

int hipDeviceTotalMem(size_t *bytes, int device) {
  return forward([=](const Driver &all) { return all.cuDeviceTotalMem_v2(bytes, device); });
}

int hipDeviceGetUuid(hip::Uuid *uuid, int device) {
  cuda::Uuid16 found{};
  const int error = forward([&](const Driver &all) { return all.cuDeviceGetUuid_v2(&found, device); });
  std::memcpy(uuid->bytes, found.bytes, sizeof uuid->bytes);
  return error;
}

int hipDeviceGetAttribute(int *value, int attribute, int device) {
  return forward([=](const Driver &all) -> int {
    switch (attribute) {
      case hip::attribute_processors: return all.cuDeviceGetAttribute(value, cuda::attribute_processors, device);
      case hip::attribute_wait_value: return all.cuDeviceGetAttribute(value, cuda::attribute_stream_words, device);
      case hip::attribute_chunks:
        if (shown_version() < hip::types_renumbered_since) return hip::error_invalid_value;
        return all.cuDeviceGetAttribute(value, cuda::attribute_chunks, device);
      default: return hip::error_invalid_value;
    }
  });
}

int hipDeviceCanAccessPeer(int *can, int device, int peer) {
  return forward([=](const Driver &all) { return all.cuDeviceCanAccessPeer(can, device, peer); });
}

int hipDeviceGetP2PAttribute(int *value, int attribute, int device, int peer) {
  if (attribute != hip::pair_atomics) return told(hip::error_invalid_value);
  return forward([=](const Driver &all) { return all.cuDeviceGetP2PAttribute(value, cuda::pair_atomics, device, peer); });
}

// Nothing below tells; so peers are shown as linked, others as not.
int hipExtGetLinkTypeAndHopCount(int device, int peer, uint32_t *type, uint32_t *hops) {
  return forward([=](const Driver &all) {
    int can = 0;
    const int error = all.cuDeviceCanAccessPeer(&can, device, peer);
    *type = can != 0 ? hip::link_xgmi : hip::link_pcie;
    *hops = can != 0 ? 1 : 2;
    return error;
  });
}

int hipDeviceEnablePeerAccess(int peer, unsigned flags) {
  return forward([=](const Driver &all) -> int {
    const cuda::Context other = context_of(peer);
    return other == nullptr ? static_cast<int>(hip::error_invalid_device) : all.cuCtxEnablePeerAccess(other, flags);
  });
}

}  // namespace pirn::shim
