// SPDX-License-Identifier: Apache-2.0
#include "wire/several.h"

#include "wire/bytes.h"

namespace pirn::wire {

namespace {

constexpr size_t fields = 3;  // before each body

// Frames without a number, and several once more. What is not known may be a newer peer's.
bool goes_alone(Kind kind) { return kind < Kind::notify || kind == Kind::bye || kind == Kind::several; }

}  // namespace

SeveralWriter::SeveralWriter(std::span<std::byte> out) : out_(out), frame_(out) { frame_.body().u16(0); }

bool SeveralWriter::add(const OneOfSeveral &one) {
  Writer &body = frame_.body();
  if (count_ == max_several || goes_alone(one.kind) || fields + one.body.size() > out_.size() - body.size()) return false;
  body.u8(static_cast<uint8_t>(one.kind));
  body.u16(static_cast<uint16_t>(one.body.size()));
  body.bytes(one.body.data(), one.body.size());
  ++count_;
  return true;
}

size_t SeveralWriter::finish(const Header &header) {
  if (count_ == 0) return 0;
  Writer(out_.subspan(header_size)).u16(count_);
  return frame_.finish(header);
}

Result<std::vector<OneOfSeveral>> decode_several(std::span<const std::byte> body) {
  Reader reader(body);
  const size_t count = reader.u16();
  if (reader.ok() && (count < 1 || count > max_several))
    return fail(PIRN_ERR_INVALID, "%zu frames in one; allowed: 1..%zu", count, max_several);
  std::vector<OneOfSeveral> all;
  all.reserve(count);
  for (size_t i = 0; i < count && reader.ok(); ++i) {
    const auto kind = static_cast<Kind>(reader.u8());
    all.push_back({kind, reader.bytes(reader.u16())});
    if (reader.ok() && goes_alone(kind))
      return fail(PIRN_ERR_INVALID, "a frame of kind %u in one of several", static_cast<unsigned>(kind));
  }
  if (!reader.ok())
    return fail(PIRN_ERR_INVALID, "several frames in one is truncated: its body has %zu bytes", body.size());
  return all;
}

}  // namespace pirn::wire
