// SPDX-License-Identifier: Apache-2.0
// What convinces each side of the channel that the other holds the secret of their handshake: keyed hashes over
// everything said so far. Pure functions, any thread.
#pragma once

#include "wire/share.h"

#include <array>
#include <cstddef>
#include <span>

namespace pirn::local {

using Secret = std::array<uint8_t, 16>;

// What two endpoints of one handshake know of each other.
struct Credentials {
  wire::Instance self{};
  wire::Instance other{};
  Secret secret{};
};

// Over the bytes of the messages as they were sent, the last one with its proof zeroed by the function.
wire::Proof owner_proof(const Secret &secret, std::span<const std::byte> hello, std::span<const std::byte> challenge);
wire::Proof asker_proof(const Secret &secret, std::span<const std::byte> hello, std::span<const std::byte> challenge,
                        std::span<const std::byte> proof);
// In time that tells nothing.
bool same_proof(const wire::Proof &a, const wire::Proof &b);

}  // namespace pirn::local
