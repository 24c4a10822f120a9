// SPDX-License-Identifier: Apache-2.0
#include "hip_runtime.h"

#include <array>
#include <atomic>
#include <mutex>
#include <vector>

namespace pirn::device::hip {
namespace {

struct State {
  std::mutex mutex;  // guards what follows until `ready`
  std::atomic<bool> ready{false};
  Runtime runtime;
  uint32_t devices = 0;
  int version = 0;
};

State &state() {
  static State *one = new State;  // never destroyed: threads may still be in the runtime when the process ends
  return *one;
}

std::vector<Symbol *> symbols(Runtime &runtime) {
  return {
#define PIRN_HIP_NEEDED(symbol, ...) &runtime.symbol,
#define PIRN_HIP_WANTED(symbol, ...) &runtime.symbol,
#include "hip_functions.inc"
#undef PIRN_HIP_NEEDED
#undef PIRN_HIP_WANTED
  };
}

pirn_status code_of(int error) {
  switch (error) {
    case success: return PIRN_OK;
    case error_out_of_memory: return PIRN_ERR_NO_MEMORY;
    case error_invalid_value:
    case error_invalid_device_pointer:
    case error_invalid_device:
    case error_invalid_handle:
    case error_host_memory_already_registered:
    case error_host_memory_not_registered: return PIRN_ERR_INVALID;
    case error_not_initialized:
    case error_no_device:
    case error_no_binary_for_gpu:
    case error_peer_access_unsupported:
    case error_not_supported: return PIRN_ERR_UNAVAILABLE;
    default: return PIRN_ERR_IO;
  }
}

// Whatever fails here, there is nothing to work with.
Status unavailable(const Status &status) { return fail(PIRN_ERR_UNAVAILABLE, "%s", status.text.c_str()); }

Status start(State &state) {
  int count = 0;
  Status status = call(state.runtime.hipInit, 0u);
  if (status.is_ok()) status = call(state.runtime.hipRuntimeGetVersion, &state.version);
  if (status.is_ok()) status = call(state.runtime.hipGetDeviceCount, &count);
  state.runtime.hipGetLastError();
  if (!status.is_ok()) return unavailable(status);
  if (count < 1) return fail(PIRN_ERR_UNAVAILABLE, "libamdhip64 shows this process no device");
  state.devices = static_cast<uint32_t>(count);
  return Status::ok();
}

}  // namespace

Status load(bool only_if_loaded) {
  State &state = hip::state();
  if (state.ready.load(std::memory_order_acquire)) return Status::ok();
  const std::lock_guard lock(state.mutex);
  if (state.ready.load(std::memory_order_relaxed)) return Status::ok();
  // One that the process has already comes first, whichever it is: two of them would not know each other's memory.
  static constexpr std::array names = {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", "libamdhip64.so"};
  Status opened = open_runtime(names, true, symbols(state.runtime));
  if (!opened.is_ok() && !only_if_loaded) opened = open_runtime(names, false, symbols(state.runtime));
  if (!opened.is_ok()) return opened;
  const Status started = start(state);
  if (started.is_ok()) state.ready.store(true, std::memory_order_release);
  return started;
}

const Runtime &runtime() { return state().runtime; }
uint32_t device_count() { return state().devices; }
int runtime_version() { return state().version; }

Status check_device(uint32_t device) {
  if (device < device_count()) return Status::ok();
  return fail(PIRN_ERR_RANGE, "hip:%u is not there: this process sees %u devices", device, device_count());
}

Status status_of(const Symbol &function, int error) {
  if (error == success) return Status::ok();
  const char *name = runtime().hipGetErrorName(error);
  const char *text = runtime().hipGetErrorString(error);
  return fail(code_of(error), "%s: %s (%s)", function.name, name != nullptr ? name : "error of no name",
              text != nullptr ? text : "no text");
}

Status missing(const Symbol &function) {
  return fail(PIRN_ERR_UNAVAILABLE, "the HIP runtime, version %d, has no %s", runtime_version(), function.name);
}

Unnoticed::Unnoticed() : clean_(runtime().hipPeekAtLastError() == success) {
  if (runtime().hipThreadExchangeStreamCaptureMode) runtime().hipThreadExchangeStreamCaptureMode(&capture_mode_);
}

Unnoticed::~Unnoticed() {
  if (runtime().hipThreadExchangeStreamCaptureMode) runtime().hipThreadExchangeStreamCaptureMode(&capture_mode_);
  if (clean_) runtime().hipGetLastError();
}

OnDevice::OnDevice(uint32_t device) : status_(check_device(device)) {
  if (status_.is_ok()) status_ = call(runtime().hipGetDevice, &saved_);
  if (!status_.is_ok() || static_cast<uint32_t>(saved_) == device) return;
  status_ = call(runtime().hipSetDevice, static_cast<int>(device));
  changed_ = status_.is_ok();
}

OnDevice::~OnDevice() {
  if (changed_) runtime().hipSetDevice(saved_);
}

}  // namespace pirn::device::hip
