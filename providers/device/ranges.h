// SPDX-License-Identifier: Apache-2.0
// Memory that a table has to remember because the runtime does not tell it. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

namespace pirn::device {

class Ranges {
 public:
  void add(const void *address, uint64_t length) {
    const std::lock_guard lock(mutex_);
    lengths_[reinterpret_cast<uintptr_t>(address)] = length;
  }

  // Its length; 0 if there is none that starts at `address`.
  uint64_t remove(const void *address) {
    const std::lock_guard lock(mutex_);
    const auto found = lengths_.find(reinterpret_cast<uintptr_t>(address));
    if (found == lengths_.end()) return 0;
    const uint64_t length = found->second;
    lengths_.erase(found);
    return length;
  }

  bool holds(const void *address) {
    const std::lock_guard lock(mutex_);
    const uintptr_t wanted = reinterpret_cast<uintptr_t>(address);
    auto after = lengths_.upper_bound(wanted);
    if (after == lengths_.begin()) return false;
    --after;
    return wanted - after->first < after->second;
  }

 private:
  std::mutex mutex_;
  std::map<uintptr_t, uint64_t> lengths_;  // by address
};

}  // namespace pirn::device
