// SPDX-License-Identifier: Apache-2.0
// The channel by which processes of one host hand each other handles and descriptors of memory. An owner listens
// (local/place.h); an asker connects, both prove that they hold the secret of their endpoints' handshake, and only
// then anything is asked or crosses. That it works at all is the evidence that both are on one host.
//
// Whoever connects costs a bounded place for a bounded time; the user at the other end must be the own one or root.
// A connection serves one direction: the connecting side asks. A peer's newer connection replaces its older one.
//
// All sockets are non-blocking and sit in one epoll set. Not thread-safe: the endpoint calls it under its lock.
// Nothing here blocks. libsodium must have been initialised.
#pragma once

#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"
#include "base/settings.h"
#include "local/place.h"
#include "local/proof.h"
#include "wire/share.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pirn::local {

using ConnectionId = uint64_t;  // never reused, 0 is none

// The other end of a proven connection.
struct Peer {
  wire::Instance instance{};
  Holder holder;
  wire::ShareWord word;  // of its memory (local/cross_memory.h)
};

// An answer and the descriptors that its handles name by index.
struct Offer {
  wire::ShareAnswer answer;
  std::vector<Fd> files;
};

// Any of these may call close() and connect().
class Events {
 public:
  virtual ~Events() = default;

  // -- As owner
  // A process says that it is `peer` and was in a handshake with us; nothing if we know of none (it may try again).
  virtual std::optional<Credentials> credentials_of(const wire::Instance &peer) = 0;
  // It has proven that it is.
  virtual void admitted(ConnectionId id, const Peer &peer) = 0;
  // What it asked for. Only windows that were opened to it, checked by capability, may be offered.
  virtual Offer offer(const Peer &peer, const wire::ShareAsk &ask) = 0;
  // It has nothing of the window mapped, whatever it was offered before.
  virtual void released(const Peer &peer, uint64_t window) = 0;

  // -- As asker
  virtual void connected(ConnectionId id, const Peer &peer) = 0;
  virtual void connect_failed(ConnectionId id, const Status &why) = 0;
  // Ends an ask(), once. An answer with a status is told as that error. Chunks follow each other from the one that
  // has the asked offset; if they end before the window does, the rest is to be asked for.
  virtual void answered(ConnectionId id, uint32_t request, Result<Offer> offer) = 0;
  // Memory of this allocation is the owner's alone again: no new use of mappings of it.
  virtual void gone(ConnectionId id, uint64_t allocation) = 0;

  // -- A proven connection ended, with all its asks; not after close(). What was mapped over it may be stale.
  virtual void ended(ConnectionId id, const std::string &why) = 0;
};

struct Counters {
  uint64_t accepted = 0;
  uint64_t admitted = 0;
  uint64_t refused = 0;    // wrong user, unknown instance, wrong proof
  uint64_t malformed = 0;  // garbage, or a message that its state does not allow
  uint64_t expired = 0;    // silent for too long
  uint64_t abandoned = 0;  // hung up before the proof
  uint64_t evicted = 0;    // made room for newer ones
};

class Channel {
 public:
  // `host`: digest of the boot id; `self`: of this endpoint.
  Channel(Events &events, const Settings &settings, const Log &log, const wire::Instance &host,
          const wire::Instance &self);
  ~Channel();  // ends every connection and removes the socket

  // By path and by abstract name; fails if neither can be had, and warns of one that cannot.
  Status listen();
  bool listening() const;

  // Starts to connect to the endpoint `credentials.other`; connected() or connect_failed() follows in progress() before
  // or at the deadline (absolute, now_ns()).
  ConnectionId connect(const Credentials &credentials, uint64_t deadline_ns);
  // Of a connected one. answered() follows with this request number, by the deadline. AGAIN: too many under way.
  Result<uint32_t> ask(ConnectionId id, const wire::ShareAsk &ask, uint64_t deadline_ns);
  // Tells the owner that nothing of its window is mapped here.
  void released(ConnectionId id, uint64_t window);
  // Tells every peer that was offered memory of it.
  void gone(uint64_t allocation);
  void close(ConnectionId id);  // no event follows

  int poll_fd() const;             // the epoll set, to nest in the endpoint's
  size_t progress(uint64_t now_ns);
  uint64_t next_deadline() const;  // absolute ns, UINT64_MAX if none
  const Counters &counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pirn::local
