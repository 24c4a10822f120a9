// SPDX-License-Identifier: Apache-2.0
// A control frame of any kind, as a stranger may send it.
#include "require.h"
#include "wire/frame.h"
#include "wire/several.h"
#include "wire/stage.h"

#include <cstdint>

using namespace pirn;
using namespace pirn::wire;

namespace {

using Bytes = std::vector<std::byte>;

Frame decoded(const Bytes &bytes) {
  Result<Frame> frame = decode_frame(bytes);
  REQUIRE(frame.is_ok());
  return frame.value();
}

// What was decoded and encoded again decodes to the same: header, and body by `decode`.
template <typename Body>
void check_again(const Header &header, const Body &body, Result<Body> (*decode)(std::span<const std::byte>),
                 size_t (*encode)(std::span<std::byte>, const Header &, const Body &)) {
  Bytes bytes(max_control_frame);
  bytes.resize(encode(bytes, header, body));
  const Frame again = decoded(bytes);
  Header wanted = header;
  wanted.body_size = static_cast<uint32_t>(again.body.size());
  REQUIRE(again.header == wanted);
  Result<Body> second = decode(again.body);
  REQUIRE(second.is_ok() && second.value() == body);
}

template <typename Body>
void check_control(const Frame &frame, Result<Body> (*decode)(std::span<const std::byte>),
                   size_t (*encode)(std::span<std::byte>, const Header &, const Body &)) {
  Result<Body> body = decode(frame.body);
  if (body.is_ok()) check_again(frame.header, body.value(), decode, encode);
}

template <typename Body>
size_t encode_one(std::span<std::byte> out, const Header &header, const Body &body) {
  return encode_stage(out, header, body);
}

void check_notify(const Frame &frame) {
  Result<Notify> body = decode_notify(frame.body);
  if (!body.is_ok() || body.value().data.size() > notify_fragment_max()) return;
  const Notify &notify = body.value();
  REQUIRE(notify.offset + notify.data.size() <= notify.total);
  Bytes bytes(max_control_frame);
  bytes.resize(encode_notify(bytes, frame.header, notify));
  Result<Notify> again = decode_notify(decoded(bytes).body);
  REQUIRE(again.is_ok() && again.value().total == notify.total && again.value().offset == notify.offset);
  REQUIRE(Bytes(again.value().data.begin(), again.value().data.end()) == Bytes(notify.data.begin(), notify.data.end()));
}

void check_hello(const Frame &frame) {
  Result<Hello> hello = decode_hello(frame.body);
  if (!hello.is_ok()) return;
  Bytes bytes;
  encode_hello(bytes, frame.header.kind, frame.header.token, hello.value());
  REQUIRE(decode_hello(decoded(bytes).body).value() == hello.value());
  (void)decode_metadata(hello.value().metadata).is_ok();
}

void check_handshake(const Frame &frame) {
  Bytes bytes;
  if (frame.header.kind == Kind::proof) {
    Result<ProofBody> proof = decode_proof(frame.body);
    if (!proof.is_ok()) return;
    encode_proof(bytes, frame.header.token, proof.value());
    REQUIRE(decode_proof(decoded(bytes).body).value() == proof.value());
  } else {
    Result<Welcome> welcome = decode_welcome(frame.body);
    if (!welcome.is_ok()) return;
    encode_welcome(bytes, frame.header.token, welcome.value());
    REQUIRE(decode_welcome(decoded(bytes).body).value() == welcome.value());
  }
  REQUIRE(decoded(bytes).header.token == frame.header.token);
}

void check_frame(const Frame &frame);

void check_several(const Frame &frame) {
  Result<std::vector<OneOfSeveral>> all = decode_several(frame.body);
  if (!all.is_ok()) return;
  REQUIRE(!all.value().empty() && all.value().size() <= max_several);
  Bytes bytes(max_control_frame);
  SeveralWriter writer(bytes);
  for (const OneOfSeveral &one : all.value()) {
    if (!writer.add(one)) return;  // over the bootstrap a frame may be longer
    Header header = frame.header;
    header.kind = one.kind;
    header.sequence |= 1;
    header.body_size = static_cast<uint32_t>(one.body.size());
    check_frame({header, one.body});
  }
  bytes.resize(writer.finish(frame.header));
  const std::vector<OneOfSeveral> again = decode_several(decoded(bytes).body).value();
  REQUIRE(again.size() == all.value().size());
  for (size_t i = 0; i < again.size(); ++i) {
    REQUIRE(again[i].kind == all.value()[i].kind);
    REQUIRE(Bytes(again[i].body.begin(), again[i].body.end()) ==
            Bytes(all.value()[i].body.begin(), all.value()[i].body.end()));
  }
}

void check_frame(const Frame &frame) {
  switch (frame.header.kind) {
    case Kind::hello:
    case Kind::challenge:
      return check_hello(frame);
    case Kind::proof:
    case Kind::welcome:
      return check_handshake(frame);
    case Kind::ping:
    case Kind::pong:
      return check_control(frame, decode_ping, encode_ping);
    case Kind::notify:
      return check_notify(frame);
    case Kind::window_open:
    case Kind::window_close:
    case Kind::window_withdraw:
    case Kind::window_quiesced:
      return check_control(frame, decode_window_ref, encode_window_ref);
    case Kind::window_opened:
      return check_control(frame, decode_window_opened, encode_window_opened);
    case Kind::address:
      return check_control(frame, decode_address, encode_address);
    case Kind::window_update:
      return check_control(frame, decode_window_update, encode_window_update);
    case Kind::window_want:
      return check_control(frame, decode_window_want, encode_window_want);
    case Kind::stage_want:
      return check_control(frame, decode_stage_want, encode_one<StageWant>);
    case Kind::stage_lent:
      return check_control(frame, decode_stage_lent, encode_one<StageLent>);
    case Kind::stage_move:
      return check_control(frame, decode_stage_move, encode_one<StageMove>);
    case Kind::stage_moved:
      return check_control(frame, decode_stage_moved, encode_one<StageMoved>);
    case Kind::several:
      return check_several(frame);
    case Kind::ack:
    case Kind::bye:
      return;
  }
  REQUIRE(frame.header.sequence != 0 && "a kind that decode_frame should have refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  Result<Frame> frame = decode_frame(bytes);
  if (!frame.is_ok()) {
    REQUIRE(frame.error().code == PIRN_ERR_INVALID && !frame.error().text.empty());
    return 0;
  }
  REQUIRE(frame.value().body.size() + header_size <= size);
  check_frame(frame.value());
  return 0;
}
