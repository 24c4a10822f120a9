// SPDX-License-Identifier: Apache-2.0
// Streams and events as the entry points see them. All need the engine's lock.
#pragma once

#include "call.h"
#include "engine.h"

namespace pirn::fake_gpu {

// The stream of a handle: nullptr and 1 are the current context's null stream, 2 the thread's own. Null if unknown.
std::shared_ptr<Stream> find_stream(Call &call, void *handle);
void *make_stream(Context &context, bool blocking, int priority);
Code drop_stream(Call &call, void *handle);
Code query_stream(Call &call, const std::shared_ptr<Stream> &stream);
Code synchronize_stream(Call &call, const std::shared_ptr<Stream> &stream);
Code synchronize_context(Call &call, Context &context);

Code record_event(Call &call, const std::shared_ptr<Event> &event, const std::shared_ptr<Stream> &stream);
Code wait_event(Call &call, const std::shared_ptr<Stream> &stream, const std::shared_ptr<Event> &event);
Code query_event(Call &call, const std::shared_ptr<Event> &event);
Code synchronize_event(Call &call, const std::shared_ptr<Event> &event);

// -- Work of other kinds

Code copy(Call &call, const std::shared_ptr<Stream> &stream, uint64_t to, uint64_t from, uint64_t length);
Code copy_and_wait(Call &call, uint64_t to, uint64_t from, uint64_t length);  // in the null stream
Code fill(Call &call, const std::shared_ptr<Stream> &stream, uint64_t to, uint64_t value, uint32_t width,
          uint64_t count);

enum class Compare : uint8_t { geq, eq, any_bit, nor };
Code wait_word(Call &call, const std::shared_ptr<Stream> &stream, uint64_t word, uint64_t value, Compare compare,
               bool wide);
Code write_word(Call &call, const std::shared_ptr<Stream> &stream, uint64_t word, uint64_t value, bool wide);
Code host_function(Call &call, const std::shared_ptr<Stream> &stream, void (*function)(void *), void *argument);

}  // namespace pirn::fake_gpu
