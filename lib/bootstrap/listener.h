// SPDX-License-Identifier: Apache-2.0
// The listening sockets of one endpoint: one per address, all on one port.
#pragma once

#include "bootstrap/socket.h"

#include <vector>

namespace pirn::bootstrap {

// Binds all addresses that this machine has. With port 0 the first takes a free port and the others the same one.
// One error, naming address and port, for whatever goes wrong: BUSY if the port is taken, else IO.
Result<std::vector<Fd>> bind_all(const std::vector<SocketAddress> &addresses);

}  // namespace pirn::bootstrap
