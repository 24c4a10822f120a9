// SPDX-License-Identifier: Apache-2.0
// Sockets of the bootstrap, and the options that every one of them gets.
// All are non-blocking and close-on-exec. Errors of the system come back as -errno.
#pragma once

#include "base/fd.h"
#include "bootstrap/bootstrap.h"

namespace pirn::bootstrap {

// A listening socket, or -errno. v6_only: leave IPv4 to a socket of its own.
int open_listener(const SocketAddress &address, bool v6_only, Fd *out);
// Starts to connect. 0: under way, or already done; the socket turns writable. Else -errno.
int start_connect(const SocketAddress &address, Fd *out);
// How a connect that turned writable ended: 0 or -errno.
int connect_result(int fd);
// Takes one waiting connection. 0, or -errno.
int take_connection(int listener, Fd *out, SocketAddress *from);
// No delay from the start; for a lifeline, in addition, the kernel notices a vanished host within seconds.
void set_no_delay(int fd);
void watch_for_death(int fd);
SocketAddress local_address(int fd);

uint16_t port_of(const SocketAddress &address);
void set_port(SocketAddress *address, uint16_t port);

}  // namespace pirn::bootstrap
