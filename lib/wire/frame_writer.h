// SPDX-License-Identifier: Apache-2.0
// How encoders that make no allocation write a frame.
#pragma once

#include "wire/bytes.h"
#include "wire/frame.h"

namespace pirn::wire {

// A frame in a caller's buffer: the body is written first, so that its size is known to the header.
class FrameWriter {
 public:
  explicit FrameWriter(std::span<std::byte> out) : out_(out), body_(out) { body_.skip(header_size); }

  Writer &body() { return body_; }

  size_t finish(Header header) {
    if (!body_.ok()) return 0;
    header.body_size = static_cast<uint32_t>(body_.size() - header_size);
    encode_header(out_, header);
    return body_.size();
  }

 private:
  std::span<std::byte> out_;
  Writer body_;
};

}  // namespace pirn::wire
