// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <unistd.h>

namespace pirn::fake_gpu {

namespace {
std::atomic<uint64_t> count{0};
}

void report(const char *kind, const char *format, ...) {
  count++;
  char line[400];
  size_t used = static_cast<size_t>(snprintf(line, sizeof line, "pirn-fake-gpu %s: ", kind));
  va_list arguments;
  va_start(arguments, format);
  int more = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
  va_end(arguments);
  if (more > 0) used += static_cast<size_t>(more);
  if (used > sizeof line - 1) used = sizeof line - 1;
  line[used++] = '\n';
  if (write(STDERR_FILENO, line, used) < 0) return;  // nobody is left to tell
}

uint64_t reports() { return count; }

}  // namespace pirn::fake_gpu
