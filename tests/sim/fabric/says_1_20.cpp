// SPDX-License-Identifier: Apache-2.0
// To be preloaded: a libfabric before 1.20 then says that it is 1.20, so that pirn uses dma-bufs. Where no layer of libfabric
// lies between pirn and a simulated NIC (efa, cxi) nobody else sees them.
#include <rdma/fabric.h>

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

namespace {

constexpr uint32_t said = FI_VERSION(1, 20);

uint32_t real_version() {
  static const auto real = reinterpret_cast<uint32_t (*)()>(dlsym(RTLD_NEXT, "fi_version"));
  return real();
}

// libfabric refuses a provider that is newer than itself.
bool from_provider(void *caller) {
  Dl_info info;
  return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "-fi.so");
}

}  // namespace

extern "C" __attribute__((visibility("default"))) uint32_t fi_version() {
  return from_provider(__builtin_return_address(0)) ? real_version() : std::max(said, real_version());
}

extern "C" __attribute__((visibility("default"))) int fi_getinfo(uint32_t version, const char *node, const char *service,
                                                                uint64_t flags, const fi_info *hints, fi_info **info) {
  using Function = int (*)(uint32_t, const char *, const char *, uint64_t, const fi_info *, fi_info **);
  static const auto real = reinterpret_cast<Function>(dlvsym(RTLD_NEXT, "fi_getinfo", "FABRIC_1.3"));
  return real(std::min(version, real_version()), node, service, flags, hints, info);
}
