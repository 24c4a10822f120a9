// SPDX-License-Identifier: Apache-2.0
// The handshake as a pure machine: frames in, frames out.
#include "fixture.h"

#include <algorithm>
#include <cstring>

using namespace pirn;
using namespace pirn::bootstrap;
using namespace fixture;
using Bytes = std::vector<std::byte>;

namespace {

constexpr uint64_t initiator_token = 0x1111;
constexpr uint64_t responder_token = 0x2222;
constexpr uint64_t token_of_hello = 0;

struct Pair {
  Handshake initiator;
  Handshake responder;
};

Pair pair_of(const Identity &a, const Identity &b) {
  return {Handshake::initiator(a, initiator_token),
          Handshake::responder(b, [](const wire::Hello &) { return responder_token; })};
}

// As a receiver would: what does not decode never reaches the handshake.
Outcome feed(Handshake &to, const Bytes &bytes) {
  const auto frame = wire::decode_frame(bytes);
  if (!frame.is_ok()) return {{}, false, frame.status()};
  return to.receive(frame.value(), bytes);
}

wire::Frame decoded(const Bytes &bytes) {
  const auto frame = wire::decode_frame(bytes);
  assert_true(frame.is_ok());
  return frame.value();
}

wire::Welcome welcome_in(const Bytes &bytes) {
  const wire::Frame frame = decoded(bytes);
  assert_int_equal(static_cast<int>(frame.header.kind), static_cast<int>(wire::Kind::welcome));
  const auto welcome = wire::decode_welcome(frame.body);
  assert_true(welcome.is_ok());
  return welcome.value();
}

// The four frames of a handshake that succeeds.
struct Script {
  Bytes hello, challenge, proof, welcome;
};

Script run(Pair &pair) {
  Script script;
  script.hello = pair.initiator.start();
  script.challenge = feed(pair.responder, script.hello).reply;
  script.proof = feed(pair.initiator, script.challenge).reply;
  const Outcome at_responder = feed(pair.responder, script.proof);
  assert_true(at_responder.error.is_ok());
  assert_true(at_responder.established);
  script.welcome = at_responder.reply;
  const Outcome at_initiator = feed(pair.initiator, script.welcome);
  assert_true(at_initiator.error.is_ok());
  assert_true(at_initiator.established);
  assert_true(at_initiator.reply.empty());
  return script;
}

void check_both_know_each_other(const Pair &pair, uint8_t a, uint8_t b) {
  assert_true(pair.initiator.has_remote());
  assert_true(pair.responder.has_remote());
  assert_int_equal(pair.initiator.remote().token, responder_token);
  assert_int_equal(pair.responder.remote().token, initiator_token);
  assert_true(pair.initiator.remote().instance == metadata_of(b).instance);
  assert_true(pair.responder.remote().instance == metadata_of(a).instance);
  assert_true(pair.initiator.remote_metadata().rails.at(0).address == metadata_of(b).rails[0].address);
  assert_true(pair.responder.remote_metadata().rails.at(0).address == metadata_of(a).rails[0].address);
}

void handshake__without_keys__establishes(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(2));
  const Script script = run(pair);
  check_both_know_each_other(pair, 1, 2);
  assert_int_equal(decoded(script.hello).header.token, token_of_hello);
  assert_int_equal(decoded(script.challenge).header.token, initiator_token);
  assert_int_equal(decoded(script.proof).header.token, responder_token);
  assert_int_equal(decoded(script.welcome).header.token, initiator_token);
}

void handshake__same_key__establishes(void **) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  const Script script = run(pair);
  check_both_know_each_other(pair, 1, 2);
  const auto challenge = wire::decode_hello(decoded(script.challenge).body);
  assert_true(challenge.is_ok());
  assert_true(challenge.value().proof != wire::Proof{});
  assert_true(wire::decode_proof(decoded(script.proof).body).value().proof != wire::Proof{});
}

