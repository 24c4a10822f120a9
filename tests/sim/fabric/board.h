// SPDX-License-Identifier: Apache-2.0
// What a NIC knows of an endpoint, shown to the other NICs of this host through shared memory: whom its owner has
// inserted, which registrations can be reached, whether it lives. One file per endpoint, named by its port, under
// $PIRN_SIM_DIR or /dev/shm. One owner writes; any number of threads and processes read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace pirn::sim_nic {

struct Slot {
  std::atomic<uint64_t> state;  // 0 free, 1 taken, 2 was taken
  std::atomic<uint64_t> key, inner_key, base, length, access;
};

struct Board {
  static constexpr size_t slots = 16384;
  static constexpr size_t peer_words = 65536 / 64;
  std::atomic<uint32_t> closed;  // its endpoint is gone
  std::atomic<uint32_t> dead;    // its NIC died
  std::atomic<uint64_t> known[peer_words];
  std::atomic<uint64_t> forgotten[peer_words];  // was known, and was removed
  Slot registrations[slots];
};

struct Remote {
  uint64_t inner_key, base, length, access;
};

// A mapping of one board; closes what it opened.
class BoardView {
 public:
  static std::unique_ptr<BoardView> create(uint16_t port);  // null with errno
  static std::unique_ptr<BoardView> open(uint16_t port);    // null: no such endpoint
  ~BoardView();
  BoardView(const BoardView &) = delete;

  bool owner_lives() const;
  bool closed() const { return board_->closed.load(std::memory_order_acquire); }
  bool dead() const { return board_->dead.load(std::memory_order_acquire); }
  void set_dead(bool dead = true) { board_->dead.store(dead, std::memory_order_release); }
  bool knows(uint16_t port) const;
  bool forgot(uint16_t port) const;
  void set_known(uint16_t port, bool known);

  bool publish(uint64_t key, const Remote &remote);  // false: the key is taken, or the NIC has no room
  void withdraw(uint64_t key);
  bool find(uint64_t key, Remote &out) const;

 private:
  BoardView(Board *board, int fd, uint16_t port, bool owner) : board_(board), fd_(fd), port_(port), owner_(owner) {}
  Board *board_;
  int fd_;
  uint16_t port_;
  bool owner_;
};

}  // namespace pirn::sim_nic
