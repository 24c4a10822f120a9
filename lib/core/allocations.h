// SPDX-License-Identifier: Apache-2.0
// Memory that pirn allocates for the application, so that other processes of the host can map it. Thread-safe.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "device/operations.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>

namespace pirn::core {

// Shared host memory: a file to map.
struct SharedHost {
  std::byte *address = nullptr;
  uint64_t length = 0;
  uint64_t id = 0;  // never used again in this process
  int file = -1;    // open as long as the allocation lives
};

// What pirn_memory_alloc gave, of all contexts of the process.
class Allocations {
 public:
  static Allocations &of_process();

  // `table` nullptr: host memory. Rounded up to whole pages or chunks.
  Result<void *> make(const device::Operations *table, uint32_t device, uint64_t length);
  // INVALID: it was not made here, or has been freed.
  Status free(void *address);
  // The shared host allocation that `address` lies in.
  std::optional<SharedHost> host_at(const void *address);

 private:
  struct Device {
    const device::Operations *table = nullptr;
    device::Allocation allocation;
  };
  struct Host {
    Fd file;
    SharedHost shared;
  };
  Result<void *> make_host(uint64_t length);

  std::mutex mutex_;
  std::map<std::byte *, Host> host_;
  std::map<void *, Device> device_;
  uint64_t next_id_ = uint64_t{1} << 62;  // apart from the ids of device memory
};

}  // namespace pirn::core
