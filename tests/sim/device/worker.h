// SPDX-License-Identifier: Apache-2.0
// The one thread that does all stream work, of any stream that can go on, in random order and late.
#pragma once

#include "call.h"
#include "engine.h"

namespace pirn::fake_gpu {

void start_worker();

// Queues the work, or makes it a node if the stream captures. Needs the lock.
Code submit(Call &call, const std::shared_ptr<Stream> &stream, Work work);
// Returns the failure of the stream's context, if any.
Code wait_for(Lock &lock, const Mark &mark);
void wait_for_device(Lock &lock, uint32_t unit);  // for all work submitted so far
const char *user_of(Range range);                 // a name of unfinished work that uses it, or nullptr

}  // namespace pirn::fake_gpu
