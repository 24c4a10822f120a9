// SPDX-License-Identifier: Apache-2.0
// Hostile bytes as handshake frames. Whatever they are, a keyed side never believes who has no key.
// Input: one byte of mode, then
//   mode even: frames, each u16 length (little-endian) and bytes, fed to a keyed and an unkeyed pair of sides;
//   mode odd: patches (u16 offset, u8 xor) to frame number mode / 2 % 4 of an honest keyed handshake.
#include "bootstrap/handshake.h"
#include "require.h"

#include <algorithm>

using namespace pirn;
using namespace pirn::bootstrap;
using Bytes = std::vector<std::byte>;

namespace {

Identity identity_of(uint8_t id, bool keyed) {
  wire::Metadata metadata;
  metadata.instance.fill(id);
  wire::RailAddress rail;
  rail.provider = "tcp";
  rail.protocol = "net";
  rail.address.assign(16, std::byte{id});
  metadata.rails.push_back(rail);
  Identity self;
  self.instance = metadata.instance;
  self.metadata = wire::encode_metadata(metadata);
  const uint8_t secret[] = {'s', 'e', 'c', 'r', 'e', 't'};
  if (keyed) self.key = derive_key(secret);
  return self;
}

Handshake responder_of(const Identity &self) {
  return Handshake::responder(self, [](const wire::Hello &) { return uint64_t{2}; });
}

Outcome feed(Handshake &to, const Bytes &bytes) {
  const auto frame = wire::decode_frame(bytes);
  if (!frame.is_ok()) return {{}, false, frame.status()};
  return to.receive(frame.value(), bytes);
}

uint16_t take_u16(std::span<const uint8_t> &input) {
  const auto value = static_cast<uint16_t>(input[0] | input[1] << 8);
  input = input.subspan(2);
  return value;
}

void feed_frames(std::span<const uint8_t> input, bool keyed) {
  Handshake initiator = Handshake::initiator(identity_of(1, keyed), 1);
  Handshake responder = responder_of(identity_of(2, keyed));
  initiator.start();
  while (input.size() > 2) {
    const size_t size = std::min<size_t>(take_u16(input), input.size());
    const auto bytes = std::as_bytes(input.first(size));
    input = input.subspan(size);
    const Bytes frame(bytes.begin(), bytes.end());
    for (Handshake *side : {&initiator, &responder}) {
      const bool believed = feed(*side, frame).established;
      REQUIRE(!(keyed && believed));
    }
  }
}

void patch(Bytes &frame, std::span<const uint8_t> input) {
  while (input.size() > 2) {
    const size_t offset = take_u16(input) % frame.size();
    frame[offset] ^= std::byte{input[0]};
    input = input.subspan(1);
  }
}

void patch_honest(std::span<const uint8_t> input, int number) {
  Handshake initiator = Handshake::initiator(identity_of(1, true), 1);
  Handshake responder = responder_of(identity_of(2, true));
  Bytes frame = initiator.start();
  bool patched = false;
  for (int i = 0; i < 4; ++i) {
    const Bytes honest = frame;
    if (i == number) patch(frame, input);
    patched = patched || frame != honest;
    Outcome outcome = feed(i % 2 == 0 ? responder : initiator, frame);
    REQUIRE(!(patched && outcome.established));
    REQUIRE(patched || outcome.error.is_ok());
    if (!outcome.error.is_ok()) return;
    frame = std::move(outcome.reply);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> rest(data + 1, size - 1);
  if (data[0] % 2 == 1) {
    patch_honest(rest, data[0] / 2 % 4);
    return 0;
  }
  feed_frames(rest, true);
  feed_frames(rest, false);
  return 0;
}
