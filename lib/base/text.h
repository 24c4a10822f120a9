// SPDX-License-Identifier: Apache-2.0
// Small text helpers; the library has no formatting dependency.
#pragma once

#include <cstdarg>
#include <string>

namespace pirn {

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));
std::string text_v(const char *format, va_list args);

}  // namespace pirn
