// SPDX-License-Identifier: Apache-2.0
// Lines on stderr: "pirn-fake-gpu misuse: ..." for a call that breaks a rule, "pirn-fake-gpu leak: ..." at exit.
#pragma once

#include <cstdint>

namespace pirn::fake_gpu {

// One line; any thread, with or without the engine's lock.
void report(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t reports();  // lines so far

}  // namespace pirn::fake_gpu
