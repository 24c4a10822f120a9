// SPDX-License-Identifier: Apache-2.0
// Stands before pirn's calls that move bytes and does one of them wrong. PIRN_PERF_FAULT=short:3: the third misses its
// last byte (a list its last element's); stray:3: the third puts a byte behind its own as well. Transfers that demand path
// "self" are left alone: by them the tool looks at device memory.
#include <pirn/pirn.h>

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

std::atomic<int> calls{0};

// Whether this call is the one that goes wrong so.
bool goes_wrong(const char *how, const pirn_transfer_params *params) {
  if (params && params->path && std::strcmp(params->path, "self") == 0) return false;
  const char *const set = std::getenv("PIRN_PERF_FAULT");
  const std::string fault = set ? set : "";
  if (fault.rfind(std::string(how) + ":", 0) != 0) return false;
  return ++calls == std::atoi(fault.c_str() + std::strlen(how) + 1);
}

template <typename Function>
Function *real(const char *name, Function *) {
  return reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name));
}

template <typename Function>
pirn_status single(Function *call, pirn_region *region, uint64_t local, pirn_window *window, uint64_t remote,
                   uint64_t length, const pirn_transfer_params *params, pirn_transfer *transfer, bool write) {
  if (goes_wrong("short", params)) return call(region, local, window, remote, length - 1, params, transfer);
  if (goes_wrong("stray", params)) {
    const uint64_t here = write ? local : local + length, there = write ? remote + length : remote;
    const pirn_status status = call(region, here, window, there, 1, params, nullptr);
    if (status != PIRN_OK) return status;
  }
  return call(region, local, window, remote, length, params, transfer);
}

}  // namespace

extern "C" {

pirn_status pirn_write(pirn_region *region, uint64_t local, pirn_window *window, uint64_t remote, uint64_t length,
                       const pirn_transfer_params *params, pirn_transfer *transfer) {
  return single(real("pirn_write", pirn_write), region, local, window, remote, length, params, transfer, true);
}

pirn_status pirn_read(pirn_region *region, uint64_t local, pirn_window *window, uint64_t remote, uint64_t length,
                      const pirn_transfer_params *params, pirn_transfer *transfer) {
  return single(real("pirn_read", pirn_read), region, local, window, remote, length, params, transfer, false);
}

pirn_status pirn_writev(const pirn_segment *segments, uint64_t count, const pirn_transfer_params *params,
                        pirn_transfer *transfer) {
  std::vector<pirn_segment> list(segments, segments + count);
  if (goes_wrong("short", params)) --list.back().length;
  return real("pirn_writev", pirn_writev)(list.data(), count, params, transfer);
}

pirn_status pirn_prepared_post_select(pirn_prepared *prepared, const uint32_t *local, const uint32_t *remote,
                                      uint64_t count, const pirn_transfer_params *params, pirn_transfer *transfer) {
  const uint64_t short_of = goes_wrong("short", params) ? 1 : 0;
  return real("pirn_prepared_post_select", pirn_prepared_post_select)(prepared, local, remote, count - short_of, params,
                                                                      transfer);
}

}  // extern "C"
