// SPDX-License-Identifier: Apache-2.0
#include "trace.h"

#include "sim.h"

#include <fcntl.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace pirn::sim_nic {
namespace {

int file() {
  static const int descriptor = [] {
    const char *path = getenv("PIRN_SIM_TRACE");
    return path && *path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  }();
  return descriptor;
}

// In one call, so that lines of two processes stay whole.
__attribute__((format(printf, 1, 2))) void line(const char *format, ...) {
  char text[160];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < 0 || write(file(), text, static_cast<size_t>(length)) != length)
    fputs("pirn-sim: a line of PIRN_SIM_TRACE is lost\n", stderr);
}

}  // namespace

bool tracing() { return file() >= 0; }

void trace_posted(size_t rail, uint64_t first_byte_at, uint64_t offset, uint64_t length) {
  if (tracing())
    line("posted %" PRIu64 " %zu %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", now_ns(), rail, first_byte_at, offset, length);
}

void trace_ended(size_t rail, int error, uint64_t offset, uint64_t length) {
  if (tracing()) line("ended %" PRIu64 " %zu %d %" PRIu64 " %" PRIu64 "\n", now_ns(), rail, error, offset, length);
}

void trace_fault(size_t rail, const char *what) {
  if (tracing()) line("fault %" PRIu64 " %zu %s\n", now_ns(), rail, what);
}

}  // namespace pirn::sim_nic
