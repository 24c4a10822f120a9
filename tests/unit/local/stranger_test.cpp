// SPDX-License-Identifier: Apache-2.0
// What strangers and liars do to the same-host channel, and that it costs an error and nothing else.
#include "fixture.h"

#include "local/packet.h"

#include <sys/socket.h>

using namespace fixture;

namespace {

constexpr uint8_t owner_id = 1, asker_id = 2, secret = 9;

using Bytes = std::vector<std::byte>;

struct Owner : Side {
  explicit Owner(const Settings &settings) : Side(owner_id, settings) {
    knows(asker_id, secret);
    assert_text(channel.listen().text, "");
  }
};

// A real peer still gets in.
void check_still_serves(Side &owner, const Settings &settings) {
  Side asker(asker_id, settings);
  asker.knows(owner_id, secret);
  const ConnectionId id = asker.connect_to(owner);
  assert_int_equal(asker.ups.count(id), 1);
}

wire::ShareHello hello_of(uint8_t self, uint8_t other) {
  wire::ShareHello hello{instance_of(self), instance_of(other), {}};
  hello.nonce.fill(1);
  return hello;
}

// Says hello and hears the owner out.
Bytes challenged(Side &owner, const Stranger &stranger, const Bytes &hello) {
  assert_true(stranger.say(hello));
  const uint64_t accepted = owner.channel.counters().accepted;
  assert_true(drive({&owner}, [&] { return owner.channel.counters().accepted > accepted; }));
  return stranger.hear();
}

Bytes proof_for(const Bytes &hello, const Bytes &challenge, uint8_t with_secret) {
  Secret key;
  key.fill(with_secret);
  wire::ShareProof proof;
  proof.proof = asker_proof(key, hello, challenge, wire::encode_share_proof(proof));
  return wire::encode_share_proof(proof);
}

void stranger__garbage__is_hung_up_on(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  Owner owner(settings);
  Seeded random;
  const size_t before = open_descriptors();
  for (uint64_t round = 1; round <= 100; ++round) {
    const Stranger stranger(directory.path(), owner_id, round % 2 == 0 ? Way::path : Way::abstract);
    Bytes noise = random.bytes(random.between(1, 3000));
    // Half of them are a hello with one bit of the header wrong.
    if (round % 4 < 2) {
      const Bytes hello = wire::encode_share_hello(hello_of(asker_id, owner_id));
      noise.assign(hello.begin(), hello.end());
      noise[random.between(0, 7)] ^= std::byte{0x80};
    }
    assert_true(stranger.say(noise));
    assert_true(drive({&owner}, [&] { return owner.channel.counters().malformed == round; }));
    assert_true(stranger.was_hung_up());
  }
  assert_int_equal(owner.channel.counters().admitted, 0);
  assert_in_range(owner.lines.size(), 1, 20);
  assert_int_equal(open_descriptors(), before);
  check_still_serves(owner, settings);
}

void stranger__longer_than_any_message__is_hung_up_on(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  Owner owner(settings);
  const Stranger stranger(directory.path(), owner_id);
  assert_true(stranger.say(Bytes(wire::max_share_message + 1)));
  assert_true(drive({&owner}, [&] { return owner.channel.counters().malformed == 1; }));
  check_still_serves(owner, settings);
}

void stranger__says_nothing__expires(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path(), 80);
  Owner owner(settings);
  const uint64_t start = now_ns();
  const Stranger stranger(directory.path(), owner_id);
  assert_true(drive({&owner}, [&] { return owner.channel.counters().expired == 1; }));
  assert_true(now_ns() - start >= 79 * ns_per_ms);
  assert_true(stranger.was_hung_up());
  assert_int_equal(owner.channel.next_deadline(), UINT64_MAX);
}

void stranger__hello_and_no_proof__expires(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path(), 80));
  const Stranger stranger(directory.path(), owner_id);
  const Bytes challenge = challenged(owner, stranger, wire::encode_share_hello(hello_of(asker_id, owner_id)));
  assert_int_equal(wire::decode_share_message(challenge).value().kind, 2);
  assert_true(drive({&owner}, [&] { return owner.channel.counters().expired == 1; }));
  assert_true(stranger.was_hung_up());
}

void stranger__hangs_up__is_counted(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path()));
  for (int i = 0; i < 5; ++i) Stranger{directory.path(), owner_id};
  assert_true(drive({&owner}, [&] { return owner.channel.counters().abandoned == 5; }));
}

