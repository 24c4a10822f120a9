// SPDX-License-Identifier: Apache-2.0
#include "profiles.h"

#include <cstring>

namespace pirn::fabric {
namespace {

const Profile *const table[] = {&cxi_profile, &efa_profile, &verbs_profile, &tcp_profile, &sockets_profile, &shm_profile};

}  // namespace

std::span<const Profile *const> profiles() { return table; }

const Profile *find_profile(const char *name) {
  for (const Profile *profile : table)
    if (strcmp(profile->name, name) == 0) return profile;
  return nullptr;
}

}  // namespace pirn::fabric
