// SPDX-License-Identifier: Apache-2.0
// Small text helpers; the library has no formatting dependency.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <string>

namespace pirn {

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));
std::string text_v(const char *format, va_list args);
// Into an array of `room` bytes, cut to fit, with the terminating zero.
void copy_text(char *out, size_t room, const std::string &in);

}  // namespace pirn
