// SPDX-License-Identifier: Apache-2.0
// Decoders of frame bodies. Each reads the fields of version 1 and skips what a newer peer appended.
#include "wire/bytes.h"
#include "wire/frame.h"

#include <pirn/transfer.h>

namespace pirn::wire {

namespace {

Status truncated(const char *kind, std::span<const std::byte> body) {
  return fail(PIRN_ERR_INVALID, "%s is truncated: its body has %zu bytes", kind, body.size());
}

// On the wire a status is final: fine, or an error.
Status check_status(const char *kind, int32_t status) {
  if (status <= PIRN_OK) return Status::ok();
  return fail(PIRN_ERR_INVALID, "%s carries status %d, which is no outcome", kind, status);
}

}  // namespace

Result<Ping> decode_ping(std::span<const std::byte> body) {
  Reader reader(body);
  Ping ping;
  ping.id = reader.u64();
  if (!reader.ok()) return truncated("ping", body);
  if (reader.remaining() >= sizeof(uint32_t)) ping.rail = reader.u32();
  if (ping.rail >= max_rails) ping.rail = any_rail;
  return ping;
}

Result<Notify> decode_notify(std::span<const std::byte> body) {
  Reader reader(body);
  Notify notify;
  notify.total = reader.u32();
  notify.offset = reader.u32();
  const size_t size = reader.u32();
  notify.data = reader.bytes(size);
  if (!reader.ok()) return truncated("notification", body);
  if (notify.total < 1 || notify.total > PIRN_NOTIFICATION_MAX)
    return fail(PIRN_ERR_INVALID, "notification of %u bytes; allowed: 1..%u", notify.total, PIRN_NOTIFICATION_MAX);
  if (size < 1 || notify.offset > notify.total || size > notify.total - notify.offset)
    return fail(PIRN_ERR_INVALID, "notification fragment of %zu bytes at %u does not fit into %u bytes", size,
                notify.offset, notify.total);
  return notify;
}

Result<WindowRef> decode_window_ref(std::span<const std::byte> body) {
  Reader reader(body);
  WindowRef ref;
  ref.window = reader.u64();
  ref.capability = reader.u64();
  if (!reader.ok()) return truncated("window reference", body);
  return ref;
}

Result<WindowOpened> decode_window_opened(std::span<const std::byte> body) {
  Reader reader(body);
  WindowOpened opened;
  opened.window = reader.u64();
  opened.status = static_cast<int32_t>(reader.u32());
  if (!reader.ok()) return truncated("window answer", body);
  if (reader.remaining() >= opened.share_secret.size()) opened.share_secret = reader.array<16>();
  if (reader.remaining() > 0 && opened.share_secret != decltype(opened.share_secret){}) opened.plain = reader.u8();
  Status status = check_status("window answer", opened.status);
  if (!status.is_ok()) return status;
  return opened;
}

Result<WindowUpdate> decode_window_update(std::span<const std::byte> body) {
  Reader reader(body);
  WindowUpdate update;
  update.window = reader.u64();
  update.rail = reader.u32();
  update.status = static_cast<int32_t>(reader.u32());
  update.key.address = reader.u64();
  update.key.key = reader.u64();
  if (!reader.ok()) return truncated("window update", body);
  if (update.rail >= max_rails)
    return fail(PIRN_ERR_INVALID, "window update of rail %u; allowed: 0..%zu", update.rail, max_rails - 1);
  Status status = check_status("window update", update.status);
  if (!status.is_ok()) return status;
  if ((update.status == PIRN_OK) == (update.key.key == no_key))
    return fail(PIRN_ERR_INVALID, "window update with status %d %s a key", update.status,
                update.status == PIRN_OK ? "lacks" : "has");
  return update;
}

Result<WindowWant> decode_window_want(std::span<const std::byte> body) {
  Reader reader(body);
  WindowWant want;
  want.window = reader.u64();
  want.rail = reader.u32();
  if (!reader.ok()) return truncated("window request", body);
  if (want.rail >= max_rails)
    return fail(PIRN_ERR_INVALID, "window request for rail %u; allowed: 0..%zu", want.rail, max_rails - 1);
  return want;
}

Result<AddressChange> decode_address(std::span<const std::byte> body) {
  Reader reader(body);
  AddressChange change;
  change.rail = reader.u32();
  const std::span<const std::byte> address = reader.bytes(reader.u16());
  if (!reader.ok()) return truncated("address change", body);
  if (change.rail >= max_rails)
    return fail(PIRN_ERR_INVALID, "address change of rail %u; allowed: 0..%zu", change.rail, max_rails - 1);
  if (address.empty() || address.size() > max_address)
    return fail(PIRN_ERR_INVALID, "address change has %zu bytes of address; allowed: 1..%zu", address.size(),
                max_address);
  change.address.assign(address.begin(), address.end());
  return change;
}

Result<ProofBody> decode_proof(std::span<const std::byte> body) {
  Reader reader(body);
  ProofBody proof;
  proof.proof = reader.array<32>();
  if (!reader.ok()) return truncated("proof", body);
  return proof;
}

Result<Welcome> decode_welcome(std::span<const std::byte> body) {
  Reader reader(body);
  Welcome welcome;
  welcome.status = static_cast<int32_t>(reader.u32());
  welcome.reason = reader.string();
  if (!reader.ok()) return truncated("welcome", body);
  Status status = check_status("welcome", welcome.status);
  if (!status.is_ok()) return status;
  if (!is_printable(welcome.reason)) return fail(PIRN_ERR_INVALID, "welcome gives a reason that is not printable");
  return welcome;
}

Result<Hello> decode_hello(std::span<const std::byte> body) {
  Reader reader(body);
  Hello hello;
  hello.instance = reader.array<16>();
  hello.token = reader.u64();
  hello.nonce = reader.array<32>();
  hello.proof = reader.array<32>();
  hello.wants_proof = reader.u8();
  const size_t size = reader.u32();
  const std::span<const std::byte> metadata = reader.bytes(size);
  if (!reader.ok()) return truncated("hello", body);
  if (hello.token == 0) return fail(PIRN_ERR_INVALID, "hello has no token");
  if (hello.wants_proof > 1)
    return fail(PIRN_ERR_INVALID, "hello says %u to a proof; allowed: 0..1", unsigned{hello.wants_proof});
  if (metadata.empty() || metadata.size() > max_blob)
    return fail(PIRN_ERR_INVALID, "hello has %zu bytes of metadata; allowed: 1..%zu", metadata.size(), max_blob);
  hello.metadata.assign(metadata.begin(), metadata.end());
  return hello;
}

}  // namespace pirn::wire
