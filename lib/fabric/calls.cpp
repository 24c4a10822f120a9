// SPDX-License-Identifier: Apache-2.0
#include "fabric/calls.h"

#include "base/text.h"
#include "fabric/discovery.h"

namespace pirn::fabric {
namespace {

// fi_allocinfo is an inline function of the headers: the structure itself is made inside the library.
fi_info *allocate_info() { return fi_allocinfo(); }

}  // namespace

const Calls &libfabric() {
  static const Calls calls = {fi_getinfo, fi_freeinfo, fi_dupinfo, allocate_info, fi_fabric, fi_version, fi_strerror};
  return calls;
}

std::string header_version() { return text("%d.%d", FI_MAJOR_VERSION, FI_MINOR_VERSION); }

std::string libfabric_version() {
  char buffer[64] = "";
  int unused = 0;
  fi_tostr_r(buffer, sizeof buffer, &unused, FI_TYPE_VERSION);
  return buffer;
}

}  // namespace pirn::fabric
