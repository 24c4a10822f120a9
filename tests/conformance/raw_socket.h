// SPDX-License-Identifier: Apache-2.0
// Plain TCP sockets: strangers that talk nonsense to a listener of pirn, and
// listeners that never answer.
#pragma once

#include <string>

namespace pirn_test {

class RawSocket {
 public:
  RawSocket() = default;
  explicit RawSocket(int fd) : fd_(fd) {}
  ~RawSocket();
  RawSocket(RawSocket &&other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  RawSocket(const RawSocket &) = delete;
  RawSocket &operator=(const RawSocket &) = delete;

  bool send(const void *data, size_t length) const;  // without SIGPIPE
  // True once the other side has closed or reset the connection; what it sent is thrown away.
  bool closed_within(int timeout_ms) const;
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

RawSocket raw_connect(const std::string &address);                   // "a.b.c.d:port"
RawSocket raw_listen(const std::string &host, std::string *address); // backlog, never accepts
std::string closed_port(const std::string &host);                    // an address where nobody listens

}  // namespace pirn_test
