// SPDX-License-Identifier: Apache-2.0
// Frames over a non-blocking stream socket, each behind its length (u32, little-endian). What a stranger
// can make us hold is what it really sent, and never more than one frame of wire::max_bootstrap_frame bytes.
#pragma once

#include "base/result.h"
#include "bootstrap/socket.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace pirn::bootstrap {

class FrameStream {
 public:
  enum class Input { none, frame, malformed, ended };

  FrameStream() = default;
  explicit FrameStream(Fd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }

  // Takes what is there until one frame is whole. `why` is set for malformed and ended.
  Input receive(std::string *why);
  // The bytes of the whole frame; until next_frame().
  std::span<const std::byte> frame() const;
  void next_frame() { input_.clear(); }
  bool heard_anything() const { return heard_anything_; }

  // Queues a frame and sends what the socket takes. Errors show at the next receive.
  void send(std::span<const std::byte> frame);
  void flush();
  bool has_unsent() const { return sent_ < output_.size(); }

  // For a stream that has nothing more to say than farewell.
  enum class Rest { silent, farewell, over };
  Rest rest(std::string *why);  // `why` is set for over: it ended, or said something else
  void say_farewell();
  void release_buffers();

 private:
  size_t wanted() const;

  Fd fd_;
  std::vector<std::byte> input_;  // length prefix and frame
  std::vector<std::byte> output_;
  size_t sent_ = 0;
  bool heard_anything_ = false;
};

}  // namespace pirn::bootstrap
