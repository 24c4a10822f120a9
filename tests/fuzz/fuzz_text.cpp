// SPDX-License-Identifier: Apache-2.0
// Blob texts pasted by users, and binary that takes a text's place.
#include "require.h"
#include "wire/metadata.h"

#include <cstdint>

using namespace pirn;
using namespace pirn::wire;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const std::string given(reinterpret_cast<const char *>(data), size);
  Result<std::vector<std::byte>> from_text = blob_from_text(given);
  Result<std::vector<std::byte>> from_any = blob_from_any(bytes);
  REQUIRE(!from_text.is_ok() || from_any.is_ok());
  if (!from_any.is_ok()) {
    REQUIRE(from_any.error().code == PIRN_ERR_INVALID && !from_any.error().text.empty());
    return 0;
  }
  // One text per blob: only what trails the text may differ.
  Result<std::string> text = blob_to_text(from_any.value());
  REQUIRE(text.is_ok());
  REQUIRE(!from_text.is_ok() || given.compare(0, text.value().size(), text.value()) == 0);
  REQUIRE(blob_from_text(text.value()).value() == from_any.value());
  return 0;
}
