// SPDX-License-Identifier: Apache-2.0
// Two endpoints of one process on the fake fabric, driven step by step by the test.
#pragma once

#include "base/clock.h"
#include "core/endpoint.h"
#include "fake_fabric.h"

#include "../check.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace pirn::core {

inline void require(const Status &status, const char *what) {
  if (!status.is_ok()) fail_test("%s: %d %s", what, status.code, status.text.c_str());
}

template <typename T>
T must(Result<T> result, const char *what) {
  require(result.status(), what);
  return result.take();
}

struct RigOptions {
  sim::Persona persona = sim::plain_persona();
  std::string provider = "tcp";
  std::string nics;    // of both sides
  std::string nics_b;  // of B, if it has others
  std::vector<std::string> settings;
  std::vector<bool> far;  // of the NICs of both sides; empty: none
  size_t spares = 0;       // the last so many NICs of both sides
  size_t bytes = 1 << 20;  // of each side's region
  bool connect = true;
};

// Equal verbs NICs on both sides, and little patience.
RigOptions several_nics(size_t count);
// The same of cxi, whose provider chooses the keys: each reset of a rail gives its windows others.
RigOptions rekeying_nics(size_t count);

// One endpoint with a region that the other side has imported whole.
struct Side {
  std::unique_ptr<Endpoint> endpoint;
  std::vector<std::byte> memory;
  Region *region = nullptr;
  uint64_t window_id = 0;   // advertised
  std::vector<std::byte> blob;
  Peer *peer = nullptr;     // the other side, from here
  Window *window = nullptr; // the other side's memory
};

struct Rig {
  Seeded random;
  sim::FakeFabric fake;
  std::unique_ptr<Context> context;
  Side a, b;

  explicit Rig(const RigOptions &options = {});
  ~Rig();

  void open(Side &side, const RigOptions &options);
  // A knows B from its metadata; both import the other's window.
  void connect();
  std::vector<std::byte> advertise(Side &side, uint64_t offset, uint64_t length, uint32_t access, uint64_t *id);
  Window *import(Side &side, const std::vector<std::byte> &blob);

  void pump() {
    a.endpoint->progress_manually();
    b.endpoint->progress_manually();
  }
  // Pumps both sides until `done`; false: not in time.
  template <typename Done>
  bool until(Done &&done, uint64_t ms = 5000) {
    uint64_t deadline = now_ns() + ms * ns_per_ms;
    while (!done()) {
      if (now_ns() > deadline) return false;
      pump();
    }
    return true;
  }
  template <typename Step>
  void for_ms(uint64_t ms, Step &&step) {
    for (uint64_t end = now_ns() + ms * ns_per_ms; now_ns() < end;) step();
  }
  // Until nothing is in flight and nothing is left to say: the numbers of posts to come are then the test's own.
  void calm();

  pirn_transfer write(uint64_t from, uint64_t to, uint64_t length, const TransferOptions &options = {});
  pirn_transfer read(uint64_t into, uint64_t from, uint64_t length, const TransferOptions &options = {});
  pirn_transfer vectored(OpKind kind, const std::vector<Segment> &segments, const TransferOptions &options = {});
  // The result now, without making progress for others.
  pirn_result look(pirn_transfer id);
  // Pumps until the transfer is terminal, and releases it.
  pirn_result finish(pirn_transfer id, uint64_t ms = 10000);
  void notify(const std::vector<std::byte> &message, const TransferOptions &options, pirn_transfer *id);
  // The next notification at B, without pumping; empty: none.
  std::vector<std::byte> take_at_b();

  Segment segment(uint64_t local, uint64_t remote, uint64_t length) {
    return {a.region, local, a.window, remote, length};
  }
  uint32_t number(Side &side, size_t rail = 0) {
    return fake.number_of(side.endpoint->rails()[rail]->fabric().address());
  }
};

// Runs a call that waits on its own thread, while the test keeps the other side going, or does not.
struct Call {
  template <typename F>
  explicit Call(F &&call) : thread([this, call] { status = call(); done = true; }) {}
  ~Call() { thread.join(); }
  Status status;
  std::atomic<bool> done{false};
  std::thread thread;
};

// A random range, written to B or read from it; OK, byte-exact, and nothing beside it.
pirn_result move_and_check(Rig &rig, bool write, const std::function<void()> &meanwhile = [] {});

// Memory at both ends of a transfer.
struct Ends {
  Region *region = nullptr;
  std::byte *local = nullptr;
  Window *window = nullptr;
  std::byte *remote = nullptr;
};
// A random range of `room` bytes, written by `run` and read back, byte-exact, and nothing beside it.
void write_and_read_back(Rig &rig, const Ends &ends, uint64_t room,
                         const std::function<void(OpKind kind, const Segment &segment)> &run);

void assert_bytes(const std::byte *actual, const std::byte *expected, size_t length, const char *what);

}  // namespace pirn::core
