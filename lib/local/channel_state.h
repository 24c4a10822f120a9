// SPDX-License-Identifier: Apache-2.0
// The inside of Channel: connections in their phases, one epoll set, one list of deadlines.
// Every callback may close any connection: after one, connections are looked up again by id.
#pragma once

#include "local/channel.h"
#include "local/packet.h"

#include <deque>
#include <map>
#include <set>
#include <unordered_map>

namespace pirn::local {

enum class Phase : uint8_t {
  waiting,     // ours, between two attempts, or failed inside connect()
  greeting,    // ours, hello said
  proving,     // ours, proof said
  stranger,    // theirs, nothing heard
  challenged,  // theirs, hello heard
  asker,       // ours, proven
  owner,       // theirs, proven
};

struct Packet {
  std::vector<std::byte> bytes;
  std::vector<Fd> files;
};

struct Question {
  uint64_t deadline = 0;
  uint64_t offset = 0;
};

struct Connection {
  ConnectionId id = 0;
  Phase phase = Phase::stranger;
  Fd socket;
  uint32_t watched = 0;  // epoll events asked for, 0: not in the set
  uint64_t since = 0;
  uint64_t deadline = UINT64_MAX;  // of this phase
  uint64_t alarm = UINT64_MAX;     // next time to look at it
  Credentials credentials;
  Peer peer;
  std::vector<std::byte> hello, challenge;  // as sent, until the proof
  std::deque<Packet> unsent;
  uint64_t unsent_deadline = UINT64_MAX;
  Status broken;  // sending failed; told by the next progress()
  // Ours:
  uint64_t connect_deadline = UINT64_MAX;
  uint64_t retry_pause = 0;
  bool retry = false;      // this round of attempts: the next one may go better
  bool failed = false;     // nothing is left to try; told by the next progress()
  Way way = Way::path;     // of this attempt
  std::string reasons;     // of this round, for people
  pirn_status code = PIRN_ERR_UNAVAILABLE;
  std::map<uint32_t, Question> asked;  // by request
  // Theirs:
  std::set<uint64_t> told;  // allocations that were offered
};

struct Channel::State {
  State(Events &events_in, const Settings &settings, const Log &log_in, const wire::Instance &host_in,
        const wire::Instance &self_in);
  ~State();

  // channel.cpp: the loop and what all connections share
  size_t progress(uint64_t now);
  size_t handle_event(ConnectionId id, uint32_t events_seen, uint64_t now);
  size_t handle_alarms(uint64_t now);
  Connection *find(ConnectionId id);
  Connection &add(Phase phase);
  void remove(ConnectionId id);
  bool watch(Connection &connection, uint32_t wanted);
  void refresh(Connection &connection);  // alarm and epoll events, after any change
  void read_some(ConnectionId id, uint64_t now);
  // Makes no callback: what goes wrong is told by the next progress().
  void send(Connection &connection, std::vector<std::byte> bytes, std::vector<Fd> files, uint64_t now);
  void flush(Connection &connection, uint64_t now);
  void look_soon(Connection &connection);
  // It cannot go on: what follows depends on its phase.
  void fell(ConnectionId id, const Status &why, uint64_t *counter, uint64_t now);
  void warn(const std::string &line, uint64_t now);

  // owner.cpp
  Status listen();
  size_t accept_some(int listener, uint64_t now);
  void take_stranger(Fd socket, uint64_t now);
  bool make_room(uint64_t now);  // false: accepting pauses
  void pause_accepting(uint64_t until);
  void resume_accepting();
  void owner_message(Connection &connection, const wire::ShareMessage &message, std::span<const std::byte> raw,
                     uint64_t now);
  void admit(Connection &connection, uint64_t now);
  void take_hello(Connection &connection, const wire::ShareMessage &message, std::span<const std::byte> raw,
                  uint64_t now);
  void take_proof(Connection &connection, const wire::ShareMessage &message, std::span<const std::byte> raw,
                  uint64_t now);
  void take_ask(Connection &connection, const wire::ShareMessage &message, uint64_t now);
  void refuse(ConnectionId id, const Status &why, uint64_t now);
  void tell_gone(uint64_t allocation, uint64_t now);
  void drop_stranger(ConnectionId id, uint64_t *counter, const Status &why, uint64_t now);

  // asker.cpp
  void attempt(Connection &connection, uint64_t now);
  void greet(Connection &connection, Way way, uint64_t now);
  Status open_way(Connection &connection, Way way);
  void attempt_failed(Connection &connection, const Status &why, uint64_t now);
  void give_up(ConnectionId id);
  void asker_message(Connection &connection, const wire::ShareMessage &message, Received &received, uint64_t now);
  void take_challenge(Connection &connection, const wire::ShareMessage &message, std::span<const std::byte> raw,
                      uint64_t now);
  void take_welcome(Connection &connection, const wire::ShareMessage &message, uint64_t now);
  void take_answer(Connection &connection, const wire::ShareMessage &message, Received &received);
  void expire_asks(ConnectionId id, uint64_t now);

  Events &events;
  const Log &log;
  const std::string directory;
  const uint64_t patience;      // with strangers, and with peers that take nothing
  const size_t stranger_limit;
  const wire::Instance host;
  const wire::Instance self;
  const std::unique_ptr<const uint64_t> word;  // random; peers find our memory by it
  Fd epoll;
  Fd wake;  // an eventfd, readable while a failed connect waits to be told
  Counters counters;
  RateLimit warnings;
  ConnectionId last_id = 0;
  uint32_t last_request = 0;
  std::unordered_map<ConnectionId, std::unique_ptr<Connection>> connections;
  std::set<std::pair<uint64_t, ConnectionId>> alarms;
  std::map<ConnectionId, Place> listeners;  // share the id space of the epoll set
  std::set<ConnectionId> strangers;         // theirs, not proven; ids grow, so the first is the oldest
  std::map<wire::Instance, ConnectionId> admitted;
  uint64_t resume_at = UINT64_MAX;  // accepting pauses until then
  std::vector<std::byte> room;      // for the message being received
};

}  // namespace pirn::local
