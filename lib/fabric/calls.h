// SPDX-License-Identifier: Apache-2.0
// The entry points of libfabric that are real functions. Everything else is an
// inline call through an object's operation table, so a fabric of one's own needs only these.
#pragma once

#include <rdma/fabric.h>
#include <rdma/fi_errno.h>

#include <cstddef>
#include <cstdint>

namespace pirn::fabric {

struct Calls {
  int (*getinfo)(uint32_t version, const char *node, const char *service, uint64_t flags, const fi_info *hints,
                 fi_info **info);
  void (*freeinfo)(fi_info *info);
  fi_info *(*dupinfo)(const fi_info *info);
  fi_info *(*allocinfo)();  // all attributes present and zeroed
  int (*fabric)(fi_fabric_attr *attr, fid_fabric **fabric, void *context);
  uint32_t (*version)();
  const char *(*strerror)(int error);  // of a positive fi_errno
};

// The newest interface version that pirn was written against: never ask for more, whatever is installed.
constexpr uint32_t newest_known_version = FI_VERSION(2, 0);

inline uint32_t version_to_request(const Calls &calls) {
  uint32_t installed = calls.version();
  return FI_VERSION_LT(installed, newest_known_version) ? installed : newest_known_version;
}

// A structure that the caller allocates and that newer libfabrics read or write beyond what our headers declare: the
// tail is zeroed room for them. (Structures that libfabric allocates itself must come from allocinfo or dupinfo.)
template <typename T>
struct Grown {
  T attr{};
  std::byte tail[128]{};
};

}  // namespace pirn::fabric
