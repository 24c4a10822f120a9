// SPDX-License-Identifier: Apache-2.0
// A libamdhip64 that forwards to libcuda: the HIP table runs on other silicon than its own. README.md tells what it
// shows of the versions of the real one.
#pragma once

#include "../../../../providers/device/hip_api.h"
#include "../../../device/cuda_extra.h"
#include "../../../device/hip_extra.h"

#include <cstdint>

namespace pirn::shim {

namespace hip = device::hip;
namespace cuda = device::cuda;

struct Driver : cuda::Driver {
  device::Entry<> cuCtxSynchronize{{"cuCtxSynchronize", true}};
  device::Entry<cuda::Pointer *, size_t, cuda::Stream> cuMemAllocAsync{{"cuMemAllocAsync", true}};
  cuda::Extra extra;
};

// 0 once libcuda.so.1 is open and has devices; the HIP error otherwise.
int start();
extern const char *const driver_library;  // where its symbols are
const Driver &driver();

// The version that this process is shown (PIRN_SHIM_HIP_VERSION=MAJOR.MINOR, 7.15 without it).
int shown_version();

// The thread's device; its primary context is current after bind() has given 0.
int current_device();
int bind();
// The primary context of `device`; nullptr if there is none.
cuda::Context context_of(int device);

// The HIP error for the driver's, kept as the thread's last error if it is one.
int told(int error);

inline cuda::Pointer pointer_of(const void *address) { return reinterpret_cast<cuda::Pointer>(address); }
inline void *address_of(cuda::Pointer pointer) { return reinterpret_cast<void *>(pointer); }
inline cuda::Stream stream_of(void *stream) { return static_cast<cuda::Stream>(stream); }

// Forwards: the thread's device first.
template <typename Call>
int forward(Call call) {
  const int bound = bind();
  return told(bound != 0 ? bound : call(driver()));
}

#define PIRN_SHIM_EXPORT extern "C" __attribute__((visibility("default")))
#define PIRN_HIP_NEEDED(name, ...) PIRN_SHIM_EXPORT hip::type::name name;
#define PIRN_HIP_WANTED PIRN_HIP_NEEDED
#include "../../../../providers/device/hip_functions.inc"
#include "../../../device/hip_extra.inc"
#undef PIRN_HIP_NEEDED
#undef PIRN_HIP_WANTED

}  // namespace pirn::shim
