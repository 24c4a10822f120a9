// SPDX-License-Identifier: Apache-2.0
#include "wire/bytes.h"
#include "wire/share.h"
#include "wire/share_check.h"

#include <algorithm>

namespace pirn::wire {

namespace {

constexpr size_t max_reason = 255;
constexpr size_t small_message = 512;  // everything but an answer

std::string printable_reason(const std::string &reason) {
  std::string result = reason.substr(0, max_reason);
  for (char &c : result) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return result;
}

// The body is written first, so that its size is known to the header.
class MessageWriter {
 public:
  explicit MessageWriter(size_t room = small_message) : bytes_(room), body_(bytes_) { body_.skip(share_header_size); }

  Writer &body() { return body_; }

  std::vector<std::byte> finish(ShareKind kind, uint32_t request = 0) {
    if (!body_.ok()) return {};
    Writer header(bytes_);
    header.u32(share_magic);
    header.u8(share_version);
    header.u8(static_cast<uint8_t>(kind));
    header.u16(share_header_size);
    header.u32(request);
    header.u32(static_cast<uint32_t>(body_.size() - share_header_size));
    bytes_.resize(body_.size());
    return std::move(bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
  Writer body_;
};

void put_word(Writer &writer, const ShareWord &word) {
  writer.u64(word.address);
  writer.u64(word.value);
}

void put_handle(Writer &writer, const ShareHandle &handle) {
  const size_t record = writer.begin_record();
  writer.u8(static_cast<uint8_t>(handle.kind));
  writer.u8(handle.file);
  writer.u8(static_cast<uint8_t>(handle.bytes.size()));
  writer.bytes(handle.bytes.data(), handle.bytes.size());
  writer.end_record(record);
}

void put_chunk(Writer &writer, const ShareChunk &chunk) {
  const size_t record = writer.begin_record();
  writer.u64(chunk.offset);
  writer.u64(chunk.length);
  writer.u64(chunk.allocation);
  writer.u64(chunk.allocation_offset);
  writer.u64(chunk.allocation_length);
  writer.array(chunk.device);
  writer.u32(chunk.pci_domain);
  writer.u8(chunk.pci_bus);
  writer.u8(chunk.pci_device);
  writer.u8(chunk.pci_function);
  writer.u8(static_cast<uint8_t>(chunk.handles.size()));
  for (const ShareHandle &handle : chunk.handles) put_handle(writer, handle);
  writer.string(printable_reason(chunk.why_none), max_reason);
  writer.end_record(record);
}

// Handles name the descriptors 0, 1, 2... each once; how many there are.
size_t files_of(const ShareAnswer &answer) {
  size_t count = 0;
  for (const ShareChunk &chunk : answer.chunks)
    for (const ShareHandle &handle : chunk.handles) count += handle.file != ShareHandle::no_file ? 1 : 0;
  return count;
}

}  // namespace

std::vector<std::byte> encode_share_hello(const ShareHello &body) {
  MessageWriter message;
  message.body().array(body.self);
  message.body().array(body.other);
  message.body().array(body.nonce);
  return message.finish(ShareKind::hello);
}

std::vector<std::byte> encode_share_challenge(const ShareChallenge &body) {
  MessageWriter message;
  message.body().array(body.nonce);
  message.body().array(body.proof);
  return message.finish(ShareKind::challenge);
}

std::vector<std::byte> encode_share_proof(const ShareProof &body) {
  MessageWriter message;
  message.body().array(body.proof);
  put_word(message.body(), body.word);
  return message.finish(ShareKind::proof);
}

std::vector<std::byte> encode_share_welcome(const ShareWelcome &body) {
  if (body.status > PIRN_OK) return {};
  MessageWriter message;
  message.body().u32(static_cast<uint32_t>(body.status));
  message.body().string(printable_reason(body.reason), max_reason);
  put_word(message.body(), body.word);
  return message.finish(ShareKind::welcome);
}

std::vector<std::byte> encode_share_ask(uint32_t request, const ShareAsk &body) {
  MessageWriter message;
  message.body().u64(body.window);
  message.body().u64(body.capability);
  message.body().u64(body.offset);
  message.body().u32(body.kinds);
  return message.finish(ShareKind::ask, request);
}

std::vector<std::byte> encode_share_answer(uint32_t request, const ShareAnswer &body) {
  if (!check_share_answer(body, files_of(body)).is_ok()) return {};
  MessageWriter message(max_share_message);
  message.body().u32(static_cast<uint32_t>(body.status));
  message.body().string(printable_reason(body.reason), max_reason);
  message.body().u64(body.window_length);
  message.body().u16(static_cast<uint16_t>(body.chunks.size()));
  for (const ShareChunk &chunk : body.chunks) put_chunk(message.body(), chunk);
  return message.finish(ShareKind::answer, request);
}

std::vector<std::byte> encode_share_gone(const ShareGone &body) {
  MessageWriter message;
  message.body().u64(body.allocation);
  return message.finish(ShareKind::gone);
}

std::vector<std::byte> encode_share_bye() { return MessageWriter().finish(ShareKind::bye); }

std::vector<std::byte> encode_share_released(const ShareReleased &body) {
  MessageWriter message;
  message.body().u64(body.window);
  return message.finish(ShareKind::released);
}

}  // namespace pirn::wire
