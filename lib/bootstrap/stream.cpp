// SPDX-License-Identifier: Apache-2.0
#include "bootstrap/stream.h"

#include "base/text.h"
#include "wire/frame.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace pirn::bootstrap {

namespace {

constexpr size_t prefix_size = 4;
constexpr size_t read_size = 4096;

size_t frame_length(const std::vector<std::byte> &input) {
  size_t length = 0;
  for (size_t i = 0; i < prefix_size; ++i) length |= std::to_integer<size_t>(input[i]) << (8 * i);
  return length;
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

ssize_t receive_some(int fd, std::span<std::byte> room) {
  ssize_t got;
  do {
    got = recv(fd, room.data(), room.size(), 0);
  } while (got < 0 && errno == EINTR);
  return got;
}

// A goodbye frame behind its length, the same on every connection: which one it came by says whose it is.
const std::vector<std::byte> &farewell() {
  static const std::vector<std::byte> bytes = [] {
    wire::Header header;
    header.kind = wire::Kind::bye;
    std::vector<std::byte> out(prefix_size + wire::header_size);
    out[0] = static_cast<std::byte>(wire::header_size);
    wire::encode_empty(std::span(out).subspan(prefix_size), header);
    return out;
  }();
  return bytes;
}

std::string ending(ssize_t got) { return got == 0 ? "closed by the other side" : std::strerror(errno); }

}  // namespace

size_t FrameStream::wanted() const {
  if (input_.size() < prefix_size) return prefix_size - input_.size();
  return prefix_size + frame_length(input_) - input_.size();
}

FrameStream::Input FrameStream::receive(std::string *why) {
  std::byte chunk[read_size];
  for (;;) {
    if (input_.size() >= prefix_size) {
      const size_t length = frame_length(input_);
      if (length < wire::header_size || length > wire::max_bootstrap_frame) {
        *why = text("frame of %zu bytes, %zu..%zu are allowed", length, wire::header_size, wire::max_bootstrap_frame);
        return Input::malformed;
      }
      if (wanted() == 0) return Input::frame;
    }
    // Never beyond the frame: what follows is judged only once this one was.
    const ssize_t got = receive_some(fd_.get(), std::span(chunk, std::min(wanted(), read_size)));
    if (got < 0 && would_block(errno)) return Input::none;
    if (got <= 0) {
      *why = ending(got);
      return Input::ended;
    }
    heard_anything_ = true;
    input_.insert(input_.end(), chunk, chunk + got);
  }
}

std::span<const std::byte> FrameStream::frame() const { return std::span(input_).subspan(prefix_size); }

void FrameStream::send(std::span<const std::byte> frame) {
  for (size_t i = 0; i < prefix_size; ++i) output_.push_back(static_cast<std::byte>(frame.size() >> (8 * i)));
  output_.insert(output_.end(), frame.begin(), frame.end());
  flush();
}

void FrameStream::flush() {
  while (has_unsent()) {
    const ssize_t sent = ::send(fd_.get(), output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && would_block(errno)) return;
    // A dead stream has nothing left to send; its end is read, and told, by receive().
    sent_ = sent < 0 ? output_.size() : sent_ + static_cast<size_t>(sent);
  }
  output_.clear();
  sent_ = 0;
}

FrameStream::Rest FrameStream::rest(std::string *why) {
  const std::vector<std::byte> &expected = farewell();
  std::byte chunk[read_size];
  const ssize_t got = receive_some(fd_.get(), std::span(chunk, expected.size() - input_.size()));
  if (got < 0 && would_block(errno)) return Rest::silent;
  if (got <= 0) {
    *why = ending(got);
    return Rest::over;
  }
  if (!std::equal(chunk, chunk + got, expected.begin() + static_cast<ptrdiff_t>(input_.size()))) {
    *why = "bytes on a connection that must stay silent";
    return Rest::over;
  }
  input_.insert(input_.end(), chunk, chunk + got);
  return input_.size() == expected.size() ? Rest::farewell : Rest::silent;
}

void FrameStream::say_farewell() {
  const std::vector<std::byte> &whole = farewell();
  send(std::span(whole).subspan(prefix_size));
}

void FrameStream::release_buffers() {
  std::vector<std::byte>().swap(input_);
  if (!has_unsent()) std::vector<std::byte>().swap(output_);
}

}  // namespace pirn::bootstrap
