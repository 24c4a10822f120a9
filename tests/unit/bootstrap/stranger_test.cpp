// SPDX-License-Identifier: Apache-2.0
// What strangers do to a listener, and that it costs nothing but a counted, rate-limited warning.
#include "recorder.h"

#include <algorithm>
#include <arpa/inet.h>
#include <sys/resource.h>

using namespace fixture;

namespace {

Settings impatient(uint64_t timeout_ms, uint64_t limit = 64) {
  Settings settings = default_settings();
  settings.handshake_timeout = timeout_ms * ns_per_ms;
  settings.handshake_limit = limit;
  return settings;
}

// A real peer still gets in, and fast.
void check_still_serves(Side &listener, const std::vector<SocketAddress> &where, uint64_t limit_ms) {
  Side caller(200);
  const size_t before = listener.ups.size();
  const uint64_t start = now_ns();
  caller.bootstrap.connect(where, start + 5 * ns_per_s);
  assert_true(drive({&caller, &listener}, [&] { return !caller.ups.empty() && listener.ups.size() > before; }));
  assert_true(now_ns() - start < limit_ms * ns_per_ms);
}

std::vector<std::byte> with_length(uint32_t length, const std::vector<std::byte> &body) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < 4; ++i) bytes.push_back(static_cast<std::byte>(length >> (8 * i)));
  for (const std::byte byte : body) bytes.push_back(byte);
  return bytes;
}

void stranger__speaks_http__is_hung_up_on(void **) {
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  const Stranger stranger(where[0]);
  const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  stranger.say(request, sizeof request);
  assert_true(drive({&listener}, [&] { return listener.bootstrap.counters().malformed == 1; }));
  assert_true(stranger.was_hung_up());
  assert_int_equal(listener.lines.size(), 1);
  assert_true(contains(listener.lines[0], "127.0.0.1:"));
  check_still_serves(listener, where, 100);
}

void stranger__random_bytes__never_establishes(void **) {
  std::mt19937_64 random = seeded_random(__func__);
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  uint64_t gone = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::byte> noise(4 + random() % 3000);
    for (std::byte &byte : noise) byte = static_cast<std::byte>(random());
    // Half of them with a length that is allowed, so that the noise gets as far as the decoder.
    if (round % 2 == 0) {
      noise.resize(noise.size() + wire::header_size);
      noise = with_length(static_cast<uint32_t>(noise.size()), noise);
    }
    {
      const Stranger stranger(where[0]);
      stranger.say_if_open(noise.data(), noise.size());
    }
    ++gone;
    const auto &counters = listener.bootstrap.counters();
    assert_true(drive({&listener}, [&] { return counters.malformed + counters.abandoned == gone; }));
  }
  assert_true(listener.ups.empty());
  assert_true(listener.bootstrap.counters().malformed >= 100);
  check_still_serves(listener, where, 100);
}

void stranger__length_of_4_gib__is_hung_up_on_before_a_byte_is_kept(void **) {
  constexpr uint32_t lengths[] = {UINT32_MAX, wire::max_bootstrap_frame + 1, wire::header_size - 1, 0};
  for (const uint32_t length : lengths) {
    Side listener(1);
    const auto where = listener.listen("127.0.0.1");
    const Stranger stranger(where[0]);
    const auto prefix = with_length(length, {});
    stranger.say(prefix.data(), prefix.size());
    assert_true(drive({&listener}, [&] { return listener.bootstrap.counters().malformed == 1; }));
    assert_true(stranger.was_hung_up());
    assert_true(contains(listener.lines.at(0), std::to_string(length)));
  }
}

void stranger__one_byte_per_50_ms__expires(void **) {
  Side listener(1, "", impatient(400));
  const auto where = listener.listen("127.0.0.1");
  const Stranger stranger(where[0]);
  const auto bytes = with_length(1000, std::vector<std::byte>(200, std::byte{1}));
  const uint64_t start = now_ns();
  size_t said = 0;
  while (listener.bootstrap.counters().expired == 0 && now_ns() - start < 3 * ns_per_s) {
    if (!stranger.say_if_open(&bytes[said], 1)) break;
    said = std::min(said + 1, bytes.size() - 1);
    drive({&listener}, [&] { return listener.bootstrap.counters().expired == 1; }, 50);
  }
  const uint64_t took = now_ns() - start;
  assert_int_equal(listener.bootstrap.counters().expired, 1);
  assert_true(took >= 350 * ns_per_ms && took < 700 * ns_per_ms);
  assert_true(said >= 3);
  assert_true(stranger.was_hung_up());
}

