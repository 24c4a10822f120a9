// SPDX-License-Identifier: Apache-2.0
// Memory shared between the processes of one host: gives windows of ours to peers that may have them, and maps theirs.
//
//   importer                             owner
//   WINDOW_OPEN                      ->
//                                    <-  WINDOW_OPENED with a secret, if the memory can be shared with that peer
//   the first transfer: connects by the same-host channel (lib/local), both prove that they hold the secret
//   ASK                              ->
//                                    <-  ANSWER: handles of what the window lies in
//   maps it for the device that is to move the bytes; transfers wait meanwhile. Plain host memory is not mapped: the answer
//   has its address and a guard (local/guard.h), and reads of it into host memory are done by the kernel
//   RELEASED, if that failed          ->  nothing of it is mapped there
//
// What cannot be mapped goes over the fabric, or fails if the fabric cannot carry it, with what each rung said. Called
// under the endpoint's lock; nothing here waits, but a vendor's mapping call may take a while (local/ladder.h).
#pragma once

#include "core/memory.h"
#include "core/reach.h"
#include "local/channel.h"
#include "local/imports.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace pirn::core {

class Endpoint;
struct Peer;

class Sharing : public local::Events {
 public:
  explicit Sharing(Endpoint &endpoint);
  ~Sharing() override;

  int poll_fd() const { return channel_.poll_fd(); }
  uint64_t next_deadline() const { return channel_.next_deadline(); }
  size_t progress(uint64_t now) { return channel_.progress(now); }

  // -- As owner
  // What a peer must prove to be given this window's memory; zero: it cannot be shared with it.
  local::Secret secret_for(Peer &peer, const Advertised &window);
  bool can_map(const Peer &peer) const;  // it may be given memory: it says that it is another process of this host
  // An importer that was given its memory, and may have it mapped, still uses it: that cannot be taken back.
  bool given(const Advertised &window) const;
  // The same of a peer that was lost, but whose process has not ended.
  bool left_behind(const Advertised &window) const;
  void let_go(Peer &peer, uint64_t window);  // it uses the window no more
  void withdrawn(const Advertised &window);  // nobody uses it any more

  // -- As importer
  // Whether a window that its owner has opened may be had.
  bool may_have(const Window &window) const;
  bool linked(const Peer &peer) const;  // its owner's memory was asked for, and the connection still stands
  // Starts to reach the window for copies of memory at `near`. window.shared has an entry for it afterwards, whose route
  // is unknown until Engine::wake() of the peer.
  void seek(Window &window, const Home &near);
  // Page-locks our mapping of a window in host memory for the device at `near`, once; false: that cannot be done.
  bool lock_pages(Window &window, const Home &near);
  // The kernel does not read the window's memory after all: from now on it goes over the fabric.
  void not_readable(Window &window, const Home &near, const Status &why);
  void forget(Window &window);  // it is closed or quiet: unmaps it
  void ended(Peer &peer);       // it is lost or closed
  void keep_mappings() { imports_.keep_all(); }  // for closing, while a device is still at work on some
  std::string explain(const Peer &peer) const;

 private:
  struct Seek {
    Window *window = nullptr;
    Home near;
    Home copier;                // who moves the bytes
    local::Imported imported;   // as far as it was answered
    std::optional<InOwner> in_owner;  // it is not mapped, but read where it lies:
    std::byte *address = nullptr;     // in its owner's process
    uint32_t request = 0;       // under way with this number
  };
  // Another endpoint of this host.
  struct Link {
    Peer *peer = nullptr;
    local::Secret own{};     // that it must prove
    local::Secret theirs{};  // that we must prove
    local::ConnectionId connection = 0;
    bool up = false;
    std::shared_ptr<const local::CrossMemory> kernel;  // reads the owner's memory
    std::string no_kernel;                             // why not
    std::vector<Seek> seeks;
  };

  // local::Events
  std::optional<local::Credentials> credentials_of(const wire::Instance &instance) override;
  void admitted(local::ConnectionId id, const local::Peer &peer) override { served_[id] = peer.instance; }
  local::Offer offer(const local::Peer &peer, const wire::ShareAsk &ask) override;
  void released(const local::Peer &peer, uint64_t window) override;
  void connected(local::ConnectionId id, const local::Peer &peer) override;
  void connect_failed(local::ConnectionId id, const Status &why) override;
  void answered(local::ConnectionId id, uint32_t request, Result<local::Offer> offer) override;
  void gone(local::ConnectionId id, uint64_t allocation) override;
  void ended(local::ConnectionId id, const std::string &why) override;

  Link *link_of(const wire::Instance &instance);
  Link *link_of(local::ConnectionId id);
  void start(Link &link, Seek &seek);
  void ask_waiting(Link &link);
  void give_up(Link &link, const std::string &why);
  Status take(Link &link, Seek &seek, const local::Offer &offer, bool *whole);
  static bool reads_by_kernel(const Link &link, const Seek &seek);
  static Status take_address(const Link &link, Seek &seek, const wire::ShareChunk &chunk);
  bool tells_addresses() const;
  Status choose_copier(Seek &seek, const wire::ShareChunk &chunk);
  void settle(Link &link, size_t seek, const Status &status);
  void tell_released(const Link &link, const Window &window);

  Endpoint &endpoint_;
  local::Channel channel_;
  Status listening_;
  local::Imports imports_;
  std::map<Peer *, Link> links_;
  std::map<std::pair<const Window *, Home>, local::Imported> imported_;
  std::map<uint64_t, std::set<uint64_t>> offered_;  // allocation: windows in it that somebody was given
  std::set<std::pair<Peer *, uint64_t>> given_;       // windows, and who may have them mapped
  std::map<local::ConnectionId, wire::Instance> served_;  // those that ask us
  std::set<std::pair<wire::Instance, uint64_t>> left_behind_;  // as given_, of peers that are lost
};

}  // namespace pirn::core
