// SPDX-License-Identifier: Apache-2.0
// The profiles, one per file beside this one.
#pragma once

#include "fabric/profile.h"

namespace pirn::fabric {

extern const Profile cxi_profile;
extern const Profile efa_profile;
extern const Profile verbs_profile;
extern const Profile tcp_profile;
extern const Profile shm_profile;
extern const Profile sockets_profile;

}  // namespace pirn::fabric
