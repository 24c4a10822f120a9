// SPDX-License-Identifier: Apache-2.0
// Encoders of the handshake's frames, which are rare and may allocate.
#include "wire/bytes.h"
#include "wire/frame.h"

#include <array>

namespace pirn::wire {

namespace {

constexpr size_t max_reason = 255;

using Buffer = std::array<std::byte, max_control_frame>;

// `body` was written behind header_size bytes of room.
void append(std::vector<std::byte> &out, Buffer &buffer, const Writer &body, Kind kind, uint64_t token) {
  if (!body.ok()) return;
  Header header;
  header.kind = kind;
  header.token = token;
  header.body_size = static_cast<uint32_t>(body.size() - header_size);
  encode_header(buffer, header);
  out.insert(out.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(body.size()));
}

}  // namespace

void encode_hello(std::vector<std::byte> &out, Kind kind, uint64_t token, const Hello &hello) {
  if (hello.metadata.empty() || hello.metadata.size() > max_blob) return;
  Buffer buffer;
  Writer body(buffer);
  body.skip(header_size);
  body.array(hello.instance);
  body.u64(hello.token);
  body.array(hello.nonce);
  body.array(hello.proof);
  body.u8(hello.wants_proof);
  body.u32(static_cast<uint32_t>(hello.metadata.size()));
  body.bytes(hello.metadata.data(), hello.metadata.size());
  append(out, buffer, body, kind, token);
}

void encode_proof(std::vector<std::byte> &out, uint64_t token, const ProofBody &proof) {
  Buffer buffer;
  Writer body(buffer);
  body.skip(header_size);
  body.array(proof.proof);
  append(out, buffer, body, Kind::proof, token);
}

void encode_welcome(std::vector<std::byte> &out, uint64_t token, const Welcome &welcome) {
  std::string reason = welcome.reason.substr(0, max_reason);
  for (char &c : reason) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  Buffer buffer;
  Writer body(buffer);
  body.skip(header_size);
  body.u32(static_cast<uint32_t>(welcome.status));
  body.string(reason, max_reason);
  append(out, buffer, body, Kind::welcome, token);
}

}  // namespace pirn::wire
