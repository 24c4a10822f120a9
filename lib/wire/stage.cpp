// SPDX-License-Identifier: Apache-2.0
#include "wire/stage.h"

#include "wire/bytes.h"
#include "wire/frame_writer.h"

namespace pirn::wire {

namespace {

constexpr size_t max_reason = 255;

std::string printable(const std::string &reason) {
  std::string cut = reason.substr(0, max_reason);
  for (char &c : cut) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return cut;
}

Status truncated(const char *kind, std::span<const std::byte> body) {
  return fail(PIRN_ERR_INVALID, "%s is truncated: its body has %zu bytes", kind, body.size());
}

// A field that older libraries do not send.
uint64_t appended(Reader &reader) { return reader.remaining() >= sizeof(uint64_t) ? reader.u64() : 0; }

Status check_outcome(const char *kind, int32_t status, const std::string &reason) {
  if (status > PIRN_OK) return fail(PIRN_ERR_INVALID, "%s carries status %d, which is no outcome", kind, status);
  if (!is_printable(reason)) return fail(PIRN_ERR_INVALID, "%s gives a reason that is not printable", kind);
  return Status::ok();
}

Status check(const StageLent &lent) {
  if (Status status = check_outcome("staging offer", lent.status, lent.reason); !status.is_ok()) return status;
  if (lent.status != PIRN_OK) {
    if (lent.slots != 0 || lent.slot_bytes != 0 || !lent.blob.empty())
      return fail(PIRN_ERR_INVALID, "staging offer with status %d has slots", lent.status);
    return Status::ok();
  }
  if (lent.slots < 1 || lent.slots > max_stage_slots)
    return fail(PIRN_ERR_INVALID, "staging offer of %u slots; allowed: 1..%u", lent.slots, max_stage_slots);
  if (lent.slot_bytes < min_stage_slot)
    return fail(PIRN_ERR_INVALID, "staging offer of slots of %u bytes; at least %u", lent.slot_bytes, min_stage_slot);
  if (lent.blob.empty() || lent.blob.size() > max_blob)
    return fail(PIRN_ERR_INVALID, "staging offer has %zu bytes of blob; allowed: 1..%zu", lent.blob.size(), max_blob);
  return Status::ok();
}

Status check(const StageMove &move) {
  if (move.to_window > 1)
    return fail(PIRN_ERR_INVALID, "staging request says %u for its direction; allowed: 0..1", unsigned{move.to_window});
  if (move.parts.empty() || move.parts.size() > max_stage_parts)
    return fail(PIRN_ERR_INVALID, "staging request of %zu parts; allowed: 1..%zu", move.parts.size(), max_stage_parts);
  uint64_t total = 0;
  for (const StagePart &part : move.parts) {
    if (part.length == 0 || part.length > UINT32_MAX)
      return fail(PIRN_ERR_INVALID, "staging request with a part of %llu bytes; allowed: 1..%u",
                  static_cast<unsigned long long>(part.length), UINT32_MAX);
    total += part.length;
  }
  if (total > UINT32_MAX)
    return fail(PIRN_ERR_INVALID, "staging request of %llu bytes; at most %u", static_cast<unsigned long long>(total),
                UINT32_MAX);
  return Status::ok();
}

size_t encode(FrameWriter &frame, const Header &header, const StageWant &want) {
  frame.body().u64(want.window);
  if (want.memory != SlotMemory::host) frame.body().u64(static_cast<uint64_t>(want.memory));
  return frame.finish(header);
}

size_t encode(FrameWriter &frame, const Header &header, const StageLent &lent) {
  const std::string reason = printable(lent.reason);
  if (!check({lent.status, reason, lent.slot_bytes, lent.slots, lent.blob, lent.window}).is_ok()) return 0;
  Writer &body = frame.body();
  body.u32(static_cast<uint32_t>(lent.status));
  body.string(reason, max_reason);
  body.u32(lent.slot_bytes);
  body.u32(lent.slots);
  body.u16(static_cast<uint16_t>(lent.blob.size()));
  body.bytes(lent.blob.data(), lent.blob.size());
  if (lent.window != 0) body.u64(lent.window);
  return frame.finish(header);
}

size_t encode(FrameWriter &frame, const Header &header, const StageMove &move) {
  if (!check(move).is_ok()) return 0;
  Writer &body = frame.body();
  body.u64(move.request);
  body.u64(move.window);
  body.u32(move.slot);
  body.u8(move.to_window);
  body.u16(static_cast<uint16_t>(move.parts.size()));
  for (const StagePart &part : move.parts) {
    body.u64(part.offset);
    body.u64(part.length);
  }
  if (move.slots != 0) body.u64(move.slots);
  return frame.finish(header);
}

size_t encode(FrameWriter &frame, const Header &header, const StageMoved &moved) {
  if (moved.status > PIRN_OK) return 0;
  Writer &body = frame.body();
  body.u64(moved.request);
  body.u32(static_cast<uint32_t>(moved.status));
  body.string(printable(moved.reason), max_reason);
  return frame.finish(header);
}

}  // namespace

Kind kind_of(const Stage &stage) {
  constexpr Kind kinds[] = {Kind::stage_want, Kind::stage_lent, Kind::stage_move, Kind::stage_moved};
  return kinds[stage.index()];
}

size_t encode_stage(std::span<std::byte> out, const Header &header, const Stage &stage) {
  FrameWriter frame(out);
  return std::visit([&](const auto &body) { return encode(frame, header, body); }, stage);
}

Result<StageWant> decode_stage_want(std::span<const std::byte> body) {
  Reader reader(body);
  StageWant want;
  want.window = reader.u64();
  if (!reader.ok()) return truncated("staging wish", body);
  const uint64_t memory = appended(reader);
  if (memory > static_cast<uint64_t>(SlotMemory::plain))
    return fail(PIRN_ERR_INVALID, "staging wish for slots of memory %llu; allowed: 0..2",
                static_cast<unsigned long long>(memory));
  want.memory = static_cast<SlotMemory>(memory);
  return want;
}

Result<StageLent> decode_stage_lent(std::span<const std::byte> body) {
  Reader reader(body);
  StageLent lent;
  lent.status = static_cast<int32_t>(reader.u32());
  lent.reason = reader.string();
  lent.slot_bytes = reader.u32();
  lent.slots = reader.u32();
  const std::span<const std::byte> blob = reader.bytes(reader.u16());
  if (!reader.ok()) return truncated("staging offer", body);
  lent.blob.assign(blob.begin(), blob.end());
  lent.window = appended(reader);
  if (Status status = check(lent); !status.is_ok()) return status;
  return lent;
}

Result<StageMove> decode_stage_move(std::span<const std::byte> body) {
  Reader reader(body);
  StageMove move;
  move.request = reader.u64();
  move.window = reader.u64();
  move.slot = reader.u32();
  move.to_window = reader.u8();
  const size_t count = reader.u16();
  if (count <= max_stage_parts) move.parts.reserve(count);
  for (size_t i = 0; i < count && reader.ok(); ++i) {
    const uint64_t offset = reader.u64();
    move.parts.push_back({offset, reader.u64()});
  }
  if (!reader.ok()) return truncated("staging request", body);
  move.slots = appended(reader);
  if (Status status = check(move); !status.is_ok()) return status;
  return move;
}

Result<StageMoved> decode_stage_moved(std::span<const std::byte> body) {
  Reader reader(body);
  StageMoved moved;
  moved.request = reader.u64();
  moved.status = static_cast<int32_t>(reader.u32());
  moved.reason = reader.string();
  if (!reader.ok()) return truncated("staging answer", body);
  if (Status status = check_outcome("staging answer", moved.status, moved.reason); !status.is_ok()) return status;
  return moved;
}

}  // namespace pirn::wire