void stranger__says_hello_and_no_more__expires(void **) {
  Side listener(1, "sesame", impatient(100));
  const auto where = listener.listen("127.0.0.1");
  const Stranger stranger(where[0]);
  const auto hello = Handshake::initiator(identity_of(2), 77).start();
  const auto bytes = with_length(static_cast<uint32_t>(hello.size()), hello);
  const Stranger keyed(where[0]);
  const auto keyed_hello = Handshake::initiator(identity_of(3, "sesame"), 77).start();
  const auto keyed_bytes = with_length(static_cast<uint32_t>(keyed_hello.size()), keyed_hello);

  stranger.say(bytes.data(), bytes.size());
  keyed.say(keyed_bytes.data(), keyed_bytes.size());
  const auto &counters = listener.bootstrap.counters();
  assert_true(drive({&listener}, [&] { return counters.refused == 1 && counters.expired == 1; }));

  assert_true(keyed.was_hung_up());
  assert_true(listener.ups.empty());
  assert_int_equal(listener.bootstrap.next_deadline(), UINT64_MAX);
}

void stranger__hello_in_single_bytes__establishes(void **) {
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  const Stranger slow(where[0]);
  Handshake handshake = Handshake::initiator(identity_of(2), 77);
  const auto hello = handshake.start();
  for (const std::byte byte : with_length(static_cast<uint32_t>(hello.size()), hello)) {
    slow.say(&byte, 1);
    listener.bootstrap.progress(now_ns());
  }
  std::vector<std::byte> answer(8192);
  size_t size = 0;
  assert_true(drive({&listener}, [&] { return (size = slow.heard(answer.data(), answer.size())) > 0; }));
  answer.resize(size);
  answer.erase(answer.begin(), answer.begin() + 4);
  const auto challenge = wire::decode_frame(answer);
  assert_true(challenge.is_ok());
  const Outcome outcome = handshake.receive(challenge.value(), answer);
  assert_true(outcome.error.is_ok());
  const auto proof = with_length(static_cast<uint32_t>(outcome.reply.size()), outcome.reply);
  slow.say(proof.data(), proof.size());
  assert_true(drive({&listener}, [&] { return listener.ups.size() == 1; }));
  assert_int_equal(listener.bootstrap.counters().malformed, 0);
}

// The whole of a caller's part, and what follows the proof.
void say_all(const Stranger &stranger, std::span<const std::byte> afterwards) {
  Handshake handshake = Handshake::initiator(identity_of(2), 77);
  const auto hello = handshake.start();
  const auto first = with_length(static_cast<uint32_t>(hello.size()), hello);
  stranger.say(first.data(), first.size());
  std::vector<std::byte> proof;
  wire::encode_proof(proof, 5000 + 77, {});
  auto last = with_length(static_cast<uint32_t>(proof.size()), proof);
  last.insert(last.end(), afterwards.begin(), afterwards.end());
  stranger.say(last.data(), last.size());
}

std::vector<std::byte> farewell() {
  wire::Header header;
  header.kind = wire::Kind::bye;
  std::vector<std::byte> frame(wire::header_size);
  assert_int_equal(wire::encode_empty(frame, header), frame.size());
  return with_length(static_cast<uint32_t>(frame.size()), frame);
}

void stranger__speaks_on_a_lifeline__loses_it(void **) {
  // One byte too many; a farewell whose last byte is another one.
  std::vector<std::vector<std::byte>> all = {{std::byte{0}}, farewell()};
  all[1].back() ^= std::byte{1};
  for (const auto &bytes : all) {
    Side listener(1);
    const auto where = listener.listen("127.0.0.1");
    const Stranger stranger(where[0]);
    say_all(stranger, bytes);
    assert_true(drive({&listener}, [&] { return !listener.losses.empty(); }));
    assert_int_equal(listener.ups.size(), 1);
    assert_true(contains(listener.losses[0].why, "silent"));
    assert_true(listener.farewells.empty());
  }
}

