// SPDX-License-Identifier: Apache-2.0
#include "core/rails.h"

#include "base/clock.h"

#include <algorithm>

namespace pirn::core {

Result<std::unique_ptr<RailSlot>> RailSlot::open(uint16_t index, const fabric::Nic &nic, Role role,
                                                 const fabric::Calls &calls, const Log &log, const Settings &settings,
                                                 const char *without_devices) {
  auto opened = fabric::Rail::open(nic, calls, log, settings.max_in_flight, without_devices);
  if (!opened.is_ok()) return opened.status();
  std::unique_ptr<RailSlot> slot(new RailSlot);
  slot->index_ = index;
  slot->role_ = role;
  slot->link_speed_ = nic.link_speed;
  slot->fabric_ = opened.take();
  slot->limits_ = slot->fabric_->limits();

  size_t depth = slot->limits_.transmit_depth;
  slot->piece_count_ = static_cast<uint32_t>(depth > 2 * send_buffers ? depth - send_buffers : (depth + 1) / 2);
  slot->pieces_ = std::make_unique<Piece[]>(slot->piece_count_);
  for (uint32_t i = slot->piece_count_; i-- > 0;) {
    slot->pieces_[i].rail = index;
    slot->pieces_[i].next = slot->free_;
    slot->free_ = &slot->pieces_[i];
  }
  slot->free_count_ = slot->piece_count_;

  auto sends = static_cast<size_t>(std::min<size_t>(send_buffers, (depth + 1) / 2));
  size_t count = sends + std::min<size_t>(settings.control_buffers, slot->limits_.receive_depth);
  slot->slab_.resize(count * wire::max_control_frame);
  auto registered = slot->fabric_->register_memory(slot->slab_.data(), slot->slab_.size(), 0);
  if (!registered.is_ok()) return registered.status();
  slot->slab_registration_ = registered.value();
  slot->buffers_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    slot->buffers_[i].kind = i < sends ? Tracked::Kind::send : Tracked::Kind::receive;
    slot->buffers_[i].rail = index;
    slot->buffers_[i].data = slot->slab_.data() + i * wire::max_control_frame;
  }
  slot->forget_buffers();
  if (!slot->post_receives()) return fail(PIRN_ERR_IO, "%s takes no receive buffers", slot->fabric_->name().c_str());
  return slot;
}

RailSlot::~RailSlot() {
  // The endpoint must be quiet before its buffers go, and their registration goes with the rail, after the endpoint:
  // receives are still posted there, and an operation in flight must not lose the registration it uses.
  fabric_.reset();
}

void RailSlot::set_open() {
  back_off_ = 0;
  retry_at_ = 0;
  trouble_.clear();
}

void RailSlot::close_for_now(const std::string &why, uint64_t now) {
  constexpr uint64_t shortest = 100 * ns_per_ms, longest = 5 * ns_per_s;
  if (open()) closed_at_ = now;
  back_off_ = std::clamp(back_off_ * 2, shortest, longest);
  retry_at_ = now + back_off_;
  trouble_ = why;
}

Piece *RailSlot::acquire(uint32_t held) {
  if (!takes(held)) return nullptr;
  Piece *piece = free_;
  free_ = piece->next;
  --free_count_;
  piece->next = nullptr;
  piece->in_flight = true;
  return piece;
}

void RailSlot::release(Piece *piece) {
  piece->in_flight = false;
  piece->op = nullptr;
  piece->next = free_;
  free_ = piece;
  ++free_count_;
}

bool RailSlot::in_flight_to(fabric::FabricAddress address) {
  bool any = std::any_of(buffers_.begin(), buffers_.end(), [&](const ControlBuffer &buffer) {
    return buffer.kind == Tracked::Kind::send && buffer.posted && buffer.to == address;
  });
  each_in_flight([&](const Piece &piece) { any = any || piece.to == address; });
  return any;
}

void RailSlot::retire(fabric::FabricAddress address) {
  retired_.push_back(address);
  drop_retired();
}

void RailSlot::drop_retired() {
  std::erase_if(retired_, [this](fabric::FabricAddress address) {
    if (in_flight_to(address)) return false;
    fabric_->remove(address);
    return true;
  });
}

void RailSlot::forget_retired() {
  for (const fabric::FabricAddress address : retired_) fabric_->remove(address);
  retired_.clear();
}

void RailSlot::forget_buffers() {
  free_sends_.clear();
  unposted_ = 0;
  for (ControlBuffer &buffer : buffers_) {
    buffer.posted = false;
    if (buffer.kind == Tracked::Kind::send) free_sends_.push_back(&buffer);
    else ++unposted_;
  }
}

ControlBuffer *RailSlot::take_send_buffer(uint32_t held) {
  if (!may_take(held, free_sends_.size())) return nullptr;
  ControlBuffer *buffer = free_sends_.back();
  free_sends_.pop_back();
  return buffer;
}

void *RailSlot::control_descriptor() const { return fabric::Rail::descriptor(slab_registration_); }

void RailSlot::post_receive(ControlBuffer *buffer) {
  if (buffer->posted) {
    buffer->posted = false;
    ++unposted_;
  }
  int error = 0;
  auto result = fabric_->receive(buffer->data, wire::max_control_frame, control_descriptor(), buffer, &error);
  if (result != fabric::PostResult::posted) return;
  buffer->posted = true;
  --unposted_;
}

bool RailSlot::post_receives() {
  for (ControlBuffer &buffer : buffers_)
    if (buffer.kind == Tracked::Kind::receive && !buffer.posted) post_receive(&buffer);
  return unposted_ == 0;
}

}  // namespace pirn::core
