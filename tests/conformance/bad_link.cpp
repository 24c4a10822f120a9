// SPDX-License-Identifier: Apache-2.0
#include "bad_link.h"

#include "harness.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace pirn_test {

BadLink::BadLink(const std::string &other_namespace) : random_(clock_now()) {
  ends_[0] = open_end("pirnbad0", here);
  std::thread elsewhere([&] {
    const int ns = ::open(("/var/run/netns/" + other_namespace).c_str(), O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0) {
      trouble_ = "cannot enter network namespace " + other_namespace + ": " + std::strerror(errno);
    } else {
      ends_[1] = open_end("pirnbad1", there);
    }
    if (ns >= 0) ::close(ns);
  });
  elsewhere.join();
  if (usable()) carrier_ = std::thread([this] { carry(); });
}

BadLink::~BadLink() {
  stop_ = true;
  if (carrier_.joinable()) carrier_.join();
  for (const int end : ends_) {
    if (end >= 0) ::close(end);
  }
}

int BadLink::open_end(const char *device, const char *address) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) {
    trouble_ = std::string("cannot make TUN device ") + device + ": " + std::strerror(errno);
    if (fd >= 0) ::close(fd);
    return -1;
  }
  const std::string command = std::string("ip addr add ") + address + "/30 dev " + device + " && ip link set " +
                              device + " up";
  if (std::system(command.c_str()) != 0) trouble_ = "failed: " + command;
  return fd;
}

void BadLink::set(uint32_t loss_percent, uint32_t delay_ms) {
  loss_ = loss_percent;
  delay_ns_ = delay_ms * ms;
}

bool BadLink::take_in(int from, std::deque<Packet> &queue) {
  uint8_t bytes[65536];
  const ssize_t n = read(from, bytes, sizeof bytes);
  if (n <= 0) return false;
  if (random_.below(100) < loss_) {
    ++lost_;
  } else {
    queue.push_back({clock_now() + delay_ns_, std::vector<uint8_t>(bytes, bytes + n)});
  }
  return true;
}

void BadLink::hand_over(std::deque<Packet> &queue, int to) {
  while (!queue.empty() && queue.front().due <= clock_now()) {
    if (write(to, queue.front().bytes.data(), queue.front().bytes.size()) > 0) ++carried_;
    queue.pop_front();
  }
}

void BadLink::carry() {
  std::deque<Packet> queues[2];
  while (!stop_) {
    pollfd ready[2] = {{ends_[0], POLLIN, 0}, {ends_[1], POLLIN, 0}};
    uint64_t wait_ns = 20 * ms;
    for (const auto &queue : queues) {
      if (queue.empty()) continue;
      const uint64_t now = clock_now(), due = queue.front().due;
      wait_ns = std::min(wait_ns, due > now ? due - now : 0);
    }
    const timespec wait = {0, static_cast<long>(wait_ns)};
    ppoll(ready, 2, &wait, nullptr);
    for (int side = 0; side < 2; ++side) {
      for (int burst = 0; burst < 64 && take_in(ends_[side], queues[side]); ++burst) {
      }
      hand_over(queues[side], ends_[1 - side]);
    }
  }
}

}  // namespace pirn_test
