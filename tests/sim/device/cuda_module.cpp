// SPDX-License-Identifier: Apache-2.0
#include "cuda_face.h"
#include "kernels.h"

namespace pirn::fake_gpu::cuda {

namespace {

// A function is known by the place of its name.
const std::string *function_of(Handle function) {
  for (const auto &[handle, module] : engine().modules.all())
    for (const auto &name : module->functions)
      if (name.get() == function) return name.get();
  return nullptr;
}

}  // namespace

Result cuModuleLoadData(Handle *module, const void *image) {
  return run_call(__func__, needs_context | unsafe, [&](Call &) {
    if (!module || !image) return invalid_value;
    if (!looks_like_image(image)) return invalid_image;
    *module = engine().modules.add(std::make_shared<Module>());
    return ok;
  });
}

Result cuModuleLoadDataEx(Handle *module, const void *image, unsigned, int *, void **) {
  return cuModuleLoadData(module, image);
}

Result cuModuleUnload(Handle module) {
  return run_call(__func__, needs_context, [&](Call &) { return engine().modules.take(module) ? ok : invalid_value; });
}

Result cuModuleGetFunction(Handle *function, Handle handle, const char *name) {
  return run_call(__func__, needs_context, [&](Call &) {
    std::shared_ptr<Module> module = engine().modules.find(handle);
    if (!module || !function || !name) return invalid_value;
    if (!knows_kernel(name)) return not_found;
    module->functions.push_back(std::make_unique<std::string>(name));
    *function = module->functions.back().get();
    return ok;
  });
}

Result cuFuncGetAttribute(int *value, int attribute, Handle function) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!function_of(function)) return invalid_handle;
    *value = attribute == 0 ? 1024 : 0;  // threads of a block
    return ok;
  });
}

Result cuLaunchKernel(Handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                      unsigned block_y, unsigned block_z, unsigned, Handle handle, void **parameters, void **extra) {
  return run_on_stream(__func__, handle, needs_context, [&](Call &call, const std::shared_ptr<Stream> &stream) {
    const std::string *name = function_of(function);
    if (!name) return invalid_handle;
    if (extra) return not_supported;
    return launch_kernel(call, stream, *name, {grid_x * grid_y * grid_z, block_x * block_y * block_z, parameters});
  });
}

Result cuLaunchKernelEx(const LaunchConfig *config, Handle function, void **parameters, void **extra) {
  const unsigned *grid = config->grid, *block = config->block;
  return cuLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1], block[2], config->shared_bytes,
                        config->stream, parameters, extra);
}

}  // namespace pirn::fake_gpu::cuda
