// SPDX-License-Identifier: Apache-2.0
#include "api/error.h"

#include <cstring>

namespace pirn::api {
namespace {

// A plain array: no allocation when memory is out, and no destructor that could
// run before another thread-local object's destructor makes its last call to pirn.
constexpr size_t text_room = 2048;
thread_local char last_text[text_room];

void keep(const char *text, size_t length) {
  static constexpr char cut[] = "...";
  if (length < text_room) {
    std::memcpy(last_text, text, length);
    last_text[length] = '\0';
    return;
  }
  constexpr size_t head = text_room - sizeof cut;
  std::memcpy(last_text, text, head);
  std::memcpy(last_text + head, cut, sizeof cut);
}

}  // namespace

pirn_status report(pirn_status code, const char *text) noexcept {
  if (code < 0) keep(text, std::strlen(text));
  return code;
}

pirn_status report(const Status &status) noexcept {
  if (status.code >= 0) return status.code;
  if (status.text.empty()) return report(status.code, pirn_status_string(status.code));
  keep(status.text.data(), status.text.size());
  return status.code;
}

}  // namespace pirn::api

const char *pirn_last_error(void) { return pirn::api::last_text; }

const char *pirn_status_string(pirn_status status) {
  switch (status) {
    case PIRN_OK:
      return "ok";
    case PIRN_IN_PROGRESS:
      return "in progress";
    case PIRN_ERR_AGAIN:
      return "resource used up, try again";
    case PIRN_ERR_TIMEOUT:
      return "timed out";
    case PIRN_ERR_INVALID:
      return "invalid argument";
    case PIRN_ERR_RANGE:
      return "out of range";
    case PIRN_ERR_ACCESS:
      return "access not granted";
    case PIRN_ERR_BUSY:
      return "busy";
    case PIRN_ERR_TOO_SMALL:
      return "buffer too small";
    case PIRN_ERR_PEER_LOST:
      return "peer lost";
    case PIRN_ERR_REFUSED:
      return "refused by the peer";
    case PIRN_ERR_WINDOW_GONE:
      return "window withdrawn";
    case PIRN_ERR_CANCELLED:
      return "cancelled";
    case PIRN_ERR_UNAVAILABLE:
      return "not available here";
    case PIRN_ERR_NO_MEMORY:
      return "out of memory";
    case PIRN_ERR_IO:
      return "input/output error";
    case PIRN_ERR_INTERNAL:
      return "internal error";
    default:
      return "unknown status";
  }
}
