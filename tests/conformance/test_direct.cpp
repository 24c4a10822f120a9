// SPDX-License-Identifier: Apache-2.0
// Device memory directly over the fabric: which rails carry it, and what happens where they cannot. Both ends are on devices,
// over simulated NICs, whose environment says what they take (tests/sim/fabric). With PIRN_SIM_DIE: rail 1 of both sides dies
// after some operations, again and again.
#include "harness.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using namespace pirn_test;

namespace {

constexpr uint64_t room = 6 << 20;

// Of processes that are started, or endpoints that are opened, while it lives.
class Environment {
 public:
  Environment(const char *name, const std::string &value) : name_(name), before_(variable(name, "")) {
    setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    if (before_.empty()) unsetenv(name_);
    else setenv(name_, before_.c_str(), 1);
  }
  Environment(const Environment &) = delete;

 private:
  const char *name_;
  std::string before_;
};

std::string able() { return variable("PIRN_SIM_HMEM", "both"); }
std::string second_able() { return "none," + able(); }  // of two rails

struct Ways {
  std::string own = able(), targets = able();  // PIRN_SIM_HMEM
  const char *own_limit = "1000000000";          // PIRN_SIM_HMEM_LIMIT
  const char *demand = "auto";
  // Of the targets' devices: PIRN_FAKE_GPU_RDMA_ORDERING and _FLUSH, calls of the driver that fail.
  std::string ordering = variable("PIRN_FAKE_GPU_RDMA_ORDERING", "100");
  const char *flush = "1", *failing = "";
};

OpenOptions demanding(const char *way) {
  OpenOptions options;
  options.settings = {std::string("DEVICE_MEMORY=") + way};
  return options;
}

struct Ends {
  Ends(void **state, const Ways &ways) : pair(pair_of(state)) {
    {
      const Environment hmem("PIRN_SIM_HMEM", ways.own);
      pair.open(demanding(ways.demand));
    }
    {
      const Environment hmem("PIRN_SIM_HMEM", ways.targets), ordering("PIRN_FAKE_GPU_RDMA_ORDERING", ways.ordering);
      const Environment flush("PIRN_FAKE_GPU_RDMA_FLUSH", ways.flush), failing("PIRN_FAKE_GPU_FAIL", ways.failing);
      pair.spawn().open();
    }
    peer = pair.connect(pair.target());
    remote = pair.remote(pair.target(), peer, room, 1);
    const Environment limit("PIRN_SIM_HMEM_LIMIT", ways.own_limit);
    local = &pair.memory(room, 2);
  }

  pirn_status move(bool write, uint64_t here, uint64_t there, uint64_t length, pirn_result *result) const {
    pirn_transfer_params params = params_with(20 * second);
    pirn_transfer id = 0;
    if (write) EXPECT_OK(pirn_write(local->region, here, remote.window, there, length, &params, &id));
    else EXPECT_OK(pirn_read(local->region, here, remote.window, there, length, &params, &id));
    *result = empty_result();
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 30 * second, result);
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    return status;
  }
  // Writes fresh bytes, reads them back to another place, and checks both; the result is the write's.
  pirn_result there_and_back(uint64_t length) const {
    Random &random = pair.random;
    const uint64_t half = room / 2, here = random.below(half - length + 1), there = random.below(room - length + 1);
    const uint64_t back = half + random.below(half - length + 1), seed = random.next();
    fill_pattern(local->buffer.at(here), length, seed);
    local->push(here, length);
    pirn_result result, read;
    EXPECT_OK(move(true, here, there, length, &result));
    assert_int_equal(result.bytes, length);
    EXPECT_MATCH(pair.target().check(remote.buffer, there, length, seed));
    EXPECT_OK(move(false, back, there, length, &read));
    assert_int_equal(read.bytes, length);
    local->pull(back, length);
    EXPECT_MATCH(find_mismatch(local->buffer.at(back), length, seed));
    return result;
  }

  Pair &pair;
  pirn_peer *peer = nullptr;
  Remote remote;
  const Memory *local = nullptr;
};

