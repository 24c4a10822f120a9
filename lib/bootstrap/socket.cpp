// SPDX-License-Identifier: Apache-2.0
#include "bootstrap/socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace pirn::bootstrap {

namespace {

constexpr int keepalive_idle_s = 1;
constexpr int keepalive_interval_s = 1;
constexpr int keepalive_probes = 3;
constexpr int unacknowledged_ms = 4000;

// Options are comfort: a kernel that lacks one still carries the handshake.
void set_option(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

Fd open_stream(const SocketAddress &address) {
  return Fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

const sockaddr *raw(const SocketAddress &address) { return reinterpret_cast<const sockaddr *>(&address.storage); }

}  // namespace

int open_listener(const SocketAddress &address, bool v6_only, Fd *out) {
  Fd fd = open_stream(address);
  if (!fd.is_open()) return -errno;
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.storage.ss_family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, v6_only ? 1 : 0);
  if (bind(fd.get(), raw(address), address.length) != 0) return -errno;
  if (::listen(fd.get(), SOMAXCONN) != 0) return -errno;
  *out = std::move(fd);
  return 0;
}

int start_connect(const SocketAddress &address, Fd *out) {
  Fd fd = open_stream(address);
  if (!fd.is_open()) return -errno;
  set_no_delay(fd.get());
  if (::connect(fd.get(), raw(address), address.length) != 0 && errno != EINPROGRESS && errno != EINTR) return -errno;
  *out = std::move(fd);
  return 0;
}

int connect_result(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return -errno;
  return -error;
}

int take_connection(int listener, Fd *out, SocketAddress *from) {
  from->length = sizeof from->storage;
  Fd fd(accept4(listener, reinterpret_cast<sockaddr *>(&from->storage), &from->length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.is_open()) return -errno;
  set_no_delay(fd.get());
  *out = std::move(fd);
  return 0;
}

void set_no_delay(int fd) { set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

void watch_for_death(int fd) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_s);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_s);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive_probes);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged_ms);
}

SocketAddress local_address(int fd) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr *>(&address.storage), &address.length) != 0) address.length = 0;
  return address;
}

uint16_t port_of(const SocketAddress &address) {
  if (address.storage.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6 *>(&address.storage)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in *>(&address.storage)->sin_port);
}

void set_port(SocketAddress *address, uint16_t port) {
  if (address->storage.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6 *>(&address->storage)->sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in *>(&address->storage)->sin_port = htons(port);
}

}  // namespace pirn::bootstrap
