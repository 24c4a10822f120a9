// SPDX-License-Identifier: Apache-2.0
// What all vendors' copy_blocks have in common: kernels loaded once per device, lists launched in parts.
#pragma once

#include "base/result.h"
#include "device/operations.h"
#include "kernel_image.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

namespace pirn::device {

// Kernels by device. Not to be destroyed, nor are the modules: threads may still be at work when the process ends.
template <typename Kernel>
class LoadedKernels {
 public:
  // `load` gives Result<Kernel>; it is called until it succeeds.
  template <typename Load>
  Result<Kernel> get(uint32_t device, Load load) {
    const std::lock_guard lock(mutex_);
    if (const auto found = kernels_.find(device); found != kernels_.end()) return found->second;
    const Result<Kernel> kernel = load(device);
    if (kernel.is_ok()) kernels_[device] = kernel.value();
    return kernel;
  }

 private:
  std::mutex mutex_;
  std::map<uint32_t, Kernel> kernels_;
};

// CTAs of a launch; more than `most` are of no use.
inline uint32_t grid_of(uint32_t ctas, uint32_t most) { return ctas == 0 ? most : std::min(ctas, most); }

// `launch(arguments)` for each part of the list.
template <typename Launch>
Status launch_blocks(const Block *blocks, uint64_t count, Launch launch) {
  while (count > 0) {
    uint64_t part = std::min(count, copy_blocks_most);
    std::array<void *, 2> arguments = {&blocks, &part};
    const Status status = launch(arguments.data());
    if (!status.is_ok()) return status;
    blocks += part;
    count -= part;
  }
  return Status::ok();
}

template <typename Launch>
Status launch_selected(SelectedBlocks rest, Launch launch) {
  while (rest.count > 0 && rest.length > 0) {
    uint64_t part = std::min(rest.count, copy_blocks_most);
    std::array<void *, 5> arguments = {&rest.list, &rest.to, &rest.from, &part, &rest.length};
    const Status status = launch(arguments.data());
    if (!status.is_ok()) return status;
    rest.to += part;
    rest.from += part;
    rest.count -= part;
  }
  return Status::ok();
}

}  // namespace pirn::device
