// SPDX-License-Identifier: Apache-2.0
// Body of a metadata blob:
//   record: instance[16] host[16] process[16] bootstrap (string), u32 features unless they are 0
//   u16 number of rails, then one record each: provider (string) protocol (string) u64 link speed
//                                              u16 address bytes, address
//   if there are spares: u16 number of them, then records as above; who does not know them stops before
#include "wire/metadata.h"

#include "wire/blob.h"
#include "wire/bytes.h"

#include <algorithm>

namespace pirn::wire {

namespace {

constexpr const char what[] = "metadata blob";
constexpr size_t max_provider = 15;
constexpr size_t max_protocol = 31;
constexpr size_t max_bootstrap = 255;

Status check_name(const char *field, size_t rail, const std::string &name, size_t limit) {
  if (name.empty() || name.size() > limit)
    return fail(PIRN_ERR_INVALID, "%s: %s of rail %zu has %zu characters; allowed: 1..%zu", what, field, rail,
                name.size(), limit);
  if (!is_printable(name)) return fail(PIRN_ERR_INVALID, "%s: %s of rail %zu is not printable", what, field, rail);
  return Status::ok();
}

Status check_rail(size_t index, const RailAddress &rail) {
  Status status = check_name("provider", index, rail.provider, max_provider);
  if (status.is_ok()) status = check_name("protocol", index, rail.protocol, max_protocol);
  if (!status.is_ok()) return status;
  if (rail.address.empty() || rail.address.size() > max_address)
    return fail(PIRN_ERR_INVALID, "%s: address of rail %zu has %zu bytes; allowed: 1..%zu", what, index,
                rail.address.size(), max_address);
  return Status::ok();
}

void encode_rail(Writer &writer, const RailAddress &rail) {
  const size_t record = writer.begin_record();
  writer.string(rail.provider, max_provider);
  writer.string(rail.protocol, max_protocol);
  writer.u64(rail.link_speed);
  writer.u16(static_cast<uint16_t>(rail.address.size()));
  writer.bytes(rail.address.data(), rail.address.size());
  writer.end_record(record);
}

Result<RailAddress> decode_rail(Reader &blob, size_t index) {
  Reader reader = blob.record();
  RailAddress rail;
  rail.provider = reader.string();
  rail.protocol = reader.string();
  rail.link_speed = reader.u64();
  const std::span<const std::byte> address = reader.bytes(reader.u16());
  if (!reader.ok()) return fail(PIRN_ERR_INVALID, "%s: rail %zu is truncated", what, index);
  rail.address.assign(address.begin(), address.end());
  Status status = check_rail(index, rail);
  if (!status.is_ok()) return status;
  return rail;
}

}  // namespace

std::vector<std::byte> encode_metadata(const Metadata &metadata) {
  if (metadata.rails.empty() || metadata.rails.size() > max_rails || !is_printable(metadata.bootstrap)) return {};
  std::array<std::byte, max_blob> buffer{};
  Writer writer(buffer);
  writer.skip(blob_header_size);
  const size_t record = writer.begin_record();
  writer.array(metadata.instance);
  writer.array(metadata.host);
  writer.array(metadata.process);
  writer.string(metadata.bootstrap, max_bootstrap);
  if (metadata.features != 0) writer.u32(metadata.features);
  writer.end_record(record);
  const size_t spares = static_cast<size_t>(
      std::count_if(metadata.rails.begin(), metadata.rails.end(), [](const RailAddress &rail) { return rail.spare; }));
  const size_t others = metadata.rails.size() - spares;
  if (others == 0) return {};
  writer.u16(static_cast<uint16_t>(others));
  for (size_t i = 0; i < metadata.rails.size(); ++i) {
    const RailAddress &rail = metadata.rails[i];
    if (!check_rail(i, rail).is_ok() || rail.spare != (i >= others)) return {};
    if (i == others) writer.u16(static_cast<uint16_t>(spares));
    encode_rail(writer, rail);
  }
  return seal_blob(buffer, writer, metadata_magic);
}

Result<Metadata> decode_metadata(std::span<const std::byte> blob) {
  Result<std::span<const std::byte>> body = open_blob(blob, metadata_magic, what);
  if (!body.is_ok()) return body.status();
  Reader reader(body.value());
  Reader fixed = reader.record();
  Metadata metadata;
  metadata.instance = fixed.array<16>();
  metadata.host = fixed.array<16>();
  metadata.process = fixed.array<16>();
  metadata.bootstrap = fixed.string();
  if (fixed.ok() && fixed.remaining() >= sizeof(uint32_t)) metadata.features = fixed.u32();
  const size_t count = reader.u16();
  if (!fixed.ok() || !reader.ok()) return fail(PIRN_ERR_INVALID, "%s is truncated before its rails", what);
  if (!is_printable(metadata.bootstrap)) return fail(PIRN_ERR_INVALID, "%s: bootstrap address is not printable", what);
  if (count < 1 || count > max_rails)
    return fail(PIRN_ERR_INVALID, "%s has %zu rails; allowed: 1..%zu", what, count, max_rails);
  metadata.rails.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Result<RailAddress> rail = decode_rail(reader, i);
    if (!rail.is_ok()) return rail.status();
    metadata.rails.push_back(rail.take());
  }
  if ((metadata.features & feature_spares) == 0 || reader.remaining() == 0) return metadata;
  const size_t spares = reader.u16();
  if (!reader.ok()) return fail(PIRN_ERR_INVALID, "%s is truncated before its spares", what);
  if (spares > max_rails - count)
    return fail(PIRN_ERR_INVALID, "%s has %zu rails and %zu spares; allowed: %zu together", what, count, spares, max_rails);
  for (size_t i = 0; i < spares; ++i) {
    Result<RailAddress> rail = decode_rail(reader, count + i);
    if (!rail.is_ok()) return rail.status();
    metadata.rails.push_back(rail.take());
    metadata.rails.back().spare = true;
  }
  return metadata;
}

}  // namespace pirn::wire
