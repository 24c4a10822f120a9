// SPDX-License-Identifier: Apache-2.0
// The loaded runtime, its errors as texts, and the current device of a thread. HIP has no contexts: a device's state is
// made when it first becomes current.
#pragma once

#include "base/result.h"
#include "hip_api.h"
#include "runtime.h"

#include <cstdint>
#include <type_traits>

namespace pirn::device::hip {

template <typename T>
struct Function;
template <typename Answer, typename... Args>
struct Function<Answer(Args...)> : Symbol {
  Answer operator()(Args... args) const { return reinterpret_cast<Answer (*)(Args...)>(address)(args...); }
};

// The functions, by the names that the runtime exports them under.
struct Runtime {
#define PIRN_HIP_NEEDED(symbol, ...) Function<type::symbol> symbol{{#symbol, true}};
#define PIRN_HIP_WANTED(symbol, ...) Function<type::symbol> symbol{{#symbol, false}};
#include "hip_functions.inc"
#undef PIRN_HIP_NEEDED
#undef PIRN_HIP_WANTED
};

Status load(bool only_if_loaded);  // see Operations::load

const Runtime &runtime();  // to be used after load() has succeeded
uint32_t device_count();   // likewise
int runtime_version();     // likewise; compare with version() of hip_api.h
Status check_device(uint32_t device);  // RANGE if there is no such device

// "NAME: hipErrorOutOfMemory (out of memory)"; ok for success.
Status status_of(const Symbol &function, int error);
// UNAVAILABLE: this runtime does not export `function`.
Status missing(const Symbol &function);

template <typename... Args>
Status call(const Function<int(Args...)> &function, std::type_identity_t<Args>... args) {
  if (!function) return missing(function);
  return status_of(function, function(args...));
}

// While it lives: lifts the ban on calls that a capture of anybody's in this process may impose on this thread (a call
// under the ban fails, and breaks the capture), and keeps our errors out of the thread's last error. What that held
// before stays if it was an error; runtimes before 7 forget it with any call that succeeds, ours included.
class Unnoticed {
 public:
  Unnoticed();
  ~Unnoticed();
  Unnoticed(const Unnoticed &) = delete;
  Unnoticed &operator=(const Unnoticed &) = delete;

 private:
  int capture_mode_ = capture_relaxed;
  bool clean_;
};

// Makes a device current while it lives; Unnoticed besides.
class OnDevice {
 public:
  explicit OnDevice(uint32_t device);
  ~OnDevice();
  OnDevice(const OnDevice &) = delete;
  OnDevice &operator=(const OnDevice &) = delete;

  const Status &status() const { return status_; }
  bool is_ok() const { return status_.is_ok(); }

 private:
  Unnoticed unnoticed_;
  Status status_;
  int saved_ = 0;
  bool changed_ = false;
};

}  // namespace pirn::device::hip