void handshake__twice__differs_in_nonces_and_proofs(void **) {
  Pair first = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  Pair second = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  const Script one = run(first);
  const Script two = run(second);
  assert_true(one.hello != two.hello);
  assert_true(one.challenge != two.challenge);
  assert_true(one.proof != two.proof);
}

void handshake__wrong_key__initiator_refuses_first(void **) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2, "simsim"));
  const Outcome challenge = feed(pair.responder, pair.initiator.start());
  const Outcome outcome = feed(pair.initiator, challenge.reply);
  assert_false(outcome.established);
  assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);
  assert_int_equal(welcome_in(outcome.reply).status, PIRN_ERR_REFUSED);
  // The responder is told, and takes it as the end.
  const Outcome told = feed(pair.responder, outcome.reply);
  assert_false(told.established);
  assert_true(told.reply.empty());
  assert_int_equal(told.error.code, PIRN_ERR_REFUSED);
}

void handshake__wrong_key_and_initiator_goes_on__responder_refuses(void **) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2, "simsim"));
  feed(pair.responder, pair.initiator.start());
  Bytes forged;
  wire::ProofBody body;
  body.proof.fill(0x5a);
  wire::encode_proof(forged, responder_token, body);
  const Outcome outcome = feed(pair.responder, forged);
  assert_false(outcome.established);
  assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);
  assert_int_equal(welcome_in(outcome.reply).status, PIRN_ERR_REFUSED);
}

void handshake__only_responder_has_key__both_texts_say_so(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(2, "sesame"));
  const Outcome at_responder = feed(pair.responder, pair.initiator.start());
  assert_int_equal(at_responder.error.code, PIRN_ERR_REFUSED);
  assert_true(contains(at_responder.error.text, "this endpoint has a pre-shared key, the peer has none"));
  const Outcome at_initiator = feed(pair.initiator, at_responder.reply);
  assert_int_equal(at_initiator.error.code, PIRN_ERR_REFUSED);
  assert_true(contains(at_initiator.error.text, "the peer has a pre-shared key, this endpoint has none"));
}

void handshake__only_initiator_has_key__both_texts_say_so(void **) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2));
  const Outcome at_responder = feed(pair.responder, pair.initiator.start());
  assert_int_equal(at_responder.error.code, PIRN_ERR_REFUSED);
  assert_true(contains(at_responder.error.text, "the peer has a pre-shared key, this endpoint has none"));
  const Outcome at_initiator = feed(pair.initiator, at_responder.reply);
  assert_true(contains(at_initiator.error.text, "this endpoint has a pre-shared key, the peer has none"));
}

void handshake__challenge_claims_no_key__keyed_initiator_refuses(void **) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2));
  pair.initiator.start();
  wire::Hello hello;
  hello.instance.fill(2);
  hello.token = responder_token;
  hello.metadata = identity_of(2).metadata;
  Bytes challenge;
  wire::encode_hello(challenge, wire::Kind::challenge, initiator_token, hello);
  const Outcome outcome = feed(pair.initiator, challenge);
  assert_false(outcome.established);
  assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);
}

void handshake__responders_proof_sent_back__is_refused(void **) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  const Bytes challenge = feed(pair.responder, pair.initiator.start()).reply;
  wire::ProofBody reflected;
  reflected.proof = wire::decode_hello(decoded(challenge).body).value().proof;
  Bytes proof;
  wire::encode_proof(proof, responder_token, reflected);
  const Outcome outcome = feed(pair.responder, proof);
  assert_false(outcome.established);
  assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);
}

void handshake__own_hello_reflected_as_challenge__is_refused(void **) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  const auto hello = wire::decode_hello(decoded(pair.initiator.start()).body);
  Bytes challenge;
  wire::encode_hello(challenge, wire::Kind::challenge, initiator_token, hello.value());
  const Outcome outcome = feed(pair.initiator, challenge);
  assert_false(outcome.established);
  assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);
}

void handshake__old_frames_replayed_to_a_new_responder__are_refused(void **) {
  Pair old = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  const Script recorded = run(old);
  Pair fresh = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  assert_true(feed(fresh.responder, recorded.hello).error.is_ok());
  const Outcome outcome = feed(fresh.responder, recorded.proof);
  assert_false(outcome.established);
  assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);
}

