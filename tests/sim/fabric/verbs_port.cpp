// SPDX-License-Identifier: Apache-2.0
// What the connections of one domain share: the board that shows its registrations, and whether the NIC lives.
#include "verbs.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pirn::sim_nic {
namespace {

// Boards have the number of a port. A socket that is bound, and used for nothing else, keeps it ours.
int reserve(uint16_t &port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto *name = reinterpret_cast<sockaddr *>(&address);
  if (fd < 0 || bind(fd, name, length) != 0 || getsockname(fd, name, &length) != 0) {
    if (fd >= 0) close(fd);
    return -1;
  }
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

int open_port(Domain &domain) {
  auto registry = std::make_unique<Endpoint>();
  domain.faults = faults_of_rail(domain.rail);
  domain.reserved_port = reserve(registry->port);
  if (domain.reserved_port < 0 || !(registry->board = BoardView::create(registry->port))) {
    int error = errno;
    close_port(domain);
    return -error;
  }
  registry->domain = &domain;
  domain.endpoints.insert(registry.get());
  domain.registry = std::move(registry);
  return 0;
}

void close_port(Domain &domain) {
  domain.endpoints.erase(domain.registry.get());
  domain.registry.reset();
  if (domain.reserved_port >= 0) close(domain.reserved_port);
  domain.reserved_port = -1;
}

// The provider has no event for a device that fails: its users learn it from their operations.
void kill_port(Domain &domain) {
  const uint64_t now = now_ns(), longest = UINT64_MAX - now;
  domain.faults.dead = true;
  domain.faults.dead_until = now + std::min(domain.faults.dead_ns, longest);
  domain.registry->board->set_dead();
  domain.fabric->dead_rails |= uint32_t{1} << domain.rail;
  for (Endpoint *endpoint : domain.endpoints) {
    if (!endpoint->connection || endpoint->waiting.empty()) continue;
    Request *first = endpoint->waiting.front();
    endpoint->waiting.pop_front();
    endpoint->launched.insert(first);
    finish(first, domain.persona->unreachable, 0);
  }
}

void revive_port(Domain &domain) {
  if (!domain.faults.dead || now_ns() < domain.faults.dead_until) return;
  domain.faults.dead = false;
  domain.faults.die_after = UINT64_MAX;
  domain.registry->board->set_dead(false);
  domain.fabric->dead_rails &= ~(uint32_t{1} << domain.rail);
}

}  // namespace pirn::sim_nic
