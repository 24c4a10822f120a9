// SPDX-License-Identifier: Apache-2.0
#include "raw_socket.h"

#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace pirn_test {

namespace {

sockaddr_in parse(const std::string &address) {
  const size_t colon = address.rfind(':');
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
  if (inet_pton(AF_INET, address.substr(0, colon).c_str(), &out.sin_addr) != 1) {
    fail_test("not an IPv4 address: %s", address.c_str());
  }
  return out;
}

}  // namespace

RawSocket::~RawSocket() {
  if (fd_ >= 0) ::close(fd_);
}

bool RawSocket::send(const void *data, size_t length) const {
  return ::send(fd_, data, length, MSG_NOSIGNAL) == static_cast<ssize_t>(length);
}

bool RawSocket::closed_within(int timeout_ms) const {
  const uint64_t end = clock_now() + static_cast<uint64_t>(timeout_ms) * ms;
  char sink[4096];
  while (clock_now() < end) {
    pollfd ready{fd_, POLLIN, 0};
    if (poll(&ready, 1, 10) == 1 && recv(fd_, sink, sizeof sink, MSG_DONTWAIT) <= 0) return true;
  }
  return false;
}

RawSocket raw_connect(const std::string &address) {
  const sockaddr_in to = parse(address);
  RawSocket out(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(out.fd(), reinterpret_cast<const sockaddr *>(&to), sizeof to) != 0) {
    fail_test("raw connect to %s failed", address.c_str());
  }
  return out;
}

RawSocket raw_listen(const std::string &host, std::string *address) {
  sockaddr_in at = parse(host + ":0");
  RawSocket out(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  socklen_t length = sizeof at;
  if (bind(out.fd(), reinterpret_cast<const sockaddr *>(&at), sizeof at) != 0 || listen(out.fd(), 16) != 0 ||
      getsockname(out.fd(), reinterpret_cast<sockaddr *>(&at), &length) != 0) {
    fail_test("raw listen on %s failed", host.c_str());
  }
  *address = host + ":" + std::to_string(ntohs(at.sin_port));
  return out;
}

std::string closed_port(const std::string &host) {
  std::string address;
  const RawSocket gone = raw_listen(host, &address);
  return address;
}

}  // namespace pirn_test
