// SPDX-License-Identifier: Apache-2.0
#include "core/op.h"

#include <algorithm>

namespace pirn::core {

Op *OpPool::acquire() {
  if (used_ == limit_) return nullptr;
  if (free_.empty()) {
    auto first = static_cast<uint32_t>(blocks_.size() * block);
    blocks_.push_back(std::make_unique<Op[]>(block));
    free_.reserve(blocks_.size() * block);
    for (uint32_t i = block; i-- > 0;) {
      blocks_.back()[i].slot = first + i;
      free_.push_back(first + i);
    }
  }
  uint32_t slot = free_.back();
  free_.pop_back();
  ++used_;
  return &blocks_[slot / block][slot % block];
}

void OpPool::release(Op &op) {
  op.phase = OpPhase::free;
  op.generation = op.generation == UINT32_MAX ? 1 : op.generation + 1;
  op.vector.reset();
  op.selection.reset();
  op.notification.clear();
  op.text.clear();
  op.again.clear();
  op.prepared = nullptr;
  op.peer = nullptr;
  free_.push_back(op.slot);
  --used_;
}

Op *OpPool::find(pirn_transfer id) {
  auto slot = static_cast<uint32_t>(id);
  auto generation = static_cast<uint32_t>(id >> 32);
  if (slot / block >= blocks_.size()) return nullptr;
  Op &op = blocks_[slot / block][slot % block];
  return op.generation == generation && op.phase != OpPhase::free ? &op : nullptr;
}

}  // namespace pirn::core
