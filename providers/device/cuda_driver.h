// SPDX-License-Identifier: Apache-2.0
// The loaded driver, its errors as texts, and the contexts of its devices.
#pragma once

#include "base/result.h"
#include "cuda_api.h"

#include <cstdint>
#include <type_traits>

namespace pirn::device::cuda {

Status load(bool only_if_loaded);  // see Operations::load

const Driver &driver();     // to be used after load() has succeeded
uint32_t device_count();    // likewise

// "NAME: CUDA_ERROR_OUT_OF_MEMORY (out of memory)"; ok for success.
Status status_of(const Symbol &function, int error);

template <typename... Args>
Status call(const Entry<Args...> &function, std::type_identity_t<Args>... args) {
  return status_of(function, function(args...));
}

// The device's primary context, the one that the runtime API uses, too. Retained once, for the life of the process.
Result<Context> primary_context(uint32_t device);
// One that is retained already, of whichever device, else that of the caller's current device, else of the first one:
// for what belongs to no device, so that it does not cost the memory of a context on a device nobody uses.
Result<Context> some_context();

// Makes a context current while it lives, and lifts the ban on calls that a capture of anybody's in this process may
// impose on this thread (a call under the ban fails, and breaks the capture). The driver has no sticky last error.
class Bound {
 public:
  explicit Bound(uint32_t device) : Bound(primary_context(device)) {}
  explicit Bound(const Result<Context> &context);
  ~Bound();
  Bound(const Bound &) = delete;
  Bound &operator=(const Bound &) = delete;

  const Status &status() const { return status_; }
  bool is_ok() const { return status_.is_ok(); }

 private:
  Status status_;
  int capture_mode_;
};

// The context that a stream belongs to; that of the caller for the streams every context has.
Result<Context> context_of(void *stream);

}  // namespace pirn::device::cuda
