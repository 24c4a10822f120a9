// SPDX-License-Identifier: Apache-2.0
// An owner in a process of its own, and an asker in this one.
#pragma once

#include "fixture.h"
#include "local/cross_memory.h"

#include <functional>

namespace fixture {

constexpr uint8_t owner_id = 1, asker_id = 2;
constexpr size_t arena_size = 100000;
constexpr uint64_t window_of_file = 1, window_of_silence = 2;

// The same address in every process forked from this one. An owner's is full of 0x77.
extern std::array<std::byte, arena_size> arena;

// Ten bytes 0x42 as `window_of_file`; never answers for `window_of_silence`.
Offer offer_file(const wire::ShareAsk &ask);

// An owner, forked off, that listens when the constructor is done and lives until it is killed.
class Process {
 public:
  using Offers = std::function<Offer(const wire::ShareAsk &)>;
  enum class Where { here, apart };  // apart: as PID 1 of a PID namespace of its own

  explicit Process(const Settings &settings, const Offers &offers = offer_file, Where where = Where::here);
  ~Process() { kill_it(); }
  Process(const Process &) = delete;
  Process &operator=(const Process &) = delete;

  void kill_it();
  void signal_it(int number) const;
  pid_t pid() const { return child_; }
  const std::string &refusal() const { return refusal_; }  // why there is no such process; "" if there is

 private:
  pid_t child_ = -1;
  std::string refusal_;
};

struct Asker : Side {
  explicit Asker(const Settings &settings);

  ConnectionId start(uint64_t limit_ms = 5000);
  ConnectionId connect();
  // All that the owner answers; the test fails if it does not.
  Answer question(ConnectionId id, const wire::ShareAsk &ask);
};

// Both, connected.
struct Connected {
  explicit Connected(const Settings &settings, const Process::Offers &offers = offer_file);
  const Peer &peer() const { return asker.ups.at(id); }

  Process owner;
  Asker asker;
  ConnectionId id = 0;
};

// Skips the test where the kernel does not let us read the process.
CrossMemory probed(const Peer &peer);

}  // namespace fixture