void handshake__old_challenge_replayed_to_a_new_initiator__is_refused(void **) {
  Pair old = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  const Script recorded = run(old);
  Pair fresh = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  fresh.initiator.start();
  const Outcome outcome = feed(fresh.initiator, recorded.challenge);
  assert_false(outcome.established);
  assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);
}

void handshake__endpoint_meets_itself__is_refused(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(1));
  const Outcome at_responder = feed(pair.responder, pair.initiator.start());
  assert_int_equal(at_responder.error.code, PIRN_ERR_REFUSED);
  assert_true(contains(at_responder.error.text, "own peer"));
  const Outcome at_initiator = feed(pair.initiator, at_responder.reply);
  assert_int_equal(at_initiator.error.code, PIRN_ERR_REFUSED);
}

Bytes hello_with_metadata(const Bytes &metadata) {
  wire::Hello hello;
  hello.instance.fill(1);
  hello.token = initiator_token;
  hello.metadata = metadata;
  Bytes frame;
  wire::encode_hello(frame, wire::Kind::hello, 0, hello);
  return frame;
}

void handshake__metadata_of_another_endpoint__is_invalid(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(2));
  const Outcome outcome = feed(pair.responder, hello_with_metadata(identity_of(3).metadata));
  assert_int_equal(outcome.error.code, PIRN_ERR_INVALID);
  assert_int_equal(welcome_in(outcome.reply).status, PIRN_ERR_INVALID);
  assert_int_equal(decoded(outcome.reply).header.token, initiator_token);
}

void handshake__malformed_metadata__is_invalid(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(2));
  const Outcome outcome = feed(pair.responder, hello_with_metadata(Bytes(100, std::byte{0xee})));
  assert_int_equal(outcome.error.code, PIRN_ERR_INVALID);
  assert_int_equal(welcome_in(outcome.reply).status, PIRN_ERR_INVALID);
  assert_false(pair.responder.has_remote());
}

// Every sequence of two frames other than the right one ends in an error, on both sides.
void handshake__any_wrong_order__is_invalid(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(2));
  const Script script = run(pair);
  const Bytes *frames[] = {&script.hello, &script.challenge, &script.proof, &script.welcome};
  for (const Bytes *first : frames) {
    Pair fresh = pair_of(identity_of(1), identity_of(2));
    fresh.initiator.start();
    const Outcome at_responder = feed(fresh.responder, *first);
    assert_int_equal(at_responder.error.is_ok(), first == &script.hello);
    const Outcome at_initiator = feed(fresh.initiator, *first);
    assert_int_equal(at_initiator.error.is_ok(), first == &script.challenge);
    for (const Bytes *second : frames) {
      Pair again = pair_of(identity_of(1), identity_of(2));
      again.initiator.start();
      feed(again.responder, *first);
      feed(again.initiator, *first);
      assert_int_equal(feed(again.responder, *second).established, first == &script.hello && second == &script.proof);
      assert_int_equal(feed(again.initiator, *second).established,
                       first == &script.challenge && second == &script.welcome);
    }
  }
}

void handshake__frame_after_the_end__is_an_error_without_answer(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(2));
  const Script script = run(pair);
  for (const Bytes *frame : {&script.hello, &script.challenge, &script.proof, &script.welcome}) {
    for (Handshake *side : {&pair.initiator, &pair.responder}) {
      const Outcome outcome = feed(*side, *frame);
      assert_false(outcome.established);
      assert_true(outcome.reply.empty());
      assert_int_equal(outcome.error.code, PIRN_ERR_INVALID);
    }
  }
}

void handshake__foreign_token__is_invalid(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(2));
  const Bytes challenge = feed(pair.responder, pair.initiator.start()).reply;
  feed(pair.initiator, challenge);
  Bytes proof;
  wire::encode_proof(proof, responder_token + 1, {});
  assert_int_equal(feed(pair.responder, proof).error.code, PIRN_ERR_INVALID);
}

