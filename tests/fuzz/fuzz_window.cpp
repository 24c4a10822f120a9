// SPDX-License-Identifier: Apache-2.0
// A window blob from a stranger.
#include "blob_input.h"
#include "wire/metadata.h"

#include <cstdint>

using namespace pirn::wire;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_input(std::as_bytes(std::span(data, size)), window_magic, decode_window, encode_window);
  return 0;
}
