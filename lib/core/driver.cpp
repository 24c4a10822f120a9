// SPDX-License-Identifier: Apache-2.0
#include "core/driver.h"

#include "base/clock.h"
#include "core/endpoint.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <new>

namespace pirn::core {

static void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void Driver::refresh(Spell &spell, uint64_t now) {
  if (!spell.fresh) return;
  spell.fresh = false;
  spell.spin_until = deadline_after(now, spin_.begin());
}

Driver::Driver(Endpoint &endpoint, ProgressMode mode, uint64_t spin_ns)
    : endpoint_(endpoint), mode_(mode), spin_(mode == ProgressMode::spin ? UINT64_MAX : spin_ns) {}

Driver::~Driver() {
  stop();
  if (event_ >= 0) close(event_);
  if (epoll_ >= 0) close(epoll_);
}

bool Driver::open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_ < 0 || event_ < 0) return false;
  add_fd(event_);
  return true;
}

void Driver::add_fd(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Driver::start() {
  if (mode_ == ProgressMode::manual) return;
  thread_ = std::thread([this] { thread_main(); });
  pthread_setname_np(thread_.native_handle(), "pirn-progress");
}

void Driver::stop() {
  if (!thread_.joinable()) return;
  {
    Guard guard = lock();
    stopping_ = true;
    nap_.notify_all();
    wake();
  }
  thread_.join();
}

void Driver::wake() {
  uint64_t one = 1;
  // A full counter means that the wake-up is already there.
  (void)!write(event_, &one, sizeof(one));
}

void Driver::drive_once(Guard &guard) {
  ++caller_rounds_;
  endpoint_.progress();
  endpoint_.run_callbacks(guard);
}

void Driver::make_room(Guard &guard) {
  if (wanted_.load(std::memory_order_relaxed) == 0) return;
  guard.unlock();
  // Bounded: the one who wants it may not be running, and several pollers must not wait for each other.
  for (int i = 0; i < 100 && wanted_.load(std::memory_order_relaxed) > 0; ++i) relax();
  if (wanted_.load(std::memory_order_relaxed) > 0) sched_yield();
  relock(guard);
}

bool Driver::turn(Guard &guard, Spell &spell) {
  ++caller_rounds_;
  size_t events = endpoint_.progress();
  endpoint_.run_callbacks(guard);
  if (events == 0) return false;
  if (!spell.fresh) spin_.caught();
  spell.fresh = true;
  if (callers_ > 1) followers_.notify_all();
  return true;
}

bool Driver::rest(Guard &guard, Spell &spell, uint64_t timeout) {
  uint64_t now = now_ns();
  if (spell.started == 0) spell.started = now;
  uint64_t deadline = deadline_after(spell.started, timeout);
  if (now >= deadline) return false;
  refresh(spell, now);
  if (now < spell.spin_until) make_room(guard);
  else spell.fresh = sleep(guard, deadline);
  return true;
}

static int wait_for_events(int epoll, epoll_event *events, int room, uint64_t duration) {
  if (duration >= ns_per_ms)
    return epoll_wait(epoll, events, room, static_cast<int>((duration + ns_per_ms - 1) / ns_per_ms));
  // epoll_pwait2() came with Linux 5.11; a descriptor of epoll can itself be waited for.
  pollfd self{epoll, POLLIN, 0};
  const timespec time{0, static_cast<long>(duration)};
  return ppoll(&self, 1, &time, nullptr) > 0 ? epoll_wait(epoll, events, room, 0) : 0;
}

bool Driver::sleep(Guard &guard, uint64_t until) {
  uint64_t now = now_ns();
  uint64_t longest = endpoint_.longest_sleep();
  if (longest == 0) {
    spin_.slept(0);  // polling with yields misses nothing that a spin would catch
    endpoint_.poke_neighbours();
    guard.unlock();
    sched_yield();
    relock(guard);
    return false;
  }
  until = std::min(until, endpoint_.next_deadline());
  uint64_t duration = std::min(longest, until > now ? until - now : 0);
  if (sleeping_) {
    return followers_.wait_for(guard, std::chrono::nanoseconds(duration)) == std::cv_status::no_timeout;
  }
  if (!endpoint_.may_sleep()) return true;
  sleeping_ = true;
  long_sleep_ = duration > Endpoint::busy_sleep;
  guard.unlock();
  asleep_.store(true);
  epoll_event events[8];
  int ready = wait_for_events(epoll_, events, 8, duration);
  asleep_.store(false);
  relock(guard);
  spin_.slept(now_ns() - now);
  sleeping_ = false;
  long_sleep_ = false;
  for (int i = 0; i < ready; ++i) {
    uint64_t count;
    if (events[i].data.fd == event_) (void)!read(event_, &count, sizeof(count));
  }
  endpoint_.fds_ready();
  followers_.notify_all();
  return ready > 0;
}

bool Driver::nap(Guard &guard) {
  if (callers_ == 0 && (caller_rounds_ == seen_rounds_ || endpoint_.watches())) return false;
  seen_rounds_ = caller_rounds_;
  // While a caller sleeps on the descriptors nothing can be missed; its leaving ends the nap.
  napping_deep_ = callers_ > 0 && sleeping_;
  nap_.wait_for(guard, napping_deep_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(1));
  napping_deep_ = false;
  return true;
}

void Driver::thread_main() {
  Guard guard(mutex_);
  Spell spell;
  while (!stopping_) {
    if (nap(guard)) continue;
    size_t events = 0;
    try {
      events = endpoint_.progress();
    } catch (const std::bad_alloc &) {
      // An exception that left the thread would end the process; a frame or a hello that found no memory comes again.
      endpoint_.log().write(PIRN_LOG_ERROR, "out of memory while making progress");
    }
    endpoint_.run_callbacks(guard);
    make_room(guard);
    if (mode_ == ProgressMode::spin) continue;
    uint64_t now = now_ns();
    if (events > 0 && !spell.fresh) spin_.caught();
    if (events > 0) spell.fresh = true;
    refresh(spell, now);
    if (now >= spell.spin_until) spell.fresh = sleep(guard, UINT64_MAX);
  }
}

}  // namespace pirn::core