void handshake__refusal_with_control_characters__is_invalid(void **) {
  Pair pair = pair_of(identity_of(1), identity_of(2));
  pair.initiator.start();
  Bytes frame = refusal(initiator_token, fail(PIRN_ERR_UNAVAILABLE, "no X in common"));
  std::replace(frame.begin() + wire::header_size, frame.end(), std::byte{'X'}, std::byte{0x1b});
  const Outcome outcome = feed(pair.initiator, frame);
  assert_int_equal(outcome.error.code, PIRN_ERR_INVALID);
  assert_false(contains(outcome.error.text, "in common"));
}

void handshake__refusal_that_callers_act_on__keeps_its_code(void **) {
  for (const pirn_status code : {PIRN_ERR_AGAIN, PIRN_ERR_UNAVAILABLE, PIRN_ERR_NO_MEMORY}) {
    Pair pair = pair_of(identity_of(1), identity_of(2));
    pair.initiator.start();
    const Outcome outcome = feed(pair.initiator, refusal(initiator_token, fail(code, "because")));
    assert_int_equal(outcome.error.code, code);
    assert_true(contains(outcome.error.text, "because"));
  }
}

void handshake__refusal_with_a_code_of_ours__becomes_refused(void **) {
  for (const pirn_status code : {PIRN_ERR_INTERNAL, PIRN_ERR_TIMEOUT, PIRN_ERR_PEER_LOST, PIRN_ERR_INVALID}) {
    Pair pair = pair_of(identity_of(1), identity_of(2));
    pair.initiator.start();
    const Outcome outcome = feed(pair.initiator, refusal(initiator_token, fail(code, "because")));
    assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);
    assert_true(contains(outcome.error.text, "because"));
  }
}

void handshake__own_metadata_missing__start_is_empty(void **) {
  Identity bare = identity_of(1);
  bare.metadata.clear();
  Handshake initiator = Handshake::initiator(bare, initiator_token);
  assert_true(initiator.start().empty());
}

// A newer peer's longer frames: what this version does not know is covered by the proofs all the same.
void handshake__trailing_fields__are_skipped_but_proven(void **) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  Bytes hello = pair.initiator.start();
  const auto lengthen = [](Bytes frame) {
    frame.resize(frame.size() + 8, std::byte{0x33});
    const auto body = static_cast<uint32_t>(frame.size() - wire::header_size);
    for (size_t i = 0; i < 4; ++i) frame[24 + i] = static_cast<std::byte>(body >> (8 * i));
    return frame;
  };
  const Outcome challenge = feed(pair.responder, lengthen(hello));
  assert_true(challenge.error.is_ok());  // skipped
  const Outcome outcome = feed(pair.initiator, challenge.reply);
  assert_int_equal(outcome.error.code, PIRN_ERR_REFUSED);  // but not what the initiator had sent
}

void handshake__frames_cut_anywhere__never_establish(void **) {
  Pair whole = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  const Script script = run(whole);
  for (const Bytes *frame : {&script.hello, &script.challenge, &script.proof, &script.welcome}) {
    for (size_t length = 0; length < frame->size(); ++length) {
      Pair fresh = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
      fresh.initiator.start();
      const Bytes cut(frame->begin(), frame->begin() + static_cast<std::ptrdiff_t>(length));
      assert_int_equal(feed(fresh.responder, cut).error.code, PIRN_ERR_INVALID);
      assert_int_equal(feed(fresh.initiator, cut).error.code, PIRN_ERR_INVALID);
    }
  }
}

// Runs a keyed handshake in which frame number `spoiled` is altered under way. True if the receiver of that frame,
// or anyone after it, believes in the peer.
template <typename Spoil>
bool establishes(int spoiled, const Spoil &spoil) {
  Pair pair = pair_of(identity_of(1, "sesame"), identity_of(2, "sesame"));
  Bytes frame = pair.initiator.start();
  for (int number = 0; number < 4; ++number) {
    if (number == spoiled) spoil(frame);
    Handshake &receiver = number % 2 == 0 ? pair.responder : pair.initiator;
    Outcome outcome = feed(receiver, frame);
    if (outcome.established && number >= spoiled) return true;
    if (!outcome.error.is_ok()) return false;
    frame = std::move(outcome.reply);
  }
  return false;
}

