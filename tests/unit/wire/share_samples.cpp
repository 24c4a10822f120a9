// SPDX-License-Identifier: Apache-2.0
#include "share_samples.h"

using namespace pirn::wire;

namespace {

constexpr ShareWord word = {0x7f00deadbeef, 0x0123456789abcdef};

Bytes counting_bytes(size_t count, unsigned first) {
  Bytes bytes;
  for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::byte>(first + i));
  return bytes;
}

ShareChunk device_chunk() {
  ShareChunk chunk;
  chunk.offset = 4096;
  chunk.length = 0x200000000;
  chunk.allocation = 0x1111222233334444;
  chunk.allocation_offset = 0x100;
  chunk.allocation_length = 0x200001000;
  chunk.device = counting<16>(0x30);
  chunk.pci_domain = 0x10000;
  chunk.pci_bus = 0xb1;
  chunk.pci_device = 31;
  chunk.pci_function = 7;
  chunk.handles = {{ShareHandleKind::device_file, 1, {}},
                   {ShareHandleKind::device_legacy, ShareHandle::no_file, counting_bytes(64, 0x90)}};
  chunk.why_none = "fabric: no channel device";
  return chunk;
}

ShareChunk host_chunk(uint64_t offset) {
  ShareChunk chunk;
  chunk.offset = offset;
  chunk.length = 777;
  chunk.allocation = 5;
  chunk.allocation_offset = 223;
  chunk.allocation_length = 1000;
  chunk.handles = {{ShareHandleKind::host_file, 0, counting_bytes(8, 1)},
                   {ShareHandleKind::host_address, ShareHandle::no_file, counting_bytes(8, 0xf0)}};
  return chunk;
}

void insert(Bytes &bytes, size_t at, size_t count) {
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, std::byte{0xee});
}

// Lengthens the record at `at` and returns where the next one begins.
size_t lengthen_record(Bytes &bytes, size_t at, size_t by) {
  const size_t length = get_u16(bytes, at);
  put_u16(bytes, at, static_cast<uint16_t>(length + by));
  insert(bytes, at + 2 + length, by);
  return at + 2 + length + by;
}

// A longer header, fields behind the body's, and for answers behind each chunk's.
Bytes newer(Bytes bytes, bool is_answer) {
  if (is_answer) {
    size_t at = share_header_size + 4;
    at += 1 + static_cast<size_t>(bytes[at]) + 8;
    const size_t chunks = get_u16(bytes, at);
    at += 2;
    for (size_t i = 0; i < chunks; ++i) at = lengthen_record(bytes, at, 3 + i);
  }
  insert(bytes, bytes.size(), 5);
  put_u32(bytes, 12, static_cast<uint32_t>(bytes.size() - share_header_size));
  insert(bytes, share_header_size, 8);
  put_u16(bytes, 6, share_header_size + 8);
  return bytes;
}

}  // namespace

ShareHello sample_share_hello() { return {counting<16>(0x10), counting<16>(0x50), counting<32>(0x20)}; }
ShareChallenge sample_share_challenge() { return {counting<32>(0x60), counting<32>(0xa0)}; }
ShareProof sample_share_proof() { return {counting<32>(0xc0), word}; }
ShareWelcome sample_share_welcome() { return {PIRN_ERR_REFUSED, "another user", word}; }
ShareAsk sample_share_ask() { return {0x0102030405060708, 0xfedcba9876543210, 5368709120, 0x3e}; }

ShareAnswer sample_share_answer() {
  ShareAnswer answer;
  answer.window_length = 0x300000000;
  answer.chunks = {device_chunk(), host_chunk(4096 + 0x200000000)};
  return answer;
}

ShareAnswer sample_share_plain() {
  ShareAnswer answer;
  answer.window_length = 5000;
  ShareChunk chunk;
  chunk.length = chunk.allocation_length = 5000;
  chunk.allocation = 0x8000000000000007;
  chunk.handles = {{ShareHandleKind::host_address, ShareHandle::no_file, counting_bytes(8, 0x70)},
                   {ShareHandleKind::host_guard, ShareHandle::no_file, counting_bytes(16, 0xd0)}};
  answer.chunks = {chunk};
  return answer;
}

ShareAnswer sample_share_refusal() {
  ShareAnswer answer;
  answer.status = PIRN_ERR_WINDOW_GONE;
  answer.reason = "window 5 was withdrawn";
  return answer;
}

std::vector<Sample> share_samples() {
  return {{"share_hello", encode_share_hello(sample_share_hello())},
          {"share_challenge", encode_share_challenge(sample_share_challenge())},
          {"share_proof", encode_share_proof(sample_share_proof())},
          {"share_welcome", encode_share_welcome(sample_share_welcome())},
          {"share_ask", encode_share_ask(sample_share_request, sample_share_ask())},
          {"share_answer", encode_share_answer(sample_share_request, sample_share_answer())},
          {"share_plain", encode_share_answer(sample_share_request, sample_share_plain())},
          {"share_refusal", encode_share_answer(sample_share_request, sample_share_refusal())},
          {"share_gone", encode_share_gone({0x99aabbccddeeff00})},
          {"share_bye", encode_share_bye()},
          {"share_released", encode_share_released({0x1122334455667788})}};
}

std::vector<Sample> newer_share_samples() {
  std::vector<Sample> samples = share_samples();
  for (Sample &sample : samples)
    sample = {"newer_" + sample.name, newer(sample.bytes, sample.name == "share_answer" || sample.name == "share_plain")};
  return samples;
}
