// SPDX-License-Identifier: Apache-2.0
// Control frames in and out: mailboxes, pings, acknowledgements, windows,
// notifications. Called under the endpoint's lock; nothing here blocks.
#pragma once

#include "core/peer.h"
#include "core/rails.h"

#include <deque>
#include <memory>
#include <span>

namespace pirn::core {

struct Notification {
  Peer *peer = nullptr;
  std::vector<std::byte> data;
  bool data_seen = false;  // what a NIC wrote before it, by devices
};

struct ControlCounters {
  uint64_t malformed = 0;  // frames that did not decode
  uint64_t strangers = 0;  // frames with an unknown token
};

class Control {
 public:
  explicit Control(Endpoint &endpoint) : endpoint_(endpoint) {}

  void received(RailSlot &rail, ControlBuffer *buffer, const fabric::Completion &completion);
  void send_completed(RailSlot &rail, ControlBuffer *buffer, const fabric::Completion &completion);

  // What is left for the end of a part of the round of progress leaves in as few frames as hold it.
  enum class When : uint8_t { now, end_of_round };
  void post(Peer &peer, std::shared_ptr<Message> message, When when = When::now);
  void answer(Peer &peer, std::shared_ptr<Message> message, When when = When::now);  // of what the peer has asked for: one frame
  void talk(Peer &peer);  // it has something to send
  void flush();           // sends what talkers have
  bool send_ping(Peer &peer, uint64_t id);
  bool send_probe(Peer &peer, size_t path, uint64_t id);  // a ping by this path
  // A ping that acknowledges nothing, for a session that may be with a new peer object of the other side.
  bool send_greeting(Peer &peer, uint64_t token);
  // Sends an already encoded frame (handshake) to an address; false: not now.
  bool send_raw(uint16_t rail, fabric::FabricAddress address, Peer *peer, std::span<const std::byte> frame);
  bool send_bye(Peer &peer);  // unreliable: the end of the bootstrap connection says the same
  void abandon(Peer &peer);   // drops what is to be sent and half received
  void forget(Peer &peer);    // and what was received

  // Notifications for the application.
  bool has_notification() const { return !inbox_.empty(); }
  Notification &front() { return inbox_.front(); }
  // Before the first is handed out: whatever it tells of is visible, on devices, too. An error: it may not be, ask again.
  Status make_data_seen();
  void pop();

  const ControlCounters &counters() const { return counters_; }
  bool talking() const { return !talkers_.empty(); }

 private:
  void take(Peer &peer, const RailSlot &rail, const wire::Frame &frame);
  void answer(Peer &peer, const RailSlot &rail, const wire::Frame &ping);
  void acknowledge_again(Peer &peer);
  void keep(Peer &peer, const wire::Frame &frame);
  void drain(Peer &peer);                                 // frames in order, as far as they can be taken
  bool deliver(Peer &peer, const Mailbox::Early &frame);  // false: no room now
  bool deliver_fragment(Peer &peer, std::span<const std::byte> body);
  void window_opened(Peer &peer, const wire::WindowOpened &body);
  void posted(Peer &peer, When when);
  bool acknowledges(const Peer &peer) const;  // now, by a frame of its own if need be
  bool flush_peer(Peer &peer);  // false: more to send, later
  bool send_frames(Peer &peer);
  size_t encode_waiting(Peer &peer, std::span<std::byte> out, size_t *count);
  bool send_ping_by(Peer &peer, size_t path, uint64_t id);
  size_t encode(Peer &peer, const OutFrame &frame, std::span<std::byte> out);
  template <typename Encode>
  bool send(Peer &peer, Encode &&encode);
  template <typename Encode>
  bool send_by(Peer &peer, size_t path, Encode &&encode);
  wire::Header header(const Peer &peer, wire::Kind kind, uint32_t sequence) const;
  void trouble(Peer &peer, size_t path, const std::string &why);
  void protocol_error(Peer *peer, const Status &what);

  Endpoint &endpoint_;
  List<Peer, &Peer::talk_link> talkers_;
  std::deque<Notification> inbox_;
  uint64_t inbox_bytes_ = 0;
  std::vector<Peer *> blocked_;  // peers whose next notification did not fit
  ControlCounters counters_;
  RateLimit warnings_{5, 10'000'000'000ull};
};

}  // namespace pirn::core
