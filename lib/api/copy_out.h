// SPDX-License-Identifier: Apache-2.0
// Variable-size outputs: the caller says how much room there is and learns the size.
#pragma once

#include "api/handles.h"

#include <cstring>
#include <span>
#include <string>

namespace pirn::api {

inline Status copy_out(std::span<const std::byte> bytes, void *buffer, size_t *length) {
  size_t room = buffer ? *length : 0;
  *length = bytes.size();
  if (room < bytes.size())
    return fail(PIRN_ERR_TOO_SMALL, "%zu bytes are needed, the buffer has %zu", bytes.size(), room);
  std::memcpy(buffer, bytes.data(), bytes.size());
  return Status::ok();
}

// With the terminating zero.
inline Status copy_out(const std::string &text, char *buffer, size_t *length) {
  return copy_out(std::as_bytes(std::span(text.c_str(), text.size() + 1)), buffer, length);
}

}  // namespace pirn::api
