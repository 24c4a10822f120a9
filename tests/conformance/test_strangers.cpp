// SPDX-License-Identifier: Apache-2.0
// Keys, and strangers that want nothing good: they cost a listener nothing, and a
// real peer gets through while they are there.
#include "harness.h"
#include "raw_socket.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

using namespace pirn_test;

namespace {

OpenOptions with_settings(std::vector<std::string> settings) {
  OpenOptions options;
  options.settings = std::move(settings);
  return options;
}

std::string start_listener(Pair &pair, const OpenOptions &own, const OpenOptions &target) {
  pair.open(own);
  pair.spawn().open(target);
  const std::string address = pair.target().listen();
  pair.target().accept_start();
  return address;
}

void expect_works(Pair &pair, const std::string &address) {
  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
  const Remote remote = pair.remote(pair.target(), peer, 1000, 1);
  const Memory &local = pair.memory(1000, 5);
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 1000, nullptr, nullptr));
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, 1000, 5));
}

void expect_refused(Pair &pair, const std::string &address) {
  const uint64_t start = clock_now();
  pirn_peer *peer = reinterpret_cast<pirn_peer *>(&pair);
  EXPECT_ERROR(PIRN_ERR_REFUSED, pirn_peer_connect(pair.endpoint(), address.c_str(), 5 * second, &peer), "key");
  assert_null(peer);
  assert_true(clock_now() - start < at_most(2 * second));
}

void key__same_on_both_sides__connects(void **state) {
  Pair &pair = pair_of(state);
  const OpenOptions options = with_settings({"KEY=correct horse"});
  expect_works(pair, start_listener(pair, options, options));
}

void key__differs__is_refused(void **state) {
  Pair &pair = pair_of(state);
  expect_refused(pair, start_listener(pair, with_settings({"KEY=right"}), with_settings({"KEY=wrong"})));
}

void key__only_here__is_refused(void **state) {
  Pair &pair = pair_of(state);
  expect_refused(pair, start_listener(pair, with_settings({"KEY=right"}), {}));
}

void key__only_there__is_refused(void **state) {
  Pair &pair = pair_of(state);
  expect_refused(pair, start_listener(pair, {}, with_settings({"KEY=right"})));
}

void key__wrong_then_right__listener_still_serves(void **state) {
  Pair &pair = pair_of(state);
  const std::string address = start_listener(pair, with_settings({"KEY=right"}), with_settings({"KEY=right"}));
  Node stranger;
  EXPECT_OK(stranger.open(with_defaults(with_settings({"KEY=guess"}), false)));
  for (int i = 0; i < 20; ++i) {
    pirn_peer *peer = nullptr;
    EXPECT(PIRN_ERR_REFUSED, pirn_peer_connect(stranger.endpoint(), address.c_str(), 5 * second, &peer));
  }
  expect_works(pair, address);
}

void key__wrong_by_blob__transfer_is_refused_and_changes_nothing(void **state) {
  Pair &pair = pair_of(state);
  start_listener(pair, with_settings({"KEY=right"}), with_settings({"KEY=wrong"}));
  Target &target = pair.target();
  const uint64_t buffer = target.alloc(100, 1);
  const WindowBlob blob = target.advertise(buffer, 0, 100);
  const std::string metadata = target.metadata();
  const Memory &local = pair.memory(100, 2);

  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_add(pair.endpoint(), metadata.data(), metadata.size(), &peer));
  EXPECT(PIRN_ERR_REFUSED, pirn_peer_wait(peer, 5 * second));
  pirn_window *window = nullptr;
  if (pirn_window_import(peer, blob.bytes.data(), blob.bytes.size(), &window) == PIRN_OK) {
    const pirn_transfer_params params = params_with(2 * second);
    assert_true(pirn_write(local.region, 0, window, 0, 100, &params, nullptr) < 0);
  }

  EXPECT_MATCH(target.check(buffer, 0, 100, 1));
}

void key_file__with_line_end__is_the_same_key(void **state) {
  Pair &pair = pair_of(state);
  char path[] = "/tmp/pirn-test-key-XXXXXX";
  close(mkstemp(path));
  std::ofstream(path) << "from a file\n";
  const std::string file = std::string("KEY_FILE=") + path;
  const std::string address = start_listener(pair, with_settings({file}), with_settings({"KEY=from a file"}));
  unlink(path);
  expect_works(pair, address);
}

void key_file__missing__context_does_not_open(void **state) {
  Pair &pair = pair_of(state);
  EXPECT_ERROR(PIRN_ERR_INVALID, pair.own.open(with_settings({"KEY_FILE=/nonexistent/key"})), "/nonexistent/key");
}

