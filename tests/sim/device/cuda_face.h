// SPDX-License-Identifier: Apache-2.0
// Shared by the files of the CUDA face.
#pragma once

#include "call.h"
#include "cuda_abi.h"
#include "memory.h"
#include "stream.h"
#include "units.h"

namespace pirn::fake_gpu::cuda {

inline Pointer pointer(const void *address) { return reinterpret_cast<Pointer>(address); }
inline bool is_device(Device device) { return device >= 0 && static_cast<size_t>(device) < visible_units().size(); }
inline uint32_t unit_of(Device device) { return visible_units()[static_cast<size_t>(device)]; }

// A call that works on a stream: finds it, and refuses an unknown one.
template <typename Body>
Result run_on_stream(const char *name, Handle handle, unsigned needs, Body body) {
  return run_call(name, needs, [&](Call &call) -> Code {
    std::shared_ptr<Stream> stream = find_stream(call, handle);
    if (!stream) return invalid_handle;
    return body(call, stream);
  });
}

}  // namespace pirn::fake_gpu::cuda
