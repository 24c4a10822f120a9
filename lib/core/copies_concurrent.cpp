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

bool Copies::several_peers(const Op &op, const Run &first) const {
  const uint32_t others = busy_peers_ - (op.peer->large_copies > 0 ? 1 : 0);
  // What a stream's post may need of the device was made ready for large lanes, and so was a list that is at the device.
  const bool as_prepared = op.prepared && (op.prepared->triggers > 0 || op.prepared->blocks);
  const auto apart = reinterpret_cast<uintptr_t>(first.local) - reinterpret_cast<uintptr_t>(first.remote);
  return others > 0 && op.total >= least_bytes && first.on_devices && !as_prepared && apart % word == 0 &&
         endpoint_.kernels().work(first.home);
}

bool Copies::by_kernels(const Home &home) {
  const std::string &how = endpoint_.settings().copy_concurrent;
  return how == "auto" ? contests_[home].way() == Contest::kernels : how == "kernel";
}

std::string Copies::explain() const {
  std::string out;
  for (const auto &[home, contest] : contests_) {
    if (!endpoint_.kernels().work(home)) continue;  // it is over, and Kernels::explain() says why
    out += text("large copies of %s:%u to or from several peers at once: by %s", home.table->name, home.device,
                contest.way() == Contest::engine ? "its copy engine" : "kernels");
    if (contest.rate(Contest::kernels) > 0)
      out += text(" (last tried: engine %.1f GB/s, kernels %.1f GB/s)", contest.rate(Contest::engine), contest.rate(Contest::kernels));
    out += "\n";
  }
  return out;
}

// The peer's own lane, or an idle one that it takes, or the least laden one. `large`: what does as well.
Result<Copies::Lane *> Copies::concurrent_lane(Lane &large, const Op &op, const Run &first) {
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
  // A stream that waits for us may hold up whoever asks its device for more.
  if (taken && count < most_lanes && !endpoint_.watches()) {
    auto made = make_lane(large.home, Purpose::concurrent, count);
    Status status = made.is_ok() ? stock(*made.value()) : made.status();
    if (!status.is_ok()) return status;
    best = made.value();
  }
  if (!best || !best->rooms || !reaches(*best, first)) return &large;
  best->peer = op.peer;
  return best;
}

// Devices need not run their streams evenly: while a concurrent lane waits for its front batch, the others take no more than
// a lane has room for.
bool Copies::ahead(const Lane &lane) const {
  return lane.purpose != Purpose::small && std::any_of(lanes_.begin(), lanes_.end(), [&](const auto &other) {
    return other.get() != &lane && other->home == lane.home && !other->batches.empty() && other->overtaken >= lane_bytes;
  });
}

void Copies::started(const Batch &batch, Lane &lane) {
  if (lane.batches.empty()) lane.overtaken = 0;
  if (batch.counts && batch.op->peer->large_copies++ == 0) ++busy_peers_;
  if (batch.contested) contests_[lane.home].started(lane.way(), now_ns());
}

void Copies::ended(const Batch &batch, Lane &lane) {
  if (batch.counts && --batch.op->peer->large_copies == 0) --busy_peers_;
  if (batch.contested) contests_[lane.home].ended(lane.way(), batch.bytes, now_ns());
  lane.overtaken = 0;
  if (lane.purpose == Purpose::small) return;
  for (auto &other : lanes_)
    if (other.get() != &lane && other->purpose == Purpose::concurrent && other->home == lane.home) other->overtaken += batch.bytes;
}

uint32_t Copies::ctas(const Lane &lane, OpKind kind) const {
  const auto demanded = static_cast<uint32_t>(endpoint_.settings().copy_ctas);
  if (demanded > 0 || lane.purpose != Purpose::concurrent) return demanded;
  const uint32_t sharers = busy_peers_ + (lane.peer->large_copies == 0 ? 1 : 0);
  return std::max((kind == OpKind::write ? write_ctas : read_ctas) / sharers, least_ctas);
}

}  // namespace pirn::core
