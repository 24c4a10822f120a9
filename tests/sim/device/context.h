// SPDX-License-Identifier: Apache-2.0
// Contexts, and which one is current in a thread. All need the engine's lock.
#pragma once

#include "engine.h"

namespace pirn::fake_gpu {

std::vector<Context *> &current_stack();  // of this thread
Context *current();                       // nullptr if none
bool is_context(const Context *context);  // known, alive or not

void activate(Context &context);          // with its null stream
void retire(Context &context);            // reports what is left in it
Context *new_context(uint32_t ordinal);
Context *primary_of_unit(uint32_t unit);  // nullptr if not enumerated

Code enable_peer(Context &self, const Context &peer);
Code disable_peer(Context &self, const Context &peer);

}  // namespace pirn::fake_gpu
