// SPDX-License-Identifier: Apache-2.0
#include "core/control.h"

#include "base/clock.h"
#include "core/endpoint.h"
#include "wire/several.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace pirn::core {

wire::Header Control::header(const Peer &peer, wire::Kind kind, uint32_t sequence) const {
  wire::Header header;
  header.kind = kind;
  header.token = peer.remote_token;
  header.sequence = sequence;
  header.acknowledged = peer.mailbox.acknowledgement();
  header.epoch = peer.own_epoch;
  return header;
}

void Control::protocol_error(Peer *peer, const Status &what) {
  ++counters_.malformed;
  uint64_t held_back = 0;
  if (!warnings_.allow(now_ns(), &held_back)) return;
  endpoint_.log().write(PIRN_LOG_WARN, "dropped a control frame of %s: %s (%llu more not shown)",
                        peer ? peer->address.c_str() : "a stranger", what.text.c_str(),
                        static_cast<unsigned long long>(held_back));
}

void Control::received(RailSlot &rail, ControlBuffer *buffer, const fabric::Completion &completion) {
  if (completion.error == 0) {
    std::span<const std::byte> bytes(buffer->data, std::min(completion.length, wire::max_control_frame));
    auto decoded = wire::decode_frame(bytes);
    if (!decoded.is_ok()) {
      protocol_error(nullptr, decoded.error());
    } else {
      const wire::Frame &frame = decoded.value();
      if (frame.header.kind <= wire::Kind::welcome) {
        endpoint_.members().handshake_frame(rail, frame, bytes);
      } else if (Peer *peer = endpoint_.members().receiver(frame.header)) {
        take(*peer, rail, frame);
      } else {
        ++counters_.strangers;
      }
    }
  }
  rail.post_receive(buffer);
}

// By the way it came where that is one through spares: other ways may be why it is tried.
void Control::answer(Peer &peer, const RailSlot &rail, const wire::Frame &ping) {
  auto body = wire::decode_ping(ping.body);
  if (!body.is_ok()) return;
  size_t path = endpoint_.paths().pinged(peer, rail.index(), body.value().rail);
  if (path == Paths::none) path = endpoint_.paths().control(peer);
  wire::Header head = header(peer, wire::Kind::pong, 0);
  // Answered in the session it came in, which the other side may be waiting to see confirmed.
  if (uint64_t token = peer.session_of(ping.header.token).remote_token; token != 0) head.token = token;
  send_by(peer, path, [&](std::span<std::byte> out) { return wire::encode_ping(out, head, {body.value().id}); });
}

// A frame that was taken in came again, so what acknowledged it was lost: perhaps another path carries it.
void Control::acknowledge_again(Peer &peer) {
  constexpr uint64_t seldom = 100 * ns_per_ms;
  const uint64_t now = coarse_ns();
  if (now < peer.control_moved_at + seldom) return;
  peer.control_moved_at = now;
  endpoint_.paths().next_control(peer);
}

void Control::take(Peer &peer, const RailSlot &rail, const wire::Frame &frame) {
  endpoint_.health().heard(peer);
  peer.mailbox.acknowledged(frame.header.acknowledged, coarse_ns(), [&](Message &message) {
    if (auto *change = std::get_if<wire::AddressChange>(&message.body)) endpoint_.paths().announced(peer, change->rail);
    if (Op *op = message.op) {
      message.op = nullptr;
      endpoint_.engine().notified(*op);
    }
  });
  if (frame.header.kind == wire::Kind::bye) {
    endpoint_.members().left(peer, peer.session_of(frame.header.token).number);
    return;
  }
  if (frame.header.sequence != 0) {
    const bool again = Mailbox::precedes_or_is(frame.header.sequence, peer.mailbox.acknowledgement());
    if (again) acknowledge_again(peer);
    keep(peer, frame);
    // What came again, or too early, is told where we are at once; else drain() sees to it.
    if (again || !peer.mailbox.next_in_order()) peer.mailbox.acknowledgement_due = true;
    talk(peer);
    drain(peer);
    if (peer.mailbox.overrun())
      endpoint_.health().lose(peer, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST,
                              text("it asks on and on and acknowledges nothing: %zu answers wait, at most %zu may",
                                   Mailbox::most_answers, Mailbox::most_answers));
  } else if (frame.header.kind == wire::Kind::ping) {
    answer(peer, rail, frame);
  }
  if (frame.header.kind == wire::Kind::pong) {
    auto pong = wire::decode_ping(frame.body);
    if (pong.is_ok()) endpoint_.paths().pong(peer, pong.value().id);
  }
  if (!peer.mailbox.idle()) talk(peer);
}

