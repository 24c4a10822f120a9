// SPDX-License-Identifier: Apache-2.0
#include "bootstrap/listener.h"

#include <cerrno>
#include <cstring>

namespace pirn::bootstrap {

namespace {

constexpr int port_attempts = 16;

struct Failure {
  int error = 0;
  SocketAddress address;
};

bool has_both_families(const std::vector<SocketAddress> &addresses) {
  bool v4 = false;
  bool v6 = false;
  for (const SocketAddress &address : addresses) (address.storage.ss_family == AF_INET6 ? v6 : v4) = true;
  return v4 && v6;
}

// A machine without IPv6 (or without IPv4) serves the family that it has.
bool is_absent(int error) { return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL; }

std::vector<Fd> bind_once(const std::vector<SocketAddress> &addresses, Failure *failure) {
  const bool v6_only = has_both_families(addresses);
  std::vector<Fd> sockets;
  uint16_t port = 0;
  for (SocketAddress address : addresses) {
    if (port != 0) set_port(&address, port);
    Fd fd;
    const int error = open_listener(address, v6_only, &fd);
    if (error != 0) *failure = {error, address};
    if (is_absent(error)) continue;
    if (error != 0) return {};
    port = port_of(local_address(fd.get()));
    sockets.push_back(std::move(fd));
  }
  return sockets;
}

Status explain(const Failure &failure) {
  const pirn_status code = failure.error == -EADDRINUSE ? PIRN_ERR_BUSY : PIRN_ERR_IO;
  return fail(code, "cannot listen on %s: %s", printable(failure.address).c_str(), std::strerror(-failure.error));
}

}  // namespace

Result<std::vector<Fd>> bind_all(const std::vector<SocketAddress> &addresses) {
  if (addresses.empty()) return fail(PIRN_ERR_INVALID, "no address to listen on");
  const bool any_port = port_of(addresses.front()) == 0;
  Failure failure;
  for (int attempt = 0; attempt < port_attempts; ++attempt) {
    std::vector<Fd> sockets = bind_once(addresses, &failure);
    if (!sockets.empty()) return sockets;
    // A free port of one family may be taken in the other.
    if (!any_port || failure.error != -EADDRINUSE) break;
  }
  return explain(failure);
}

}  // namespace pirn::bootstrap
