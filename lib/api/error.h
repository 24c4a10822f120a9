// SPDX-License-Identifier: Apache-2.0
// The border: what leaves pirn is a code and a text, never an exception.
#pragma once

#include "base/result.h"

#include <cxxabi.h>

#include <exception>
#include <new>
#include <type_traits>

namespace pirn::api {

// Keeps the text of an error for pirn_last_error on this thread and returns the code. PIRN_OK and
// PIRN_IN_PROGRESS leave the last text as it is. Allocates nothing, so it also works for NO_MEMORY.
pirn_status report(const Status &status) noexcept;
pirn_status report(pirn_status code, const char *text) noexcept;

// Runs the body of a public function, which returns a Status (reported here) or a pirn_status (reported
// by whoever made it). Not noexcept on purpose: pthread_cancel unwinds through here, and swallowing that
// unwinding would end the process.
//
// UndefinedBehaviorSanitizer objects to the reference that names a forced unwinding: the C++ runtime binds it to nothing.
template <typename Body>
__attribute__((no_sanitize("undefined"))) pirn_status guard(Body &&body) {
  try {
    if constexpr (std::is_same_v<std::invoke_result_t<Body>, Status>) {
      return report(body());
    } else {
      return body();
    }
  } catch (abi::__forced_unwind &) {
    throw;
  } catch (const std::bad_alloc &) {
    return report(PIRN_ERR_NO_MEMORY, "out of memory");
  } catch (const std::exception &exception) {
    return report(PIRN_ERR_INTERNAL, exception.what());
  } catch (...) {
    return report(PIRN_ERR_INTERNAL, "unexpected exception");
  }
}

}  // namespace pirn::api