void stranger__wrong_secret__is_refused(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  Owner owner(settings);
  const Stranger stranger(directory.path(), owner_id);
  const Bytes hello = wire::encode_share_hello(hello_of(asker_id, owner_id));
  const Bytes challenge = challenged(owner, stranger, hello);
  assert_true(stranger.say(proof_for(hello, challenge, secret + 1)));
  assert_true(drive({&owner}, [&] { return owner.channel.counters().refused == 1; }));
  const Bytes answer = stranger.hear();
  const auto welcome = wire::decode_share_welcome(wire::decode_share_message(answer).value().body).value();
  assert_int_equal(welcome.status, PIRN_ERR_REFUSED);
  assert_int_equal(welcome.word.address, 0);
  assert_true(stranger.was_hung_up());
  assert_int_equal(owner.peers.size(), 0);
  check_still_serves(owner, settings);
}

// Every bit of hello, challenge and proof counts.
void stranger__any_bit_of_an_honest_proof_flipped__is_refused(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path());
  Owner owner(settings);
  Seeded random;
  uint64_t refused = 0;
  for (int round = 0; round < 60; ++round) {
    const Stranger stranger(directory.path(), owner_id);
    const Bytes hello = wire::encode_share_hello(hello_of(asker_id, owner_id));
    Bytes said_hello = hello;
    if (round % 3 == 0) said_hello[16 + 32 + random.between(0, 31)] ^= std::byte{1};  // the nonce
    Bytes challenge = challenged(owner, stranger, said_hello);
    if (round % 3 == 1) challenge[16 + random.between(0, 63)] ^= std::byte{1};
    Bytes proof = proof_for(hello, challenge, secret);
    if (round % 3 == 2) proof[16 + random.between(0, 47)] ^= std::byte{1};  // proof and word
    assert_true(stranger.say(proof));
    ++refused;
    assert_true(drive({&owner}, [&] { return owner.channel.counters().refused == refused; }));
  }
  assert_int_equal(owner.channel.counters().admitted, 0);
}

void stranger__replays_a_recorded_proof__is_refused(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path()));
  const Bytes hello = wire::encode_share_hello(hello_of(asker_id, owner_id));
  const Stranger honest(directory.path(), owner_id);
  const Bytes recorded = proof_for(hello, challenged(owner, honest, hello), secret);
  assert_true(honest.say(recorded));
  assert_true(drive({&owner}, [&] { return owner.peers.size() == 1; }));
  const Stranger replayer(directory.path(), owner_id);
  challenged(owner, replayer, hello);
  assert_true(replayer.say(recorded));
  assert_true(drive({&owner}, [&] { return owner.channel.counters().refused == 1; }));
  assert_int_equal(owner.channel.counters().admitted, 1);
  assert_int_equal(owner.ends.size(), 0);  // the honest one stays
}

// The owner's own proof, sent back to it.
void stranger__reflects_the_challenge__is_refused(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path()));
  const Stranger stranger(directory.path(), owner_id);
  const Bytes challenge = challenged(owner, stranger, wire::encode_share_hello(hello_of(asker_id, owner_id)));
  wire::ShareProof proof;
  proof.proof = wire::decode_share_challenge(wire::decode_share_message(challenge).value().body).value().proof;
  assert_true(stranger.say(wire::encode_share_proof(proof)));
  assert_true(drive({&owner}, [&] { return owner.channel.counters().refused == 1; }));
}

void stranger__asks_before_its_proof__is_hung_up_on(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path()));
  const Stranger at_once(directory.path(), owner_id);
  assert_true(at_once.say(wire::encode_share_ask(1, {5, 6, 0, 1})));
  assert_true(drive({&owner}, [&] { return owner.channel.counters().malformed == 1; }));
  const Stranger later(directory.path(), owner_id);
  challenged(owner, later, wire::encode_share_hello(hello_of(asker_id, owner_id)));
  assert_true(later.say(wire::encode_share_ask(1, {5, 6, 0, 1})));
  assert_true(drive({&owner}, [&] { return owner.channel.counters().malformed == 2; }));
  assert_int_equal(owner.asks.size(), 0);
}

void stranger__for_another_or_as_another__is_refused(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path()));
  const Stranger misled(directory.path(), owner_id);
  const Bytes first = challenged(owner, misled, wire::encode_share_hello(hello_of(asker_id, 77)));
  const Stranger unknown(directory.path(), owner_id);
  const Bytes second = challenged(owner, unknown, wire::encode_share_hello(hello_of(77, owner_id)));
  const auto answer = [](const Bytes &bytes) {
    return wire::decode_share_welcome(wire::decode_share_message(bytes).value().body).value();
  };
  assert_int_equal(answer(first).status, PIRN_ERR_REFUSED);
  assert_text(answer(first).reason, "this is another endpoint");
  assert_int_equal(answer(second).status, PIRN_ERR_AGAIN);
}

