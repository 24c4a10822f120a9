// SPDX-License-Identifier: Apache-2.0
#include "wire/blob.h"

#include "wire/metadata.h"

#include <array>

namespace pirn::wire {

namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  constexpr uint32_t polynomial = 0x82f63b78;  // Castagnoli, reflected
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? polynomial : 0);
    table[i] = value;
  }
  return table;
}

constexpr std::array<uint32_t, 256> crc_table = make_crc_table();

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = ~uint32_t{0};
  for (const std::byte byte : bytes) crc = (crc >> 8) ^ crc_table[(crc ^ static_cast<uint32_t>(byte)) & 0xff];
  return ~crc;
}

uint32_t blob_magic(std::span<const std::byte> blob) { return Reader(blob).u32(); }

Result<std::span<const std::byte>> open_blob(std::span<const std::byte> blob, uint32_t magic, const char *what) {
  if (blob.size() < blob_header_size)
    return fail(PIRN_ERR_INVALID, "%s is truncated: %zu bytes, the header alone has %zu", what, blob.size(),
                blob_header_size);
  if (blob.size() > max_blob)
    return fail(PIRN_ERR_INVALID, "%s is too long: %zu bytes, at most %zu", what, blob.size(), max_blob);
  Reader reader(blob);
  if (reader.u32() != magic) return fail(PIRN_ERR_INVALID, "not a %s: it starts with other bytes", what);
  const unsigned version = reader.u16();
  if (version != blob_version)
    return fail(PIRN_ERR_INVALID, "%s has version %u, this library knows %u", what, version, unsigned{blob_version});
  const unsigned reserved = reader.u16();
  if (reserved != 0) return fail(PIRN_ERR_INVALID, "%s has unknown flags %#x", what, reserved);
  const uint32_t total = reader.u32();
  if (total != blob.size())
    return fail(PIRN_ERR_INVALID, "%s says it has %u bytes, but %zu were given", what, total, blob.size());
  const uint32_t stored = reader.u32();
  const std::span<const std::byte> body = blob.subspan(blob_header_size);
  const uint32_t computed = crc32c(body);
  if (stored != computed)
    return fail(PIRN_ERR_INVALID, "%s is damaged: checksum %08x, computed %08x", what, stored, computed);
  return body;
}

std::vector<std::byte> seal_blob(std::span<std::byte> buffer, const Writer &writer, uint32_t magic) {
  if (!writer.ok() || writer.size() < blob_header_size) return {};
  const std::span<std::byte> blob = buffer.first(writer.size());
  Writer header(blob);
  header.u32(magic);
  header.u16(blob_version);
  header.u16(0);
  header.u32(static_cast<uint32_t>(blob.size()));
  header.u32(crc32c(blob.subspan(blob_header_size)));
  return {blob.begin(), blob.end()};
}

}  // namespace pirn::wire
