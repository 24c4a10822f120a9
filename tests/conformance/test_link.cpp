// SPDX-License-Identifier: Apache-2.0
// Two hosts and the network between them: a link that goes down, that drops every packet, that drops some.
// Runs under netns.sh only.
#include "bad_link.h"
#include "harness.h"

#include <cstdio>
#include <cstdlib>

using namespace pirn_test;

namespace {

constexpr uint64_t room = 16 << 20;
BadLink *bad_link = nullptr;

bool given_up(pirn_status status) { return status == PIRN_ERR_TIMEOUT || status == PIRN_ERR_PEER_LOST; }

struct OverBadLink {
  Pair &pair;
  Target &target;
  std::string address;
  pirn_peer *peer = nullptr;

  explicit OverBadLink(Pair &p, std::vector<std::string> settings = {}) : pair(p), target(p.spawn()) {
    bad_link->set(0, 0);
    OpenOptions mine, theirs;
    mine.nics = BadLink::here;
    theirs.nics = BadLink::there;
    mine.settings = theirs.settings = std::move(settings);
    pair.open(mine);
    target.open(theirs);
    address = target.listen(std::string(BadLink::there) + ":0");
    target.accept_start();
    EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
  }
};

void expect_works(Pair &pair, Target &target, pirn_peer *peer, uint64_t size, uint64_t timeout) {
  const uint64_t seed = pair.random.next();
  const Remote remote = pair.remote(target, peer, size, 1);
  const Memory &out = pair.memory(size, seed), &in = pair.memory(size, 3);
  const pirn_transfer_params params = params_with(timeout);
  EXPECT_OK(pirn_write(out.region, 0, remote.window, 0, size, &params, nullptr));
  EXPECT_MATCH(target.check(remote.buffer, 0, size, seed));
  EXPECT_OK(pirn_read(in.region, 0, remote.window, 0, size, &params, nullptr));
  EXPECT_MATCH(find_mismatch(in.buffer.data(), size, seed));
}

void lossy__five_percent_and_20_ms__everything_works(void **state) {
  Pair &pair = pair_of(state);
  const OverBadLink over(pair);
  const uint64_t lost = bad_link->lost();
  bad_link->set(5, 20);
  const uint64_t start = clock_now();
  expect_works(pair, over.target, over.peer, 256 << 10, 60 * second);
  for (int i = 0; i < 20; ++i) {
    const std::string message(1000, static_cast<char>('a' + i));
    const pirn_transfer_params params = params_with(30 * second);
    EXPECT_OK(pirn_notify(over.peer, message.data(), message.size(), &params, nullptr));
    assert_true(over.target.take(30 * second).payload == message);
  }
  std::printf("  took %.2f s, %llu packets lost\n", static_cast<double>(clock_now() - start) / 1e9,
              static_cast<unsigned long long>(bad_link->lost() - lost));
  assert_true(bad_link->lost() > lost);
  bad_link->set(0, 0);
}

void lossy__connecting__works(void **state) {
  Pair &pair = pair_of(state);
  const OverBadLink over(pair);
  bad_link->set(5, 20);
  Target &another = pair.spawn();
  OpenOptions theirs;
  theirs.nics = BadLink::there;
  another.open(theirs);
  const std::string address = another.listen(std::string(BadLink::there) + ":0");
  another.accept_start();
  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 30 * second, &peer));
  expect_works(pair, another, peer, 10000, 30 * second);
  bad_link->set(0, 0);
}

void lossy__all_packets__transfers_end_at_their_deadline_and_are_quiet(void **state) {
  Pair &pair = pair_of(state);
  const OverBadLink over(pair, {"PEER_TIMEOUT=2s"});
  const Remote remote = pair.remote(over.target, over.peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  pirn_transfer ids[8];
  const pirn_transfer_params params = params_with(800 * ms);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 8, nullptr, nullptr));
  bad_link->set(100, 0);
  for (auto &id : ids) EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, &params, &id));
  const uint64_t start = clock_now();
  for (const auto id : ids) {
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 10 * second, nullptr);
    if (!given_up(status)) fail_test("expected TIMEOUT or PEER_LOST, got %s", status_name(status));
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  assert_true(clock_now() - start < at_most(2 * second));
  fill_pattern(local.buffer.data(), room, 3);

  bad_link->set(0, 0);
  sleep_ms(1000);

  EXPECT_MATCH(find_mismatch(local.buffer.data(), room, 3));
  pirn_peer *again = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), over.address.c_str(), 20 * second, &again));
  expect_works(pair, over.target, again, 100000, 20 * second);
}

