// SPDX-License-Identifier: Apache-2.0
// The bootstrap connection: listening, connecting by host:port, the handshake over
// a TCP stream (frames behind a u32 length), and afterwards the same socket as a lifeline: its end
// tells of the death of the peer's process within milliseconds, on every provider. No data ever travels here.
//
// A process forked from the peer's (without exec) that outlives it holds the lifeline up: then only heartbeats tell.
//
// All sockets are non-blocking and sit in one epoll set. Not thread-safe: the endpoint calls it under
// its lock. Nothing here blocks, except resolve().
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "base/settings.h"
#include "bootstrap/handshake.h"

#include <cstdint>
#include <memory>
#include <string>
#include <sys/socket.h>

namespace pirn::bootstrap {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

// "host:port", "[v6]:port", ":port". May ask the resolver, so it is called outside the endpoint's lock. `passive`: for
// bind (":port" means all addresses).
Result<std::vector<SocketAddress>> resolve(const std::string &address, bool passive);
std::string printable(const SocketAddress &address);  // "192.0.2.1:4711", "[::1]:4711"

using ConnectionId = uint64_t;  // never reused, 0 is none

class Events {
 public:
  virtual ~Events() = default;
  virtual const Identity &identity() = 0;
  // A stranger said hello (not yet proven): the token it shall use; must be the same for the same remote instance
  // and token.
  virtual uint64_t token_for(const wire::Hello &hello) = 0;
  // Token for a connection that we started; asked once per connection, before its HELLO is sent.
  virtual uint64_t own_token(ConnectionId id) = 0;
  // Handshake done. `initiated`: by our connect(). Return a refusal to close it (peer gets WELCOME with the status when
  // we are responder); no event follows for it.
  virtual Status established(ConnectionId id, bool initiated, const wire::Hello &remote, const wire::Metadata &metadata,
                             const std::string &remote_address) = 0;
  // Our connect() came to nothing.
  virtual void connect_failed(ConnectionId id, const Status &why) = 0;
  // The lifeline of an established connection ended, and the other side had not said farewell.
  virtual void lifeline_lost(ConnectionId id, const std::string &why) = 0;
  // The other side said farewell; the connection is closed.
  virtual void lifeline_closed(ConnectionId id) = 0;
};

struct Counters {
  uint64_t accepted = 0;      // TCP connections taken
  uint64_t established = 0;
  uint64_t refused = 0;       // wrong key, incompatible
  uint64_t malformed = 0;     // garbage
  uint64_t expired = 0;       // slow or silent strangers
  uint64_t abandoned = 0;     // hung up before the handshake was done
  uint64_t evicted = 0;       // made room for newer ones
};

class Bootstrap {
 public:
  Bootstrap(Events &events, const Settings &settings, const Log &log);
  ~Bootstrap();  // ends every connection and the listener, also where a forked process still holds the descriptors

  Status listen(const std::vector<SocketAddress> &addresses);
  bool listening() const;
  SocketAddress listen_address() const;  // with the real port

  // Starts to connect; tries the addresses in turn until the deadline (absolute, now_ns()).
  ConnectionId connect(const std::vector<SocketAddress> &addresses, uint64_t deadline_ns);
  void close(ConnectionId id);  // of a connect in progress, or a lifeline; no event follows
  // The last word on a lifeline, before close(): tells the other side that we leave of our own will.
  void farewell(ConnectionId id);

  int poll_fd() const;                 // the epoll set, to nest in the endpoint's
  // Handles what is ready and what expired. Returns how much was done.
  size_t progress(uint64_t now_ns);
  uint64_t next_deadline() const;      // absolute ns, UINT64_MAX if none
  const Counters &counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pirn::bootstrap
