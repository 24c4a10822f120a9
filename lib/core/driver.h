// SPDX-License-Identifier: Apache-2.0
// Who makes progress, and how waiting sleeps.
//
// One lock guards an endpoint. Whoever waits for something drives the endpoint itself
// (no hand-over between threads on the fast path); the endpoint's own thread steps in
// when nobody does. Of several sleepers one sleeps on the descriptors, the others on a condition variable.
// The thread gives way to callers: it never takes the lock while one wants it.
#pragma once

#include "core/spin.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace pirn::core {

class Endpoint;

enum class ProgressMode : uint8_t { thread, spin, manual };

class Driver {
 public:
  using Guard = std::unique_lock<std::mutex>;

  Driver(Endpoint &endpoint, ProgressMode mode, uint64_t spin_ns);
  ~Driver();
  // Opens the descriptors; starts the thread unless manual.
  bool open();
  void start();
  void stop();  // joins the thread

  // For callers of the API.
  Guard lock() {
    Guard guard(mutex_, std::try_to_lock);
    if (!guard.owns_lock()) relock(guard);
    return guard;
  }
  // Takes the lock again and says so meanwhile, so that whoever polls under it lets go.
  void relock(Guard &guard) {
    wanted_.fetch_add(1, std::memory_order_relaxed);
    guard.lock();
    wanted_.fetch_sub(1, std::memory_order_relaxed);
  }

  // Drives until done() holds (asked under the lock) or `timeout` ns have passed. Returns done().
  template <typename Done>
  bool wait(Guard &guard, uint64_t timeout, Done &&done) {
    Caller caller(*this);
    Spell spell;
    while (!done()) {
      // What a round ends (a deadline, a lost peer) need not count as an event: ask before sleeping.
      if (turn(guard, spell) || done()) continue;
      if (!rest(guard, spell, timeout)) return done();
    }
    return true;
  }

  // One round, for test-like calls that do not wait.
  void drive_once(Guard &guard);
  // Something was posted: a sleeper that means to sleep long must look again.
  void posted() {
    if (long_sleep_) wake();
  }
  void wake();
  bool asleep() const { return asleep_.load(); }  // any thread, no lock
  int poll_fd() const { return epoll_; }
  void add_fd(int fd);

 private:
  void make_room(Guard &guard);  // lets those who want the lock have it

  // A caller inside wait(): the thread keeps off.
  struct Caller {
    explicit Caller(Driver &driver_in) : driver(driver_in) { ++driver.callers_; }
    ~Caller() {
      --driver.callers_;
      if (driver.napping_deep_ && driver.callers_ == 0) driver.nap_.notify_one();
    }
    Driver &driver;
  };
  // How long this waiter has polled in vain. The clock is first read when there is nothing to do.
  struct Spell {
    uint64_t started = 0;
    uint64_t spin_until = 0;
    bool fresh = true;  // something happened since spin_until was set
  };

  bool turn(Guard &guard, Spell &spell);                    // one round; true: something happened
  bool rest(Guard &guard, Spell &spell, uint64_t timeout);  // spins on or sleeps; false: the timeout passed
  void refresh(Spell &spell, uint64_t now);
  bool sleep(Guard &guard, uint64_t until);  // true: something is ready
  void thread_main();
  bool nap(Guard &guard);  // true: a caller is driving, nothing to do

  Endpoint &endpoint_;
  ProgressMode mode_;
  Spin spin_;
  std::mutex mutex_;
  std::atomic<uint32_t> wanted_{0};
  std::condition_variable nap_;        // the thread, while callers drive
  std::condition_variable followers_;  // sleepers that are not the one on the descriptors
  uint32_t callers_ = 0;
  uint64_t caller_rounds_ = 0;  // progress made by callers
  uint64_t seen_rounds_ = 0;
  bool sleeping_ = false;  // somebody sleeps on the descriptors
  bool long_sleep_ = false;
  std::atomic<bool> asleep_{false};
  bool napping_deep_ = false;
  bool stopping_ = false;
  int epoll_ = -1;
  int event_ = -1;
  std::thread thread_;
};

}  // namespace pirn::core
