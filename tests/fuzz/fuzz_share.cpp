// SPDX-License-Identifier: Apache-2.0
// A message of the same-host channel, as a stranger or a lying peer may send it.
// Input: one byte, how many descriptors come with it; then the message.
#include "require.h"
#include "wire/share.h"

#include <cstdint>

using namespace pirn;
using namespace pirn::wire;

namespace {

using Bytes = std::vector<std::byte>;

// What was decoded and encoded again decodes to the same.
template <typename Body, typename Decode>
void check_again(const Body &body, const Bytes &encoded, Decode decode) {
  REQUIRE(!encoded.empty());
  const Result<ShareMessage> message = decode_share_message(encoded);
  REQUIRE(message.is_ok());
  const Result<Body> again = decode(message.value().body);
  REQUIRE(again.is_ok() && again.value() == body);
}

template <typename Body>
void check_body(std::span<const std::byte> bytes, Result<Body> (*decode)(std::span<const std::byte>),
                Bytes (*encode)(const Body &)) {
  const Result<Body> body = decode(bytes);
  if (body.is_ok()) return check_again(body.value(), encode(body.value()), decode);
  REQUIRE(body.status().code == PIRN_ERR_INVALID && !body.status().text.empty());
}

void check_ask(const ShareMessage &message) {
  const Result<ShareAsk> ask = decode_share_ask(message.body);
  if (ask.is_ok()) check_again(ask.value(), encode_share_ask(message.request, ask.value()), decode_share_ask);
}

void check_answer(const ShareMessage &message, size_t files) {
  const Result<ShareAnswer> answer = decode_share_answer(message.body, files);
  if (!answer.is_ok()) return;
  for (const ShareChunk &chunk : answer.value().chunks) {
    REQUIRE(chunk.offset + chunk.length <= answer.value().window_length);
    REQUIRE(chunk.allocation_offset + chunk.length <= chunk.allocation_length);
    for (const ShareHandle &handle : chunk.handles)
      REQUIRE(handle.file == ShareHandle::no_file || handle.file < files);
  }
  check_again(answer.value(), encode_share_answer(message.request, answer.value()),
              [files](std::span<const std::byte> body) { return decode_share_answer(body, files); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  const size_t files = data[0];
  const Result<ShareMessage> message = decode_share_message(std::as_bytes(std::span(data, size).subspan(1)));
  if (!message.is_ok()) {
    REQUIRE(message.status().code == PIRN_ERR_INVALID && !message.status().text.empty());
    return 0;
  }
  const std::span<const std::byte> body = message.value().body;
  check_body(body, decode_share_hello, encode_share_hello);
  check_body(body, decode_share_challenge, encode_share_challenge);
  check_body(body, decode_share_proof, encode_share_proof);
  check_body(body, decode_share_welcome, encode_share_welcome);
  check_body(body, decode_share_gone, encode_share_gone);
  check_body(body, decode_share_released, encode_share_released);
  check_ask(message.value());
  check_answer(message.value(), files);
  return 0;
}
