// SPDX-License-Identifier: Apache-2.0
// Two rails in one process, and the loops a test needs around them.
#pragma once

#include "base/clock.h"
#include "fabric/calls.h"
#include "fabric/rail.h"

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <csetjmp>

extern "C" {
#include <cmocka.h>
}

namespace pirn::fabric {

// PIRN_TEST_SEED repeats a run.
inline uint64_t test_seed() {
  static const uint64_t seed = [] {
    const char *given = getenv("PIRN_TEST_SEED");
    uint64_t value = given ? strtoull(given, nullptr, 0) : std::random_device{}();
    fprintf(stderr, "seed: PIRN_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

inline void require(const Status &status, const char *what) {
  if (!status.is_ok()) fail_msg("%s: %s", what, status.text.c_str());
}

struct RailPair {
  std::unique_ptr<Rail> initiator, target;
  FabricAddress to_target = 0, to_initiator = 0;
  std::vector<Completion> target_completions, initiator_completions;

  static RailPair open(const Nic &nic, const Calls &calls, const Log &log, uint64_t max_in_flight = 0) {
    RailPair pair;
    auto first = Rail::open(nic, calls, log, max_in_flight);
    require(first.status(), "initiator");
    pair.initiator = first.take();
    auto second = Rail::open(nic, calls, log, max_in_flight);
    require(second.status(), "target");
    pair.target = second.take();
    pair.connect();
    return pair;
  }

  void connect() {
    auto there = initiator->insert(target->address());
    require(there.status(), "insert target");
    to_target = there.value();
    auto back = target->insert(initiator->address());
    require(back.status(), "insert initiator");
    to_initiator = back.value();
  }

  void poll_target() {
    Completion out[16];
    Status failure;
    size_t n = target->poll(out, 16, &failure);
    require(failure, "target poll");
    target_completions.insert(target_completions.end(), out, out + n);
  }

  // The next completion of the initiator, with the target polling too; work == nullptr after `timeout_ns`.
  Completion next(uint64_t timeout_ns = 10 * ns_per_s) {
    uint64_t end = now_ns() + timeout_ns;
    do {
      poll_initiator();
      poll_target();
    } while (initiator_completions.empty() && now_ns() < end);
    if (initiator_completions.empty()) return {};
    Completion out = initiator_completions.front();
    initiator_completions.erase(initiator_completions.begin());
    return out;
  }

  // One at a time, and none while one is kept: an error's text lives until the next poll.
  void poll_initiator() {
    if (!initiator_completions.empty()) return;
    Completion out;
    Status failure;
    size_t n = initiator->poll(&out, 1, &failure);
    require(failure, "initiator poll");
    initiator_completions.insert(initiator_completions.end(), &out, &out + n);
  }

  // Posts until accepted; fails the test after 10 s of EAGAIN.
  template <typename Post>
  PostResult post(Post &&attempt) {
    uint64_t end = now_ns() + 10 * ns_per_s;
    for (;;) {
      PostResult result = attempt();
      if (result != PostResult::again) return result;
      if (now_ns() > end) fail_msg("the rail says EAGAIN for 10 s");
      poll_initiator();
      poll_target();
    }
  }
};

// A registered buffer on one rail.
struct Block {
  Rail *rail;
  std::vector<unsigned char> bytes;
  Registration *registration = nullptr;

  Block(Rail &rail_, size_t size, uint32_t access, std::mt19937_64 &random) : rail(&rail_), bytes(size) {
    for (unsigned char &byte : bytes) byte = static_cast<unsigned char>(random());
    auto result = rail->register_memory(bytes.data(), size, access);
    require(result.status(), "register");
    registration = result.value();
  }
  ~Block() { rail->deregister(registration); }
  Block(const Block &) = delete;

  uint64_t remote_address(size_t offset) const {
    return reinterpret_cast<uint64_t>(bytes.data()) + offset - rail->remote_base(registration);
  }
  RemotePart part(size_t offset, size_t length) const {
    return {remote_address(offset), length, Rail::key(registration)};
  }
};

// One local and one remote part.
struct OneRma {
  Work work = {};
  iovec local = {};
  void *descriptor = nullptr;
  RemotePart remote = {};
  Rma rma = {};

  OneRma(Block &from, size_t local_offset, const RemotePart &to, FabricAddress peer) {
    local = {from.bytes.data() + local_offset, to.length};
    descriptor = Rail::descriptor(from.registration);
    remote = to;
    rma = {&local, &descriptor, 1, &remote, 1, peer, &work};
  }
  OneRma(const OneRma &) = delete;
};

}  // namespace pirn::fabric
