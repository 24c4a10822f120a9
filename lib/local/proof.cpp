// SPDX-License-Identifier: Apache-2.0
#include "local/proof.h"

#include <cstring>
#include <sodium.h>
#include <vector>

namespace pirn::local {

namespace {

constexpr char owner_domain[] = "pirn same-host channel 1: the owner proves";
constexpr char asker_domain[] = "pirn same-host channel 1: the asker proves";

// The length goes in too, so that no byte can move from one message to the next unnoticed.
void absorb(crypto_generichash_state *state, std::span<const std::byte> bytes) {
  uint8_t length[8];
  for (size_t i = 0; i < sizeof length; ++i) length[i] = static_cast<uint8_t>(bytes.size() >> (8 * i));
  crypto_generichash_update(state, length, sizeof length);
  crypto_generichash_update(state, reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
}

std::vector<std::byte> without_proof(std::span<const std::byte> message, size_t offset) {
  std::vector<std::byte> bytes(message.begin(), message.end());
  const Result<wire::ShareMessage> decoded = wire::decode_share_message(message);
  if (!decoded.is_ok() || decoded.value().body.size() < offset + sizeof(wire::Proof)) return bytes;
  const auto body = static_cast<size_t>(decoded.value().body.data() - message.data());
  std::memset(bytes.data() + body + offset, 0, sizeof(wire::Proof));
  return bytes;
}

wire::Proof keyed_hash(const Secret &secret, const char *domain,
                       std::initializer_list<std::span<const std::byte>> messages) {
  static_assert(std::tuple_size_v<Secret> >= crypto_generichash_KEYBYTES_MIN);
  crypto_generichash_state state;
  wire::Proof proof;
  crypto_generichash_init(&state, secret.data(), secret.size(), proof.size());
  absorb(&state, std::as_bytes(std::span(domain, std::strlen(domain))));
  for (const auto &message : messages) absorb(&state, message);
  crypto_generichash_final(&state, proof.data(), proof.size());
  return proof;
}

}  // namespace

wire::Proof owner_proof(const Secret &secret, std::span<const std::byte> hello, std::span<const std::byte> challenge) {
  return keyed_hash(secret, owner_domain, {hello, without_proof(challenge, wire::share_challenge_proof_offset)});
}

// The challenge counts with its proof: the asker speaks only to an owner that has proven itself.
wire::Proof asker_proof(const Secret &secret, std::span<const std::byte> hello, std::span<const std::byte> challenge,
                        std::span<const std::byte> proof) {
  return keyed_hash(secret, asker_domain,
                    {hello, challenge, without_proof(proof, wire::share_proof_proof_offset)});
}

bool same_proof(const wire::Proof &a, const wire::Proof &b) {
  static_assert(std::tuple_size_v<wire::Proof> == crypto_verify_32_BYTES);
  return crypto_verify_32(a.data(), b.data()) == 0;
}

}  // namespace pirn::local
