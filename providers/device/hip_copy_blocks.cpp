// SPDX-License-Identifier: Apache-2.0
#include "hip_kernels.h"
#include "hip_table.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

namespace pirn::device::hip {
namespace {

// Never destroyed, nor are the modules: threads may still be at work when the process ends.
struct Loaded {
  std::mutex mutex;
  std::map<uint32_t, CopyKernel> kernels;  // by device
};

Loaded &loaded() {
  static Loaded *one = new Loaded;
  return *one;
}

Result<CopyKernel> load_kernel(uint32_t device) {
  if (copy_kernels().missing != nullptr) {
    return fail(PIRN_ERR_UNAVAILABLE, "no copy kernel for hip:%u: %s", device, copy_kernels().missing);
  }
  CopyKernel kernel;
  void *module = nullptr;
  int processors = 0;
  Status status =
      call(runtime().hipDeviceGetAttribute, &processors, attribute_processors, static_cast<int>(device));
  if (status.is_ok()) status = call(runtime().hipModuleLoadData, &module, copy_kernels().bytes.data());
  if (status.is_ok()) status = call(runtime().hipModuleGetFunction, &kernel.function, module, copy_blocks_entry);
  if (!status.is_ok()) {
    return fail(PIRN_ERR_UNAVAILABLE, "no copy kernel for hip:%u: %s", device, status.text.c_str());
  }
  kernel.ctas = static_cast<uint32_t>(processors);
  return kernel;
}

}  // namespace

bool has_copy_kernels() {
  return copy_kernels().missing == nullptr && runtime().hipModuleLoadData && runtime().hipModuleGetFunction &&
         runtime().hipModuleLaunchKernel;
}

Result<CopyKernel> copy_kernel(uint32_t device) {
  Loaded &all = loaded();
  const std::lock_guard lock(all.mutex);
  if (const auto found = all.kernels.find(device); found != all.kernels.end()) return found->second;
  const Result<CopyKernel> kernel = load_kernel(device);
  if (kernel.is_ok()) all.kernels[device] = kernel.value();
  return kernel;
}

Status copy_blocks(uint32_t device, void *stream, const Block *blocks, uint64_t count, uint32_t ctas) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  const Result<CopyKernel> kernel = copy_kernel(device);
  if (!kernel.is_ok()) return kernel.status();
  const uint32_t most = kernel.value().ctas;
  const uint32_t grid = ctas == 0 ? most : std::min(ctas, most);
  while (count > 0) {
    uint64_t part = std::min(count, copy_blocks_most);
    std::array<void *, 2> arguments = {&blocks, &part};
    const Status status = call(runtime().hipModuleLaunchKernel, kernel.value().function, grid, 1u, 1u,
                               copy_blocks_threads, 1u, 1u, 0u, stream, arguments.data(), nullptr);
    if (!status.is_ok()) return status;
    blocks += part;
    count -= part;
  }
  return Status::ok();
}

}  // namespace pirn::device::hip
