// SPDX-License-Identifier: Apache-2.0
// The envelope that metadata and window blobs share: magic, version, size, checksum. The checksum (CRC-32C)
// finds accidents; it is no protection against forgery. Pure functions, any thread.
#pragma once

#include "base/result.h"
#include "wire/bytes.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pirn::wire {

constexpr uint32_t metadata_magic = 0x4d726970;  // "pirM"
constexpr uint32_t window_magic = 0x57726970;    // "pirW"
constexpr uint16_t blob_version = 1;
constexpr size_t blob_header_size = 16;

uint32_t crc32c(std::span<const std::byte> bytes);

// Magic of a blob, 0 if it is too short to have one.
uint32_t blob_magic(std::span<const std::byte> blob);

// A blob's bytes behind the envelope. `what` names the blob in errors ("metadata blob").
Result<std::span<const std::byte>> open_blob(std::span<const std::byte> blob, uint32_t magic, const char *what);

// Fills in the envelope of a blob whose body was written behind blob_header_size bytes of room.
// Empty if the writer ran out of room or broke a limit.
std::vector<std::byte> seal_blob(std::span<std::byte> buffer, const Writer &writer, uint32_t magic);

}  // namespace pirn::wire
