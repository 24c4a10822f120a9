// SPDX-License-Identifier: Apache-2.0
#include "board.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace pirn::sim_nic {
namespace {

constexpr uint64_t slot_free = 0, slot_taken = 1, slot_was_taken = 2;

// Ports of different network namespaces are different endpoints.
std::string path_of(uint16_t port) {
  struct stat ns = {};
  if (stat("/proc/self/ns/net", &ns) != 0) ns.st_ino = 0;
  const char *directory = getenv("PIRN_SIM_DIR");
  return std::string(directory && *directory ? directory : "/dev/shm") + "/pirn-sim-" + std::to_string(getuid()) + "-" +
         std::to_string(ns.st_ino) + "-" + std::to_string(port);
}

Board *map(int fd) {
  void *memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<Board *>(memory);
}

size_t place_of(uint64_t key) { return static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >> 32) % Board::slots; }

}  // namespace

// A file left by a process that was killed is replaced, never reused: whoever still maps it sees its lock gone.
std::unique_ptr<BoardView> BoardView::create(uint16_t port) {
  std::string path = path_of(port);
  unlink(path.c_str());
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return nullptr;
  Board *board = nullptr;
  if (flock(fd, LOCK_EX) == 0 && ftruncate(fd, sizeof(Board)) == 0) board = map(fd);
  if (!board) {
    unlink(path.c_str());
    close(fd);
    return nullptr;
  }
  return std::unique_ptr<BoardView>(new BoardView(board, fd, port, true));
}

std::unique_ptr<BoardView> BoardView::open(uint16_t port) {
  int fd = ::open(path_of(port).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  struct stat facts = {};
  Board *board = nullptr;
  if (fstat(fd, &facts) == 0 && static_cast<size_t>(facts.st_size) >= sizeof(Board)) board = map(fd);
  if (!board) {
    close(fd);
    return nullptr;
  }
  return std::unique_ptr<BoardView>(new BoardView(board, fd, port, false));
}

BoardView::~BoardView() {
  if (owner_) {
    board_->closed.store(1, std::memory_order_release);
    unlink(path_of(port_).c_str());
  }
  munmap(board_, sizeof(Board));
  close(fd_);
}

bool BoardView::owner_lives() const {
  if (flock(fd_, LOCK_SH | LOCK_NB) != 0) return true;
  flock(fd_, LOCK_UN);
  return false;
}

bool BoardView::knows(uint16_t port) const {
  return (board_->known[port / 64].load(std::memory_order_acquire) >> (port % 64)) & 1;
}

bool BoardView::forgot(uint16_t port) const {
  return (board_->forgotten[port / 64].load(std::memory_order_acquire) >> (port % 64)) & 1;
}

void BoardView::set_known(uint16_t port, bool known) {
  uint64_t bit = uint64_t{1} << (port % 64);
  if (known) {
    board_->known[port / 64].fetch_or(bit, std::memory_order_acq_rel);
    return;
  }
  board_->forgotten[port / 64].fetch_or(bit, std::memory_order_acq_rel);
  board_->known[port / 64].fetch_and(~bit, std::memory_order_acq_rel);
}

bool BoardView::publish(uint64_t key, const Remote &remote) {
  size_t at = place_of(key), room = Board::slots;
  for (size_t i = 0; i < Board::slots; i++, at = (at + 1) % Board::slots) {
    Slot &slot = board_->registrations[at];
    uint64_t state = slot.state.load(std::memory_order_acquire);
    if (state == slot_taken && slot.key.load(std::memory_order_relaxed) == key) return false;
    if (state != slot_taken && room == Board::slots) room = at;
    if (state == slot_free) break;
  }
  if (room == Board::slots) return false;
  Slot &slot = board_->registrations[room];
  slot.key.store(key, std::memory_order_relaxed);
  slot.inner_key.store(remote.inner_key, std::memory_order_relaxed);
  slot.base.store(remote.base, std::memory_order_relaxed);
  slot.length.store(remote.length, std::memory_order_relaxed);
  slot.access.store(remote.access, std::memory_order_relaxed);
  slot.state.store(slot_taken, std::memory_order_release);
  return true;
}

void BoardView::withdraw(uint64_t key) {
  size_t at = place_of(key);
  for (size_t i = 0; i < Board::slots; i++, at = (at + 1) % Board::slots) {
    Slot &slot = board_->registrations[at];
    uint64_t state = slot.state.load(std::memory_order_acquire);
    if (state == slot_free) return;
    if (state != slot_taken || slot.key.load(std::memory_order_relaxed) != key) continue;
    slot.state.store(slot_was_taken, std::memory_order_release);
    return;
  }
}

bool BoardView::find(uint64_t key, Remote &out) const {
  size_t at = place_of(key);
  for (size_t i = 0; i < Board::slots; i++, at = (at + 1) % Board::slots) {
    const Slot &slot = board_->registrations[at];
    uint64_t state = slot.state.load(std::memory_order_acquire);
    if (state == slot_free) return false;
    if (state != slot_taken || slot.key.load(std::memory_order_relaxed) != key) continue;
    out = {slot.inner_key.load(std::memory_order_relaxed), slot.base.load(std::memory_order_relaxed),
           slot.length.load(std::memory_order_relaxed), slot.access.load(std::memory_order_relaxed)};
    return true;
  }
  return false;
}

}  // namespace pirn::sim_nic
