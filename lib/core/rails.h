// SPDX-License-Identifier: Apache-2.0
// A rail as the engine sees it: the fabric's rail, the pieces in flight on it, and
// the registered buffers for control frames. Guarded by the endpoint's lock.
#pragma once

#include "base/settings.h"
#include "core/op.h"
#include "core/scheduler.h"
#include "fabric/rail.h"
#include "wire/frame.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pirn::core {

// A control frame on its way out, or a posted receive.
struct ControlBuffer : Tracked {
  std::byte *data = nullptr;
  Peer *peer = nullptr;  // sends: whom an error concerns; may be nullptr (handshake)
  uint32_t path = 0;     // index among the peer's
  bool posted = false;   // with the provider
};

class RailSlot {
 public:
  // Sends that may be in flight besides data, so that control frames are never locked out by bulk.
  static constexpr uint32_t send_buffers = 32;

  // near: no other is nearer to the endpoint's memory; spare: far, and carries only while no other rail can.
  enum class Role : uint8_t { near, far, spare };

  static Result<std::unique_ptr<RailSlot>> open(uint16_t index, const fabric::Nic &nic, Role role,
                                                const fabric::Calls &calls, const Log &log, const Settings &settings,
                                                const char *without_devices);
  ~RailSlot();

  fabric::Rail &fabric() { return *fabric_; }
  std::string name() const { return fabric_->name() + (spare() ? " (spare)" : ""); }  // "tcp/eth0", of a spare with " (spare)" behind
  const fabric::Limits &limits() const { return limits_; }
  uint64_t link_speed() const { return link_speed_; }
  uint16_t index() const { return index_; }
  bool far() const { return role_ != Role::near; }
  bool spare() const { return role_ == Role::spare; }
  // Bytes that pirn holds for the rail (DESIGN.md, "Memory"); the provider's own are not in it.
  uint64_t memory() const {
    return slab_.capacity() + piece_count_ * sizeof(Piece) +
           buffers_.capacity() * (sizeof(ControlBuffer) + sizeof(void *));
  }

  // Pieces, to one who holds `held` of them (may_take). acquire() returns nullptr if he gets no more now.
  Piece *acquire(uint32_t held);
  void release(Piece *piece);
  bool takes(uint32_t held) const { return may_take(held, free_count_); }
  // Gives an inserted address back: at once, or in a later drop_retired() if something is in flight to it.
  void retire(fabric::FabricAddress address);
  void forget_retired();  // whatever is on its way to them: nothing is polled any more before a reset
  void drop_retired();
  template <typename F>
  void each_in_flight(F &&visit) {
    for (uint32_t i = 0; i < piece_count_; ++i)
      if (pieces_[i].in_flight) visit(pieces_[i]);
  }
  uint64_t backlog = 0;  // bytes in flight, those of stuck paths excepted

  // False after a reset that failed, until one succeeds.
  bool open() const { return retry_at_ == 0; }
  bool retry_due(uint64_t now) const { return retry_at_ != 0 && now >= retry_at_; }
  void set_open();
  void close_for_now(const std::string &why, uint64_t now);
  const std::string &trouble() const { return trouble_; }  // while not open
  uint64_t closed_at() const { return closed_at_; }
  uint64_t retry_at() const { return retry_at_; }

  // A buffer for one control frame, to one who holds `held` of them (may_take); or nullptr.
  ControlBuffer *take_send_buffer(uint32_t held);
  void give_back(ControlBuffer *buffer) {
    buffer->posted = false;
    free_sends_.push_back(buffer);
  }
  void *control_descriptor() const;

  // Hands receive buffers to the provider: one that was consumed, or all that are not posted.
  void post_receive(ControlBuffer *buffer);
  bool post_receives();
  bool starved() const { return unposted_ > 0; }

  // Resets the fabric rail. `take_back` is called for each piece that was in flight, `lost_send` for each control
  // frame.
  template <typename F, typename G>
  Status reset(bool *address_changed, F &&take_back, G &&lost_send) {
    Status status = fabric_->reset(address_changed);
    std::vector<Piece *> lost;
    for (Piece &piece : std::span(pieces_.get(), piece_count_))
      if (piece.in_flight) lost.push_back(&piece);
    for (ControlBuffer &buffer : buffers_)
      if (buffer.kind == Tracked::Kind::send && buffer.posted) lost_send(buffer);
    forget_buffers();
    for (Piece *piece : lost) take_back(piece);
    if (status.is_ok()) post_receives();
    return status;
  }

 private:
  RailSlot() = default;
  void forget_buffers();  // after a reset nothing is posted any more
  bool in_flight_to(fabric::FabricAddress address);
  uint16_t index_ = 0;
  Role role_ = Role::near;
  uint64_t link_speed_ = 0;
  std::unique_ptr<fabric::Rail> fabric_;
  fabric::Limits limits_{};
  std::unique_ptr<Piece[]> pieces_;
  uint32_t piece_count_ = 0;
  Piece *free_ = nullptr;
  uint32_t free_count_ = 0;
  std::vector<std::byte> slab_;  // control buffers: sends first, then receives
  std::vector<ControlBuffer> buffers_;
  std::vector<ControlBuffer *> free_sends_;
  size_t unposted_ = 0;
  fabric::Registration *slab_registration_ = nullptr;
  std::vector<fabric::FabricAddress> retired_;
  uint64_t retry_at_ = 0;  // when to try a reset again; 0: open
  uint64_t back_off_ = 0;
  uint64_t closed_at_ = 0;
  std::string trouble_;
};

using Rails = std::vector<std::unique_ptr<RailSlot>>;

}  // namespace pirn::core