void handshake__any_bit_flipped_when_keyed__never_establishes(void **) {
  size_t sizes[4];
  for (int number = 0; number < 4; ++number)
    assert_true(establishes(number, [&](Bytes &frame) { sizes[number] = frame.size(); }));
  for (int number = 0; number < 4; ++number) {
    for (size_t at = 0; at < sizes[number]; ++at) {
      for (int bit = 0; bit < 8; ++bit)
        assert_false(establishes(number, [&](Bytes &frame) { frame[at] ^= static_cast<std::byte>(1 << bit); }));
    }
  }
}

void handshake__random_bytes_changed_when_keyed__never_establishes(void **) {
  std::mt19937_64 random = seeded_random(__func__);
  for (int round = 0; round < 5000; ++round) {
    const int number = static_cast<int>(random() % 4);
    assert_false(establishes(number, [&](Bytes &frame) {
      const Bytes before = frame;
      while (frame == before) {
        for (size_t changes = 1 + random() % 8; changes > 0; --changes)
          frame[random() % frame.size()] = static_cast<std::byte>(random());
      }
    }));
  }
}

void derive_key__different_secrets__different_keys(void **) {
  const Identity a = identity_of(1, "sesame");
  const Identity b = identity_of(1, "sesame ");
  assert_int_equal(a.key.size(), 32);
  assert_true(a.key == identity_of(2, "sesame").key);
  assert_true(a.key != b.key);
  const std::vector<uint8_t> empty = derive_key({});
  assert_int_equal(empty.size(), 32);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(handshake__without_keys__establishes),
      cmocka_unit_test(handshake__same_key__establishes),
      cmocka_unit_test(handshake__twice__differs_in_nonces_and_proofs),
      cmocka_unit_test(handshake__wrong_key__initiator_refuses_first),
      cmocka_unit_test(handshake__wrong_key_and_initiator_goes_on__responder_refuses),
      cmocka_unit_test(handshake__only_responder_has_key__both_texts_say_so),
      cmocka_unit_test(handshake__only_initiator_has_key__both_texts_say_so),
      cmocka_unit_test(handshake__challenge_claims_no_key__keyed_initiator_refuses),
      cmocka_unit_test(handshake__responders_proof_sent_back__is_refused),
      cmocka_unit_test(handshake__own_hello_reflected_as_challenge__is_refused),
      cmocka_unit_test(handshake__old_frames_replayed_to_a_new_responder__are_refused),
      cmocka_unit_test(handshake__old_challenge_replayed_to_a_new_initiator__is_refused),
      cmocka_unit_test(handshake__endpoint_meets_itself__is_refused),
      cmocka_unit_test(handshake__metadata_of_another_endpoint__is_invalid),
      cmocka_unit_test(handshake__malformed_metadata__is_invalid),
      cmocka_unit_test(handshake__any_wrong_order__is_invalid),
      cmocka_unit_test(handshake__frame_after_the_end__is_an_error_without_answer),
      cmocka_unit_test(handshake__foreign_token__is_invalid),
      cmocka_unit_test(handshake__refusal_with_control_characters__is_invalid),
      cmocka_unit_test(handshake__refusal_that_callers_act_on__keeps_its_code),
      cmocka_unit_test(handshake__refusal_with_a_code_of_ours__becomes_refused),
      cmocka_unit_test(handshake__own_metadata_missing__start_is_empty),
      cmocka_unit_test(handshake__trailing_fields__are_skipped_but_proven),
      cmocka_unit_test(handshake__frames_cut_anywhere__never_establish),
      cmocka_unit_test(handshake__any_bit_flipped_when_keyed__never_establishes),
      cmocka_unit_test(handshake__random_bytes_changed_when_keyed__never_establishes),
      cmocka_unit_test(derive_key__different_secrets__different_keys),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
