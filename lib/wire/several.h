// SPDX-License-Identifier: Apache-2.0
// Several numbered frames to one peer that leave at the same time, in one: a send costs the same for one as for all. The
// header's number is that of the first, those of the others follow; each is taken in, or dropped as a duplicate, by itself.
//
// Body: u16 count, 1..max_several; then for each u8 kind, u16 bytes, its body.
#pragma once

#include "base/result.h"
#include "wire/frame.h"
#include "wire/frame_writer.h"

#include <cstddef>
#include <span>
#include <vector>

namespace pirn::wire {

constexpr size_t max_several = 32;

struct OneOfSeveral {
  Kind kind{};
  std::span<const std::byte> body;
};

class SeveralWriter {
 public:
  explicit SeveralWriter(std::span<std::byte> out);  // max_control_frame bytes
  bool add(const OneOfSeveral &one);  // false: there is no room for it, or its kind goes alone
  size_t count() const { return count_; }
  size_t finish(const Header &header);  // the frame's size

 private:
  std::span<std::byte> out_;
  FrameWriter frame_;
  uint16_t count_ = 0;
};

Result<std::vector<OneOfSeveral>> decode_several(std::span<const std::byte> body);

}  // namespace pirn::wire
