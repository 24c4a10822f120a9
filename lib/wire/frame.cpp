// SPDX-License-Identifier: Apache-2.0
// The frame header, and encoders of the frames that make no allocation.
#include "wire/frame.h"

#include "wire/bytes.h"
#include "wire/frame_writer.h"

namespace pirn::wire {

namespace {

constexpr uint32_t frame_magic = 0x6e726970;  // "pirn"
constexpr size_t acknowledged_offset = 20;
constexpr size_t notify_fields = 12;
constexpr auto last_kind = Kind::several;

void put_header(Writer &writer, const Header &header) {
  writer.u32(frame_magic);
  writer.u8(frame_version);
  writer.u8(static_cast<uint8_t>(header.kind));
  writer.u16(header_size);
  writer.u64(header.token);
  writer.u32(header.sequence);
  writer.u32(header.acknowledged);
  writer.u32(header.body_size);
  writer.u32(header.epoch);
}

}  // namespace

size_t encode_header(std::span<std::byte> out, const Header &header) {
  Writer writer(out);
  put_header(writer, header);
  return writer.ok() ? writer.size() : 0;
}

size_t encode_ping(std::span<std::byte> out, const Header &header, const Ping &body) {
  FrameWriter frame(out);
  frame.body().u64(body.id);
  if (body.rail != any_rail) frame.body().u32(body.rail);
  return frame.finish(header);
}

size_t encode_notify(std::span<std::byte> out, const Header &header, const Notify &body) {
  FrameWriter frame(out);
  frame.body().u32(body.total);
  frame.body().u32(body.offset);
  frame.body().u32(static_cast<uint32_t>(body.data.size()));
  frame.body().bytes(body.data.data(), body.data.size());
  return frame.finish(header);
}

size_t encode_window_ref(std::span<std::byte> out, const Header &header, const WindowRef &body) {
  FrameWriter frame(out);
  frame.body().u64(body.window);
  frame.body().u64(body.capability);
  return frame.finish(header);
}

size_t encode_window_opened(std::span<std::byte> out, const Header &header, const WindowOpened &body) {
  FrameWriter frame(out);
  frame.body().u64(body.window);
  frame.body().u32(static_cast<uint32_t>(body.status));
  if (body.share_secret != decltype(body.share_secret){}) {
    frame.body().array(body.share_secret);
    frame.body().u8(body.plain);
  }
  return frame.finish(header);
}

size_t encode_window_update(std::span<std::byte> out, const Header &header, const WindowUpdate &body) {
  if (body.rail >= max_rails || body.status > PIRN_OK || (body.status == PIRN_OK) == (body.key.key == no_key)) return 0;
  FrameWriter frame(out);
  frame.body().u64(body.window);
  frame.body().u32(body.rail);
  frame.body().u32(static_cast<uint32_t>(body.status));
  frame.body().u64(body.key.address);
  frame.body().u64(body.key.key);
  return frame.finish(header);
}

size_t encode_window_want(std::span<std::byte> out, const Header &header, const WindowWant &body) {
  if (body.rail >= max_rails) return 0;
  FrameWriter frame(out);
  frame.body().u64(body.window);
  frame.body().u32(body.rail);
  return frame.finish(header);
}

size_t encode_address(std::span<std::byte> out, const Header &header, const AddressChange &body) {
  if (body.address.empty() || body.address.size() > max_address || body.rail >= max_rails) return 0;
  FrameWriter frame(out);
  frame.body().u32(body.rail);
  frame.body().u16(static_cast<uint16_t>(body.address.size()));
  frame.body().bytes(body.address.data(), body.address.size());
  return frame.finish(header);
}

size_t encode_empty(std::span<std::byte> out, const Header &header) { return FrameWriter(out).finish(header); }

size_t notify_fragment_max() { return max_control_frame - header_size - notify_fields; }

void patch_acknowledged(std::span<std::byte> frame, uint32_t acknowledged) {
  if (frame.size() < header_size) return;
  Writer(frame.subspan(acknowledged_offset)).u32(acknowledged);
}

Result<Frame> decode_frame(std::span<const std::byte> bytes) {
  if (bytes.size() < header_size)
    return fail(PIRN_ERR_INVALID, "frame is truncated: %zu bytes, the header alone has %zu", bytes.size(), header_size);
  if (bytes.size() > max_bootstrap_frame)
    return fail(PIRN_ERR_INVALID, "frame is too long: %zu bytes, at most %zu", bytes.size(), max_bootstrap_frame);
  Reader reader(bytes);
  const uint32_t magic = reader.u32();
  const unsigned version = reader.u8();
  const uint8_t kind = reader.u8();
  const size_t own_size = reader.u16();
  if (magic != frame_magic) return fail(PIRN_ERR_INVALID, "not a frame: it starts with %08x", magic);
  if (version != frame_version)
    return fail(PIRN_ERR_INVALID, "frame has version %u, this library knows %u", version, unsigned{frame_version});
  if (own_size < header_size || own_size > bytes.size())
    return fail(PIRN_ERR_INVALID, "frame header says it has %zu bytes; allowed: %zu..%zu", own_size, header_size,
                bytes.size());
  Frame frame;
  frame.header.kind = static_cast<Kind>(kind);
  frame.header.token = reader.u64();
  frame.header.sequence = reader.u32();
  const bool known = kind >= static_cast<uint8_t>(Kind::hello) && kind <= static_cast<uint8_t>(last_kind);
  if (kind == 0 || (!known && frame.header.sequence == 0))
    return fail(PIRN_ERR_INVALID, "frame has unknown kind %u", unsigned{kind});
  frame.header.acknowledged = reader.u32();
  frame.header.body_size = reader.u32();
  frame.header.epoch = reader.u32();
  frame.body = bytes.subspan(own_size);
  if (frame.header.body_size != frame.body.size())
    return fail(PIRN_ERR_INVALID, "frame says its body has %u bytes, but %zu came", frame.header.body_size,
                frame.body.size());
  return frame;
}

}  // namespace pirn::wire