void expect_way(const pirn_result &result, const char *way) {
  assert_string_equal(result.path, "fabric");
  if (!std::strstr(result.rail, (std::string(", ") + way).c_str())) fail_test("\"%s\" is not %s", result.rail, way);
}

void expect_words(const std::string &text, const char *words) {
  if (text.find(words) == std::string::npos) fail_test("\"%s\" is not in:\n%s", words, text.c_str());
}

void direct__every_size__goes_so_and_bytes_are_right(void **state) {
  const Ends ends(state, {.demand = "direct"});
  for (const uint64_t length : {uint64_t{1}, uint64_t{8}, uint64_t{192}, uint64_t{4095}, uint64_t{65537}, room / 2})
    expect_way(ends.there_and_back(length), "direct");
  for (int round = 0; round < 10; ++round)
    expect_way(ends.there_and_back(ends.pair.random.between(1, room / 2)), "direct");
  expect_words(explain(ends.pair.endpoint()), "device memory: can be registered");
}

void direct__staged_demanded__registers_nothing(void **state) {
  const Ends ends(state, {.demand = "staged"});
  expect_way(ends.there_and_back(300000), "staged");
  expect_words(explain(ends.pair.endpoint()), "device memory: cannot be registered: PIRN_DEVICE_MEMORY=staged");
}

// Rails that do not take it carry nothing of it, whichever end they are at.
void direct__one_own_rail_able__carries_all_of_it(void **state) {
  const Ends ends(state, {.own = second_able(), .demand = "direct"});
  for (const uint64_t length : {uint64_t{8}, uint64_t{70000}, room / 2}) expect_way(ends.there_and_back(length), "direct");
  const std::string text = explain(ends.peer);
  const size_t path = text.find("path fabric: rail 0 ");
  if (path == std::string::npos) fail_test("no path of rail 0 in:\n%s", text.c_str());
  expect_words(text.substr(path, text.find('\n', path) - path), ", moved 0 bytes");
}

void direct__one_rail_of_the_owner_able__carries_all_of_it(void **state) {
  const Ends ends(state, {.targets = second_able(), .demand = "direct"});
  for (const uint64_t length : {uint64_t{8}, uint64_t{70000}, room / 2}) expect_way(ends.there_and_back(length), "direct");
}

void direct__nobody_able__is_staged_and_says_why(void **state) {
  const Ends ends(state, {.own = "none", .targets = "none"});
  expect_way(ends.there_and_back(300000), "staged");
  expect_words(explain(ends.pair.endpoint()), "device memory: cannot be registered: libfabric's \"");
}

void direct__owner_without__is_staged_unless_demanded(void **state) {
  const Ends ends(state, {.targets = "none"});
  expect_way(ends.there_and_back(300000), "staged");
}

void direct__demanded_where_the_owner_has_not__ends_with_the_reason(void **state) {
  const Ends ends(state, {.targets = "none", .demand = "direct"});
  pirn_result result;
  for (const bool write : {true, false})
    EXPECT_ERROR(PIRN_ERR_UNAVAILABLE, ends.move(write, 0, 0, 4096, &result), "PIRN_DEVICE_MEMORY=direct",
                 "the window's owner has not registered it");
}

void direct__demanded_where_registration_is_refused__ends_with_the_reason(void **state) {
  const Ends ends(state, {.own_limit = "65536", .demand = "direct"});
  pirn_result result;
  EXPECT_ERROR(PIRN_ERR_UNAVAILABLE, ends.move(true, 0, 0, 4096, &result), "PIRN_DEVICE_MEMORY=direct",
               "device memory is not registered: by ", "Cannot allocate memory");
}

// What came before the limit stays direct, what came after it is staged.
void direct__registration_refused_midway__is_staged_from_then_on(void **state) {
  Ends ends(state, {});
  expect_way(ends.there_and_back(100000), "direct");
  const Environment limit("PIRN_SIM_HMEM_LIMIT", std::to_string(room + 65536));
  const Memory *first = ends.local;
  ends.local = &ends.pair.memory(room, 3);
  expect_way(ends.there_and_back(100000), "staged");
  ends.local = first;
  expect_way(ends.there_and_back(room / 2), "direct");
}

