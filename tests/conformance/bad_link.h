// SPDX-License-Identifier: Apache-2.0
// A network link of bad quality between two network namespaces: a TUN device in each,
// and a thread that carries the packets from one to the other, late or not at all. It does what tc's
// netem does, on kernels that lack netem too. Needs root.
#pragma once

#include "bytes.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace pirn_test {

class BadLink {
 public:
  static constexpr const char *here = "10.78.0.1";
  static constexpr const char *there = "10.78.0.2";

  // One end in this namespace, one in the named one. Must exist before the first call of pirn: libfabric
  // lists the machine's addresses once.
  explicit BadLink(const std::string &other_namespace);
  ~BadLink();
  BadLink(const BadLink &) = delete;
  BadLink &operator=(const BadLink &) = delete;

  bool usable() const { return trouble_.empty(); }
  const std::string &trouble() const { return trouble_; }

  void set(uint32_t loss_percent, uint32_t delay_ms);  // of each direction
  uint64_t lost() const { return lost_; }
  uint64_t carried() const { return carried_; }

 private:
  struct Packet {
    uint64_t due;
    std::vector<uint8_t> bytes;
  };
  int open_end(const char *device, const char *address);
  void carry();
  bool take_in(int from, std::deque<Packet> &queue);
  void hand_over(std::deque<Packet> &queue, int to);

  int ends_[2] = {-1, -1};
  std::string trouble_;
  std::atomic<uint32_t> loss_{0};
  std::atomic<uint64_t> delay_ns_{0};
  std::atomic<uint64_t> lost_{0};
  std::atomic<uint64_t> carried_{0};
  std::atomic<bool> stop_{false};
  Random random_{1};
  std::thread carrier_;
};

}  // namespace pirn_test
