// SPDX-License-Identifier: Apache-2.0
#include "core/loans.h"

#include "core/endpoint.h"

#include <algorithm>
#include <cstring>

namespace pirn::core {

using ull = unsigned long long;
using wire::SlotMemory;

Loans::~Loans() {
  // A device that still copies, a second after the endpoint began to close, keeps its slots.
  for (const Loan &loan : loans_)
    if (loan.jobs == 0) rings_.give_back(loan.ring);
}

Loans::Loan *Loans::find(const Peer &peer, uint64_t slots) {
  auto found = std::find_if(loans_.begin(), loans_.end(), [&](const Loan &loan) {
    const bool for_host = loan.ring.kind != Ring::Kind::device && loan.ring.table;
    return loan.peer == &peer && (slots ? loan.window->blob.window == slots : for_host);
  });
  return found == loans_.end() ? nullptr : &*found;
}

Loans::Loan *Loans::known(const Peer &peer, SlotMemory memory, const Home &device) {
  if (memory == SlotMemory::host) return find(peer, 0);
  auto found = std::find_if(loans_.begin(), loans_.end(), [&](const Loan &loan) {
    if (loan.peer != &peer || loan.ring.table != device.table) return false;
    return memory == SlotMemory::plain ||
           (loan.ring.kind == Ring::Kind::device && loan.ring.allocation.device == device.device);
  });
  return found == loans_.end() ? nullptr : &*found;
}

Result<Ring> Loans::make(const Peer &peer, SlotMemory memory, const Home &device) {
  const bool can_map = endpoint_.sharing().can_map(peer);
  const std::string &rings = endpoint_.settings().rings;
  if (memory != SlotMemory::host) {
    const bool on_device = memory == SlotMemory::device;
    if (!can_map) return fail(PIRN_ERR_UNAVAILABLE, "the peer is no other process of this host");
    if (rings != "auto" && rings != (on_device ? "device" : "host"))
      return fail(PIRN_ERR_UNAVAILABLE, "PIRN_RINGS=%s", rings.c_str());
    return on_device ? rings_.make_on(device) : rings_.make_shared(nullptr);
  }
  if (can_map && (rings == "auto" || rings == "host") && (peer.metadata.features & wire::feature_rings)) {
    auto shared = rings_.make_shared(device.table);
    if (shared.is_ok()) return shared;
    endpoint_.log().write(PIRN_LOG_INFO, "%s is lent slots that it cannot map: %s", peer.address.c_str(),
                          shared.error().text.c_str());
  }
  return rings_.take(*device.table);
}

Result<Loans::Loan *> Loans::lend(Peer &peer, SlotMemory memory, const Home &device) {
  const bool is_device = memory == SlotMemory::device;
  if (Loan *lent = known(peer, memory, device)) return lent;
  auto ring = make(peer, memory, device);
  if (!ring.is_ok()) return ring.status();
  Loan loan;
  loan.peer = &peer;
  loan.ring = ring.value();
  loan.in_use.resize(loan.ring.slots);
  const uint64_t bytes = loan.ring.bytes();
  auto region = endpoint_.memory().add(&endpoint_, loan.ring.address, bytes, is_device ? device : Home{});
  Status status = region.status();
  if (status.is_ok()) {
    loan.region = region.value();
    auto window = endpoint_.memory().advertise(loan.region, 0, bytes, PIRN_ACCESS_READ | PIRN_ACCESS_WRITE);
    status = window.status();
    if (status.is_ok()) loan.window = window.value();
    else (void)endpoint_.memory().remove(loan.region);
  }
  if (!status.is_ok()) {
    rings_.give_back(loan.ring);
    return status;
  }
  loans_.push_back(std::move(loan));
  return &loans_.back();
}

void Loans::wanted(Peer &peer, const wire::StageWant &want) {
  wire::StageLent lent;
  Status status;
  Advertised *window = endpoint_.memory().find(want.window);
  if (!window || window->withdrawing || window->importers.count(&peer) == 0) {
    status = fail(PIRN_ERR_WINDOW_GONE, "window %llu is withdrawn, or was not opened to this peer",
                  static_cast<ull>(want.window));
  } else if ((want.memory == SlotMemory::plain) != !window->region->memory->home.table) {
    status = fail(PIRN_ERR_INVALID, "window %llu is %s memory, which such slots do not serve", static_cast<ull>(want.window),
                  window->region->memory->home.table ? "device" : "host");
  } else {
    const Home &home = window->region->memory->home;
    auto loan = lend(peer, want.memory, home);
    status = loan.status();
    for (const bool to_device : {true, false})
      if (status.is_ok() && home.table) status = copies_.make_ready(home, to_device, loan.value()->ring.slots);
    if (status.is_ok()) {
      lent.slots = loan.value()->ring.slots;
      lent.slot_bytes = loan.value()->ring.slot_bytes;
      lent.blob = wire::encode_window(loan.value()->window->blob);
    }
  }
  if (want.memory != SlotMemory::host) lent.window = want.window;
  lent.status = status.code;
  lent.reason = status.text;
  if (!status.is_ok())
    endpoint_.log().write(PIRN_LOG_WARN, "nothing is lent to %s: %s", peer.address.c_str(), status.text.c_str());
  endpoint_.staging().post(peer, std::move(lent));
}

Result<Advertised *> Loans::check(const Loan &loan, const wire::StageMove &move) const {
  Advertised *window = endpoint_.memory().find(move.window);
  const ull id = move.window;
  if (!window || window->withdrawing || window->importers.count(loan.peer) == 0)
    return fail(PIRN_ERR_WINDOW_GONE, "window %llu is withdrawn, or was not opened to this peer", id);
  const Home &home = window->region->memory->home;
  const bool other_device = loan.ring.kind == Ring::Kind::device && home.device != loan.ring.allocation.device;
  if (home.table != loan.ring.table || other_device)
    return fail(PIRN_ERR_INVALID, "window %llu is not in memory that the slots are for", id);
  const uint32_t right = move.to_window ? PIRN_ACCESS_WRITE : PIRN_ACCESS_READ;
  if (!(window->blob.access & right))
    return fail(PIRN_ERR_ACCESS, "window %llu does not grant %s access", id, move.to_window ? "write" : "read");
  if (move.slot >= loan.in_use.size() || loan.in_use[move.slot])
    return fail(PIRN_ERR_INVALID, "slot %u of %zu is in use or does not exist", move.slot, loan.in_use.size());
  uint64_t total = 0;
  for (const wire::StagePart &part : move.parts) {
    if (part.offset > window->blob.length || part.length > window->blob.length - part.offset)
      return fail(PIRN_ERR_RANGE, "offset %llu + length %llu is outside window %llu of %llu bytes",
                  static_cast<ull>(part.offset), static_cast<ull>(part.length), id,
                  static_cast<ull>(window->blob.length));
    total += part.length;
  }
  if (total > loan.ring.slot_bytes)
    return fail(PIRN_ERR_RANGE, "%llu bytes do not fit a slot of %u", static_cast<ull>(total), loan.ring.slot_bytes);
  return window;
}

Status Loans::start(Loan &loan, const wire::StageMove &move) {
  auto checked = check(loan, move);
  if (!checked.is_ok()) return checked.status();
  const Advertised &window = *checked.value();
  std::vector<device::Block> blocks;
  blocks.reserve(move.parts.size());
  std::byte *slot = loan.ring.address + static_cast<uint64_t>(move.slot) * loan.ring.slot_bytes;
  for (const wire::StagePart &part : move.parts) {
    std::byte *there = window.address + part.offset;
    blocks.push_back({move.to_window ? there : slot, move.to_window ? slot : there, part.length, 0});
    slot += part.length;
  }
  if (!loan.ring.table) {
    copy(loan, move, blocks);
    return Status::ok();
  }
  auto mark = copies_.start(window.region->memory->home, move.to_window != 0, blocks);
  if (!mark.is_ok()) return mark.status();
  loan.in_use[move.slot] = true;
  ++loan.jobs;
  jobs_.push_back({&loan, mark.value(), move.request, move.window, move.slot});
  return Status::ok();
}

// By the processor, at once: a slot is little.
void Loans::copy(const Loan &loan, const wire::StageMove &move, std::span<const device::Block> blocks) {
  for (const device::Block &block : blocks) std::memmove(block.to, block.from, block.length);
  answer(*loan.peer, move.request, Status::ok());
}

void Loans::move(Peer &peer, const wire::StageMove &move) {
  Loan *loan = find(peer, move.slots);
  Status status = loan ? start(*loan, move) : fail(PIRN_ERR_INVALID, "no slots are lent to this peer");
  if (!status.is_ok()) answer(peer, move.request, status);
}

void Loans::answer(Peer &peer, uint64_t request, const Status &status, Control::When when) {
  endpoint_.staging().post(peer, wire::StageMoved{request, status.code, status.text}, when);
}

size_t Loans::progress() {
  size_t events = 0;
  for (size_t i = 0; i < jobs_.size();) {
    auto done = copies_.done(jobs_[i].mark);
    if (done.is_ok() && !done.value()) {
      ++i;
      continue;
    }
    const Job job = jobs_[i];
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(i));
    job.loan->in_use[job.slot] = false;
    --job.loan->jobs;
    if (job.loan->peer) answer(*job.loan->peer, job.request, done.status(), Control::When::end_of_round);
    ++events;
  }
  loans_.remove_if([this](Loan &loan) {
    if (loan.peer || loan.jobs > 0) return false;
    take_back(loan);
    return true;
  });
  return events;
}

