// SPDX-License-Identifier: Apache-2.0
// Blobs that leave the process by the user's own channel: an endpoint's metadata
// and a window. Version 1, little-endian, bounded, self-identifying:
//   0 u32 magic "pirM" or "pirW"   4 u16 version   6 u16 reserved 0   8 u32 total bytes   12 u32 checksum of the rest
// Fields that a newer writer appends to a record are skipped.
#pragma once

#include "base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pirn::wire {

using Instance = std::array<uint8_t, 16>;

constexpr size_t max_rails = 32;
constexpr size_t max_address = 256;
constexpr size_t max_blob = 7168;  // fits a hello in one control frame

// Metadata::features: what the endpoint understands beyond the first libraries of version 1.
constexpr uint32_t feature_window_update = 1;  // window_update, window_want, and no_key in a window blob
constexpr uint32_t feature_spares = 2;         // rails that are spares, and pings that say which rail they are from
constexpr uint32_t feature_staging = 4;        // stage_want and the frames that follow it
constexpr uint32_t feature_rings = 8;          // and slots of device memory
// Within a host, host memory that cannot be mapped: guards (share.h), and slots for it (stage.h).
constexpr uint32_t feature_plain_host = 16;
constexpr uint32_t feature_several = 32;       // several numbered frames in one (several.h)

constexpr uint64_t no_key = UINT64_MAX;  // as libfabric's: the window is not registered on that rail, its owner is to be asked

struct RailAddress {
  std::string provider;              // pirn's profile name, <= 15 bytes
  std::string protocol;              // libfabric provider in use, <= 31 bytes: both ends must speak the same
  std::vector<std::byte> address;    // libfabric address, <= max_address
  uint64_t link_speed = 0;
  bool spare = false;                // carries only while none of the others works; they come last, never alone
  bool operator==(const RailAddress &) const = default;
};

struct Metadata {
  Instance instance{};               // random identity of the endpoint
  Instance host{};                   // digest of the boot id: a hint only, never trusted
  Instance process{};                // random identity of the process
  std::vector<RailAddress> rails;    // 1..max_rails
  std::string bootstrap;             // "host:port" if listening, else ""; <= 255 bytes
  uint32_t features = 0;             // feature_*; unknown ones are passed on as they came
  bool operator==(const Metadata &) const = default;
};

struct WindowBlob {
  Instance instance{};               // owner endpoint
  uint64_t window = 0;               // id, unique in the owner endpoint
  uint64_t capability = 0;           // random word the owner checks at window_open
  uint64_t length = 0;               // bytes
  uint32_t access = 0;               // PIRN_ACCESS_*
  bool on_device = false;            // device memory; on rails that do not take it its key is no_key
  struct RailKey {
    uint64_t address = 0;            // remote address of the window's first byte on that rail
    uint64_t key = 0;                // or no_key
    bool operator==(const RailKey &) const = default;
  };
  std::vector<RailKey> rails;        // one per rail of the owner's metadata that is no spare, same order
  bool operator==(const WindowBlob &) const = default;
};

// Encoders return an empty blob if a limit is broken (rails, string lengths, max_blob, access bits...): decoders
// accept every blob that is not empty.
std::vector<std::byte> encode_metadata(const Metadata &metadata);
Result<Metadata> decode_metadata(std::span<const std::byte> blob);
std::vector<std::byte> encode_window(const WindowBlob &window);
Result<WindowBlob> decode_window(std::span<const std::byte> blob);

// Text form of either blob: "pirn:" + kind ("meta1:" or "win1:") + URL-safe base64 without padding.
Result<std::string> blob_to_text(std::span<const std::byte> blob);
Result<std::vector<std::byte>> blob_from_text(const std::string &text);
// Binary or text, as the user gave it (text perhaps with a line end or zero behind it): returns the binary.
// All three check the whole blob.
Result<std::vector<std::byte>> blob_from_any(std::span<const std::byte> bytes);

}  // namespace pirn::wire
