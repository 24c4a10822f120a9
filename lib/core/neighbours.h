// SPDX-License-Identifier: Apache-2.0
// Endpoints of this process over a provider that maps its peers' memory (same_process_only). Such a
// provider crashes when it sends to an endpoint that has been closed, or comes to what that one sent before, and a
// farewell may come too late, so an endpoint that closes tells its neighbours itself, and they work that off. Thread-safe.
#pragma once

#include "wire/metadata.h"

namespace pirn::core {

class Endpoint;

void join_neighbours(Endpoint &endpoint);
// The open neighbour with this identity, nullptr if there is none, or while it is reset. It stays open until it has told
// us that it leaves (Endpoint::neighbour_left). Call with the asking endpoint's lock held.
Endpoint *find_neighbour(const wire::Instance &instance);
// Call without any endpoint's lock held, before the rails go. No effect if it never joined.
void leave_neighbours(Endpoint &endpoint);
// Resets the endpoint's rails once it posts nothing and no neighbour uses them: to the neighbours it is as if it had
// closed. Call without any endpoint's lock held.
void reset_among_neighbours(Endpoint &endpoint);

}  // namespace pirn::core
