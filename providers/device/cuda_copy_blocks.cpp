// SPDX-License-Identifier: Apache-2.0
#include "copy_launch.h"
#include "cuda_kernels.h"
#include "cuda_table.h"

namespace pirn::device::cuda {
namespace {

Result<CopyKernel> load_kernel(uint32_t device) {
  if (copy_kernels().missing != nullptr) {
    return fail(PIRN_ERR_UNAVAILABLE, "no copy kernel for cuda:%u: %s", device, copy_kernels().missing);
  }
  const Result<int> processors = attribute_of(device, attribute_processors);
  if (!processors.is_ok()) return processors.status();
  CopyKernel kernel;
  kernel.ctas = static_cast<uint32_t>(processors.value());  // its registers leave room for one on each
  Module module = nullptr;
  Status status = call(driver().cuModuleLoadData, &module, copy_kernels().bytes.data());
  if (status.is_ok()) status = call(driver().cuModuleGetFunction, &kernel.blocks, module, copy_blocks_entry);
  if (status.is_ok()) status = call(driver().cuModuleGetFunction, &kernel.selected, module, copy_selected_entry);
  if (status.is_ok()) return kernel;
  if (module != nullptr) driver().cuModuleUnload(module);
  return fail(PIRN_ERR_UNAVAILABLE, "no copy kernel for cuda:%u: %s", device, status.text.c_str());
}

Status launch(Function function, uint32_t grid, void *stream, void **arguments) {
  return call(driver().cuLaunchKernel, function, grid, 1u, 1u, copy_blocks_threads, 1u, 1u, 0u, static_cast<Stream>(stream),
              arguments, nullptr);
}

}  // namespace

Result<CopyKernel> copy_kernel(uint32_t device) {
  static auto *all = new LoadedKernels<CopyKernel>;
  return all->get(device, load_kernel);
}

Result<bool> runs_kernels(uint32_t device) {
  if (copy_kernels().missing != nullptr) return false;
  const Result<int> major = attribute_of(device, attribute_capability_major);
  const Result<int> minor = attribute_of(device, attribute_capability_minor);
  if (!major.is_ok()) return major.status();
  if (!minor.is_ok()) return minor.status();
  return static_cast<uint32_t>(major.value() * 10 + minor.value()) >= kernels_from();
}

Status copy_blocks(uint32_t device, void *stream, const Block *blocks, uint64_t count, uint32_t ctas) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  const Result<CopyKernel> kernel = copy_kernel(device);
  if (!kernel.is_ok()) return kernel.status();
  const uint32_t grid = grid_of(ctas, kernel.value().ctas);
  return launch_blocks(blocks, count, [&](void **arguments) { return launch(kernel.value().blocks, grid, stream, arguments); });
}

Status copy_selected(uint32_t device, void *stream, const SelectedBlocks &selected, uint32_t ctas) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  const Result<CopyKernel> kernel = copy_kernel(device);
  if (!kernel.is_ok()) return kernel.status();
  const uint32_t grid = grid_of(ctas, kernel.value().ctas);
  return launch_selected(selected, [&](void **arguments) { return launch(kernel.value().selected, grid, stream, arguments); });
}

}  // namespace pirn::device::cuda
