// SPDX-License-Identifier: Apache-2.0
// Runs the kernels' source on the CPU: a thread per thread, one CTA after the other.
#pragma once

#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#define PIRN_KERNEL_HOST
#define PIRN_DEVICE inline
#define PIRN_UNROLL

namespace pirn::kernels {

struct alignas(16) Word16 {
  uint64_t half[2];
};

struct Launch {
  unsigned ctas;
  unsigned cta;
  std::barrier<> *gate;
  std::atomic<unsigned> *votes;  // three in turn, so that clearing the next one disturbs nobody
};
inline thread_local const Launch *launch;
inline thread_local unsigned thread_index;
inline thread_local unsigned vote_turn;

template <typename T>
T load(const T *from) {
  return *from;
}
template <typename T>
void store(T *to, T value) {
  *to = value;
}
inline unsigned thread() { return thread_index; }
inline unsigned cta() { return launch->cta; }
inline unsigned ctas() { return launch->ctas; }
inline void barrier() { launch->gate->arrive_and_wait(); }
inline bool any(bool mine) {
  const unsigned turn = vote_turn++ % 3;
  if (mine) launch->votes[turn] = 1;
  barrier();
  const bool result = launch->votes[turn] != 0;
  if (thread_index == 0) launch->votes[(turn + 2) % 3] = 0;
  return result;
}
inline void raise_to(unsigned *shared, unsigned value) {
  std::atomic_ref<unsigned> cell(*shared);
  unsigned seen = cell;
  while (seen < value && !cell.compare_exchange_weak(seen, value)) {
  }
}
inline void lower_to(unsigned *shared, unsigned value) {
  std::atomic_ref<unsigned> cell(*shared);
  unsigned seen = cell;
  while (seen > value && !cell.compare_exchange_weak(seen, value)) {
  }
}

// `body` is what each thread runs; returning early leaves the barriers, as on a device.
inline void run(unsigned ctas, unsigned threads, const std::function<void()> &body) {
  for (unsigned cta = 0; cta < ctas; ++cta) {
    std::barrier<> gate(threads);
    std::atomic<unsigned> votes[3] = {};
    const Launch here{ctas, cta, &gate, votes};
    std::vector<std::thread> crew;
    for (unsigned index = 0; index < threads; ++index)
      crew.emplace_back([&, index] {
        launch = &here;
        thread_index = index;
        vote_turn = 0;
        body();
        gate.arrive_and_drop();
      });
    for (std::thread &member : crew) member.join();
  }
}

}  // namespace pirn::kernels
