// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace pirn {

std::string text_v(const char *format, va_list args) {
  char small[256];
  va_list again;
  va_copy(again, args);
  const int length = vsnprintf(small, sizeof(small), format, args);
  std::string result;
  if (length >= 0 && static_cast<size_t>(length) < sizeof(small)) {
    result.assign(small, static_cast<size_t>(length));
  } else if (length >= 0) {
    result.resize(static_cast<size_t>(length));
    vsnprintf(result.data(), result.size() + 1, format, again);
  }
  va_end(again);
  return result;
}

std::string text(const char *format, ...) {
  va_list args;
  va_start(args, format);
  std::string result = text_v(format, args);
  va_end(args);
  return result;
}

void copy_text(char *out, size_t room, const std::string &in) {
  size_t length = std::min(in.size(), room - 1);
  std::memcpy(out, in.data(), length);
  std::memset(out + length, 0, room - length);
}

}  // namespace pirn