void lossy__all_packets_for_longer_than_peer_timeout__is_peer_lost(void **state) {
  Pair &pair = pair_of(state);
  const OverBadLink over(pair, {"PEER_TIMEOUT=1s"});
  const Remote remote = pair.remote(over.target, over.peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  bad_link->set(100, 0);
  const pirn_transfer_params params = params_with(60 * second);
  const uint64_t start = clock_now();
  EXPECT(PIRN_ERR_PEER_LOST, pirn_write(local.region, 0, remote.window, 0, room, &params, nullptr));
  assert_in_range(clock_now() - start, 800 * ms, at_most(3000 * ms));
  bad_link->set(0, 0);
}

void lossy__all_packets_for_a_moment__transfers_complete(void **state) {
  Pair &pair = pair_of(state);
  const OverBadLink over(pair);
  const Remote remote = pair.remote(over.target, over.peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  pirn_transfer id = 0;
  const pirn_transfer_params params = params_with(30 * second);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, room, &params, &id));
  bad_link->set(100, 0);
  sleep_ms(1000);
  bad_link->set(0, 0);
  EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 30 * second, nullptr));
  EXPECT_MATCH(over.target.check(remote.buffer, 0, room, 2));
}

void set_device(const char *how) {
  const std::string command = "ip link set " + variable("PIRN_TEST_DEVICE_A", "unknown") + " " + how;
  if (std::system(command.c_str()) != 0) fail_test("failed: %s", command.c_str());
}

void link_down__in_mid_flight__transfers_end_at_their_deadline_and_a_new_connection_works(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const std::string address = target.listen();
  target.accept_start();
  pirn_peer *peer = nullptr, *again = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
  const Remote remote = pair.remote(target, peer, room, 1);
  const Memory &local = pair.memory(room, 2);
  const pirn_transfer_params params = params_with(800 * ms);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 8, nullptr, nullptr));
  pirn_transfer ids[16];
  for (auto &id : ids) EXPECT_OK(pirn_read(local.region, 0, remote.window, 0, room, &params, &id));
  set_device("down");
  const uint64_t start = clock_now();
  uint64_t ended_badly = 0;
  for (const auto id : ids) {
    const pirn_status status = pirn_transfer_wait(pair.endpoint(), id, 10 * second, nullptr);
    if (status != PIRN_OK) ++ended_badly;
    assert_true(status == PIRN_OK || given_up(status));
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  }
  fill_pattern(local.buffer.data(), room, 3);
  assert_true(ended_badly > 0);
  assert_true(clock_now() - start < at_most(2 * second));
  set_device("up");
  sleep_ms(1000);
  EXPECT_MATCH(find_mismatch(local.buffer.data(), room, 3));
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 20 * second, &again));
  expect_works(pair, target, again, 100000, 20 * second);
}

}  // namespace

int main(int argc, char **argv) {
  std::unique_ptr<BadLink> link;
  if (argc == 1) {
    const std::string other = variable("PIRN_TEST_NETNS_B", "");
    if (other.empty()) {
      std::fprintf(stderr, "link: run this by netns.sh, which makes the namespaces\n");
      return 2;
    }
    link = std::make_unique<BadLink>(other);
    if (!link->usable()) {
      std::fprintf(stderr, "link: %s\n", link->trouble().c_str());
      return 2;
    }
    bad_link = link.get();
  }
  return run(argc, argv, "link",
             {
                 CASE(lossy__five_percent_and_20_ms__everything_works),
                 CASE(lossy__connecting__works),
                 CASE(lossy__all_packets__transfers_end_at_their_deadline_and_are_quiet),
                 CASE(lossy__all_packets_for_longer_than_peer_timeout__is_peer_lost),
                 CASE(lossy__all_packets_for_a_moment__transfers_complete),
                 CASE(link_down__in_mid_flight__transfers_end_at_their_deadline_and_a_new_connection_works),
             });
}
