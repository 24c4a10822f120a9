// SPDX-License-Identifier: Apache-2.0
// Names: of errors, and of functions for those who find them through cuGetProcAddress().
#include "cuda_face.h"
#include "report.h"

#include <cstring>

namespace pirn::fake_gpu::cuda {

namespace {

struct ErrorName {
  int code;
  const char *name;
  const char *text;
};
constexpr ErrorName error_names[] = {
  {0, "CUDA_SUCCESS", "no error"},
  {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
  {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
  {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
  {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
  {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
  {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
  {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
  {205, "CUDA_ERROR_MAP_FAILED", "mapping of buffer object failed"},
  {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
  {217, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED", "peer access is not supported between these two devices"},
  {304, "CUDA_ERROR_OPERATING_SYSTEM", "OS call failed or operation not supported on this OS"},
  {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
  {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
  {600, "CUDA_ERROR_NOT_READY", "device not ready"},
  {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
  {704, "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "peer access is already enabled"},
  {705, "CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "peer access has not been enabled"},
  {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
  {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "part or all of the requested memory range is already mapped"},
  {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "pointer does not correspond to a registered memory region"},
  {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
  {800, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted"},
  {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
  {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
  {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
  {902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"},
  {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
  {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
  {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
  {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing stream"},
  {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
  {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture from another thread"},
  {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const ErrorName *find_error(int code) {
  for (const ErrorName &entry : error_names)
    if (entry.code == code) return &entry;
  return nullptr;
}

struct Function {
  const char *name;
  void *address;
};

const Function functions[] = {
#define PIRN_FAKE_CUDA(name, ...) {#name, reinterpret_cast<void *>(&name)},
#include "cuda_functions.inc"
#undef PIRN_FAKE_CUDA
};

void *exported(const std::string &name) {
  for (const Function &function : functions)
    if (name == function.name) return function.address;
  return nullptr;
}

// The newest version of the function that a program built for `version` knows.
void *find_function(const std::string &name, int version) {
  if (name == "cuMemcpyBatchAsync") return exported(version >= 13000 ? name + "_v2" : name);
  if (void *second = exported(name + "_v2")) return second;
  return exported(name);
}

}  // namespace

Result cuGetErrorName(int error, const char **text) {
  const ErrorName *entry = find_error(error);
  *text = entry ? entry->name : nullptr;
  return entry ? ok : invalid_value;
}

Result cuGetErrorString(int error, const char **text) {
  const ErrorName *entry = find_error(error);
  *text = entry ? entry->text : nullptr;
  return entry ? ok : invalid_value;
}

Result cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t, int *status) {
  if (!symbol || !function) return invalid_value;
  *function = find_function(symbol, version);
  if (status) *status = *function ? 0 : 1;
  return *function ? ok : not_found;
}

Result cuGetProcAddress(const char *symbol, void **function, int version, uint64_t flags) {
  return cuGetProcAddress_v2(symbol, function, version, flags, nullptr);
}

}  // namespace pirn::fake_gpu::cuda

// For tests: how many lines the fake has written to stderr.
extern "C" __attribute__((visibility("default"))) uint64_t pirn_fake_gpu_reports() {
  return pirn::fake_gpu::reports();
}
