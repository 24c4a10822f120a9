// SPDX-License-Identifier: Apache-2.0
// An endpoint's side of the same-host channel that records every event, and loops that drive several in one thread.
#pragma once

#include "../check.h"

#include "base/clock.h"
#include "base/text.h"
#include "local/channel.h"

#include <cerrno>
#include <functional>
#include <initializer_list>
#include <map>
#include <poll.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fixture {

using namespace pirn;
using namespace pirn::local;

// A directory for sockets, gone with all that is in it at the end.
class Directory {
 public:
  Directory() { assert_non_null(mkdtemp(path_)); }
  ~Directory();
  std::string path() const { return path_; }
  std::vector<std::string> entries() const;

 private:
  char path_[32] = "/tmp/pirn-local-XXXXXX";
};

wire::Instance instance_of(uint8_t id);
wire::Instance this_host();
Settings settings_for(const std::string &directory, uint64_t patience_ms = 5000, uint64_t limit = 64);
size_t open_descriptors();

// A memfd with `bytes`, as the memory of a window.
Fd memory_of(const std::vector<std::byte> &bytes);
// An answer of one chunk: a window that is one allocation in a file.
wire::ShareAnswer answer_of_file(uint64_t length, uint64_t allocation);

class Side : public Events {
 public:
  struct Told {
    ConnectionId id = 0;
    pirn_status code = PIRN_OK;
    std::string text;
  };
  struct Answer {
    uint32_t request = 0;
    Status status;
    Offer offer;
  };

  Side(uint8_t number_in, const Settings &settings);

  // Both sides know each other by a handshake with this secret.
  void knows(uint8_t other, uint8_t secret);
  Credentials credentials(uint8_t other, uint8_t secret) const;
  // Connects, and waits until it is up or failed.
  ConnectionId connect_to(Side &owner, uint64_t limit_ms = 5000);

  std::optional<Credentials> credentials_of(const wire::Instance &peer) override;
  void admitted(ConnectionId id, const Peer &peer) override { peers[id] = peer; }
  Offer offer(const Peer &peer, const wire::ShareAsk &ask) override;
  void released(const Peer &peer, uint64_t window) override { releases.push_back({peer.instance, window}); }
  void connected(ConnectionId id, const Peer &peer) override { ups[id] = peer; }
  void connect_failed(ConnectionId id, const Status &why) override { failures.push_back({id, why.code, why.text}); }
  void answered(ConnectionId id, uint32_t request, Result<Offer> offer) override;
  void gone(ConnectionId id, uint64_t allocation) override { gones.push_back({id, allocation}); }
  void ended(ConnectionId id, const std::string &why) override { ends.push_back({id, PIRN_ERR_PEER_LOST, why}); }

  const uint8_t number;
  std::map<wire::Instance, Credentials> known;
  std::map<ConnectionId, Peer> peers;  // admitted
  std::map<ConnectionId, Peer> ups;    // connected
  std::vector<Told> failures, ends;
  std::vector<Answer> answers;
  std::vector<std::pair<ConnectionId, uint64_t>> gones;
  std::vector<std::pair<wire::Instance, uint64_t>> releases;
  std::vector<wire::ShareAsk> asks;
  std::function<Offer(const wire::ShareAsk &)> offers;
  bool close_asker = false;  // inside offer()
  std::vector<std::string> lines;
  Log log;
  Channel channel;
};

// As an endpoint's loop would: sleeps on the descriptors until the next deadline. False after `limit_ms`.
bool drive(std::initializer_list<Side *> sides, const std::function<bool()> &done, uint64_t limit_ms = 5000);

// A process that knows how to connect and nothing else. Blocking.
class Stranger {
 public:
  Stranger(const std::string &directory, uint8_t owner, Way way = Way::path);
  int fd() const { return fd_.get(); }
  bool say(const std::vector<std::byte> &bytes) const;
  // The next message, within a second; empty at the end of the connection.
  std::vector<std::byte> hear() const;
  bool was_hung_up() const;  // what was said before is thrown away

 private:
  Fd fd_;
};

}  // namespace fixture