// Descriptors that nobody asked for never enter the process.
void stranger__sends_descriptors__is_hung_up_on(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path()));
  const Stranger stranger(directory.path(), owner_id);
  std::vector<Fd> files;
  for (int i = 0; i < 100; ++i) files.emplace_back(dup(0));
  assert_int_equal(send_packet(stranger.fd(), wire::encode_share_hello(hello_of(asker_id, owner_id)), files), 0);
  files.clear();
  const size_t before = open_descriptors();
  assert_true(drive({&owner}, [&] { return owner.channel.counters().malformed == 1; }));
  assert_int_equal(open_descriptors(), before);
  assert_contains(owner.lines.at(0), "descriptors came unasked");
}

void strangers__more_than_the_limit__make_room_oldest_first(void **) {
  const Directory directory;
  const Settings settings = settings_for(directory.path(), 5000, 4);
  Owner owner(settings);
  std::vector<std::unique_ptr<Stranger>> idle;
  for (int i = 0; i < 50; ++i) idle.push_back(std::make_unique<Stranger>(directory.path(), owner_id));
  const size_t before = open_descriptors();
  check_still_serves(owner, settings);
  assert_in_range(open_descriptors(), before, before + 5);
  assert_true(idle.front()->was_hung_up());
  assert_false(idle.back()->was_hung_up());
  assert_true(owner.channel.counters().evicted >= 46);
}

