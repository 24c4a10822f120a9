// SPDX-License-Identifier: Apache-2.0
// What every conformance test stands on: a pair of endpoints (the test's own, and a
// target's), status checks that print pirn's words, a watchdog that names the test that hangs, and the
// runner. Environment:
//   PIRN_TEST_PROVIDER  provider of both endpoints (tcp)
//   PIRN_TEST_MODE      same | processes | hosts: where targets live (same)
//   PIRN_TEST_MEMORY, PIRN_TEST_PEER_MEMORY  where memory lies (host; place.h): the test's own, and its targets'. Tests
//                       that fill their own buffers by hand need it to be host
//   PIRN_TEST_DEVICE_WAY  how device memory is to travel over the fabric: staged | direct (staged)
//   PIRN_TEST_SEED      repeats a run; printed at its start
//   PIRN_TEST_WATCHDOG  seconds that one test may take (120, times PIRN_TEST_PATIENCE)
//   PIRN_TEST_PATIENCE  upper bounds of durations are multiplied by it (1): for sanitizers and emulators
//   PIRN_TEST_FILTER    cmocka filter on test names
//   PIRN_TEST_NETNS_B, PIRN_TEST_HOST_A, PIRN_TEST_HOST_B   set by netns.sh: namespace of targets, addresses
#pragma once

#include "target.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace pirn_test {

constexpr pirn_status no_answer = -1000;  // of a target that died or hangs

enum class Mode { same, processes, hosts };

std::string variable(const char *name, const char *otherwise);  // of the list above
Mode mode();
std::string provider();
bool two_processes();      // targets can be killed and stopped
std::string own_host();    // address for listeners of the test's own endpoint
std::string target_host();
uint64_t base_seed();
OpenOptions with_defaults(const OpenOptions &options, bool target);

[[noreturn]] void fail_test(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Makes the running test fail at its end (for places that must not jump out).
void report_trouble(const char *what, int detail);
const char *status_name(pirn_status status);
void expect_status(pirn_status want, pirn_status got, const char *call, const char *file, int line);
void expect_error(pirn_status want, pirn_status got, std::initializer_list<const char *> words, const char *call,
                  const char *file, int line);

#define EXPECT(want, call) ::pirn_test::expect_status((want), (call), #call, __FILE__, __LINE__)
#define EXPECT_OK(call) EXPECT(PIRN_OK, call)
// Status, and words that the error text must hold: EXPECT_ERROR(PIRN_ERR_RANGE, call, "4096", "offset").
#define EXPECT_ERROR(want, call, ...) \
  ::pirn_test::expect_error((want), (call), {__VA_ARGS__}, #call, __FILE__, __LINE__)
#define EXPECT_MATCH(position) \
  do { \
    const uint64_t position_ = (position); \
    if (position_ != ::pirn_test::all_match) \
      ::pirn_test::fail_test("%s:%d: %s: first wrong byte at %llu", __FILE__, __LINE__, #position, \
                             static_cast<unsigned long long>(position_)); \
  } while (0)

uint64_t clock_now();
uint64_t at_most(uint64_t duration);  // times PIRN_TEST_PATIENCE
void sleep_ms(uint64_t milliseconds);
// Polls a condition until it holds; false after the time.
bool wait_until(uint64_t milliseconds, const std::function<bool()> &condition);

pirn_transfer_params params_with(uint64_t timeout, uint64_t flags = 0, uint64_t user_data = 0);
pirn_result empty_result();
std::string metadata_of(pirn_endpoint *endpoint);
std::string listen_on(pirn_endpoint *endpoint, const std::string &address);
std::string blob_text(const std::string &blob);
uint32_t peer_state(pirn_peer *peer);

// A target's memory with a window on it, as this side sees it.
struct Remote {
  Target *target = nullptr;
  uint64_t buffer = 0;
  uint64_t window_id = 0;
  std::string blob;
  pirn_window *window = nullptr;
};

// The fixture of each test; its teardown closes all and fails when a canary is damaged or a target hangs.
class Pair {
 public:
  Random random{base_seed()};
  Node own;

  void open(const OpenOptions &options = {});  // own endpoint
  Target &spawn();                             // another target, not yet opened
  Target &target() { return *targets_.at(0); }
  pirn_peer *connect(Target &target);          // listen there, connect from here; accepted in the background
  // The usual start: both endpoints open, connected.
  pirn_peer *start(const OpenOptions &options = {});

  pirn_endpoint *endpoint() const { return own.endpoint(); }
  Memory &memory(uint64_t size, uint64_t seed = 0);
  Remote remote(Target &target, pirn_peer *peer, uint64_t size, uint64_t seed, uint32_t access = read_write);
  bool close();  // all of it; false when something was damaged

 private:
  std::vector<std::unique_ptr<Target>> targets_;
};

// All of a region of this process, for reading and writing.
WindowBlob advertise(const Memory &memory);

int set_up(void **state);
int tear_down(void **state);
inline Pair &pair_of(void **state) { return *static_cast<Pair *>(*state); }

#define CASE(function) \
  CMUnitTest { #function, function, ::pirn_test::set_up, ::pirn_test::tear_down, const_cast<char *>(#function) }

// main() of each test program.
int run(int argc, char **argv, const char *suite, const std::vector<CMUnitTest> &tests);

}  // namespace pirn_test