void Control::keep(Peer &peer, const wire::Frame &frame) {
  uint32_t sequence = frame.header.sequence;
  if (frame.header.kind == wire::Kind::several) {
    auto all = wire::decode_several(frame.body);
    for (const wire::OneOfSeveral &one : all.is_ok() ? all.value() : std::vector<wire::OneOfSeveral>()) {
      peer.mailbox.keep(sequence, one.kind, one.body);
      sequence = Mailbox::following(sequence);
    }
    if (all.is_ok()) return;
    protocol_error(&peer, all.status());  // and passed over, as one that nobody knows
  }
  peer.mailbox.keep(sequence, frame.header.kind, frame.body);
}

void Control::drain(Peer &peer) {
  while (const Mailbox::Early *frame = peer.mailbox.next_in_order()) {
    const bool answered = frame->kind == wire::Kind::stage_move || frame->kind == wire::Kind::stage_moved;
    if (!deliver(peer, *frame)) {
      if (!peer.blocked) blocked_.push_back(&peer);
      peer.blocked = true;
      return;
    }
    peer.mailbox.taken();
    if (answered) peer.mailbox.owe(coarse_ns());
    else peer.mailbox.acknowledgement_due = true;
  }
}

// Demands are followed by answers, and answers by the next demands, as long as transfers are under way: those carry the
// acknowledgements.
bool Control::acknowledges(const Peer &peer) const {
  const Mailbox &mailbox = peer.mailbox;
  if (mailbox.acknowledgement_due) return true;
  return mailbox.owes() && (mailbox.owed_too_long(coarse_ns()) || !endpoint_.staging().under_way(peer));
}

bool Control::deliver(Peer &peer, const Mailbox::Early &frame) {
  Status problem;
  switch (frame.kind) {
    case wire::Kind::notify:
      return deliver_fragment(peer, frame.body);
    case wire::Kind::window_open:
    case wire::Kind::window_close:
    case wire::Kind::window_withdraw:
    case wire::Kind::window_quiesced: {
      auto body = wire::decode_window_ref(frame.body);
      if (body.is_ok()) endpoint_.windows().control(peer, frame.kind, body.value());
      problem = body.status();
      break;
    }
    case wire::Kind::window_opened: {
      auto body = wire::decode_window_opened(frame.body);
      if (body.is_ok()) endpoint_.windows().opened(peer, body.value());
      problem = body.status();
      break;
    }
    case wire::Kind::window_update: {
      auto body = wire::decode_window_update(frame.body);
      if (body.is_ok()) endpoint_.windows().updated(peer, body.value());
      problem = body.status();
      break;
    }
    case wire::Kind::window_want: {
      auto body = wire::decode_window_want(frame.body);
      if (body.is_ok()) endpoint_.windows().wanted(peer, body.value());
      problem = body.status();
      break;
    }
    case wire::Kind::address: {
      auto body = wire::decode_address(frame.body);
      if (body.is_ok()) endpoint_.paths().address_changed(peer, body.value());
      problem = body.status();
      break;
    }
    case wire::Kind::stage_want:
    case wire::Kind::stage_lent:
    case wire::Kind::stage_move:
    case wire::Kind::stage_moved:
      problem = endpoint_.staging().received(peer, frame.kind, frame.body);
      break;
    default:
      break;  // handshake and unreliable kinds have no business in the sequence
  }
  if (!problem.is_ok()) protocol_error(&peer, problem);
  return true;
}

bool Control::deliver_fragment(Peer &peer, std::span<const std::byte> body) {
  auto decoded = wire::decode_notify(body);
  if (!decoded.is_ok()) {
    protocol_error(&peer, decoded.error());
    return true;
  }
  const wire::Notify &part = decoded.value();
  if (part.offset == 0) {
    bool room = inbox_bytes_ == 0 || inbox_bytes_ + part.total <= endpoint_.settings().notification_memory;
    if (!room) return false;
    inbox_bytes_ += part.total;
    if (!peer.assembling.empty()) inbox_bytes_ -= peer.assembling_total;
    peer.assembling.clear();
    peer.assembling.reserve(part.total);
    peer.assembling_total = part.total;
  } else if (part.offset != peer.assembling.size() || part.total != peer.assembling_total) {
    protocol_error(&peer,
                   fail(PIRN_ERR_INVALID, "notification fragment at %u of %u, expected at %zu of %llu", part.offset,
                        part.total, peer.assembling.size(), static_cast<unsigned long long>(peer.assembling_total)));
    return true;
  }
  peer.assembling.insert(peer.assembling.end(), part.data.begin(), part.data.end());
  if (peer.assembling.size() == peer.assembling_total) {
    inbox_.push_back({&peer, std::move(peer.assembling)});
    peer.assembling.clear();
    endpoint_.signal();
  }
  return true;
}

