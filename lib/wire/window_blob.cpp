// SPDX-License-Identifier: Apache-2.0
// Body of a window blob:
//   record: instance[16] u64 window u64 capability u64 length u32 access (the highest bit: device memory)
//   u16 number of rails, then one record each: u64 address u64 key
#include "wire/blob.h"
#include "wire/bytes.h"
#include "wire/metadata.h"

#include <pirn/memory.h>

namespace pirn::wire {

namespace {

constexpr const char what[] = "window blob";
// Who does not know it refuses the window, as it must: it may have no keys.
constexpr uint32_t device_bit = 1u << 31;
constexpr uint32_t all_access = PIRN_ACCESS_READ | PIRN_ACCESS_WRITE;

Status check_window(const WindowBlob &window) {
  if (window.length < 1) return fail(PIRN_ERR_INVALID, "%s: the window is empty", what);
  if (window.access < 1 || window.access > all_access)
    return fail(PIRN_ERR_INVALID, "%s has access bits %#x; allowed: 1..%#x", what, window.access, all_access);
  return Status::ok();
}

// A window must not wrap around the end of the address space.
bool wraps(const WindowBlob::RailKey &rail, uint64_t length) { return rail.address > UINT64_MAX - (length - 1); }

}  // namespace

std::vector<std::byte> encode_window(const WindowBlob &window) {
  if (!check_window(window).is_ok() || window.rails.empty() || window.rails.size() > max_rails) return {};
  std::array<std::byte, max_blob> buffer{};
  Writer writer(buffer);
  writer.skip(blob_header_size);
  size_t record = writer.begin_record();
  writer.array(window.instance);
  writer.u64(window.window);
  writer.u64(window.capability);
  writer.u64(window.length);
  writer.u32(window.access | (window.on_device ? device_bit : 0));
  writer.end_record(record);
  writer.u16(static_cast<uint16_t>(window.rails.size()));
  for (const WindowBlob::RailKey &rail : window.rails) {
    if (wraps(rail, window.length)) return {};
    record = writer.begin_record();
    writer.u64(rail.address);
    writer.u64(rail.key);
    writer.end_record(record);
  }
  return seal_blob(buffer, writer, window_magic);
}

Result<WindowBlob> decode_window(std::span<const std::byte> blob) {
  Result<std::span<const std::byte>> body = open_blob(blob, window_magic, what);
  if (!body.is_ok()) return body.status();
  Reader reader(body.value());
  Reader fixed = reader.record();
  WindowBlob window;
  window.instance = fixed.array<16>();
  window.window = fixed.u64();
  window.capability = fixed.u64();
  window.length = fixed.u64();
  const uint32_t access = fixed.u32();
  window.access = access & ~device_bit;
  window.on_device = access & device_bit;
  const size_t count = reader.u16();
  if (!fixed.ok() || !reader.ok()) return fail(PIRN_ERR_INVALID, "%s is truncated before its rails", what);
  Status status = check_window(window);
  if (!status.is_ok()) return status;
  if (count < 1 || count > max_rails)
    return fail(PIRN_ERR_INVALID, "%s has %zu rails; allowed: 1..%zu", what, count, max_rails);
  window.rails.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Reader record = reader.record();
    const uint64_t address = record.u64();
    const uint64_t key = record.u64();
    if (!record.ok()) return fail(PIRN_ERR_INVALID, "%s: rail %zu is truncated", what, i);
    window.rails.push_back({address, key});
    if (wraps(window.rails.back(), window.length))
      return fail(PIRN_ERR_INVALID, "%s: on rail %zu the window wraps around the address space", what, i);
  }
  return window;
}

}  // namespace pirn::wire
