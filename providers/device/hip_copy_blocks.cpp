// SPDX-License-Identifier: Apache-2.0
#include "copy_launch.h"
#include "hip_kernels.h"
#include "hip_table.h"

namespace pirn::device::hip {
namespace {

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

Status launch(void *function, uint32_t grid, void *stream, void **arguments) {
  return call(runtime().hipModuleLaunchKernel, function, grid, 1u, 1u, copy_blocks_threads, 1u, 1u, 0u, stream, arguments,
              nullptr);
}

}  // namespace

bool has_copy_kernels() {
  return copy_kernels().missing == nullptr && runtime().hipModuleLoadData && runtime().hipModuleGetFunction &&
         runtime().hipModuleLaunchKernel;
}

Result<CopyKernel> copy_kernel(uint32_t device) {
  static auto *all = new LoadedKernels<CopyKernel>;
  return all->get(device, load_kernel);
}

Status copy_blocks(uint32_t device, void *stream, const Block *blocks, uint64_t count, uint32_t ctas) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  const Result<CopyKernel> kernel = copy_kernel(device);
  if (!kernel.is_ok()) return kernel.status();
  const uint32_t grid = grid_of(ctas, kernel.value().ctas);
  return launch_blocks(blocks, count, [&](void **arguments) { return launch(kernel.value().blocks, grid, stream, arguments); });
}

Status copy_selected(uint32_t device, void *stream, const SelectedBlocks &selected, uint32_t ctas) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  const Result<CopyKernel> kernel = copy_kernel(device);
  if (!kernel.is_ok()) return kernel.status();
  const uint32_t grid = grid_of(ctas, kernel.value().ctas);
  return launch_selected(selected, [&](void **arguments) { return launch(kernel.value().selected, grid, stream, arguments); });
}

}  // namespace pirn::device::hip
