// SPDX-License-Identifier: Apache-2.0
// An owner of a Bootstrap that records every event, and loops that drive several in one thread.
#pragma once

#include "base/clock.h"
#include "bootstrap/bootstrap.h"
#include "fixture.h"

#include <cerrno>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fixture {

using namespace pirn;
using namespace pirn::bootstrap;

inline void count_line(void *arg, uint32_t, const char *line) {
  auto *lines = static_cast<std::vector<std::string> *>(arg);
  lines->push_back(line);
}

inline Settings default_settings() {
  auto loaded = load_settings(nullptr, {});
  assert_true(loaded.is_ok());
  return loaded.value().values;
}

// One endpoint's side: the Bootstrap, what its owner heard, and the lines it logged.
class Side : public Events {
 public:
  struct Established {
    ConnectionId id;
    bool initiated;
    wire::Hello remote;
    wire::Metadata metadata;
    std::string address;
  };
  struct Ended {
    ConnectionId id;
    pirn_status code;
    std::string why;
  };

  explicit Side(uint8_t id, const std::string &secret = "", const Settings &settings = default_settings())
      : self(identity_of(id, secret)), log(PIRN_LOG_WARN, count_line, &lines), bootstrap(*this, settings, log) {}

  const Identity &identity() override { return self; }
  uint64_t token_for(const wire::Hello &hello) override { return 5000 + hello.token; }
  uint64_t own_token(ConnectionId id) override { return 1000 + id; }
  Status established(ConnectionId id, bool initiated, const wire::Hello &remote, const wire::Metadata &metadata,
                     const std::string &address) override {
    ups.push_back({id, initiated, remote, metadata, address});
    if (close_at_once) bootstrap.close(id);
    return verdict;
  }
  void connect_failed(ConnectionId id, const Status &why) override { failures.push_back({id, why.code, why.text}); }
  void lifeline_closed(ConnectionId id) override { farewells.push_back(id); }
  void lifeline_lost(ConnectionId id, const std::string &why) override {
    losses.push_back({id, PIRN_ERR_PEER_LOST, why});
  }

  // Listens on a free port; returns where.
  std::vector<SocketAddress> listen(const std::string &host) {
    const auto addresses = resolve(host + ":0", true);
    assert_true(addresses.is_ok());
    const Status status = bootstrap.listen(addresses.value());
    assert_true(status.is_ok());
    return {bootstrap.listen_address()};
  }

  std::vector<std::string> lines;
  std::vector<Established> ups;
  std::vector<Ended> failures;
  std::vector<Ended> losses;
  std::vector<ConnectionId> farewells;
  Status verdict;
  bool close_at_once = false;
  Identity self;
  Log log;
  Bootstrap bootstrap;
};

// As an endpoint's loop would: sleeps on the descriptors until the next deadline. False after `limit_ms`.
inline bool drive(std::initializer_list<Side *> sides, const std::function<bool()> &done, uint64_t limit_ms = 5000) {
  const uint64_t limit = now_ns() + limit_ms * ns_per_ms;
  while (!done()) {
    std::vector<pollfd> fds;
    uint64_t wake = limit;
    for (Side *side : sides) {
      fds.push_back({side->bootstrap.poll_fd(), POLLIN, 0});
      wake = std::min(wake, side->bootstrap.next_deadline());
    }
    const uint64_t now = now_ns();
    if (now >= limit) return false;
    const uint64_t wait = wake <= now ? 0 : (wake - now) / ns_per_ms + 1;
    poll(fds.data(), fds.size(), static_cast<int>(std::min<uint64_t>(wait, 1000)));
    for (Side *side : sides) side->bootstrap.progress(now_ns());
  }
  return true;
}

// Connects `a` to `b` and waits until both know it.
inline ConnectionId bring_up(Side &a, Side &b, const std::vector<SocketAddress> &where) {
  const size_t before_a = a.ups.size();
  const size_t before_b = b.ups.size();
  const ConnectionId id = a.bootstrap.connect(where, now_ns() + 5 * ns_per_s);
  assert_true(drive({&a, &b}, [&] { return a.ups.size() > before_a && b.ups.size() > before_b; }));
  return id;
}

// A TCP client that knows nothing of pirn. Blocking.
class Stranger {
 public:
  explicit Stranger(const SocketAddress &to) : fd_(socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    assert_int_equal(connect(fd_, reinterpret_cast<const sockaddr *>(&to.storage), to.length), 0);
  }
  Stranger(const Stranger &) = delete;
  Stranger(Stranger &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Stranger() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }
  void say(const void *bytes, size_t size) const { assert_int_equal(send(fd_, bytes, size, MSG_NOSIGNAL), size); }
  bool say_if_open(const void *bytes, size_t size) const {
    return send(fd_, bytes, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
  }
  // Whether the listener hung up. What it said before is thrown away.
  bool was_hung_up() const {
    char byte[256];
    ssize_t got;
    while ((got = recv(fd_, byte, sizeof byte, MSG_DONTWAIT)) > 0) {
    }
    return got == 0 || errno == ECONNRESET;
  }
  // For as long as it did not hang up.
  size_t heard(void *room, size_t size) const {
    const ssize_t got = recv(fd_, room, size, MSG_DONTWAIT);
    return got < 0 ? 0 : static_cast<size_t>(got);
  }

 private:
  int fd_;
};

}  // namespace fixture
