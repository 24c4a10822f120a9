// SPDX-License-Identifier: Apache-2.0
// A libamdhip64 that forwards to libcuda: the HIP table runs on other silicon than its own. README.md tells what it
// shows of the versions of the real one.
#pragma once

#include "../../../../providers/device/hip_api.h"
#include "../../../device/cuda_extra.h"
#include "../../../device/hip_extra.h"

#include <cstdint>

namespace pirn::shim {

// Notes what `function` of the driver gave for PIRN_SHIM_HIP_TRACE, and gives it.
int noted(const char *function, int error);

template <typename... Args>
struct Forwarded : device::Entry<Args...> {
  int operator()(Args... args) const { return noted(this->name, device::Entry<Args...>::operator()(args...)); }
};

}  // namespace pirn::shim

namespace pirn::device::cuda {

struct ForwardedDriver {
#define REQUIRED(symbol, ...) shim::Forwarded<__VA_ARGS__> symbol{{{#symbol, true}}};
#define OPTIONAL(symbol, ...) shim::Forwarded<__VA_ARGS__> symbol{{{#symbol, false}}};
#include "../../../../providers/device/cuda_functions.inc"
#include "../../../device/cuda_extra.inc"
#undef REQUIRED
#undef OPTIONAL
};

}  // namespace pirn::device::cuda

namespace pirn::shim {

namespace hip = device::hip;
namespace cuda = device::cuda;

struct Driver : cuda::ForwardedDriver {
  Forwarded<> cuCtxSynchronize{{{"cuCtxSynchronize", true}}};
  Forwarded<cuda::Pointer *, size_t, cuda::Stream> cuMemAllocAsync{{{"cuMemAllocAsync", true}}};
};

// 0 once libcuda.so.1 is open and has devices; the HIP error otherwise. `function`, here and below: the HIP function
// that was called, for the trace.
int start(const char *function = __builtin_FUNCTION());
extern const char *const driver_library;  // where its symbols are
const Driver &driver();

// What the driver loads in place of code for AMD's GPUs: pirn's copy kernels, as it takes them.
const void *stand_in_image();

// The version that this process is shown (PIRN_SHIM_HIP_VERSION=MAJOR.MINOR, 7.15 without it).
int shown_version();

// The thread's device; its primary context is current after bind() has given 0.
int current_device();
int bind(const char *function = __builtin_FUNCTION());
// The primary context of `device`; nullptr if there is none.
cuda::Context context_of(int device);

// The HIP error for the driver's, kept as the thread's last error if it is one.
int told(int error, const char *function = __builtin_FUNCTION());

inline cuda::Pointer pointer_of(const void *address) { return reinterpret_cast<cuda::Pointer>(address); }
inline void *address_of(cuda::Pointer pointer) { return reinterpret_cast<void *>(pointer); }
inline cuda::Stream stream_of(void *stream) { return static_cast<cuda::Stream>(stream); }

// Forwards: the thread's device first.
template <typename Call>
int forward(Call call, const char *function = __builtin_FUNCTION()) {
  const int bound = bind(function);
  return told(bound != 0 ? bound : call(driver()), function);
}

#define PIRN_SHIM_EXPORT extern "C" __attribute__((visibility("default")))
#define PIRN_HIP_NEEDED(name, ...) PIRN_SHIM_EXPORT hip::type::name name;
#define PIRN_HIP_WANTED PIRN_HIP_NEEDED
#include "../../../../providers/device/hip_functions.inc"
#include "../../../device/hip_extra.inc"
#undef PIRN_HIP_NEEDED
#undef PIRN_HIP_WANTED

}  // namespace pirn::shim
