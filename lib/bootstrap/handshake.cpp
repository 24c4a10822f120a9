// SPDX-License-Identifier: Apache-2.0
#include "bootstrap/handshake.h"

#include "base/random.h"

#include <cstring>
#include <sodium.h>

namespace pirn::bootstrap {

namespace {

constexpr char responder_domain[] = "pirn handshake 1: the responder proves";
constexpr char initiator_domain[] = "pirn handshake 1: the initiator proves";
constexpr char key_domain[] = "pirn handshake 1: key from secret";
constexpr size_t key_size = crypto_generichash_KEYBYTES;
constexpr size_t max_reason = 255;

void absorb(crypto_generichash_state *state, std::span<const std::byte> bytes) {
  // The length goes in too, so that no byte can move from one frame to the next unnoticed.
  uint8_t length[8];
  for (size_t i = 0; i < sizeof length; ++i) length[i] = static_cast<uint8_t>(bytes.size() >> (8 * i));
  crypto_generichash_update(state, length, sizeof length);
  crypto_generichash_update(state, reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
}

wire::Proof keyed_hash(const std::vector<uint8_t> &key, const char *domain,
                       std::initializer_list<std::span<const std::byte>> frames) {
  crypto_generichash_state state;
  wire::Proof proof;
  crypto_generichash_init(&state, key.data(), key.size(), proof.size());
  absorb(&state, std::as_bytes(std::span(domain, std::strlen(domain))));
  for (const auto &frame : frames) absorb(&state, frame);
  crypto_generichash_final(&state, proof.data(), proof.size());
  return proof;
}

bool equal(const wire::Proof &a, const wire::Proof &b) {
  static_assert(std::tuple_size_v<wire::Proof> == crypto_verify_32_BYTES);
  return crypto_verify_32(a.data(), b.data()) == 0;
}

// The frame as it was hashed: its proof, `offset` bytes into the body, still zero. Everything else counts,
// also trailing fields that only a newer peer knows.
std::vector<std::byte> without_proof(const wire::Frame &frame, std::span<const std::byte> raw, size_t offset) {
  std::vector<std::byte> bytes(raw.begin(), raw.end());
  const auto body = static_cast<size_t>(frame.body.data() - raw.data());
  std::memset(bytes.data() + body + offset, 0, sizeof(wire::Proof));
  return bytes;
}

// What a peer may make of our caller's status: only codes that tell the caller what to do next.
pirn_status refusal_code(int32_t status) {
  const bool known = status == PIRN_ERR_AGAIN || status == PIRN_ERR_UNAVAILABLE || status == PIRN_ERR_NO_MEMORY;
  return known ? status : PIRN_ERR_REFUSED;
}

Status key_mismatch(bool we_have_one) {
  return we_have_one ? fail(PIRN_ERR_REFUSED, "this endpoint has a pre-shared key, the peer has none")
                     : fail(PIRN_ERR_REFUSED, "the peer has a pre-shared key, this endpoint has none");
}

Status no_metadata() { return fail(PIRN_ERR_INTERNAL, "the own metadata does not fit a handshake"); }

Status wrong_key() { return fail(PIRN_ERR_REFUSED, "the peer does not hold the same pre-shared key"); }

}  // namespace

std::vector<uint8_t> derive_key(std::span<const uint8_t> secret) {
  std::vector<uint8_t> key(key_size);
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, key.size());
  absorb(&state, std::as_bytes(std::span(key_domain, sizeof key_domain - 1)));
  absorb(&state, std::as_bytes(secret));
  crypto_generichash_final(&state, key.data(), key.size());
  return key;
}

std::vector<std::byte> refusal(uint64_t token, const Status &why) {
  std::vector<std::byte> frame;
  wire::encode_welcome(frame, token, {why.code, why.text.substr(0, max_reason)});
  return frame;
}

Handshake::Handshake(const Identity &self, bool initiator)
    : self_(self), step_(initiator ? Step::start : Step::want_hello) {
  random_bytes(nonce_.data(), nonce_.size());
}

Handshake Handshake::initiator(const Identity &self, uint64_t own_token) {
  Handshake handshake(self, true);
  handshake.own_token_ = own_token;
  return handshake;
}

Handshake Handshake::responder(const Identity &self, TokenFor token_for) {
  Handshake handshake(self, false);
  handshake.token_for_ = std::move(token_for);
  return handshake;
}

wire::Hello Handshake::own_hello() const {
  wire::Hello hello;
  hello.instance = self_.instance;
  hello.token = own_token_;
  hello.wants_proof = self_.key.empty() ? 0 : 1;
  hello.nonce = nonce_;
  hello.metadata = self_.metadata;
  return hello;
}

std::vector<std::byte> Handshake::start() {
  if (step_ != Step::start) return {};
  wire::encode_hello(hello_raw_, wire::Kind::hello, 0, own_hello());
  if (hello_raw_.empty()) return {};
  step_ = Step::want_challenge;
  return hello_raw_;
}

Outcome Handshake::receive(const wire::Frame &frame, std::span<const std::byte> raw) {
  const wire::Header &header = frame.header;
  // Neither is answered: two sides that refuse each other must not do so for ever.
  if (step_ == Step::over) return {{}, false, fail(PIRN_ERR_INVALID, "frame after the end of the handshake")};
  if (header.kind == wire::Kind::welcome) return on_welcome(frame);
  if (header.token != (step_ == Step::want_hello ? 0 : own_token_))
    return give_up(fail(PIRN_ERR_INVALID, "handshake frame with a foreign token"));
  if (step_ == Step::want_hello && header.kind == wire::Kind::hello) return on_hello(frame, raw);
  if (step_ == Step::want_challenge && header.kind == wire::Kind::challenge) return on_challenge(frame, raw);
  if (step_ == Step::want_proof && header.kind == wire::Kind::proof) return on_proof(frame, raw);
  const auto kind = static_cast<unsigned>(header.kind);
  return give_up(fail(PIRN_ERR_INVALID, "unexpected frame of kind %u in the handshake", kind));
}

Outcome Handshake::on_hello(const wire::Frame &frame, std::span<const std::byte> raw) {
  Status taken = take_remote(frame);
  if (!taken.is_ok()) return give_up(std::move(taken));
  hello_raw_.assign(raw.begin(), raw.end());
  own_token_ = token_for_(*remote_);

  wire::Hello challenge = own_hello();
  wire::encode_hello(challenge_raw_, wire::Kind::challenge, remote_token_, challenge);
  if (challenge_raw_.empty()) return give_up(no_metadata());
  if (!self_.key.empty()) {
    challenge.proof = keyed_hash(self_.key, responder_domain, {hello_raw_, challenge_raw_});
    challenge_raw_.clear();
    wire::encode_hello(challenge_raw_, wire::Kind::challenge, remote_token_, challenge);
  }
  step_ = Step::want_proof;
  return {challenge_raw_, false, {}};
}

Outcome Handshake::on_challenge(const wire::Frame &frame, std::span<const std::byte> raw) {
  Status taken = take_remote(frame);
  if (!taken.is_ok()) return give_up(std::move(taken));
  challenge_raw_.assign(raw.begin(), raw.end());

  wire::ProofBody body;
  std::vector<std::byte> reply;
  wire::encode_proof(reply, remote_token_, body);
  if (!self_.key.empty()) {
    const auto hashed = without_proof(frame, raw, wire::hello_proof_offset);
    if (!equal(remote_->proof, keyed_hash(self_.key, responder_domain, {hello_raw_, hashed})))
      return give_up(wrong_key());
    body.proof = keyed_hash(self_.key, initiator_domain, {hello_raw_, challenge_raw_, reply});
    reply.clear();
    wire::encode_proof(reply, remote_token_, body);
  }
  step_ = Step::want_welcome;
  return {std::move(reply), false, {}};
}

Outcome Handshake::on_proof(const wire::Frame &frame, std::span<const std::byte> raw) {
  const auto body = wire::decode_proof(frame.body);
  if (!body.is_ok()) return give_up(body.status());
  if (!self_.key.empty()) {
    const auto hashed = without_proof(frame, raw, 0);
    if (!equal(body.value().proof, keyed_hash(self_.key, initiator_domain, {hello_raw_, challenge_raw_, hashed})))
      return give_up(wrong_key());
  }
  step_ = Step::over;
  std::vector<std::byte> reply;
  wire::encode_welcome(reply, remote_token_, {PIRN_OK, ""});
  return {std::move(reply), true, {}};
}

// A refusal may come at any step, also from an initiator; only the initiator's last step can end well.
Outcome Handshake::on_welcome(const wire::Frame &frame) {
  const Step step = std::exchange(step_, Step::over);
  const auto welcome = wire::decode_welcome(frame.body);
  if (!welcome.is_ok()) return {{}, false, welcome.status()};
  const wire::Header &header = frame.header;
  if (welcome.value().status != PIRN_OK) {
    // Without a proof of where it comes from, as every word before the end of a handshake.
    return {{}, false, fail(refusal_code(welcome.value().status), "refused by the peer: %s",
                            welcome.value().reason.c_str())};
  }
  if (step != Step::want_welcome) return {{}, false, fail(PIRN_ERR_INVALID, "welcome before the handshake is done")};
  if (header.token != own_token_ || header.sequence != 0 || header.acknowledged != 0 || header.epoch != 0)
    return {{}, false, fail(PIRN_ERR_INVALID, "handshake frame with a foreign token")};
  return {{}, true, {}};
}

Status Handshake::take_remote(const wire::Frame &frame) {
  auto hello = wire::decode_hello(frame.body);
  if (!hello.is_ok()) return hello.status();
  remote_token_ = hello.value().token;  // also for a refusal
  if (hello.value().instance == self_.instance)
    return fail(PIRN_ERR_REFUSED, "an endpoint cannot be its own peer");
  auto metadata = wire::decode_metadata(hello.value().metadata);
  if (!metadata.is_ok()) return metadata.status();
  if (metadata.value().instance != hello.value().instance)
    return fail(PIRN_ERR_INVALID, "the metadata in the hello is another endpoint's");
  remote_ = hello.take();
  remote_metadata_ = metadata.take();
  if ((remote_->wants_proof != 0) != !self_.key.empty()) return key_mismatch(!self_.key.empty());
  return Status::ok();
}

Outcome Handshake::give_up(Status why) {
  step_ = Step::over;
  // The peer reads the text from its own side, and learns nothing but which side lacks a key.
  Status told = why;
  if (remote_ && (remote_->wants_proof != 0) != !self_.key.empty()) told = key_mismatch(self_.key.empty());
  return {refusal(remote_token_, told), false, std::move(why)};
}

}  // namespace pirn::bootstrap
