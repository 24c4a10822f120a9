// SPDX-License-Identifier: Apache-2.0
// One message of the channel, with descriptors, over a non-blocking local packet socket. Any thread, one at a time
// per socket.
#pragma once

#include "base/fd.h"

#include <cstddef>
#include <span>
#include <vector>

namespace pirn::local {

struct Received {
  enum class Kind { none, message, ended, failed };
  Kind kind = Kind::none;
  std::span<const std::byte> bytes;  // in the room that was given
  std::vector<Fd> files;
  bool lost_files = false;  // some came and could not be taken: not allowed here, or this process is out of descriptors
  int error = 0;            // errno of `failed`; EMSGSIZE: longer than the room
};

// `with_files`: whether descriptors may enter this process; else the kernel drops what was sent.
Received receive_packet(int fd, std::span<std::byte> room, bool with_files);

// 0, or errno: EAGAIN if the other end's queue is full.
int send_packet(int fd, std::span<const std::byte> bytes, std::span<const Fd> files);

}  // namespace pirn::local
