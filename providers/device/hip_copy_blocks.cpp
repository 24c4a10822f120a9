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
  if (status.is_ok()) status = call(runtime().hipModuleGetFunction, &kernel.blocks, module, copy_blocks_entry);
  if (status.is_ok()) status = call(runtime().hipModuleGetFunction, &kernel.selected, module, copy_selected_entry);
  if (!status.is_ok()) {
    return fail(PIRN_ERR_UNAVAILABLE, "no copy kernel for hip:%u: %s", device, status.text.c_str());
  }
  kernel.ctas = static_cast<uint32_t>(processors);
  return kernel;
}

Status launch(void *function, uint32_t most, uint32_t ctas, void *stream, void **arguments) {
  const uint32_t grid = ctas == 0 ? most : std::min(ctas, most);
  return call(runtime().hipModuleLaunchKernel, function, grid, 1u, 1u, copy_blocks_threads, 1u, 1u, 0u, stream, arguments,
              nullptr);
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
  while (count > 0) {
    uint64_t part = std::min(count, copy_blocks_most);
    std::array<void *, 2> arguments = {&blocks, &part};
    const Status status = launch(kernel.value().blocks, kernel.value().ctas, ctas, stream, arguments.data());
    if (!status.is_ok()) return status;
    blocks += part;
    count -= part;
  }
  return Status::ok();
}

Status copy_selected(uint32_t device, void *stream, const SelectedBlocks &selected, uint32_t ctas) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  const Result<CopyKernel> kernel = copy_kernel(device);
  if (!kernel.is_ok()) return kernel.status();
  SelectedBlocks rest = selected;
  while (rest.count > 0 && rest.length > 0) {
    uint64_t part = std::min(rest.count, copy_blocks_most);
    std::array<void *, 5> arguments = {&rest.list, &rest.to, &rest.from, &part, &rest.length};
    const Status status = launch(kernel.value().selected, kernel.value().ctas, ctas, stream, arguments.data());
    if (!status.is_ok()) return status;
    rest.to += part;
    rest.from += part;
    rest.count -= part;
  }
  return Status::ok();
}

}  // namespace pirn::device::hip
