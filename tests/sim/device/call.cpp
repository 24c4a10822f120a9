// SPDX-License-Identifier: Apache-2.0
#include "call.h"

#include "capture.h"
#include "report.h"

#include <unistd.h>

namespace pirn::fake_gpu {

const Rule *&hang_rule() {
  thread_local const Rule *rule = nullptr;
  return rule;
}

const Rule *&break_rule() {
  thread_local const Rule *rule = nullptr;
  return rule;
}

Code enter(const char *name, unsigned needs, Call &call) {
  Engine &all = engine();
  uint64_t count = ++all.calls[name];
  hang_rule() = match(settings().hang, name, count);
  break_rule() = match(settings().broken, name, count);
  if (const Rule *rule = match(settings().fail, name, count))
    return rule->number < 0 ? unknown : static_cast<Code>(rule->number);
  if (needs == needs_nothing) return ok;
  if (!all.initialized) return not_initialized;
  if (all.pid != getpid()) {
    report("misuse", "%s in a process forked after initialization", name);
    return not_initialized;
  }
  if (std::this_thread::get_id() == all.worker) {
    report("misuse", "%s called from a host function of a stream", name);
    return not_permitted;
  }
  call.context = current();
  if ((needs & needs_context) == needs_context) {
    if (!call.context) return invalid_context;
    if (!call.context->alive) return context_is_destroyed;
    if (call.context->sticky != ok) return call.context->sticky;
  }
  return needs & unsafe ? refuse_while_capturing(name) : ok;
}

}  // namespace pirn::fake_gpu