void Loans::take_back(Loan &loan) {
  endpoint_.sharing().withdrawn(*loan.window);
  endpoint_.memory().erase(loan.window);
  (void)endpoint_.memory().remove(loan.region);
  rings_.give_back(loan.ring);
}

void Loans::ended(Peer &peer) {
  for (Loan &loan : loans_)
    if (loan.peer == &peer) loan.peer = nullptr;
}

bool Loans::closed(Peer &peer, uint64_t window) {
  Loan *loan = window ? find(peer, window) : nullptr;
  if (loan) loan->peer = nullptr;
  return loan != nullptr;
}

bool Loans::busy(uint64_t window) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const Job &job) { return job.window == window; });
}

bool Loans::copying(const Peer &peer) const {
  return std::any_of(loans_.begin(), loans_.end(), [&](const Loan &loan) { return loan.peer == &peer && loan.jobs > 0; });
}

bool Loans::active() const {
  return !jobs_.empty() || std::any_of(loans_.begin(), loans_.end(), [](const Loan &loan) { return !loan.peer; });
}

uint32_t Loans::slots_of(const Peer &peer) const {
  uint32_t slots = 0;
  for (const Loan &loan : loans_)
    if (loan.peer == &peer) slots += loan.ring.slots;
  return slots;
}

std::string Loans::explain(const Peer &peer) const {
  std::string out;
  for (const Loan &loan : loans_) {
    if (loan.peer != &peer) continue;
    const Ring &ring = loan.ring;
    out += text(", %u slots of %u bytes", ring.slots, ring.slot_bytes);
    if (ring.kind == Ring::Kind::device) out += text(" on %s:%u", ring.table->name, ring.allocation.device);
    out += " are lent to it";
  }
  return out;
}

}  // namespace pirn::core
