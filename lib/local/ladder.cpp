// SPDX-License-Identifier: Apache-2.0
#include "local/ladder.h"

#include "base/clock.h"
#include "base/text.h"
#include "local/host_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>

namespace pirn::local {

namespace {

using Kind = wire::ShareHandleKind;

constexpr uint64_t read_bytes = 64;  // at each end

device::HandleKind device_kind(Kind kind) {
  switch (kind) {
    case Kind::device_fabric: return device::HandleKind::fabric;
    case Kind::device_legacy: return device::HandleKind::legacy;
    default: return device::HandleKind::file;
  }
}

}  // namespace

struct Ladder::Attempt {
  const wire::ShareChunk &chunk;
  const wire::ShareHandle &handle;
  std::span<const Fd> files;
  const Importer &importer;
};

struct Ladder::Rung {
  Kind kind;
  const char *name;
  bool is_file;
  bool for_devices;

  static const Rung all[];  // best first
};

const Ladder::Rung Ladder::Rung::all[] = {
    {Kind::device_file, "file", true, true},
    {Kind::device_fabric, "fabric", false, true},
    {Kind::device_legacy, "legacy", false, true},
    {Kind::host_file, "shared file", true, false},
};

// -- Reading by a device

Ladder::~Ladder() {
  for (Reader &reader : readers_) {
    // Work that did not end may still write into the room: then both are left, rather than freed under its hands.
    if (!settle(reader)) continue;
    (void)reader.operations->drop_stream(reader.device, reader.stream);
    (void)reader.operations->release_host(reader.room);
  }
}

// Whether nothing of it is under way any more.
bool Ladder::settle(Reader &reader) {
  if (!reader.unfinished.has_value()) return true;
  if (reader.operations->finish(reader.device, reader.stream, 0).code == PIRN_ERR_TIMEOUT) return false;
  (void)unmap(*reader.unfinished);
  reader.unfinished.reset();
  return true;
}

Result<Ladder::Reader *> Ladder::reader_of(const Importer &importer) {
  for (Reader &reader : readers_) {
    if (reader.operations != importer.operations || reader.device != importer.device) continue;
    if (settle(reader)) return &reader;
    return fail(PIRN_ERR_TIMEOUT, "%s:%u is still at the reading of an earlier mapping", importer.operations->name,
                importer.device);
  }
  Reader fresh{importer.operations, importer.device, nullptr, nullptr, {}};
  const Result<void *> room = fresh.operations->allocate_host(read_bytes);
  if (!room.is_ok()) return room.status();
  fresh.room = room.value();
  const Result<void *> stream = fresh.operations->make_stream(fresh.device);
  if (!stream.is_ok()) {
    (void)fresh.operations->release_host(fresh.room);
    return stream.status();
  }
  fresh.stream = stream.value();
  readers_.push_back(fresh);
  return &readers_.back();
}

Status Ladder::read_ends(const Reader &reader, const Mapping &mapping, uint64_t deadline) {
  const uint64_t size = std::min(read_bytes, mapping.length);
  auto *const first = static_cast<const std::byte *>(mapping.address);
  Status status;
  for (const std::byte *from : {first, first + (mapping.length - size)})
    if (status.is_ok()) status = reader.operations->copy(reader.device, reader.stream, reader.room, from, size);
  const uint64_t now = now_ns();
  const Status finished = reader.operations->finish(reader.device, reader.stream, deadline > now ? deadline - now : 0);
  return status.is_ok() || finished.code == PIRN_ERR_TIMEOUT ? finished : status;
}

// -- Rungs

Result<Mapping> Ladder::map_device(const Attempt &attempt) {
  const Importer &importer = attempt.importer;
  if (importer.operations == nullptr) return fail(PIRN_ERR_UNAVAILABLE, "this side has no device to map it for");
  if (attempt.handle.kind == Kind::device_legacy && importer.same_process)
    return fail(PIRN_ERR_UNAVAILABLE, "the owner is this very process");
  const Result<Reader *> reader = reader_of(importer);
  if (!reader.is_ok()) return reader.status();
  device::Handle handle;
  handle.kind = device_kind(attempt.handle.kind);
  if (handle.kind == device::HandleKind::file) handle.file = attempt.files[attempt.handle.file].get();
  std::copy_n(attempt.handle.bytes.begin(), std::min(attempt.handle.bytes.size(), handle.bytes.size()),
              handle.bytes.begin());
  Mapping mapping{importer.operations, importer.device, nullptr, attempt.chunk.allocation_length, attempt.handle.kind};
  const Result<void *> mapped = importer.operations->map(importer.device, handle, mapping.length, importer.writable);
  if (!mapped.is_ok()) return mapped.status();
  mapping.address = mapped.value();
  const Status status = read_ends(*reader.value(), mapping, importer.deadline);
  if (status.is_ok()) return mapping;
  if (status.code == PIRN_ERR_TIMEOUT) reader.value()->unfinished = mapping;
  else (void)unmap(mapping);
  return fail(status.code, "mapped, but not readable: %s", status.text.c_str());
}

static Result<Mapping> map_host(const Fd &file, uint64_t length, bool writable) {
  const Result<void *> mapped = map_host_file(file.get(), length, writable);
  if (!mapped.is_ok()) return mapped.status();
  return Mapping{nullptr, 0, mapped.value(), length, Kind::host_file};
}

Result<Mapping> Ladder::try_rung(const Rung &rung, const Attempt &attempt) {
  if (now_ns() >= attempt.importer.deadline) return fail(PIRN_ERR_TIMEOUT, "not tried, the deadline has passed");
  if (rung.is_file && attempt.handle.file >= attempt.files.size())
    return fail(PIRN_ERR_INVALID, "descriptor %u of %zu", unsigned{attempt.handle.file}, attempt.files.size());
  if (rung.for_devices) return map_device(attempt);
  return map_host(attempt.files[attempt.handle.file], attempt.chunk.allocation_length, attempt.importer.writable);
}

Result<Mapping> Ladder::climb(const wire::ShareChunk &chunk, std::span<const Fd> files, const Importer &importer) {
  if (chunk.allocation_length == 0) return fail(PIRN_ERR_INVALID, "an allocation of 0 bytes; at least 1");
  std::string reasons;
  for (const Rung &rung : Rung::all) {
    for (const wire::ShareHandle &handle : chunk.handles) {
      if (handle.kind != rung.kind) continue;
      Result<Mapping> mapping = try_rung(rung, {chunk, handle, files, importer});
      if (mapping.is_ok()) {
        mapping.value().why_not_better = std::move(reasons);
        return mapping;
      }
      reasons += text("%s%s: %s", reasons.empty() ? "" : "; ", rung.name, mapping.error().text.c_str());
      if (mapping.error().code == PIRN_ERR_TIMEOUT) return fail(PIRN_ERR_TIMEOUT, "%s", reasons.c_str());
    }
  }
  if (!chunk.why_none.empty()) reasons += (reasons.empty() ? "the owner: " : "; the owner: ") + chunk.why_none;
  if (reasons.empty()) reasons = "the owner offered no handle that this side can map";
  return fail(PIRN_ERR_UNAVAILABLE, "%s", reasons.c_str());
}

Status unmap(const Mapping &mapping) {
  if (mapping.operations != nullptr)
    return mapping.operations->unmap(mapping.device, mapping.address, mapping.length, device_kind(mapping.kind));
  if (mapping.pinned_by != nullptr)
    if (Status status = mapping.pinned_by->unpin(mapping.address); !status.is_ok()) return status;
  if (munmap(mapping.address, mapping.length) == 0) return Status::ok();
  return fail(PIRN_ERR_IO, "munmap: %s", std::strerror(errno));
}

uint32_t usable_kinds(const Importer &importer) {
  uint32_t kinds = share_bit(Kind::host_file);
  if (importer.operations == nullptr) return kinds;
  kinds |= share_bit(Kind::device_file) | share_bit(Kind::device_fabric);
  return importer.same_process ? kinds : kinds | share_bit(Kind::device_legacy);
}

const char *rung_name(Kind kind) {
  switch (kind) {
    case Kind::device_file: return "file";
    case Kind::device_fabric: return "fabric";
    case Kind::device_legacy: return "legacy";
    case Kind::host_file: return "shared file";
    case Kind::host_address:
    case Kind::host_guard: break;
  }
  return "address";
}

}  // namespace pirn::local