// Asks and floods of a proven peer that takes no answer: bounded, and it is given up.
void peer__asks_without_reading__is_not_read_further_and_expires(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path(), 200));
  owner.offers = [](const wire::ShareAsk &) {
    Offer offer;
    offer.answer = answer_of_file(10, 1);
    offer.files.push_back(memory_of(Bytes(10)));
    return offer;
  };
  const Stranger peer(directory.path(), owner_id);
  const Bytes hello = wire::encode_share_hello(hello_of(asker_id, owner_id));
  assert_true(peer.say(proof_for(hello, challenged(owner, peer, hello), secret)));
  assert_true(drive({&owner}, [&] { return owner.peers.size() == 1; }));
  const size_t before = open_descriptors();
  const Bytes ask = wire::encode_share_ask(1, {5, 6, 0, 1});
  assert_true(drive({&owner}, [&] {
    while (send(peer.fd(), ask.data(), ask.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    assert_in_range(open_descriptors(), before - 1, before + 1);
    return owner.ends.size() == 1;
  }));
  assert_text(owner.ends[0].text, "the other end is silent");
}

void peer__sends_what_only_an_owner_may__loses_its_connection(void **) {
  const Directory directory;
  for (const Bytes &message : {wire::encode_share_gone({1}), wire::encode_share_welcome({}), Bytes(16)}) {
    Owner owner(settings_for(directory.path()));
    const Stranger peer(directory.path(), owner_id);
    const Bytes hello = wire::encode_share_hello(hello_of(asker_id, owner_id));
    assert_true(peer.say(proof_for(hello, challenged(owner, peer, hello), secret)));
    assert_true(peer.say(message));
    assert_true(drive({&owner}, [&] { return owner.ends.size() == 1; }));
    assert_int_equal(owner.peers.size(), 1);
  }
}

void peer__sends_a_kind_of_the_future__is_skipped(void **) {
  const Directory directory;
  Owner owner(settings_for(directory.path()));
  const Stranger peer(directory.path(), owner_id);
  const Bytes hello = wire::encode_share_hello(hello_of(asker_id, owner_id));
  assert_true(peer.say(proof_for(hello, challenged(owner, peer, hello), secret)));
  Bytes future = wire::encode_share_bye();
  future[5] = std::byte{200};
  assert_true(peer.say(future));
  assert_true(peer.say(wire::encode_share_ask(1, {5, 6, 0, 1})));
  assert_true(drive({&owner}, [&] { return owner.asks.size() == 1; }));
  assert_int_equal(owner.ends.size(), 0);
}

// -- Who sits where the owner should be

// Takes the asker's connection at the path and answers its hello with `answer`.
void check_false_owner(const std::function<Bytes(const Bytes &hello)> &answer, pirn_status code, const char *why) {
  const Directory directory;
  Side asker(asker_id, settings_for(directory.path()));
  asker.knows(owner_id, secret);
  Result<Place> place = Place::at_path(directory.path(), socket_name(this_host(), instance_of(owner_id)));
  assert_text(place.status().text, "");
  asker.channel.connect(asker.known.begin()->second, now_ns() + 300 * ns_per_ms);
  const Fd accepted(accept(place.value().fd(), nullptr, nullptr));
  assert_true(accepted.is_open());
  Bytes hello(1000);
  const ssize_t size = recv(accepted.get(), hello.data(), hello.size(), 0);
  assert_int_equal(size, 80);
  hello.resize(static_cast<size_t>(size));
  const Bytes said = answer(hello);
  if (!said.empty()) assert_int_equal(send_packet(accepted.get(), said, {}), 0);
  assert_true(drive({&asker}, [&] { return asker.failures.size() == 1; }));
  assert_int_equal(asker.failures[0].code, code);
  assert_contains(asker.failures[0].text, why);
  assert_contains(asker.failures[0].text, "; abstract: connect @pirn-");
  assert_int_equal(asker.ups.size(), 0);
}

void false_owner__without_the_secret__learns_nothing(void **) {
  check_false_owner([](const Bytes &hello) {
    wire::ShareChallenge challenge;
    challenge.proof = owner_proof({}, hello, wire::encode_share_challenge(challenge));
    return wire::encode_share_challenge(challenge);
  }, PIRN_ERR_REFUSED, "path: who listens there does not hold the secret");
}

void false_owner__welcomes_without_a_proof__is_not_believed(void **) {
  check_false_owner([](const Bytes &) { return wire::encode_share_welcome({}); }, PIRN_ERR_INVALID,
                    "kind 4, which has no place here");
}

void false_owner__garbage__is_left(void **) {
  check_false_owner([](const Bytes &) { return Bytes(40, std::byte{7}); }, PIRN_ERR_INVALID, "other bytes");
}

void false_owner__silent__is_left_at_the_deadline(void **) {
  check_false_owner([](const Bytes &) { return Bytes(); }, PIRN_ERR_TIMEOUT, "path: the other end is silent");
}

// At the path sits a silent one; by the abstract name the right one is still met in time.
void false_owner__at_the_path__does_not_hide_the_right_one(void **) {
  const Directory directory, other_directory;
  Side owner(owner_id, settings_for(other_directory.path()));
  Side asker(asker_id, settings_for(directory.path()));
  owner.knows(asker_id, secret);
  asker.knows(owner_id, secret);
  assert_true(owner.channel.listen().is_ok());
  const Result<Place> silent = Place::at_path(directory.path(), socket_name(this_host(), instance_of(owner_id)));
  assert_true(silent.is_ok());
  const ConnectionId id = asker.connect_to(owner, 400);
  assert_int_equal(asker.ups.count(id), 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(stranger__garbage__is_hung_up_on),
      cmocka_unit_test(stranger__longer_than_any_message__is_hung_up_on),
      cmocka_unit_test(stranger__says_nothing__expires),
      cmocka_unit_test(stranger__hello_and_no_proof__expires),
      cmocka_unit_test(stranger__hangs_up__is_counted),
      cmocka_unit_test(stranger__wrong_secret__is_refused),
      cmocka_unit_test(stranger__any_bit_of_an_honest_proof_flipped__is_refused),
      cmocka_unit_test(stranger__replays_a_recorded_proof__is_refused),
      cmocka_unit_test(stranger__reflects_the_challenge__is_refused),
      cmocka_unit_test(stranger__asks_before_its_proof__is_hung_up_on),
      cmocka_unit_test(stranger__for_another_or_as_another__is_refused),
      cmocka_unit_test(stranger__sends_descriptors__is_hung_up_on),
      cmocka_unit_test(strangers__more_than_the_limit__make_room_oldest_first),
      cmocka_unit_test(peer__asks_without_reading__is_not_read_further_and_expires),
      cmocka_unit_test(peer__sends_what_only_an_owner_may__loses_its_connection),
      cmocka_unit_test(peer__sends_a_kind_of_the_future__is_skipped),
      cmocka_unit_test(false_owner__without_the_secret__learns_nothing),
      cmocka_unit_test(false_owner__welcomes_without_a_proof__is_not_believed),
      cmocka_unit_test(false_owner__garbage__is_left),
      cmocka_unit_test(false_owner__silent__is_left_at_the_deadline),
      cmocka_unit_test(false_owner__at_the_path__does_not_hide_the_right_one),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
