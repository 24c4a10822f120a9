// SPDX-License-Identifier: Apache-2.0
// Modules and their kernels. What is for AMD's GPUs is not run: an image with the same entries takes its place.
#include "shim.h"

#include <cstddef>
#include <cstring>
#include <elf.h>

namespace pirn::shim {
namespace {

constexpr uint16_t amd_machine = 224;  // EM_AMDGPU, which not every elf.h has

// hipcc writes bundles, plain or compressed, of code objects.
bool is_for_amd(const void *image) {
  if (image == nullptr) return false;
  const char *const text = static_cast<const char *>(image);
  if (std::strncmp(text, "__CLANG_OFFLOAD_BUNDLE__", 24) == 0 || std::strncmp(text, "CCOB", 4) == 0) return true;
  if (std::strncmp(text, ELFMAG, SELFMAG) != 0) return false;
  uint16_t machine = 0;
  std::memcpy(&machine, text + offsetof(Elf64_Ehdr, e_machine), sizeof machine);
  return machine == amd_machine;
}

}  // namespace

int hipModuleLoadData(void **module, const void *image) {
  const void *const taken = is_for_amd(image) ? stand_in_image() : image;
  return forward(
      [=](const Driver &all) { return all.cuModuleLoadData(reinterpret_cast<cuda::Module *>(module), taken); });
}

int hipModuleGetFunction(void **function, void *module, const char *name) {
  return forward([=](const Driver &all) {
    return all.cuModuleGetFunction(reinterpret_cast<cuda::Function *>(function), static_cast<cuda::Module>(module),
                                   name);
  });
}

int hipModuleLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                          unsigned block_y, unsigned block_z, unsigned shared, void *stream, void **parameters,
                          void **extra) {
  return forward([=](const Driver &all) {
    return all.cuLaunchKernel(static_cast<cuda::Function>(function), grid_x, grid_y, grid_z, block_x, block_y, block_z,
                              shared, stream_of(stream), parameters, extra);
  });
}

}  // namespace pirn::shim