// ---- strangers ----

std::string frame(uint32_t length, const std::string &body) {
  std::string out(4, '\0');
  for (int i = 0; i < 4; ++i) out[static_cast<size_t>(i)] = static_cast<char>(length >> (8 * i));
  return out + body;
}

void stranger__garbage__is_cut_off_and_a_peer_connects(void **state) {
  Pair &pair = pair_of(state);
  const std::string address = start_listener(pair, {}, {});
  for (int i = 0; i < 50; ++i) {
    std::string noise(pair.random.between(1, 3000), '\0');
    for (char &c : noise) c = static_cast<char>(pair.random.next());
    raw_connect(address).send(noise.data(), noise.size());
  }
  const RawSocket talker = raw_connect(address);
  const std::string request = "GET / HTTP/1.1\r\nHost: pirn\r\n\r\n";
  talker.send(request.data(), request.size());
  expect_works(pair, address);
  assert_true(talker.closed_within(6000));
}

void stranger__frame_of_four_gib__is_cut_off_at_once(void **state) {
  Pair &pair = pair_of(state);
  const std::string address = start_listener(pair, {}, {});
  const RawSocket stranger = raw_connect(address);
  const std::string head = frame(0xffffffffu, std::string(64, 'x'));
  stranger.send(head.data(), head.size());

  assert_true(stranger.closed_within(2000));
  expect_works(pair, address);
}

void stranger__zero_length_frame__is_cut_off_at_once(void **state) {
  Pair &pair = pair_of(state);
  const std::string address = start_listener(pair, {}, {});
  const RawSocket stranger = raw_connect(address);
  const std::string head = frame(0, "");
  stranger.send(head.data(), head.size());

  assert_true(stranger.closed_within(2000));
  expect_works(pair, address);
}

void stranger__one_byte_at_a_time__is_cut_off_at_handshake_timeout(void **state) {
  Pair &pair = pair_of(state);
  const std::string address = start_listener(pair, {}, with_settings({"HANDSHAKE_TIMEOUT=600ms"}));
  const RawSocket slow = raw_connect(address);
  const std::string body = frame(500, std::string(500, 'p'));
  const uint64_t start = clock_now();
  size_t sent = 0;
  bool connected = false;
  while (clock_now() - start < 3 * second && !slow.closed_within(20)) {
    slow.send(&body[sent], 1);
    if (sent < body.size() - 1) ++sent;
    if (!connected && sent > 5) {
      expect_works(pair, address);
      connected = true;
    }
  }
  assert_true(connected);
  assert_in_range(clock_now() - start, 400 * ms, at_most(2500 * ms));
}

void strangers__three_times_the_handshake_limit__a_peer_connects_soon(void **state) {
  Pair &pair = pair_of(state);
  const std::string address = start_listener(pair, {}, {});
  std::vector<RawSocket> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(raw_connect(address));

  const uint64_t start = clock_now();
  expect_works(pair, address);
  assert_true(clock_now() - start < at_most(2 * second));
}

void stranger__leaves_in_mid_frame__a_peer_connects(void **state) {
  Pair &pair = pair_of(state);
  const std::string address = start_listener(pair, {}, {});
  for (int i = 0; i < 100; ++i) {
    const RawSocket stranger = raw_connect(address);
    const std::string part = frame(400, std::string(pair.random.below(399), 'p'));
    stranger.send(part.data(), part.size());
  }
  expect_works(pair, address);
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "strangers",
             {
                 CASE(key__same_on_both_sides__connects),
                 CASE(key__differs__is_refused),
                 CASE(key__only_here__is_refused),
                 CASE(key__only_there__is_refused),
                 CASE(key__wrong_then_right__listener_still_serves),
                 CASE(key__wrong_by_blob__transfer_is_refused_and_changes_nothing),
                 CASE(key_file__with_line_end__is_the_same_key),
                 CASE(key_file__missing__context_does_not_open),
                 CASE(stranger__garbage__is_cut_off_and_a_peer_connects),
                 CASE(stranger__frame_of_four_gib__is_cut_off_at_once),
                 CASE(stranger__zero_length_frame__is_cut_off_at_once),
                 CASE(stranger__one_byte_at_a_time__is_cut_off_at_handshake_timeout),
                 CASE(strangers__three_times_the_handshake_limit__a_peer_connects_soon),
                 CASE(stranger__leaves_in_mid_frame__a_peer_connects),
             });
}
