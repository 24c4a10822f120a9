// SPDX-License-Identifier: Apache-2.0
// A descriptor that belongs to one place. Not thread-safe.
#pragma once

#include <utility>

namespace pirn {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd &operator=(Fd &&other) noexcept;
  Fd(const Fd &) = delete;
  Fd &operator=(const Fd &) = delete;
  ~Fd();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void close();
  int release() { return std::exchange(fd_, -1); }  // the caller's now

 private:
  int fd_ = -1;
};

}  // namespace pirn
