// SPDX-License-Identifier: Apache-2.0
// Who we talk to: the table of peers, connecting, accepting, the hello in band.
// Called under the endpoint's lock.
#pragma once

#include "bootstrap/bootstrap.h"
#include "core/peer.h"

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace pirn::core {

class Membership : public bootstrap::Events {
 public:
  explicit Membership(Endpoint &endpoint);

  // A connect call in progress.
  struct Attempt {
    bool done = false;
    Status status;
    Peer *peer = nullptr;
    uint64_t own_token = 0;
  };
  bootstrap::ConnectionId connect(const std::vector<bootstrap::SocketAddress> &addresses, uint64_t deadline_ns);
  Attempt *attempt(bootstrap::ConnectionId id);
  void abandon(bootstrap::ConnectionId id);

  Result<Peer *> add(const wire::Metadata &metadata);  // known peers are returned; new ones start to say hello
  Peer *next_accepted();                               // takes one handle of it
  void background(bool on, bool with_callback);
  // Peers accepted in the background whose callback is still to be called; a handle of each is the callback's.
  std::vector<Peer *> take_callbacks() { return std::exchange(callbacks_, {}); }
  bool has_callbacks() const { return !callbacks_.empty(); }

  Peer *by_token(uint64_t token) const;
  // Who is to take a frame in: nullptr if nobody. Settles what a session is (sessions.cpp).
  Peer *receiver(const wire::Header &header);
  void handshake_frame(RailSlot &rail, const wire::Frame &frame, std::span<const std::byte> bytes);
  void hello_tick(Peer &peer, uint64_t now);
  void ended(Peer &peer);    // closed or lost: cleans up around it
  void release(Peer &peer);  // one handle less; the last one says goodbye
  void goodbye(Peer &peer, pirn_status status, const std::string &why);
  void left(Peer &peer, uint64_t session);  // it said goodbye, in the session of this number
  void tick(uint64_t now);  // expired hellos, peers nobody refers to any more
  template <typename F>
  void each(F &&visit) {
    for (auto &peer : peers_) visit(*peer);
  }
  bool handshaking() const { return !attempts_.empty() || !callers_.empty(); }

  // bootstrap::Events
  const bootstrap::Identity &identity() override;
  uint64_t token_for(const wire::Hello &hello) override;
  uint64_t own_token(bootstrap::ConnectionId id) override;
  Status established(bootstrap::ConnectionId id, bool initiated, const wire::Hello &remote,
                     const wire::Metadata &metadata, const std::string &remote_address) override;
  void connect_failed(bootstrap::ConnectionId id, const Status &why) override;
  void lifeline_lost(bootstrap::ConnectionId id, const std::string &why) override;
  void lifeline_closed(bootstrap::ConnectionId id) override;

 private:
  // A stranger that says hello in band.
  struct Caller {
    bootstrap::Handshake handshake;
    std::vector<std::byte> hello;  // as received, to know repetitions
    std::vector<std::byte> reply;  // to repeat
    uint16_t rail = 0;
    fabric::FabricAddress address = 0;
    uint64_t expires = 0;
  };

  Peer *live_by_instance(const wire::Instance &instance) const;
  Result<Peer *> create(const wire::Metadata &metadata, const std::string &address);
  void up(Peer &peer, Session session);    // the first session
  void join(Peer &peer, Session session);  // one more, to be confirmed
  void confirm(Peer &peer, Session &session);
  void settle(Peer &peer, const Session &session);  // hands the peer to whoever waits for the session
  Peer *restart(Peer &peer, const Session &session);
  void greet(uint64_t now);
  void queue_accept(Peer &peer);
  void hello_from(RailSlot &rail, const wire::Frame &frame, std::span<const std::byte> bytes);
  void proof_from(const wire::Frame &frame, std::span<const std::byte> bytes);
  void hello_answered(Peer &peer, const wire::Frame &frame, std::span<const std::byte> bytes);
  using Callers = std::map<uint64_t, Caller>;
  Callers::iterator forget_caller(Callers::iterator caller);
  void caller_established(Caller &caller, uint64_t own_token);
  bool referenced(const Peer &peer) const;
  void reap();

  Endpoint &endpoint_;
  bootstrap::Identity identity_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::unordered_map<uint64_t, Peer *> tokens_;
  std::map<wire::Instance, Peer *> instances_;  // live ones
  std::map<bootstrap::ConnectionId, Peer *> lifelines_;
  std::map<bootstrap::ConnectionId, Attempt> attempts_;
  std::deque<Peer *> accepted_;
  std::vector<Peer *> callbacks_;
  bool background_ = false;
  bool with_callback_ = false;
  Callers callers_;  // by the token we gave them
  std::array<unsigned char, 16> token_secret_;
  bool unreferenced_ = false;  // some peer may have to be reaped
  size_t unconfirmed_ = 0;     // sessions that wait for their first frame
  uint64_t sessions_made_ = 0;
};

}  // namespace pirn::core
