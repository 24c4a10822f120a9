// SPDX-License-Identifier: Apache-2.0
#include "wire/bytes.h"
#include "wire/share.h"
#include "wire/share_check.h"

namespace pirn::wire {

namespace {

Status truncated(const char *kind, std::span<const std::byte> body) {
  return fail(PIRN_ERR_INVALID, "%s is truncated: its body has %zu bytes", kind, body.size());
}

ShareWord take_word(Reader &reader) {
  ShareWord word;
  word.address = reader.u64();
  word.value = reader.u64();
  return word;
}

// A reason is shown to people.
Status check_reason(const char *kind, const std::string &reason) {
  if (is_printable(reason)) return Status::ok();
  return fail(PIRN_ERR_INVALID, "%s: its reason has bytes that do not print", kind);
}

bool take_handle(Reader &reader, ShareHandle *handle) {
  Reader record = reader.record();
  handle->kind = static_cast<ShareHandleKind>(record.u8());
  handle->file = record.u8();
  const std::span<const std::byte> bytes = record.bytes(record.u8());
  handle->bytes.assign(bytes.begin(), bytes.end());
  return record.ok();
}

bool take_chunk(Reader &reader, ShareChunk *chunk) {
  Reader record = reader.record();
  chunk->offset = record.u64();
  chunk->length = record.u64();
  chunk->allocation = record.u64();
  chunk->allocation_offset = record.u64();
  chunk->allocation_length = record.u64();
  chunk->device = record.array<16>();
  chunk->pci_domain = record.u32();
  chunk->pci_bus = record.u8();
  chunk->pci_device = record.u8();
  chunk->pci_function = record.u8();
  chunk->handles.resize(record.u8());
  for (ShareHandle &handle : chunk->handles)
    if (!take_handle(record, &handle)) return false;
  chunk->why_none = record.string();
  return record.ok();
}

}  // namespace

Result<ShareMessage> decode_share_message(std::span<const std::byte> bytes) {
  if (bytes.size() < share_header_size || bytes.size() > max_share_message)
    return fail(PIRN_ERR_INVALID, "share message of %zu bytes; allowed: %zu..%zu", bytes.size(), share_header_size,
                max_share_message);
  Reader reader(bytes);
  if (reader.u32() != share_magic) return fail(PIRN_ERR_INVALID, "not a share message: it starts with other bytes");
  const unsigned version = reader.u8();
  if (version != share_version)
    return fail(PIRN_ERR_INVALID, "share message of version %u, this library knows %u", version,
                unsigned{share_version});
  ShareMessage message;
  message.kind = reader.u8();
  const size_t header = reader.u16();
  message.request = reader.u32();
  const size_t body = reader.u32();
  if (header < share_header_size || header > bytes.size() || body != bytes.size() - header)
    return fail(PIRN_ERR_INVALID, "share message of %zu bytes says that it has %zu and %zu", bytes.size(), header,
                body);
  message.body = bytes.subspan(header);
  return message;
}

Result<ShareHello> decode_share_hello(std::span<const std::byte> body) {
  Reader reader(body);
  ShareHello hello;
  hello.self = reader.array<16>();
  hello.other = reader.array<16>();
  hello.nonce = reader.array<32>();
  if (!reader.ok()) return truncated("share hello", body);
  return hello;
}

Result<ShareChallenge> decode_share_challenge(std::span<const std::byte> body) {
  Reader reader(body);
  ShareChallenge challenge;
  challenge.nonce = reader.array<32>();
  challenge.proof = reader.array<32>();
  if (!reader.ok()) return truncated("share challenge", body);
  return challenge;
}

Result<ShareProof> decode_share_proof(std::span<const std::byte> body) {
  Reader reader(body);
  ShareProof proof;
  proof.proof = reader.array<32>();
  proof.word = take_word(reader);
  if (!reader.ok()) return truncated("share proof", body);
  return proof;
}

Result<ShareWelcome> decode_share_welcome(std::span<const std::byte> body) {
  Reader reader(body);
  ShareWelcome welcome;
  welcome.status = static_cast<int32_t>(reader.u32());
  welcome.reason = reader.string();
  welcome.word = take_word(reader);
  if (!reader.ok()) return truncated("share welcome", body);
  if (welcome.status > PIRN_OK)
    return fail(PIRN_ERR_INVALID, "share welcome carries status %d, which is no outcome", welcome.status);
  Status status = check_reason("share welcome", welcome.reason);
  if (!status.is_ok()) return status;
  return welcome;
}

Result<ShareAsk> decode_share_ask(std::span<const std::byte> body) {
  Reader reader(body);
  ShareAsk ask;
  ask.window = reader.u64();
  ask.capability = reader.u64();
  ask.offset = reader.u64();
  ask.kinds = reader.u32();
  if (!reader.ok()) return truncated("share ask", body);
  return ask;
}

Result<ShareAnswer> decode_share_answer(std::span<const std::byte> body, size_t files) {
  Reader reader(body);
  ShareAnswer answer;
  answer.status = static_cast<int32_t>(reader.u32());
  answer.reason = reader.string();
  answer.window_length = reader.u64();
  const size_t count = reader.u16();
  if (!reader.ok()) return truncated("share answer", body);
  if (count > max_share_chunks)
    return fail(PIRN_ERR_INVALID, "share answer of %zu chunks; at most %zu", count, max_share_chunks);
  Status status = check_reason("share answer", answer.reason);
  if (!status.is_ok()) return status;
  answer.chunks.resize(count);
  for (ShareChunk &chunk : answer.chunks) {
    if (!take_chunk(reader, &chunk)) return truncated("share answer", body);
    status = check_reason("share answer", chunk.why_none);
    if (!status.is_ok()) return status;
  }
  status = check_share_answer(answer, files);
  if (!status.is_ok()) return status;
  return answer;
}

Result<ShareGone> decode_share_gone(std::span<const std::byte> body) {
  Reader reader(body);
  ShareGone gone;
  gone.allocation = reader.u64();
  if (!reader.ok()) return truncated("share gone", body);
  return gone;
}

Result<ShareReleased> decode_share_released(std::span<const std::byte> body) {
  Reader reader(body);
  ShareReleased released;
  released.window = reader.u64();
  if (!reader.ok()) return truncated("share released", body);
  return released;
}

}  // namespace pirn::wire
