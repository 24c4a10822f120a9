// SPDX-License-Identifier: Apache-2.0
// Lists of blocks that a kernel copies: written for one launch, prepared, chosen by index.
#include "core/copies.h"
#include "core/endpoint.h"

#include <algorithm>

namespace pirn::core {

// By index from a list in the device's memory: the host hands over the indices.
Status Copies::submit_selected(Op &op, Lane &lane, PreparedBlocks &list, Batch *batch) {
  constexpr uint32_t most = BlockRooms::blocks * sizeof(device::Block) / (2 * sizeof(uint32_t));
  const uint32_t first = op.cursor.element;
  const uint64_t fitting = std::max<uint64_t>(lane_bytes / list.length(), 1);
  const uint32_t count = static_cast<uint32_t>(std::min<uint64_t>({most, fitting, op.count - first}));
  const Selection &chosen = *op.selection;
  const bool write = op.kind == OpKind::write;
  auto *to = reinterpret_cast<uint32_t *>(batch->room), *from = to + count;
  std::copy_n((write ? chosen.remote : chosen.local).data() + first, count, to);
  std::copy_n((write ? chosen.local : chosen.remote).data() + first, count, from);
  Status status = lane.home.table->copy_selected(lane.home.device, lane.stream,
                                                 {list.at_device(0), to, from, count, list.length()}, ctas(lane, op.kind));
  if (!status.is_ok()) return status;
  batch->list = &list;
  batch->bytes = count * list.length();
  op.cursor = {first + count, 0};
  return status;
}

// As many pieces as the room has place for, in one launch.
Status Copies::submit_blocks(Op &op, Lane &lane, Batch *batch) {
  size_t count = 0;
  PreparedBlocks *list = op.prepared ? op.prepared->blocks.get() : nullptr;
  if (list && list->length() > 0) return submit_selected(op, lane, *list, batch);
  const Cursor end = list ? write_selected(op, *list, batch, &count) : write_blocks(op, lane, batch, &count);
  const uint64_t bytes = device::chain({batch->room, count});
  Status status = lane.home.table->copy_blocks(lane.home.device, lane.stream, batch->room, count, ctas(lane, op.kind));
  if (!status.is_ok()) return status;
  batch->bytes = bytes;
  op.cursor = end;
  return status;
}

Cursor Copies::write_blocks(const Op &op, Lane &lane, Batch *batch, size_t *count) const {
  const bool write = op.kind == OpKind::write;
  const bool concurrent = lane.purpose == Purpose::concurrent;
  const uint64_t longest = concurrent ? UINT64_MAX : engine_piece() - 1;  // the rest is the engines'
  const uint64_t limit = concurrent ? concurrent_bytes : lane_bytes;
  uint64_t bytes = 0;
  Cursor at = op.cursor;
  // Where the piece before lay: most pieces of a list lie in the same memory.
  const Region *region = nullptr;
  const Window *window = nullptr;
  const Extent *extent = nullptr;
  while (*count < BlockRooms::blocks && bytes < limit && at.element < op.count) {
    const Segment segment = op.element(at.element);
    const uint64_t offset = segment.remote_offset + at.offset;
    uint64_t length = segment.length - at.offset;
    const bool known = segment.region == region && segment.window == window && offset >= extent->offset &&
                       offset + length <= extent->offset + extent->length;
    if (!known && length > 0) {
      auto run = run_of(segment, at.offset);
      if (!run.is_ok()) break;  // the caller's next turn sees to it
      const Run &piece = run.value();
      if (!(piece.home == lane.home) || *piece.lease != batch->lease || !reaches(lane, piece)) break;
      region = segment.region;
      window = segment.window;
      extent = piece.extent;
      length = piece.length;
    }
    if (length > longest) break;
    length = std::min(length, limit - bytes);
    if (length > 0) {
      std::byte *local = segment.region->address() + segment.local_offset + at.offset;
      std::byte *remote = extent->address + (offset - extent->offset);
      batch->room[(*count)++] = {write ? remote : local, write ? local : remote, length, 0};
    }
    bytes += length;
    advance(op, &at, length);
  }
  return at;
}

Cursor Copies::write_selected(const Op &op, const PreparedBlocks &list, Batch *batch, size_t *count) {
  const bool write = op.kind == OpKind::write;
  const Selection &chosen = *op.selection;
  uint64_t bytes = 0;
  uint32_t at = op.cursor.element;
  for (; *count < BlockRooms::blocks && bytes < lane_bytes && at < op.count; ++at) {
    const device::Block &near = list.block(chosen.local[at]), &far = list.block(chosen.remote[at]);
    batch->room[(*count)++] = {write ? far.to : near.to, write ? near.from : far.from, near.length, 0};
    bytes += near.length;
  }
  return {at, 0};
}

// -- Prepared lists

// The list as blocks, one for each element; nullptr: it is none for a kernel.
PreparedBlocks *Copies::blocks_of(Op &op) {
  Prepared &list = *op.prepared;
  if (list.blocks) return endpoint_.kernels().work(list.blocks->home) ? list.blocks.get() : nullptr;
  if (list.no_blocks) return nullptr;
  list.no_blocks = true;
  if (list.elements.size() < kernel_pieces) return nullptr;
  auto first = run_of(list.elements.front(), 0);
  if (!first.is_ok() || !first.value().on_devices) return nullptr;
  auto lane = lane_for(first.value().home, list.total <= small_transfer);
  if (!lane.is_ok() || !endpoint_.kernels().work(lane.value()->home)) return nullptr;
  std::vector<device::Block> blocks;
  for (const Segment &element : list.elements) {
    auto run = run_of(element, 0);
    if (!run.is_ok() || run.value().length == 0 || run.value().length != element.length ||
        run.value().length >= engine_piece() || !reaches(*lane.value(), run.value()) || !(run.value().home == lane.value()->home) ||
        *run.value().lease != *first.value().lease)
      return nullptr;
    const Run &piece = run.value();
    const bool write = op.kind == OpKind::write;
    blocks.push_back({write ? piece.remote : piece.local, write ? piece.local : piece.remote, piece.length, 0});
  }
  auto made = PreparedBlocks::make(lane.value()->home, lane.value()->stream, blocks, *first.value().lease);
  if (!made.is_ok()) {
    endpoint_.log().write(PIRN_LOG_WARN, "a prepared list of %zu elements is written anew for each post: %s", blocks.size(),
                          made.error().text.c_str());
    return nullptr;
  }
  list.blocks = made.take();
  list.no_blocks = false;
  return list.blocks.get();
}

bool Copies::issue_prepared(Op &op) {
  PreparedBlocks &list = *op.prepared->blocks;
  Status status;
  while (status.is_ok() && !op.fully_issued()) {
    auto found = lane_for(list.home, op.total <= small_transfer);
    status = found.status();
    if (!status.is_ok()) break;
    Lane &lane = *list_lane(*found.value(), &list);
    if (!has_room(lane)) return false;
    const uint32_t first = op.cursor.element;
    const uint32_t end = list.end_within(first, lane_bytes);
    Batch batch;
    batch.op = &op;
    status = enter(list.lease);
    if (status.is_ok()) batch.lease = list.lease;
    if (status.is_ok()) batch.event = event_of(lane, &status);
    Status launched;
    if (status.is_ok())
      launched = list.home.table->copy_blocks(list.home.device, lane.stream, list.at_device(first), end - first,
                                              ctas(lane, op.kind));
    if (status.is_ok() && launched.is_ok()) {
      batch.list = &list;
      batch.bytes = list.bytes(first, end);
      op.cursor = {end, 0};
    }
    if (!launched.is_ok()) status = by_engines_instead(lane, &batch, launched);
    Status finished = finish_batch(op, lane, std::move(batch));
    if (status.is_ok()) status = finished;
    if (status.is_ok() && !launched.is_ok()) return issue(op);
  }
  if (!status.is_ok()) endpoint_.engine().end(op, status.code, status.text);
  return true;
}

}  // namespace pirn::core