void stranger__says_farewell_byte_by_byte__is_understood(void **) {
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  const Stranger stranger(where[0]);
  say_all(stranger, {});
  assert_true(drive({&listener}, [&] { return !listener.ups.empty(); }));
  for (std::byte byte : farewell()) {
    assert_true(listener.farewells.empty());
    stranger.say(&byte, 1);
    drive({&listener}, [] { return false; }, 1);
  }
  assert_true(drive({&listener}, [&] { return !listener.farewells.empty(); }));
  assert_true(listener.losses.empty());
}

void stranger__hangs_up_at_once__is_counted_as_abandoned(void **) {
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  for (int i = 0; i < 5; ++i) Stranger{where[0]};
  assert_true(drive({&listener}, [&] { return listener.bootstrap.counters().abandoned == 5; }));
  assert_int_equal(listener.bootstrap.counters().malformed, 0);
}

void strangers__200_idle__do_not_keep_a_peer_out(void **) {
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  std::vector<Stranger> idle;
  for (int i = 0; i < 200; ++i) idle.emplace_back(where[0]);
  check_still_serves(listener, where, 500);
  const Counters &counters = listener.bootstrap.counters();
  assert_int_equal(counters.accepted, 201);
  assert_int_equal(counters.established, 1);
  assert_in_range(counters.evicted, 201 - 64, 201 - 63);
  // The oldest went first.
  assert_true(idle.front().was_hung_up());
  assert_false(idle.back().was_hung_up());
}

void strangers__with_a_hello__are_kept_longer_than_silent_ones(void **) {
  Side listener(1, "", impatient(5000, 2));
  const auto where = listener.listen("127.0.0.1");
  const Stranger speaker(where[0]);
  const auto hello = Handshake::initiator(identity_of(2), 77).start();
  const auto bytes = with_length(static_cast<uint32_t>(hello.size()), hello);
  speaker.say(bytes.data(), bytes.size());
  assert_true(drive({&listener}, [&] { return listener.bootstrap.counters().accepted == 1; }));
  const Stranger silent(where[0]);
  const Stranger newest(where[0]);
  assert_true(drive({&listener}, [&] { return listener.bootstrap.counters().accepted == 3; }));
  assert_int_equal(listener.bootstrap.counters().evicted, 1);
  assert_false(speaker.was_hung_up());
  assert_true(silent.was_hung_up());
}

void strangers__many__are_logged_at_a_limited_rate(void **) {
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  for (uint64_t i = 1; i <= 100; ++i) {
    const Stranger stranger(where[0]);
    stranger.say("garbage!garbage!", 16);
    assert_true(drive({&listener}, [&] { return listener.bootstrap.counters().malformed == i; }));
  }
  assert_in_range(listener.lines.size(), 1, 20);
}

// Out of descriptors: the listener rests instead of spinning, and recovers by itself.
void listener__out_of_descriptors__pauses_and_recovers(void **) {
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  const Stranger waiting(where[0]);
  rlimit before;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = dup(0);
  close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);

  int rounds = 0;
  drive({&listener}, [&] { return ++rounds > 1000; }, 350);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

  assert_in_range(rounds, 2, 20);
  assert_int_equal(listener.bootstrap.counters().accepted, 0);
  assert_true(contains(listener.lines.at(0), "cannot accept"));
  assert_true(drive({&listener}, [&] { return listener.bootstrap.counters().accepted == 1; }, 300));
  check_still_serves(listener, where, 200);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(stranger__speaks_http__is_hung_up_on),
      cmocka_unit_test(stranger__random_bytes__never_establishes),
      cmocka_unit_test(stranger__length_of_4_gib__is_hung_up_on_before_a_byte_is_kept),
      cmocka_unit_test(stranger__one_byte_per_50_ms__expires),
      cmocka_unit_test(stranger__says_hello_and_no_more__expires),
      cmocka_unit_test(stranger__hello_in_single_bytes__establishes),
      cmocka_unit_test(stranger__speaks_on_a_lifeline__loses_it),
      cmocka_unit_test(stranger__says_farewell_byte_by_byte__is_understood),
      cmocka_unit_test(stranger__hangs_up_at_once__is_counted_as_abandoned),
      cmocka_unit_test(strangers__200_idle__do_not_keep_a_peer_out),
      cmocka_unit_test(strangers__with_a_hello__are_kept_longer_than_silent_ones),
      cmocka_unit_test(strangers__many__are_logged_at_a_limited_rate),
      cmocka_unit_test(listener__out_of_descriptors__pauses_and_recovers),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
