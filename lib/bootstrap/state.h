// SPDX-License-Identifier: Apache-2.0
// The inside of Bootstrap: connections in their phases, one epoll set, one list of deadlines.
// Every callback may close any connection and start others: after one, connections are looked up again by id.
#pragma once

#include "bootstrap/bootstrap.h"
#include "bootstrap/stream.h"

#include <map>
#include <set>
#include <unordered_map>

namespace pirn::bootstrap {

enum class Phase : uint8_t {
  connecting,  // ours, TCP not up yet
  handshake,
  lifeline,    // established; silent until a farewell, or its end
  failed,      // ours, came to nothing inside connect(); told by the next progress()
};

struct Connection {
  ConnectionId id = 0;
  bool initiated = false;
  bool said_hello = false;
  Phase phase = Phase::handshake;
  uint32_t watched = 0;  // epoll events asked for
  uint64_t since = 0;
  uint64_t alarm = UINT64_MAX;     // next time to look at it
  uint64_t deadline = UINT64_MAX;  // of the whole connect
  FrameStream stream;
  std::optional<Handshake> handshake;
  std::string remote;
  // Of a connect:
  std::vector<SocketAddress> addresses;
  size_t next_address = 0;
  Status failure;
};

struct Bootstrap::State {
  State(Events &events_in, const Settings &settings, const Log &log_in);

  // bootstrap.cpp: the loop and what all connections share
  size_t progress(uint64_t now);
  size_t handle_event(ConnectionId id, uint64_t now);
  size_t handle_alarms(uint64_t now);
  Connection *find(ConnectionId id);
  Connection &add(bool initiated);
  void remove(ConnectionId id);
  bool watch(Connection &connection, uint32_t wanted);  // false: out of memory
  void set_alarm(Connection &connection, uint64_t when);

  // negotiate.cpp: from TCP up to the lifeline
  void negotiate(Connection &connection, uint64_t now);
  bool take_frame(Connection &connection, uint64_t now);  // false: the connection is gone or became a lifeline
  void finish(Connection &connection, std::vector<std::byte> welcome, uint64_t now);
  bool watch_unsent(Connection &connection);
  void check_lifeline(Connection &connection);

  // connecting.cpp
  void try_next_address(Connection &connection, uint64_t now);
  void connected(Connection &connection, uint64_t now);
  void attempt_failed(Connection &connection, const Status &why, uint64_t now);
  void give_up(ConnectionId id, const Status &why);

  // accepting.cpp
  Status listen(const std::vector<SocketAddress> &addresses);
  size_t accept_some(int listener, uint64_t now);
  bool make_room(uint64_t now);  // false: accepting pauses
  void accept_failed(int error, uint64_t now);
  void pause_accepting(uint64_t until, bool for_room);
  void resume_accepting();
  void drop_stranger(ConnectionId id, uint64_t *counter, const Status &why, uint64_t now);
  void warn(const std::string &line, uint64_t now);

  Events &events;
  const Log &log;
  const uint64_t handshake_timeout;
  const size_t handshake_limit;
  Fd epoll;
  Fd wake;  // an eventfd, readable while a failed connect waits to be told
  Counters counters;
  RateLimit warnings;
  ConnectionId last_id = 0;
  std::unordered_map<ConnectionId, std::unique_ptr<Connection>> connections;
  std::set<std::pair<uint64_t, ConnectionId>> alarms;
  std::map<ConnectionId, Fd> listeners;  // share the id space of the epoll set
  SocketAddress listen_address;
  std::set<ConnectionId> silent_strangers;  // in handshake, no hello yet; ids grow, so the first is the oldest
  std::set<ConnectionId> known_strangers;   // in handshake, said hello
  uint64_t resume_at = UINT64_MAX;          // accepting pauses until then
  bool paused_for_room = false;
};

}  // namespace pirn::bootstrap
