// SPDX-License-Identifier: Apache-2.0
#include "samples.h"

#include <cstring>

using namespace pirn::wire;

namespace {

Bytes to_bytes(const std::string &text) {
  Bytes result;
  for (const char c : text) result.push_back(static_cast<std::byte>(c));
  return result;
}

void put(Bytes &bytes, size_t at, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
}

void insert(Bytes &bytes, size_t at, size_t count) {
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, std::byte{0xee});
}

// Bit by bit, on purpose another way than the library's.
uint32_t slow_crc32c(const std::byte *data, size_t size) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size * 8; ++i) {
    const bool bit = ((static_cast<unsigned>(data[i / 8]) >> (i % 8)) & 1) != 0;
    const bool carry = ((crc & 1) != 0) != bit;
    crc = (crc >> 1) ^ (carry ? 0x82f63b78 : 0);
  }
  return crc ^ 0xffffffff;
}

// Appends fields to each record of a blob, and more behind the last one.
Bytes newer_blob(Bytes blob) {
  constexpr size_t header = 16;
  const size_t fixed = get_u16(blob, header);
  put_u16(blob, header, static_cast<uint16_t>(fixed + 9));
  size_t at = header + 2 + fixed;
  insert(blob, at, 9);
  at += 9;
  const size_t rails = get_u16(blob, at);
  at += 2;
  auto extend = [&](size_t records) {
    for (size_t i = 0; i < records; ++i) {
      const size_t length = get_u16(blob, at);
      put_u16(blob, at, static_cast<uint16_t>(length + 3 + i));
      at += 2 + length;
      insert(blob, at, 3 + i);
      at += 3 + i;
    }
  };
  extend(rails);
  if (at < blob.size()) {  // spares
    at += 2;
    extend(get_u16(blob, at - 2));
  }
  insert(blob, at, 21);
  reseal(blob);
  return blob;
}

// A longer header, and fields appended to the body.
Bytes newer_frame(Bytes frame) {
  const size_t body = frame.size() - header_size;
  insert(frame, header_size, 8);
  insert(frame, frame.size(), 5);
  put_u16(frame, 6, header_size + 8);
  put_u32(frame, 24, static_cast<uint32_t>(body + 5));
  return frame;
}

template <typename Encode>
Bytes control(Encode encode) {
  Bytes bytes(max_control_frame);
  bytes.resize(encode(std::span<std::byte>(bytes)));
  return bytes;
}

const Bytes message = to_bytes("visible now");

}  // namespace

void put_u16(Bytes &bytes, size_t at, uint16_t value) { put(bytes, at, value, 2); }
void put_u32(Bytes &bytes, size_t at, uint32_t value) { put(bytes, at, value, 4); }
void put_u64(Bytes &bytes, size_t at, uint64_t value) { put(bytes, at, value, 8); }

uint16_t get_u16(const Bytes &bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned>(bytes[at]) | static_cast<unsigned>(bytes[at + 1]) << 8);
}

void reseal(Bytes &blob) {
  put_u32(blob, 8, static_cast<uint32_t>(blob.size()));
  put_u32(blob, 12, slow_crc32c(blob.data() + 16, blob.size() - 16));
}

Metadata sample_metadata() {
  Metadata metadata;
  metadata.instance = counting<16>(0x10);
  metadata.host = counting<16>(0x40);
  metadata.process = counting<16>(0x80);
  metadata.bootstrap = "192.0.2.7:4711";
  metadata.rails.push_back({"tcp", "tcp;ofi_rxm", to_bytes("fi_sockaddr_in://192.0.2.7:40001"), 100000000000});
  metadata.rails.push_back({"shm", "shm", {std::byte{0}, std::byte{0xff}, std::byte{0x7f}}, 0});
  return metadata;
}

Metadata sample_metadata_with_features() {
  Metadata metadata = sample_metadata();
  metadata.features = 0x80000001;
  return metadata;
}

Metadata sample_metadata_with_spares() {
  Metadata metadata = sample_metadata();
  metadata.features = 3;
  metadata.rails.push_back({"cxi", "cxi", {std::byte{5}, std::byte{0}}, 200000000000, true});
  metadata.rails.push_back({"tcp", "net", to_bytes("another"), 0, true});
  return metadata;
}

WindowBlob sample_window() {
  WindowBlob window;
  window.instance = counting<16>(0x10);
  window.window = 0x0102030405060708;
  window.capability = 0xfedcba9876543210;
  window.length = 5368709120;
  window.access = 3;
  window.rails = {{0x7f0012345000, 0xdeadbeef}, {0, UINT64_MAX}};
  return window;
}

WindowBlob sample_window_on_device() {
  WindowBlob window = sample_window();
  window.on_device = true;
  window.rails = {{0, no_key}, {0, no_key}};
  return window;
}

Hello sample_hello() {
  Hello hello;
  hello.instance = counting<16>(0x10);
  hello.token = 0x1122334455667788;
  hello.wants_proof = 1;
  hello.nonce = counting<32>(0x20);
  hello.proof = counting<32>(0xa0);
  hello.metadata = encode_metadata(sample_metadata());
  return hello;
}

Notify sample_notify() { return {65536, 8000, message}; }

AddressChange sample_address() { return {31, to_bytes("new address")}; }

std::vector<OneOfSeveral> sample_several() {
  static const Bytes first(23, std::byte{0x5a}), second{std::byte{1}};
  return {{Kind::stage_move, first}, {Kind::notify, {}}, {static_cast<Kind>(200), second}};
}

