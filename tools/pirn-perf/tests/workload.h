// SPDX-License-Identifier: Apache-2.0
// Where the bytes of operations come from and go to, and the call that moves them.
#pragma once

#include "../pattern.h"
#include "../session.h"

struct Move {
  uint64_t local, remote, length;
};

// Operations use slots of the memory in turn; a slot's bytes belong to it alone, here and at the partner.
class Workload {
 public:
  Workload(Session &session, uint32_t operation, uint64_t slots) : session_(session), operation_(operation), moves_(slots) {}
  virtual ~Workload() = default;
  Workload(const Workload &) = delete;
  Workload &operator=(const Workload &) = delete;

  bool writes() const { return operation_ == PIRN_WRITE; }
  uint64_t slots() const { return moves_.size(); }
  uint64_t extent() const { return extent_; }  // bytes of the memory that its slots cover, from 0
  const std::vector<Move> &moves(uint64_t slot) const { return moves_[slot]; }

  // Chooses where the slot's next operation takes and puts its bytes.
  virtual void arrange(uint64_t slot, Random &random) = 0;
  virtual pirn_status post(uint64_t slot, const pirn_transfer_params *params, pirn_transfer *transfer) = 0;

 protected:
  Session &session_;
  uint32_t operation_;
  std::vector<std::vector<Move>> moves_;
  uint64_t extent_ = 0;
};

// test: write, read, lat, read-lat, vector or paged. Reserves the session's memory. `slack`: bytes by which places vary.
std::unique_ptr<Workload> make_workload(Session &session, const std::string &test, uint64_t size, uint64_t slots,
                                        uint64_t slack);
// Slots of `size` bytes worth having: `wanted`, or fewer so that memory stays within bounds.
uint64_t slots_for(uint64_t wanted, uint64_t size);
