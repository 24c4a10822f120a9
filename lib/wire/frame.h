// SPDX-License-Identifier: Apache-2.0
// Control frames: what pirn sends in messages (in band) and, length-prefixed,
// over the bootstrap connection. Version 1, little-endian, bounded. Unknown
// trailing bytes of a body are skipped: newer peers may append fields. Frames of unknown kind are passed over; a numbered
// one must be acknowledged, or those behind it would never be taken in.
//
// Header, 32 bytes:
//   0 u32 magic "pirn"   4 u8 version   5 u8 kind   6 u16 header bytes (>= 32)
//   8 u64 token of the receiver's peer object (0 in HELLO)
//  16 u32 sequence number of a reliable frame, 0 if unreliable
//  20 u32 cumulative acknowledgement: all up to this number were taken in
//  24 u32 body bytes   28 u32 epoch of the sender's peer object (0 in handshake frames)
#pragma once

#include "base/result.h"
#include "wire/metadata.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pirn::wire {

constexpr size_t header_size = 32;
constexpr size_t max_control_frame = 8192;      // in band, header included
constexpr size_t max_bootstrap_frame = 65536;   // over the bootstrap connection, header included
constexpr uint8_t frame_version = 1;

enum class Kind : uint8_t {
  hello = 1,       // handshake: initiator's offer
  challenge = 2,   // handshake: responder's answer and proof
  proof = 3,       // handshake: initiator's proof
  welcome = 4,     // handshake: done, or refused with a reason
  ping = 5,        // unreliable
  pong = 6,        // unreliable
  ack = 7,         // unreliable, carries only the cumulative acknowledgement
  notify = 8,      // reliable from here on
  window_open = 9,
  window_opened = 10,
  window_close = 11,
  window_withdraw = 12,
  window_quiesced = 13,
  bye = 14,
  address = 15,    // a rail of the sender has a new address
  window_update = 16,  // only to those whose metadata has feature_window_update, as window_want
  window_want = 17,
  stage_want = 18,   // staging of device memory, only to those whose metadata has feature_staging (stage.h)
  stage_lent = 19,
  stage_move = 20,
  stage_moved = 21,
  several = 22,      // numbered frames, in one (several.h); only to those whose metadata has feature_several
};

struct Header {
  Kind kind{};
  uint64_t token = 0;
  uint32_t sequence = 0;
  uint32_t acknowledged = 0;
  uint32_t body_size = 0;
  uint32_t epoch = 0;  // random per peer object of the sender: a changed one means that the sender gave the session up
  bool operator==(const Header &) const = default;
};

using Nonce = std::array<uint8_t, 32>;
using Proof = std::array<uint8_t, 32>;

struct Hello {       // body of hello and of challenge
  Instance instance{};     // of the sender
  uint64_t token = 0;      // the receiver must put it in frames to the sender
  uint8_t wants_proof = 0; // 1: a pre-shared key is set
  Nonce nonce{};
  Proof proof{};           // challenge: responder's proof; hello: zero
  std::vector<std::byte> metadata;  // the sender's metadata blob
  bool operator==(const Hello &) const = default;
};

constexpr size_t hello_proof_offset = 56;  // of `proof` in the body: what a handshake hashes has it zero

struct ProofBody {   // body of proof
  Proof proof{};
  bool operator==(const ProofBody &) const = default;
};

struct Welcome {
  int32_t status = 0;      // PIRN_OK, or why the handshake was refused
  std::string reason;      // at most 255 bytes
  bool operator==(const Welcome &) const = default;
};

constexpr uint32_t any_rail = UINT32_MAX;

struct Ping {        // body of ping and pong
  uint64_t id = 0;
  uint32_t rail = any_rail;  // of the sender, by which it left: answered there. Only to who knows spares
  bool operator==(const Ping &) const = default;
};

struct Notify {      // one fragment of a notification; fragments of one message have consecutive sequence numbers
  uint32_t total = 0;      // bytes of the whole message, <= PIRN_NOTIFICATION_MAX
  uint32_t offset = 0;     // of this fragment
  std::span<const std::byte> data;
};

