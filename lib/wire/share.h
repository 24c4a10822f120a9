// SPDX-License-Identifier: Apache-2.0
// Messages of the same-host channel (lib/local): one packet of a local socket each, file descriptors beside it.
// Version 1, little-endian, bounded. A newer peer may lengthen the header and append fields to bodies and records;
// both are skipped.
//
// Header, 16 bytes:
//   0 u32 magic "pirL"   4 u8 version   5 u8 kind   6 u16 header bytes (>= 16)
//   8 u32 request: chosen by the asker, repeated in the answer, else 0   12 u32 body bytes
#pragma once

#include "base/result.h"
#include "wire/frame.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pirn::wire {

constexpr size_t share_header_size = 16;
constexpr size_t max_share_message = 49152;  // header included
constexpr size_t max_share_chunks = 64;      // per answer; a longer window is asked for in parts
constexpr size_t max_share_handles = 4;      // per chunk
constexpr size_t max_share_files = 128;      // descriptors beside an answer; the kernel allows 253
constexpr size_t share_handle_bytes = 64;
constexpr uint8_t share_version = 1;

enum class ShareKind : uint8_t {
  hello = 1,      // asker -> owner: who I am, whom I look for
  challenge = 2,  // owner -> asker: the owner's proof
  proof = 3,      // asker -> owner: the asker's proof
  welcome = 4,    // owner -> asker: proven, or refused with a reason
  ask = 5,        // asker -> owner: what a window lies in
  answer = 6,     // owner -> asker, with descriptors
  gone = 7,       // owner -> asker: an allocation ended
  bye = 8,        // either: closes in order
  released = 9,   // asker -> owner: nothing of a window that was asked for is mapped here; older owners skip it
};

struct ShareHello {
  Instance self{};
  Instance other{};
  Nonce nonce{};
  bool operator==(const ShareHello &) const = default;
};

struct ShareChallenge {
  Nonce nonce{};
  Proof proof{};
  bool operator==(const ShareChallenge &) const = default;
};

// A word of the sender's memory: who reads `value` at `address` of a process has found the sender's.
struct ShareWord {
  uint64_t address = 0;
  uint64_t value = 0;
  bool operator==(const ShareWord &) const = default;
};

struct ShareProof {
  Proof proof{};
  ShareWord word;
  bool operator==(const ShareProof &) const = default;
};

// Where in a message its proof is. What is hashed has zeroes there.
constexpr size_t share_challenge_proof_offset = 32;  // in the body
constexpr size_t share_proof_proof_offset = 0;

struct ShareWelcome {
  int32_t status = 0;
  std::string reason;  // at most 255 bytes
  ShareWord word;
  bool operator==(const ShareWelcome &) const = default;
};

// What memory can be shared by. The first three are handles of device memory.
enum class ShareHandleKind : uint8_t {
  device_file = 1,
  device_fabric = 2,
  device_legacy = 3,
  host_file = 4,     // shared host memory: a file to map
  host_address = 5,  // u64, of the allocation's first byte in the owner's process: for copies by the kernel
  host_guard = 6,    // u64 address, u64 value: a word of the owner's that holds it as long as the window is open
};
constexpr uint32_t share_bit(ShareHandleKind kind) { return uint32_t{1} << static_cast<unsigned>(kind); }

struct ShareAsk {
  uint64_t window = 0;
  uint64_t capability = 0;  // the random word of the window's blob
  uint64_t offset = 0;      // in the window: the answer begins with the chunk that this lies in
  uint32_t kinds = 0;       // share_bit()s of the handles the asker can use
  bool operator==(const ShareAsk &) const = default;
};

struct ShareHandle {
  static constexpr uint8_t no_file = 255;
  ShareHandleKind kind{};
  uint8_t file = no_file;         // index among the descriptors of the message
  std::vector<std::byte> bytes;   // at most share_handle_bytes
  bool operator==(const ShareHandle &) const = default;
};

// A part of a window that lies in one allocation. Chunks are in the order of the window and touch each other.
struct ShareChunk {
  uint64_t offset = 0;             // in the window
  uint64_t length = 0;
  uint64_t allocation = 0;         // id, never used again by this owner
  uint64_t allocation_offset = 0;  // of the chunk in the allocation
  uint64_t allocation_length = 0;
  Instance device{};               // UUID; zero: host memory
  uint32_t pci_domain = 0;         // of the device
  uint8_t pci_bus = 0, pci_device = 0, pci_function = 0;
  std::vector<ShareHandle> handles;
  std::string why_none;            // for people: kinds asked for that it has not, and why; at most 255 bytes
  bool operator==(const ShareChunk &) const = default;
};

struct ShareAnswer {
  int32_t status = 0;          // PIRN_OK, or why there are no chunks
  std::string reason;          // at most 255 bytes
  uint64_t window_length = 0;  // 0 with a status
  std::vector<ShareChunk> chunks;
  bool operator==(const ShareAnswer &) const = default;
  // First byte of the window that the answer says nothing of.
  uint64_t end() const { return chunks.empty() ? 0 : chunks.back().offset + chunks.back().length; }
};

struct ShareGone {
  uint64_t allocation = 0;
  bool operator==(const ShareGone &) const = default;
};

struct ShareReleased {
  uint64_t window = 0;
  bool operator==(const ShareReleased &) const = default;
};

// Whole messages. Empty if a limit is broken: decoders accept every message that is not empty. Reasons are cut to
// their limit, and what does not print becomes '?'.
std::vector<std::byte> encode_share_hello(const ShareHello &body);
std::vector<std::byte> encode_share_challenge(const ShareChallenge &body);
std::vector<std::byte> encode_share_proof(const ShareProof &body);
std::vector<std::byte> encode_share_welcome(const ShareWelcome &body);
std::vector<std::byte> encode_share_ask(uint32_t request, const ShareAsk &body);
std::vector<std::byte> encode_share_answer(uint32_t request, const ShareAnswer &body);
std::vector<std::byte> encode_share_gone(const ShareGone &body);
std::vector<std::byte> encode_share_bye();
std::vector<std::byte> encode_share_released(const ShareReleased &body);

struct ShareMessage {
  uint8_t kind = 0;  // ShareKind, or one that only a newer peer knows
  uint32_t request = 0;
  std::span<const std::byte> body;
};
Result<ShareMessage> decode_share_message(std::span<const std::byte> bytes);

Result<ShareHello> decode_share_hello(std::span<const std::byte> body);
Result<ShareChallenge> decode_share_challenge(std::span<const std::byte> body);
Result<ShareProof> decode_share_proof(std::span<const std::byte> body);
Result<ShareWelcome> decode_share_welcome(std::span<const std::byte> body);
Result<ShareAsk> decode_share_ask(std::span<const std::byte> body);
// `files`: how many descriptors came with the message; each must be named by exactly one handle.
Result<ShareAnswer> decode_share_answer(std::span<const std::byte> body, size_t files);
Result<ShareGone> decode_share_gone(std::span<const std::byte> body);
Result<ShareReleased> decode_share_released(std::span<const std::byte> body);

}  // namespace pirn::wire
