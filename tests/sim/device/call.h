// SPDX-License-Identifier: Apache-2.0
// What every entry point does first: injected failures, initialization, the current context, captures in progress.
#pragma once

#include "context.h"
#include "engine.h"
#include "settings.h"

namespace pirn::fake_gpu {

constexpr unsigned needs_nothing = 0;
constexpr unsigned needs_init = 1;
constexpr unsigned needs_context = 3;  // a current one that is alive and sound
constexpr unsigned unsafe = 4;         // not while a stream captures, unless in relaxed mode

struct Call {
  const char *name;
  Lock &lock;
  Context *context;        // the current one; not nullptr if it was needed
};

// Of the call that this thread is in: rules that hold for the stream work that it makes.
const Rule *&hang_rule();
const Rule *&break_rule();

Code enter(const char *name, unsigned needs, Call &call);

template <typename Body>
Code run_call(const char *name, unsigned needs, Body body) {
  Lock lock(engine().lock);
  Call call{name, lock, nullptr};
  Code code = enter(name, needs, call);
  return code == ok ? body(call) : code;
}

}  // namespace pirn::fake_gpu