// One flush serves all that are there.
Status Control::make_data_seen() {
  if (inbox_.front().data_seen) return Status::ok();
  if (Status status = endpoint_.memory().flush_remote_writes(); !status.is_ok()) return status;
  for (Notification &notification : inbox_) notification.data_seen = true;
  return Status::ok();
}

void Control::pop() {
  inbox_bytes_ -= inbox_.front().data.size();
  inbox_.pop_front();
  if (blocked_.empty()) return;
  std::vector<Peer *> retry;
  retry.swap(blocked_);
  for (Peer *peer : retry) {
    peer->blocked = false;
    if (!peer->live()) continue;
    drain(*peer);
    talk(*peer);
  }
}

void Control::abandon(Peer &peer) {
  peer.talk_link.unlink();
  peer.mailbox.clear();
  if (!peer.assembling.empty()) inbox_bytes_ -= peer.assembling_total;
  peer.assembling.clear();
  peer.blocked = false;
  std::erase(blocked_, &peer);
}

void Control::forget(Peer &peer) {
  abandon(peer);
  for (Notification &notification : inbox_)
    if (notification.peer == &peer) inbox_bytes_ -= notification.data.size();
  std::erase_if(inbox_, [&](const Notification &notification) { return notification.peer == &peer; });
}

void Control::answer(Peer &peer, std::shared_ptr<Message> message, When when) {
  peer.mailbox.answer(std::move(message));
  posted(peer, when);
}

void Control::post(Peer &peer, std::shared_ptr<Message> message, When when) {
  peer.mailbox.post(std::move(message));
  posted(peer, when);
}

void Control::posted(Peer &peer, When when) {
  endpoint_.health().watch(peer);
  if (when == When::now && flush_peer(peer)) return;
  talk(peer);
}

void Control::talk(Peer &peer) {
  if (!peer.talk_link.linked() && peer.live()) talkers_.push_back(peer);
}

void Control::flush() {
  talkers_.each([this](Peer &peer) {
    if (flush_peer(peer)) peer.talk_link.unlink();
  });
}

bool Control::flush_peer(Peer &peer) {
  if (!peer.live()) return true;
  if (peer.state == PIRN_PEER_CONNECTING) return true;
  while (peer.mailbox.next_to_send())
    if (!send_frames(peer)) return false;
  if (!acknowledges(peer)) return !peer.mailbox.owes();
  bool posted =
      send(peer, [&](std::span<std::byte> out) { return wire::encode_empty(out, header(peer, wire::Kind::ack, 0)); });
  if (posted) peer.mailbox.acknowledged_now();
  return posted;
}

// The next that wait, as many as one frame holds.
bool Control::send_frames(Peer &peer) {
  const size_t path = endpoint_.paths().control(peer);
  size_t count = 1;
  if (!send_by(peer, path, [&](std::span<std::byte> out) { return encode_waiting(peer, out, &count); })) return false;
  for (; count > 0; --count) {
    Op *op = peer.mailbox.next_to_send()->message->op;
    if (op && op->rail == UINT16_MAX) op->rail = peer.paths[path].local;
    peer.mailbox.sent(coarse_ns());
  }
  peer.mailbox.acknowledged_now();
  return true;
}

size_t Control::encode_waiting(Peer &peer, std::span<std::byte> out, size_t *count) {
  const OutFrame &first = *peer.mailbox.next_to_send();
  if (peer.mailbox.next_to_send(1) && (peer.metadata.features & wire::feature_several)) {
    wire::SeveralWriter several(out);
    std::array<std::byte, wire::max_control_frame> room;
    while (const OutFrame *frame = peer.mailbox.next_to_send(several.count())) {
      const size_t size = encode(peer, *frame, room);
      if (size < wire::header_size) break;
      const auto body = std::span<const std::byte>(room).first(size).subspan(wire::header_size);
      if (!several.add({frame->message->kind, body})) break;
    }
    *count = several.count();
    if (*count > 1) return several.finish(header(peer, wire::Kind::several, first.sequence));
  }
  *count = 1;
  return encode(peer, first, out);
}

size_t Control::encode(Peer &peer, const OutFrame &frame, std::span<std::byte> out) {
  const Message &message = *frame.message;
  wire::Header head = header(peer, message.kind, frame.sequence);
  if (auto *data = std::get_if<std::vector<std::byte>>(&message.body)) {
    wire::Notify part;
    part.total = static_cast<uint32_t>(data->size());
    part.offset = frame.offset;
    part.data = std::span(*data).subspan(frame.offset, frame.length);
    return wire::encode_notify(out, head, part);
  }
  if (auto *reference = std::get_if<wire::WindowRef>(&message.body))
    return wire::encode_window_ref(out, head, *reference);
  if (auto *opened = std::get_if<wire::WindowOpened>(&message.body))
    return wire::encode_window_opened(out, head, *opened);
  if (auto *update = std::get_if<wire::WindowUpdate>(&message.body))
    return wire::encode_window_update(out, head, *update);
  if (auto *want = std::get_if<wire::WindowWant>(&message.body)) return wire::encode_window_want(out, head, *want);
  if (auto *address = std::get_if<wire::AddressChange>(&message.body)) return wire::encode_address(out, head, *address);
  if (auto *stage = std::get_if<wire::Stage>(&message.body)) return wire::encode_stage(out, head, *stage);
  return wire::encode_empty(out, head);
}