// The driver's second flush fails, and with it the second take, which can be repeated.
void direct__devices_without_order__owner_flushes_before_each_notification(void **state) {
  const Ends ends(state, {.demand = "direct", .ordering = "0", .failing = "cuFlushGPUDirectRDMAWrites:2"});
  for (uint64_t round = 0; round < 3; ++round) {
    const std::string message = "written " + std::to_string(round);
    fill_pattern(ends.local->buffer.at(0), room, 100 + round);
    ends.local->push(0, room);
    pirn_transfer_params params = params_with(20 * second);
    params.notify = message.data();
    params.notify_length = message.size();
    EXPECT_OK(pirn_write(ends.local->region, 0, ends.remote.window, 0, room, &params, nullptr));
    Reply reply = ends.pair.target().take();
    if (round == 1) {
      EXPECT(PIRN_ERR_IO, reply.status);
      expect_words(reply.text, "what NICs have written may not be seen by work of cuda:");
      expect_words(reply.text, "cuFlushGPUDirectRDMAWrites");
      reply = ends.pair.target().take();
    }
    EXPECT_OK(reply.status);
    assert_string_equal(reply.payload.c_str(), message.c_str());
    EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, 0, room, 100 + round));
  }
}

void direct__ordered_by_the_device__nobody_flushes(void **state) {
  const Ends ends(state, {.demand = "direct", .ordering = "100", .failing = "cuFlushGPUDirectRDMAWrites:1+"});
  expect_way(ends.there_and_back(300000), "direct");
  EXPECT_OK(pirn_notify(ends.peer, "message", 7, nullptr, nullptr));
  const Reply reply = ends.pair.target().take();
  EXPECT_OK(reply.status);
  assert_string_equal(reply.payload.c_str(), "message");
}

void direct__neither_order_nor_flush__is_staged_unless_demanded(void **state) {
  const Ends ends(state, {.ordering = "0", .flush = "2"});
  expect_way(ends.there_and_back(300000), "staged");
}

// -- With PIRN_SIM_DIE

void direct__the_only_able_rail_dies__what_is_under_way_starts_over_staged(void **state) {
  const Ends ends(state, {.own = second_able(), .targets = second_able()});
  int direct = 0, staged = 0;
  for (int round = 0; round < 30; ++round) {
    const pirn_result result = ends.there_and_back(ends.pair.random.between(1, room / 2));
    ++(std::strstr(result.rail, ", direct") ? direct : staged);
  }
  print_message("%d direct, %d staged\n", direct, staged);
  assert_true(direct > 0);
  assert_true(staged > 0);
}

void direct__one_of_the_able_rails_dies__all_stays_direct(void **state) {
  const Ends ends(state, {.demand = "direct"});
  for (int round = 0; round < 30; ++round)
    expect_way(ends.there_and_back(ends.pair.random.between(1, room / 2)), "direct");
}

}  // namespace

int main(int argc, char **argv) {
  const std::vector<CMUnitTest> sound = {
      CASE(direct__every_size__goes_so_and_bytes_are_right),
      CASE(direct__staged_demanded__registers_nothing),
      CASE(direct__one_own_rail_able__carries_all_of_it),
      CASE(direct__one_rail_of_the_owner_able__carries_all_of_it),
      CASE(direct__nobody_able__is_staged_and_says_why),
      CASE(direct__owner_without__is_staged_unless_demanded),
      CASE(direct__demanded_where_the_owner_has_not__ends_with_the_reason),
      CASE(direct__demanded_where_registration_is_refused__ends_with_the_reason),
      CASE(direct__registration_refused_midway__is_staged_from_then_on),
      CASE(direct__devices_without_order__owner_flushes_before_each_notification),
      CASE(direct__ordered_by_the_device__nobody_flushes),
      CASE(direct__neither_order_nor_flush__is_staged_unless_demanded),
  };
  const std::vector<CMUnitTest> dying = {
      CASE(direct__the_only_able_rail_dies__what_is_under_way_starts_over_staged),
      CASE(direct__one_of_the_able_rails_dies__all_stays_direct),
  };
  return run(argc, argv, "direct", std::getenv("PIRN_SIM_DIE") ? dying : sound);
}
