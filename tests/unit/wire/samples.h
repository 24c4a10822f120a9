// SPDX-License-Identifier: Apache-2.0
// Known values of everything that leaves the process, their bytes as version 1 writes them, and bytes
// as a newer peer would: fields appended to every record, body and header.
#pragma once

#include "wire/frame.h"
#include "wire/metadata.h"
#include "wire/several.h"
#include "wire/stage.h"

#include <string>
#include <vector>

using Bytes = std::vector<std::byte>;

struct Sample {
  std::string name;  // of the golden file, without .bin
  Bytes bytes;
};

pirn::wire::Metadata sample_metadata();
pirn::wire::Metadata sample_metadata_with_features();
pirn::wire::Metadata sample_metadata_with_spares();
pirn::wire::WindowBlob sample_window();
pirn::wire::WindowBlob sample_window_on_device();
pirn::wire::Hello sample_hello();
pirn::wire::Notify sample_notify();
pirn::wire::AddressChange sample_address();
std::vector<std::pair<std::string, pirn::wire::Stage>> stage_samples();
std::vector<pirn::wire::OneOfSeveral> sample_several();
pirn::wire::Header sample_header(pirn::wire::Kind kind);
template <size_t N>
std::array<uint8_t, N> counting(uint8_t first) {
  std::array<uint8_t, N> result{};
  for (size_t i = 0; i < N; ++i) result[i] = static_cast<uint8_t>(first + i);
  return result;
}

std::vector<Sample> blob_samples();        // version 1
std::vector<Sample> frame_samples();       // version 1, one of each kind
std::vector<Sample> newer_blob_samples();  // decode to the same values as version 1 with all the fields that are known today
std::vector<Sample> newer_frame_samples();

// Corrects size and checksum of a blob whose body was changed.
void reseal(Bytes &blob);
void put_u16(Bytes &bytes, size_t at, uint16_t value);
void put_u32(Bytes &bytes, size_t at, uint32_t value);
void put_u64(Bytes &bytes, size_t at, uint64_t value);
uint16_t get_u16(const Bytes &bytes, size_t at);
