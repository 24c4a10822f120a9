// SPDX-License-Identifier: Apache-2.0
// A metadata blob from a stranger.
#include "blob_input.h"
#include "wire/metadata.h"

#include <cstdint>

using namespace pirn::wire;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_input(std::as_bytes(std::span(data, size)), metadata_magic, decode_metadata, encode_metadata);
  return 0;
}
