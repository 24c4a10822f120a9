// SPDX-License-Identifier: Apache-2.0
// How two endpoints that never met come to trust each other. A pure protocol
// machine: frames in, frames out, no I/O, no clock. The same four frames run in band
// (libfabric messages) and over the bootstrap connection:
//
//   initiator                         responder
//   HELLO(nonce, metadata)     ->
//                              <-     CHALLENGE(nonce, metadata, proof over both)
//   PROOF(proof over both)     ->
//                              <-     WELCOME(status)
//
// With a pre-shared key both proofs are keyed hashes (libsodium, BLAKE2b) over the
// whole HELLO and CHALLENGE; the sides prove with different domain strings, so that a proof cannot
// be reflected. If only one side has a key the handshake is refused with a clear text.
#pragma once

#include "base/result.h"
#include "wire/frame.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace pirn::bootstrap {

struct Identity {
  wire::Instance instance{};
  std::vector<std::byte> metadata;  // own blob
  std::vector<uint8_t> key;         // derived pre-shared key; empty: none set
};

// Any text or file content -> the fixed-size key that handshakes use. Also an empty secret gives a key: whether
// one was set is the caller's to know.
std::vector<uint8_t> derive_key(std::span<const uint8_t> secret);

// The WELCOME that turns the owner of `token` away.
std::vector<std::byte> refusal(uint64_t token, const Status &why);

struct Outcome {
  std::vector<std::byte> reply;          // frame to send; empty: none
  bool established = false;              // the other side is who it says, and is ready
  Status error;                          // not ok: give up; `reply` may hold a WELCOME that says why
};

class Handshake {
 public:
  // own_token: what the other side must put into frames to us.
  static Handshake initiator(const Identity &self, uint64_t own_token);
  // The responder learns who calls before it must name a token.
  using TokenFor = std::function<uint64_t(const wire::Hello &)>;
  static Handshake responder(const Identity &self, TokenFor token_for);

  std::vector<std::byte> start();  // initiator's HELLO; empty if the own metadata is empty or above wire::max_blob
  // Feeds one decoded frame of kinds hello..welcome; `raw` are its bytes (they go into the transcript).
  Outcome receive(const wire::Frame &frame, std::span<const std::byte> raw);

  // Valid once the other side's HELLO or CHALLENGE was taken in.
  const wire::Hello &remote() const { return *remote_; }
  bool has_remote() const { return remote_.has_value(); }
  const wire::Metadata &remote_metadata() const { return remote_metadata_; }

 private:
  enum class Step : uint8_t { start, want_hello, want_challenge, want_proof, want_welcome, over };

  Handshake(const Identity &self, bool initiator);
  wire::Hello own_hello() const;
  Outcome on_hello(const wire::Frame &frame, std::span<const std::byte> raw);
  Outcome on_challenge(const wire::Frame &frame, std::span<const std::byte> raw);
  Outcome on_proof(const wire::Frame &frame, std::span<const std::byte> raw);
  Outcome on_welcome(const wire::Frame &frame);
  Status take_remote(const wire::Frame &frame);
  Outcome give_up(Status why);

  Identity self_;
  Step step_;
  uint64_t own_token_ = 0;
  TokenFor token_for_;
  wire::Nonce nonce_{};
  std::vector<std::byte> hello_raw_;
  std::vector<std::byte> challenge_raw_;
  uint64_t remote_token_ = 0;
  std::optional<wire::Hello> remote_;
  wire::Metadata remote_metadata_;
};

}  // namespace pirn::bootstrap