template <typename Encode>
bool Control::send(Peer &peer, Encode &&encode_into) {
  return send_by(peer, endpoint_.paths().control(peer), std::forward<Encode>(encode_into));
}

template <typename Encode>
bool Control::send_by(Peer &peer, size_t index, Encode &&encode_into) {
  const Path &path = peer.paths[index];
  RailSlot &rail = *endpoint_.rails()[path.local];
  ControlBuffer *buffer = rail.take_send_buffer(peer.control_in_flight);
  if (!buffer) return false;
  size_t size = encode_into(std::span(buffer->data, wire::max_control_frame));
  buffer->peer = &peer;
  buffer->path = static_cast<uint32_t>(index);
  buffer->to = path.address;
  int error = 0;
  auto result = rail.fabric().send(path.address, buffer->data, size, rail.control_descriptor(), buffer, &error);
  if (result == fabric::PostResult::posted) {
    buffer->posted = true;
    ++peer.control_in_flight;
    if (peer.neighbour) peer.neighbour->poke();
    return true;
  }
  rail.give_back(buffer);
  if (result == fabric::PostResult::failed)
    trouble(peer, index, rail.name() + ": " + fabric::Rail::error_text(error));
  return false;
}

void Control::trouble(Peer &peer, size_t path, const std::string &why) {
  if (!endpoint_.paths().failed(peer, path, why))
    endpoint_.health().suspect(peer, why + Paths::troubles(peer), true);
}

bool Control::send_probe(Peer &peer, size_t path, uint64_t id) {
  const bool posted = send_ping_by(peer, path, id);
  peer.paths[path].probing = posted;
  return posted;
}

bool Control::send_ping(Peer &peer, uint64_t id) { return send_ping_by(peer, endpoint_.paths().control(peer), id); }

bool Control::send_ping_by(Peer &peer, size_t path, uint64_t id) {
  wire::Ping ping{id};
  if (peer.metadata.features & wire::feature_spares) ping.rail = peer.paths[path].local;
  return send_by(peer, path, [&](std::span<std::byte> out) {
    return wire::encode_ping(out, header(peer, wire::Kind::ping, 0), ping);
  });
}

bool Control::send_greeting(Peer &peer, uint64_t token) {
  return send(peer, [&](std::span<std::byte> out) {
    wire::Header head = header(peer, wire::Kind::ping, 0);
    head.token = token;
    head.acknowledged = 0;
    return wire::encode_ping(out, head, {});
  });
}

bool Control::send_bye(Peer &peer) {
  return send(peer,
              [&](std::span<std::byte> out) { return wire::encode_empty(out, header(peer, wire::Kind::bye, 0)); });
}

bool Control::send_raw(uint16_t rail_index, fabric::FabricAddress address, Peer *peer,
                       std::span<const std::byte> frame) {
  RailSlot &rail = *endpoint_.rails()[rail_index];
  const uint32_t held = peer ? peer->control_in_flight : 0;
  ControlBuffer *buffer = frame.size() <= wire::max_control_frame ? rail.take_send_buffer(held) : nullptr;
  if (!buffer) return false;
  std::memcpy(buffer->data, frame.data(), frame.size());
  buffer->peer = peer;
  buffer->path = 0;
  buffer->to = address;
  int error = 0;
  auto result = rail.fabric().send(address, buffer->data, frame.size(), rail.control_descriptor(), buffer, &error);
  if (result == fabric::PostResult::posted) {
    buffer->posted = true;
    if (peer) ++peer->control_in_flight;
    if (peer && peer->neighbour) peer->neighbour->poke();
    return true;
  }
  rail.give_back(buffer);
  return false;
}

void Control::send_completed(RailSlot &rail, ControlBuffer *buffer, const fabric::Completion &completion) {
  Peer *peer = buffer->peer;
  rail.give_back(buffer);
  if (!peer) return;
  --peer->control_in_flight;
  peer->paths[buffer->path].probing = false;
  if (completion.error == 0 || !peer->live()) return;
  trouble(*peer, buffer->path, rail.name() + ": " + fabric::Rail::error_text(completion.error));
  peer->mailbox.resend(coarse_ns());
  talk(*peer);
}

}  // namespace pirn::core
