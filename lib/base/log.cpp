// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include "base/text.h"

#include <cerrno>
#include <cstdarg>
#include <string>
#include <unistd.h>

namespace pirn {

namespace {

const char *level_name(uint32_t level) {
  switch (level) {
    case PIRN_LOG_ERROR:
      return "ERROR";
    case PIRN_LOG_WARN:
      return "WARN";
    case PIRN_LOG_INFO:
      return "INFO";
    default:
      return "DEBUG";
  }
}

// Lines may quote what a stranger sent: a control character must not forge a second line or drive a terminal.
void make_one_line(std::string &line) {
  for (char &c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
}

}  // namespace

void Log::write(uint32_t level, const char *format, ...) const {
  if (!enabled(level)) return;
  const int saved_errno = errno;
  va_list args;
  va_start(args, format);
  std::string line = text_v(format, args);
  va_end(args);
  make_one_line(line);
  if (sink_ != nullptr) {
    sink_(arg_, level, line.c_str());
  } else {
    // A single write keeps lines of several threads and processes apart. A closed or full stderr is not ours to mend.
    const std::string whole = text("pirn %s: ", level_name(level)) + line + "\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, whole.data(), whole.size());
  }
  errno = saved_errno;
}

bool RateLimit::allow(uint64_t now_ns, uint64_t *suppressed) {
  if (now_ns - window_start_ >= period_) {
    window_start_ = now_ns;
    used_ = 0;
  }
  if (used_ >= burst_) {
    ++suppressed_;
    *suppressed = 0;
    return false;
  }
  ++used_;
  *suppressed = suppressed_;
  suppressed_ = 0;
  return true;
}

}  // namespace pirn