std::vector<std::pair<std::string, Stage>> stage_samples() {
  WindowBlob slots = sample_window();
  slots.length = 8 << 20;
  return {{"stage_want", StageWant{5, SlotMemory::host}},
          {"stage_want_device", StageWant{5, SlotMemory::device}},
          {"stage_want_plain", StageWant{5, SlotMemory::plain}},
          {"stage_lent", StageLent{PIRN_OK, "", 1 << 20, 8, encode_window(slots), 0}},
          {"stage_lent_device", StageLent{PIRN_OK, "", 1 << 20, 8, encode_window(slots), 5}},
          {"stage_not_lent", StageLent{PIRN_ERR_NO_MEMORY, "PIRN_STAGING_MEMORY is used up", 0, 0, {}, 0}},
          {"stage_write", StageMove{0x0102030405060708, 5, 7, 1, {{4096, 1}, {0xfffffffff0, 65536}}, 0}},
          {"stage_write_device", StageMove{9, 5, 7, 1, {{4096, 1}, {0xfffffffff0, 65536}}, 0x1112131415161718}},
          {"stage_read", StageMove{9, 6, 0, 0, {{0, 1 << 20}}, 0}},
          {"stage_moved", StageMoved{0x0102030405060708, PIRN_OK, ""}},
          {"stage_not_moved", StageMoved{9, PIRN_ERR_WINDOW_GONE, "window 6 is withdrawn"}}};
}

Header sample_header(Kind kind) {
  Header header;
  header.kind = kind;
  header.token = 0x8877665544332211;
  header.sequence = 0xfffffffe;
  header.acknowledged = 0x01020304;
  header.epoch = 0xa1b2c3d4;
  return header;
}

std::vector<Sample> blob_samples() {
  return {{"metadata", encode_metadata(sample_metadata())},
          {"metadata_features", encode_metadata(sample_metadata_with_features())},
          {"metadata_spares", encode_metadata(sample_metadata_with_spares())},
          {"window", encode_window(sample_window())},
          {"window_on_device", encode_window(sample_window_on_device())}};
}

std::vector<Sample> frame_samples() {
  using Out = std::span<std::byte>;
  Bytes hello, challenge, proof, welcome;
  encode_hello(hello, Kind::hello, 0, sample_hello());
  encode_hello(challenge, Kind::challenge, 0x99, sample_hello());
  encode_proof(proof, 0x99, {counting<32>(0xa0)});
  encode_welcome(welcome, 0x99, {PIRN_ERR_REFUSED, "the keys differ"});
  std::vector<Sample> samples = {{"hello", hello}, {"challenge", challenge}, {"proof", proof}, {"welcome", welcome}};
  auto add = [&](const char *name, auto encode) { samples.push_back({name, control(encode)}); };
  add("ping", [](Out out) { return encode_ping(out, sample_header(Kind::ping), {77}); });
  add("ping_rail", [](Out out) { return encode_ping(out, sample_header(Kind::ping), {78, 31}); });
  add("pong", [](Out out) { return encode_ping(out, sample_header(Kind::pong), {UINT64_MAX}); });
  add("ack", [](Out out) { return encode_empty(out, sample_header(Kind::ack)); });
  add("notify", [](Out out) { return encode_notify(out, sample_header(Kind::notify), sample_notify()); });
  add("window_open", [](Out out) { return encode_window_ref(out, sample_header(Kind::window_open), {5, 6}); });
  add("window_opened", [](Out out) {
    return encode_window_opened(out, sample_header(Kind::window_opened), {5, PIRN_ERR_WINDOW_GONE, {}, 0});
  });
  add("window_opened_shared", [](Out out) {
    return encode_window_opened(out, sample_header(Kind::window_opened), {5, PIRN_OK, counting<16>(0x50), 1});
  });
  add("window_close", [](Out out) { return encode_window_ref(out, sample_header(Kind::window_close), {5, 0}); });
  add("window_withdraw", [](Out out) { return encode_window_ref(out, sample_header(Kind::window_withdraw), {5, 0}); });
  add("window_quiesced", [](Out out) { return encode_window_ref(out, sample_header(Kind::window_quiesced), {5, 0}); });
  add("bye", [](Out out) { return encode_empty(out, sample_header(Kind::bye)); });
  add("address", [](Out out) { return encode_address(out, sample_header(Kind::address), sample_address()); });
  add("window_update", [](Out out) {
    return encode_window_update(out, sample_header(Kind::window_update),
                                {5, 31, PIRN_OK, {0x7f0012345000, 0xdeadbeefcafe}});
  });
  add("window_no_update", [](Out out) {
    return encode_window_update(out, sample_header(Kind::window_update), {5, 0, PIRN_ERR_NO_MEMORY, {0, no_key}});
  });
  add("window_want", [](Out out) { return encode_window_want(out, sample_header(Kind::window_want), {5, 31}); });
  for (const auto &sample : stage_samples())
    samples.push_back({sample.first, control([&](Out out) {
                         return encode_stage(out, sample_header(kind_of(sample.second)), sample.second);
                       })});
  add("several", [](Out out) {
    SeveralWriter several(out);
    for (const OneOfSeveral &one : sample_several()) several.add(one);
    return several.finish(sample_header(Kind::several));
  });
  return samples;
}

std::vector<Sample> newer_blob_samples() {
  std::vector<Sample> samples = blob_samples();
  // What is appended to metadata without features would be taken for them.
  std::erase_if(samples, [](const Sample &sample) { return sample.name == "metadata"; });
  for (Sample &sample : samples) sample = {"newer_" + sample.name, newer_blob(sample.bytes)};
  return samples;
}

std::vector<Sample> newer_frame_samples() {
  std::vector<Sample> samples = frame_samples();
  for (Sample &sample : samples) sample = {"newer_" + sample.name, newer_frame(sample.bytes)};
  return samples;
}
