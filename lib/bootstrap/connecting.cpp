// SPDX-License-Identifier: Apache-2.0
// Our own connects: one address after the other, until one answers or time is up.
#include "bootstrap/state.h"

#include "base/clock.h"

#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <unistd.h>

namespace pirn::bootstrap {

namespace {

Status connect_error(int error, const std::string &remote) {
  switch (-error) {
    case ECONNREFUSED:
      return fail(PIRN_ERR_REFUSED, "nobody listens on %s", remote.c_str());
    case ETIMEDOUT:
      return fail(PIRN_ERR_TIMEOUT, "no answer from %s", remote.c_str());
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return fail(PIRN_ERR_NO_MEMORY, "no socket to connect to %s: %s", remote.c_str(), std::strerror(-error));
    default:
      return fail(PIRN_ERR_IO, "cannot connect to %s: %s", remote.c_str(), std::strerror(-error));
  }
}

}  // namespace

void Bootstrap::State::try_next_address(Connection &connection, uint64_t now) {
  while (connection.next_address < connection.addresses.size() && now < connection.deadline) {
    const size_t left = connection.addresses.size() - connection.next_address;
    const SocketAddress &address = connection.addresses[connection.next_address++];
    connection.remote = printable(address);
    Fd fd;
    const int error = start_connect(address, &fd);
    if (error != 0) {
      connection.failure = connect_error(error, connection.remote);
      continue;
    }
    connection.stream = FrameStream(std::move(fd));
    connection.watched = 0;
    if (!watch(connection, EPOLLOUT)) {
      connection.failure = fail(PIRN_ERR_NO_MEMORY, "cannot watch the connection to %s", connection.remote.c_str());
      continue;
    }
    // A silent address must leave time for those after it.
    set_alarm(connection, left == 1 ? connection.deadline : now + (connection.deadline - now) / left);
    return;
  }
  if (connection.next_address == 0 && !connection.addresses.empty())
    connection.failure =
        fail(PIRN_ERR_TIMEOUT, "no time left to connect to %s", printable(connection.addresses[0]).c_str());
  // Told by progress(): the caller of connect() does not know the id yet.
  connection.phase = Phase::failed;
  set_alarm(connection, 0);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake.get(), &one, sizeof one);
}

void Bootstrap::State::attempt_failed(Connection &connection, const Status &why, uint64_t now) {
  connection.failure = why;
  connection.stream = FrameStream();
  try_next_address(connection, now);
}

void Bootstrap::State::connected(Connection &connection, uint64_t now) {
  const int error = connect_result(connection.stream.fd());
  if (error != 0) return attempt_failed(connection, connect_error(error, connection.remote), now);
  const ConnectionId id = connection.id;
  const uint64_t token = events.own_token(id);
  Connection *still = find(id);
  if (still == nullptr) return;
  still->phase = Phase::handshake;
  still->handshake = Handshake::initiator(events.identity(), token);
  set_alarm(*still, still->deadline);
  const std::vector<std::byte> hello = still->handshake->start();
  if (hello.empty()) return give_up(id, fail(PIRN_ERR_INTERNAL, "the own metadata does not fit a handshake"));
  still->stream.send(hello);
  watch_unsent(*still);
}

void Bootstrap::State::give_up(ConnectionId id, const Status &why) {
  const Status kept = why;
  remove(id);
  events.connect_failed(id, kept);
}

}  // namespace pirn::bootstrap
