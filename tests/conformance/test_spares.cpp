// SPDX-License-Identifier: Apache-2.0
// One NIC near to the process, others as spares: the near one dies in mid-transfer. Run on simulated NICs with the
// topology of a node that has one NIC per NUMA node (HWLOC_XMLFILE, HWLOC_THISSYSTEM; four CPUs per node).
#include "harness.h"

#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

using namespace pirn_test;

namespace {

constexpr uint64_t size = 8 << 20;

std::string explained(pirn_peer *peer) {
  std::string text(1 << 16, '\0');
  size_t length = text.size();
  EXPECT_OK(pirn_peer_explain(peer, text.data(), &length));
  text.resize(length - 1);
  return text;
}

// Of all paths whose line holds these words.
uint64_t moved(const std::string &text, const char *words) {
  std::istringstream lines(text);
  uint64_t bytes = 0;
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find("moved ");
    if (at != std::string::npos && line.find(words) != std::string::npos)
      bytes += std::strtoull(line.c_str() + at + 6, nullptr, 10);
  }
  return bytes;
}

bool in_use(const std::string &text, const char *words) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.find(words) != std::string::npos && line.find(": in use") != std::string::npos) return true;
  return false;
}

void near_nic__dies_in_mid_transfer__spare_carries_on_and_is_named(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.settings = {"CHUNK_SIZE=64K"};
  pirn_peer *peer = pair.start(options);
  assert_true(explained(peer).find("with a spare not made: tried when no other path works") != std::string::npos);
  const uint64_t seed = pair.random.next();
  const Remote remote = pair.remote(pair.target(), peer, size, 1);
  const Memory &out = pair.memory(size, seed), &in = pair.memory(size, 3);
  const pirn_transfer_params params = params_with(60 * second);
  EXPECT_OK(pirn_write(out.region, 0, remote.window, 0, size, &params, nullptr));
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, size, seed));
  EXPECT_OK(pirn_read(in.region, 0, remote.window, 0, size, &params, nullptr));
  EXPECT_MATCH(find_mismatch(in.buffer.data(), size, seed));
  const std::string text = explained(peer);
  if (moved(text, "spare") == 0) fail_test("no spare has moved anything:\n%s", text.c_str());
  const std::string message(3000, 'm');
  EXPECT_OK(pirn_notify(peer, message.data(), message.size(), &params, nullptr));
  assert_true(pair.target().take(30 * second).payload == message);
}

// cxi: nothing opens a dead NIC again, so what begins later begins on a spare.
void near_nic__stays_dead__results_name_the_spare(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.settings = {"CHUNK_SIZE=64K"};
  pirn_peer *peer = pair.start(options);
  const Remote remote = pair.remote(pair.target(), peer, size, 1);
  const Memory &out = pair.memory(size, 2);
  const pirn_transfer_params params = params_with(60 * second);
  EXPECT_OK(pirn_write(out.region, 0, remote.window, 0, size, &params, nullptr));
  pirn_transfer id = 0;
  pirn_result result = empty_result();
  EXPECT_OK(pirn_write(out.region, 0, remote.window, 0, size, &params, &id));
  EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 60 * second, &result));
  EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  if (std::strstr(result.rail, " (spare)") == nullptr)
    fail_test("the rail is \"%s\":\n%s", result.rail, explained(peer).c_str());
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, size, 2));
}

// efa: the event queue tells, the rail is opened anew, and works for a while.
void near_nic__comes_back__load_goes_back(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.settings = {"CHUNK_SIZE=64K"};
  pirn_peer *peer = pair.start(options);
  const Remote remote = pair.remote(pair.target(), peer, size, 1);
  const Memory &out = pair.memory(size, 2);
  const pirn_transfer_params params = params_with(60 * second);
  EXPECT_OK(pirn_write(out.region, 0, remote.window, 0, size, &params, nullptr));
  assert_true(moved(explained(peer), "spare") > 0);
  const bool back = wait_until(30000, [&] {
    const std::string text = explained(peer);
    return in_use(text, "path fabric: rail 0 ") && !in_use(text, "spare");
  });
  if (!back) fail_test("the near NIC is not in use again:\n%s", explained(peer).c_str());
  EXPECT_OK(pirn_write(out.region, 0, remote.window, 0, 100, &params, nullptr));
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, size, 2));
}

// Binds the process to its first CPU, and lets the NIC of that CPU's node die. 77: a CPU that the topology has not.
int arrange() {
  constexpr int cpus_per_node = 4, nodes = 4;
  cpu_set_t allowed, first;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 77;
  int cpu = 0;
  while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &allowed)) ++cpu;
  if (cpu >= cpus_per_node * nodes) return 77;
  CPU_ZERO(&first);
  for (int each = cpu / cpus_per_node * cpus_per_node; each < (cpu / cpus_per_node + 1) * cpus_per_node; ++each)
    if (CPU_ISSET(each, &allowed)) CPU_SET(each, &first);
  if (sched_setaffinity(0, sizeof first, &first) != 0) return 77;
  setenv("PIRN_SIM_DIE", (std::to_string(cpu / cpus_per_node) + ":60").c_str(), 1);
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (const int unfit = arrange(); unfit != 0) {
    std::printf("not run: this process may use none of the CPUs 0 to 15\n");
    return unfit;
  }
  std::vector<CMUnitTest> tests = {CASE(near_nic__dies_in_mid_transfer__spare_carries_on_and_is_named)};
  if (provider() == "cxi") tests.push_back(CASE(near_nic__stays_dead__results_name_the_spare));
  if (provider() == "efa") tests.push_back(CASE(near_nic__comes_back__load_goes_back));
  return run(argc, argv, "spares", tests);
}
