// SPDX-License-Identifier: Apache-2.0
// Large copies between devices, to or from several peers at once. Copy engines serve one stream after the other, and so reach
// one device at a time; kernels of several streams, with few thread blocks each, reach several.
#include "core/copies.h"

#include "base/clock.h"
#include "base/text.h"
#include "core/endpoint.h"

#include <algorithm>

namespace pirn::core {

static constexpr uint32_t most_lanes = 16;
// All to all on four H200s with 16, 32 and 44 each of three peers: writes 1130, 1393 and 1401 GB/s, reads 1252, 1160 and 1175.
static constexpr uint32_t write_ctas = 96, read_ctas = 48, least_ctas = 8;
// Of a transfer. There, in pieces of 4 MiB, by kernels and by the engine: writes 1084 and 850, reads 908 and 807; of 1 MiB 562
// and 663, 576 and 634.
static constexpr uint64_t least_bytes = 2 << 20;
static constexpr uintptr_t word = 16;  // bytes; a kernel is slow where both ends do not lie alike in one

bool Copies::several_peers(const Op &op, const Run &first) {
  if (!first.on_devices || op.total < least_bytes) return false;
  const auto &busy = large_copies_[first.home];
  if (busy.size() == busy.count(op.peer)) return false;
  // A list that is at the device was made ready for large lanes. A stream that waits for us may hold up kernels, and whoever
  // asks its device for more.
  const bool as_prepared = op.prepared && op.prepared->blocks;
  const auto apart = reinterpret_cast<uintptr_t>(first.local) - reinterpret_cast<uintptr_t>(first.remote);
  return !as_prepared && apart % word == 0 && endpoint_.kernels().work(first.home) &&
         !endpoint_.triggers().may_be_waited_for();
}

bool Copies::by_kernels(const Home &home) {
  if (without_lanes_.count(home) > 0) return false;
  const std::string &how = endpoint_.settings().copy_concurrent;
  return how == "auto" ? contests_[home].way() == Contest::kernels : how == "kernel";
}

std::string Copies::explain() const {
  std::string out;
  for (const auto &[home, why] : without_lanes_)
    out += text("large copies of %s:%u to or from several peers at once: by its copy engine, since those of kernels could not be "
                "made ready: %s\n", home.table->name, home.device, why.c_str());
  for (const auto &[home, contest] : contests_) {
    if (!endpoint_.kernels().work(home) || without_lanes_.count(home) > 0) continue;  // it is over, as is said elsewhere
    out += text("large copies of %s:%u to or from several peers at once: by %s", home.table->name, home.device,
                contest.way() == Contest::engine ? "its copy engine" : "kernels");
    if (contest.rate(Contest::kernels) > 0)
      out += text(" (last tried: engine %.1f GB/s, kernels %.1f GB/s)", contest.rate(Contest::engine), contest.rate(Contest::kernels));
    out += "\n";
  }
  return out;
}

// The peer's own lane, or an idle one that it takes, or the least laden one. `large`: what does as well.
Copies::Lane *Copies::concurrent_lane(Lane &large, const Op &op, const Run &first) {
  Lane *best = nullptr;
  uint32_t count = 0;
  for (auto &lane : lanes_) {
    if (lane->purpose != Purpose::concurrent || !(lane->home == large.home)) continue;
    ++count;
    const bool own = lane->peer == op.peer && !lane->batches.empty();
    if (own || !best || lane->backlog < best->backlog) best = lane.get();
    if (own) break;
  }
  const bool taken = !best || (!best->batches.empty() && best->peer != op.peer);
  if (taken && count < most_lanes) best = make_concurrent_lane(large.home, count);
  if (!best || !reaches(*best, first)) return &large;
  best->peer = op.peer;
  return best;
}

// Stocked at once: a batch that cannot be made for want of memory would end its transfer. nullptr: engines do as well.
Copies::Lane *Copies::make_concurrent_lane(const Home &home, uint32_t number) {
  auto made = make_lane(home, Purpose::concurrent, number);
  Status status = made.status();
  if (status.is_ok()) status = stock(*made.value());
  if (status.is_ok()) return made.value();
  without_lanes_.emplace(home, status.text);
  endpoint_.log().write(PIRN_LOG_WARN, "%s:%u copies to or from several peers by its copy engine alone: %s", home.table->name,
                        home.device, status.text.c_str());
  return nullptr;
}

// Devices need not run their streams evenly: while a concurrent lane waits for its front batch, the other ones take no more
// than a lane has room for.
bool Copies::ahead(const Lane &lane) const {
  return lane.purpose == Purpose::concurrent && std::any_of(lanes_.begin(), lanes_.end(), [&](const auto &other) {
    return other.get() != &lane && other->home == lane.home && !other->batches.empty() && other->overtaken >= lane_bytes;
  });
}

void Copies::started(const Batch &batch, Lane &lane) {
  if (lane.batches.empty()) lane.overtaken = 0;
  if (batch.counts) ++large_copies_[lane.home][batch.op->peer];
  if (batch.contested) contests_[lane.home].started(lane.way(), now_ns());
}

void Copies::ended(const Batch &batch, Lane &lane) {
  if (batch.counts && --large_copies_[lane.home][batch.op->peer] == 0) large_copies_[lane.home].erase(batch.op->peer);
  if (batch.contested) contests_[lane.home].ended(lane.way(), batch.bytes, now_ns());
  lane.overtaken = 0;
  if (lane.purpose != Purpose::concurrent) return;
  for (auto &other : lanes_)
    if (other.get() != &lane && other->purpose == Purpose::concurrent && other->home == lane.home) other->overtaken += batch.bytes;
}

uint32_t Copies::ctas(const Lane &lane, OpKind kind) {
  const auto demanded = static_cast<uint32_t>(endpoint_.settings().copy_ctas);
  if (demanded > 0 || lane.purpose != Purpose::concurrent) return demanded;
  const auto &busy = large_copies_[lane.home];
  const auto sharers = static_cast<uint32_t>(busy.size() + 1 - busy.count(lane.peer));
  return std::max((kind == OpKind::write ? write_ctas : read_ctas) / sharers, least_ctas);
}

}  // namespace pirn::core