struct WindowRef {   // body of window_open, window_close, window_withdraw, window_quiesced
  uint64_t window = 0;
  uint64_t capability = 0; // window_open: the random word of the window blob; else 0
  bool operator==(const WindowRef &) const = default;
};

struct WindowOpened {
  uint64_t window = 0;
  int32_t status = 0;
  // With it the importer may ask for the memory itself by the same-host channel (lib/local); zero: it may not.
  std::array<uint8_t, 16> share_secret{};
  uint8_t plain = 0;  // 1, with a secret: the memory cannot be mapped, but perhaps read by the kernel, or reached by slots
  bool operator==(const WindowOpened &) const = default;
};

// Where a window of the sender's is found on one of its rails from now on, and by which key; or why it is not.
struct WindowUpdate {
  uint64_t window = 0;
  uint32_t rail = 0;
  int32_t status = 0;      // PIRN_OK, or why the window cannot be reached by this rail: then no_key
  WindowBlob::RailKey key;
  bool operator==(const WindowUpdate &) const = default;
};

struct WindowWant {  // asks for a window_update
  uint64_t window = 0;
  uint32_t rail = 0;       // of the receiver
  bool operator==(const WindowWant &) const = default;
};

struct AddressChange {
  uint32_t rail = 0;
  std::vector<std::byte> address;
  bool operator==(const AddressChange &) const = default;
};

// Encoders append to `out` (a whole frame: header and body); they append nothing if a limit is broken (metadata over
// max_blob or empty). A reason is cut to its limit, and what does not print becomes '?'.
void encode_hello(std::vector<std::byte> &out, Kind kind, uint64_t token, const Hello &hello);
void encode_proof(std::vector<std::byte> &out, uint64_t token, const ProofBody &body);
void encode_welcome(std::vector<std::byte> &out, uint64_t token, const Welcome &body);

// Hot-path encoders write into a caller's buffer of max_control_frame bytes and return the frame's size; 0 if it
// does not fit. Except for encode_header they set the body's size themselves.
size_t encode_header(std::span<std::byte> out, const Header &header);  // body_size as given; returns header_size
size_t encode_ping(std::span<std::byte> out, const Header &header, const Ping &body);
size_t encode_notify(std::span<std::byte> out, const Header &header, const Notify &body);
size_t encode_window_ref(std::span<std::byte> out, const Header &header, const WindowRef &body);
size_t encode_window_opened(std::span<std::byte> out, const Header &header, const WindowOpened &body);
size_t encode_window_update(std::span<std::byte> out, const Header &header, const WindowUpdate &body);
size_t encode_window_want(std::span<std::byte> out, const Header &header, const WindowWant &body);
size_t encode_address(std::span<std::byte> out, const Header &header, const AddressChange &body);
size_t encode_empty(std::span<std::byte> out, const Header &header);  // ack, bye
// Largest notify data that fits one control frame.
size_t notify_fragment_max();
// Rewrites the acknowledgement of an encoded frame (retransmission).
void patch_acknowledged(std::span<std::byte> frame, uint32_t acknowledged);

// A frame as received: header checked (magic, version, sizes against frame.size()), body located. A numbered frame may be
// of a kind that this library does not know.
struct Frame {
  Header header;
  std::span<const std::byte> body;
};
Result<Frame> decode_frame(std::span<const std::byte> bytes);

Result<Hello> decode_hello(std::span<const std::byte> body);
Result<ProofBody> decode_proof(std::span<const std::byte> body);
Result<Welcome> decode_welcome(std::span<const std::byte> body);
Result<Ping> decode_ping(std::span<const std::byte> body);
Result<Notify> decode_notify(std::span<const std::byte> body);
Result<WindowRef> decode_window_ref(std::span<const std::byte> body);
Result<WindowOpened> decode_window_opened(std::span<const std::byte> body);
Result<WindowUpdate> decode_window_update(std::span<const std::byte> body);
Result<WindowWant> decode_window_want(std::span<const std::byte> body);
Result<AddressChange> decode_address(std::span<const std::byte> body);

}  // namespace pirn::wire
