// SPDX-License-Identifier: Apache-2.0
#include "wire/share_check.h"

#include <bitset>

namespace pirn::wire {

namespace {

constexpr auto last_handle_kind = static_cast<uint8_t>(ShareHandleKind::host_guard);

unsigned long long ull(uint64_t value) { return value; }

bool is_file(ShareHandleKind kind) { return kind == ShareHandleKind::device_file || kind == ShareHandleKind::host_file; }

Status check_handle(const ShareHandle &handle, size_t files, std::bitset<max_share_files> &named) {
  const auto kind = static_cast<uint8_t>(handle.kind);
  if (kind < 1 || kind > last_handle_kind)
    return fail(PIRN_ERR_INVALID, "share answer: a handle of kind %u; allowed: 1..%u", unsigned{kind},
                unsigned{last_handle_kind});
  if (handle.bytes.size() > share_handle_bytes)
    return fail(PIRN_ERR_INVALID, "share answer: a handle of %zu bytes; at most %zu", handle.bytes.size(),
                share_handle_bytes);
  if (handle.kind == ShareHandleKind::host_address && handle.bytes.size() != sizeof(uint64_t))
    return fail(PIRN_ERR_INVALID, "share answer: an address of %zu bytes; allowed: 8", handle.bytes.size());
  if (handle.kind == ShareHandleKind::host_guard && handle.bytes.size() != 2 * sizeof(uint64_t))
    return fail(PIRN_ERR_INVALID, "share answer: a guard of %zu bytes; allowed: 16", handle.bytes.size());
  if (!is_file(handle.kind)) {
    if (handle.file == ShareHandle::no_file) return Status::ok();
    return fail(PIRN_ERR_INVALID, "share answer: a handle of kind %u names descriptor %u", unsigned{kind},
                unsigned{handle.file});
  }
  if (handle.file >= files || named.test(handle.file))
    return fail(PIRN_ERR_INVALID, "share answer: a handle names descriptor %u; %zu came, each for one handle",
                unsigned{handle.file}, files);
  named.set(handle.file);
  return Status::ok();
}

Status check_chunk(const ShareAnswer &answer, const ShareChunk &chunk, const ShareChunk *before) {
  if (chunk.length < 1 || chunk.offset > answer.window_length || chunk.length > answer.window_length - chunk.offset)
    return fail(PIRN_ERR_INVALID, "share answer: %llu bytes at %llu do not lie in a window of %llu",
                ull(chunk.length), ull(chunk.offset), ull(answer.window_length));
  if (before != nullptr && chunk.offset != before->offset + before->length)
    return fail(PIRN_ERR_INVALID, "share answer: a chunk at %llu follows one that ends at %llu", ull(chunk.offset),
                ull(before->offset + before->length));
  if (chunk.allocation_offset > chunk.allocation_length ||
      chunk.length > chunk.allocation_length - chunk.allocation_offset)
    return fail(PIRN_ERR_INVALID, "share answer: %llu bytes at %llu do not lie in an allocation of %llu",
                ull(chunk.length), ull(chunk.allocation_offset), ull(chunk.allocation_length));
  if (chunk.pci_device > 31 || chunk.pci_function > 7)
    return fail(PIRN_ERR_INVALID, "share answer: PCI device %u, function %u; at most 31 and 7",
                unsigned{chunk.pci_device}, unsigned{chunk.pci_function});
  if (chunk.handles.size() > max_share_handles)
    return fail(PIRN_ERR_INVALID, "share answer: a chunk of %zu handles; at most %zu", chunk.handles.size(),
                max_share_handles);
  return Status::ok();
}

}  // namespace

Status check_share_answer(const ShareAnswer &answer, size_t files) {
  if (answer.status > PIRN_OK)
    return fail(PIRN_ERR_INVALID, "share answer carries status %d, which is no outcome", answer.status);
  if (files > max_share_files || answer.chunks.size() > max_share_chunks)
    return fail(PIRN_ERR_INVALID, "share answer of %zu chunks and %zu descriptors; at most %zu and %zu",
                answer.chunks.size(), files, max_share_chunks, max_share_files);
  if ((answer.status == PIRN_OK) == answer.chunks.empty())
    return fail(PIRN_ERR_INVALID, "share answer: status %d with %zu chunks", answer.status, answer.chunks.size());
  std::bitset<max_share_files> named;
  const ShareChunk *before = nullptr;
  for (const ShareChunk &chunk : answer.chunks) {
    Status status = check_chunk(answer, chunk, before);
    for (const ShareHandle &handle : chunk.handles)
      if (status.is_ok()) status = check_handle(handle, files, named);
    if (!status.is_ok()) return status;
    before = &chunk;
  }
  if (named.count() != files)
    return fail(PIRN_ERR_INVALID, "share answer: %zu descriptors came, but %zu are named", files, named.count());
  return Status::ok();
}

}  // namespace pirn::wire
