// SPDX-License-Identifier: Apache-2.0
#include "cuda_driver.h"

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace pirn::device::cuda {
namespace {

struct State {
  std::mutex mutex;  // guards what follows until `ready`; `contexts` always
  std::atomic<bool> ready{false};
  Driver driver;
  uint32_t devices = 0;
  std::vector<Context> contexts;  // nullptr: not retained yet
};

State &state() {
  static State *one = new State;  // never destroyed: threads may still be in the driver when the process ends
  return *one;
}

std::vector<Symbol *> symbols(Driver &driver) {
  return {
#define REQUIRED(symbol, ...) &driver.symbol,
#define OPTIONAL(symbol, ...) &driver.symbol,
#include "cuda_functions.inc"
#undef REQUIRED
#undef OPTIONAL
  };
}

// The suffix that a changed signature has got is nobody's concern.
std::string plain_name(const char *symbol) {
  std::string name = symbol;
  const size_t end = name.size();
  if (end > 3 && name[end - 3] == '_' && name[end - 2] == 'v') name.resize(end - 3);
  return name;
}

pirn_status code_of(int error) {
  switch (error) {
    case success: return PIRN_OK;
    case error_out_of_memory: return PIRN_ERR_NO_MEMORY;
    case error_invalid_value:
    case error_invalid_device:
    case error_invalid_context:
    case error_invalid_handle:
    case error_already_registered:
    case error_not_registered: return PIRN_ERR_INVALID;
    case error_not_initialized:
    case error_no_device:
    case error_no_binary:
    case error_peer_unsupported:
    case error_invalid_ptx:
    case error_no_compiler:
    case error_ptx_version:
    case error_not_permitted:
    case error_not_supported: return PIRN_ERR_UNAVAILABLE;
    default: return PIRN_ERR_IO;
  }
}

// Whoever has not initialised the driver has no memory of it. We do not do it for them: processes that a program forks
// afterwards could not use the driver.
Status count_devices(State &state, bool only_if_initialised) {
  int count = 0;
  if (!only_if_initialised) {
    const Status started = call(state.driver.cuInit, 0u);
    if (!started.is_ok()) return fail(PIRN_ERR_UNAVAILABLE, "%s", started.text.c_str());
  }
  const int error = state.driver.cuDeviceGetCount(&count);
  if (error == error_not_initialized) {
    return fail(PIRN_ERR_UNAVAILABLE, "nothing in this process has initialised libcuda.so.1");
  }
  const Status counted = status_of(state.driver.cuDeviceGetCount, error);
  if (!counted.is_ok()) return fail(PIRN_ERR_UNAVAILABLE, "%s", counted.text.c_str());
  if (count < 1) return fail(PIRN_ERR_UNAVAILABLE, "libcuda.so.1 shows this process no device");
  state.devices = static_cast<uint32_t>(count);
  state.contexts.assign(state.devices, nullptr);
  return Status::ok();
}

Result<Context> retain(State &state, uint32_t device) {
  Context &context = state.contexts[device];
  if (context == nullptr) {
    const Status retained = call(state.driver.cuDevicePrimaryCtxRetain, &context, static_cast<Device>(device));
    if (!retained.is_ok()) return retained;
  }
  return context;
}

}  // namespace

Status load(bool only_if_loaded) {
  State &state = cuda::state();
  if (state.ready.load(std::memory_order_acquire)) return Status::ok();
  const std::lock_guard lock(state.mutex);
  if (state.ready.load(std::memory_order_relaxed)) return Status::ok();
  static constexpr std::array names = {"libcuda.so.1"};
  const Status opened = open_runtime(names, only_if_loaded, symbols(state.driver));
  if (!opened.is_ok()) return opened;
  const Status counted = count_devices(state, only_if_loaded);
  if (counted.is_ok()) state.ready.store(true, std::memory_order_release);
  return counted;
}

const Driver &driver() { return state().driver; }
uint32_t device_count() { return state().devices; }

Status status_of(const Symbol &function, int error) {
  if (error == success) return Status::ok();
  const char *name = nullptr, *text = nullptr;
  driver().cuGetErrorName(error, &name);
  driver().cuGetErrorString(error, &text);
  const std::string number = "error " + std::to_string(error);
  return fail(code_of(error), "%s: %s (%s)", plain_name(function.name).c_str(), name != nullptr ? name : number.c_str(),
              text != nullptr ? text : "no text");
}

Result<Context> primary_context(uint32_t device) {
  State &state = cuda::state();
  const std::lock_guard lock(state.mutex);
  if (device >= state.devices) {
    return fail(PIRN_ERR_RANGE, "cuda:%u is not there: this process sees %u devices", device, state.devices);
  }
  return retain(state, device);
}

Result<Context> some_context() {
  State &state = cuda::state();
  const std::lock_guard lock(state.mutex);
  for (Context context : state.contexts)
    if (context != nullptr) return context;
  Device current = 0;
  if (state.driver.cuCtxGetDevice(&current) != success) current = 0;
  const bool known = current >= 0 && static_cast<uint32_t>(current) < state.devices;
  return retain(state, known ? static_cast<uint32_t>(current) : 0);
}

Bound::Bound(const Result<Context> &context) : status_(context.status()), capture_mode_(capture_relaxed) {
  if (!status_.is_ok()) return;
  status_ = call(driver().cuCtxPushCurrent_v2, context.value());
  if (status_.is_ok()) driver().cuThreadExchangeStreamCaptureMode(&capture_mode_);
}

Bound::~Bound() {
  if (!status_.is_ok()) return;
  driver().cuThreadExchangeStreamCaptureMode(&capture_mode_);
  Context ours = nullptr;
  driver().cuCtxPopCurrent_v2(&ours);
}

Result<Context> context_of(void *stream) {
  Context context = nullptr;
  const Status found = call(driver().cuStreamGetCtx, static_cast<Stream>(stream), &context);
  if (!found.is_ok()) return found;
  return context;
}

}  // namespace pirn::device::cuda
