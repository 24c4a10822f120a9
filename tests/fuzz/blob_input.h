// SPDX-License-Identifier: Apache-2.0
// Fuzzers do not guess checksums: an input is tried as it is, and again under a right envelope.
#pragma once

#include "require.h"
#include "wire/blob.h"

#include <algorithm>

template <typename Blob>
void check_blob(std::span<const std::byte> blob, pirn::Result<Blob> (*decode)(std::span<const std::byte>),
                std::vector<std::byte> (*encode)(const Blob &)) {
  pirn::Result<Blob> decoded = decode(blob);
  if (!decoded.is_ok()) {
    REQUIRE(decoded.error().code == PIRN_ERR_INVALID && !decoded.error().text.empty());
    return;
  }
  const std::vector<std::byte> again = encode(decoded.value());
  REQUIRE(!again.empty() && again.size() <= blob.size());
  REQUIRE(decode(again).value() == decoded.value());
}

template <typename Blob>
void check_input(std::span<const std::byte> input, uint32_t magic,
                 pirn::Result<Blob> (*decode)(std::span<const std::byte>),
                 std::vector<std::byte> (*encode)(const Blob &)) {
  check_blob(input, decode, encode);
  std::vector<std::byte> sealed(input.begin(), input.end());
  if (sealed.size() < pirn::wire::blob_header_size) return;
  pirn::wire::Writer writer(sealed);
  writer.skip(sealed.size());
  check_blob<Blob>(pirn::wire::seal_blob(sealed, writer, magic), decode, encode);
}
