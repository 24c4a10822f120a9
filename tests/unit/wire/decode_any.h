// SPDX-License-Identifier: Apache-2.0
// Decodes a frame and its body, whatever its kind.
#pragma once

#include "wire/frame.h"
#include "wire/several.h"
#include "wire/stage.h"

inline pirn::Status decode_any(std::span<const std::byte> bytes) {
  using namespace pirn::wire;
  pirn::Result<Frame> frame = decode_frame(bytes);
  if (!frame.is_ok()) return frame.status();
  const std::span<const std::byte> body = frame.value().body;
  switch (frame.value().header.kind) {
    case Kind::hello:
    case Kind::challenge:
      return decode_hello(body).status();
    case Kind::proof:
      return decode_proof(body).status();
    case Kind::welcome:
      return decode_welcome(body).status();
    case Kind::ping:
    case Kind::pong:
      return decode_ping(body).status();
    case Kind::notify:
      return decode_notify(body).status();
    case Kind::window_open:
    case Kind::window_close:
    case Kind::window_withdraw:
    case Kind::window_quiesced:
      return decode_window_ref(body).status();
    case Kind::window_opened:
      return decode_window_opened(body).status();
    case Kind::address:
      return decode_address(body).status();
    case Kind::window_update:
      return decode_window_update(body).status();
    case Kind::window_want:
      return decode_window_want(body).status();
    case Kind::stage_want:
      return decode_stage_want(body).status();
    case Kind::stage_lent:
      return decode_stage_lent(body).status();
    case Kind::stage_move:
      return decode_stage_move(body).status();
    case Kind::stage_moved:
      return decode_stage_moved(body).status();
    case Kind::several:
      return decode_several(body).status();
    case Kind::ack:
    case Kind::bye:
      return pirn::Status::ok();
  }
  if (frame.value().header.sequence != 0) return pirn::Status::ok();  // of a newer peer
  return pirn::fail(PIRN_ERR_INTERNAL, "decode_frame let an unknown kind pass");
}
