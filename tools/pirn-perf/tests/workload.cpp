// SPDX-License-Identifier: Apache-2.0
#include "workload.h"

#include <algorithm>
#include <numeric>

namespace {

constexpr uint64_t memory_bound = 256ull << 20;

class Stream final : public Workload {
 public:
  Stream(Session &session, uint32_t operation, uint64_t size, uint64_t slots, uint64_t slack)
      : Workload(session, operation, slots), size_(size), slack_(slack) {
    extent_ = slots * (size + slack);
    session.reserve(extent_);
  }

  void arrange(uint64_t slot, Random &random) override {
    const uint64_t base = slot * (size_ + slack_);
    moves_[slot] = {{base + random.below(slack_ + 1), base + random.below(slack_ + 1), size_}};
  }

  pirn_status post(uint64_t slot, const pirn_transfer_params *params, pirn_transfer *transfer) override {
    const Move &move = moves_[slot].front();
    return (writes() ? pirn_write : pirn_read)(session_.memory().region(), move.local, session_.window(), move.remote,
                                               move.length, params, transfer);
  }

 private:
  uint64_t size_, slack_;
};

// Blocks at random places of an area twice their size.
class Blocks : public Workload {
 public:
  Blocks(Session &session, uint64_t size, uint64_t slots)
      : Workload(session, PIRN_WRITE, slots), size_(size), blocks_(session.options().blocks), places_(blocks_ * 2),
        local_(slots, std::vector<uint32_t>(places_)), remote_(local_) {
    extent_ = slots * places_ * size;
    session.reserve(extent_);
    for (uint64_t slot = 0; slot < slots; ++slot) {
      std::iota(local_[slot].begin(), local_[slot].end(), static_cast<uint32_t>(slot * places_));
      remote_[slot] = local_[slot];
    }
  }

  void arrange(uint64_t slot, Random &random) override {
    shuffle(local_[slot], random);
    shuffle(remote_[slot], random);
    moves_[slot].resize(blocks_);
    for (uint64_t i = 0; i < blocks_; ++i) moves_[slot][i] = {local_[slot][i] * size_, remote_[slot][i] * size_, size_};
  }

 protected:
  pirn_segment segment(const Move &move) const {
    return {session_.memory().region(), move.local, session_.window(), move.remote, move.length};
  }

  uint64_t size_, blocks_, places_;
  std::vector<std::vector<uint32_t>> local_, remote_;  // place numbers; the first blocks_ of each are in use

 private:
  void shuffle(std::vector<uint32_t> &places, Random &random) const {
    for (uint64_t i = 0; i < blocks_; ++i) std::swap(places[i], places[i + random.below(places_ - i)]);
  }
};

class Vector final : public Blocks {
 public:
  Vector(Session &session, uint64_t size, uint64_t slots) : Blocks(session, size, slots), segments_(slots) {}

  void arrange(uint64_t slot, Random &random) override {
    Blocks::arrange(slot, random);
    segments_[slot].clear();
    for (const Move &move : moves_[slot]) segments_[slot].push_back(segment(move));
  }

  pirn_status post(uint64_t slot, const pirn_transfer_params *params, pirn_transfer *transfer) override {
    return pirn_writev(segments_[slot].data(), blocks_, params, transfer);
  }

 private:
  std::vector<std::vector<pirn_segment>> segments_;
};

// One prepared list of all pages; each operation posts a random choice of them.
class Paged final : public Blocks {
 public:
  Paged(Session &session, uint64_t size, uint64_t slots) : Blocks(session, size, slots) {
    std::vector<pirn_segment> pages;
    for (uint64_t page = 0; page < slots * places_; ++page) pages.push_back(segment({page * size, page * size, size}));
    pirn_prepared *prepared = nullptr;
    check(pirn_transfer_prepare(PIRN_WRITE, pages.data(), pages.size(), &prepared), "preparing the list of pages");
    prepared_.reset(prepared);
  }

  pirn_status post(uint64_t slot, const pirn_transfer_params *params, pirn_transfer *transfer) override {
    return pirn_prepared_post_select(prepared_.get(), local_[slot].data(), remote_[slot].data(), blocks_, params,
                                     transfer);
  }

 private:
  Prepared prepared_;
};

}  // namespace

uint64_t slots_for(uint64_t wanted, uint64_t size) {
  return std::clamp<uint64_t>(memory_bound / std::max<uint64_t>(size, 1), 1, wanted);
}

std::unique_ptr<Workload> make_workload(Session &session, const std::string &test, uint64_t size, uint64_t slots,
                                        uint64_t slack) {
  if (test == "vector") return std::make_unique<Vector>(session, size, slots);
  if (test == "paged") return std::make_unique<Paged>(session, size, slots);
  const bool reads = test == "read" || test == "read-lat";
  return std::make_unique<Stream>(session, reads ? PIRN_READ : PIRN_WRITE, size, slots, slack);
}
