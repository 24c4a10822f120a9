// SPDX-License-Identifier: Apache-2.0
#include "engine.h"

#include "report.h"
#include "settings.h"
#include "units.h"
#include "worker.h"

#include <unistd.h>

namespace pirn::fake_gpu {

Engine &engine() {
  static Engine *const one = new Engine;  // the worker runs until the process is gone
  return *one;
}

Code initialize() {
  Engine &all = engine();
  if (all.initialized) return all.pid == getpid() ? ok : not_initialized;
  if (visible_units().empty()) return no_device;
  all.pid = getpid();
  all.random.seed(settings().seed);
  sweep_names();
  for (uint32_t ordinal = 0; ordinal < visible_units().size(); ordinal++) {
    auto context = std::make_unique<Context>();
    context->ordinal = ordinal;
    context->unit = visible_units()[ordinal];
    all.primaries.push_back(std::move(context));
    auto pool = std::make_shared<Pool>();
    pool->unit = visible_units()[ordinal];
    pool->is_default = true;
    all.default_pools.push_back(pool);
  }
  start_worker();
  all.initialized = true;
  return ok;
}

const char *kind_name(Kind kind) {
  static const char *const names[] = {"plain", "mapped", "pool", "managed", "pinned", "registered", "imported"};
  return names[static_cast<size_t>(kind)];
}

namespace {

void add(std::string &text, size_t count, const char *what) {
  if (count) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
}

__attribute__((destructor)) void tell_leaks() {
  Engine &all = engine();
  if (!settings().leaks || !all.initialized || all.pid != getpid()) return;
  Lock lock(all.lock, std::try_to_lock);
  if (!lock) return;
  std::map<Kind, size_t> kinds;
  for (const auto &[base, mapping] : all.mappings) kinds[mapping.kind]++;
  std::string text;  // without modules, which belong to contexts
  for (const auto &[kind, count] : kinds) add(text, count, (std::string(kind_name(kind)) + " memory").c_str());
  size_t held = 0;
  for (const auto &[handle, chunk] : all.handles) held += chunk->handles;
  add(text, held, "physical handles");
  add(text, all.reservations.size(), "address ranges");
  add(text, all.streams.size(), "streams");
  add(text, all.events.size(), "events");
  add(text, all.graphs.size() + all.executables.size(), "graphs");
  add(text, all.pools.size(), "pools");
  if (!text.empty()) report("leak", "%s", text.c_str());
  for (auto &[base, mapping] : all.mappings)
    if (mapping.chunk) mapping.chunk.reset();  // removes its name
  all.handles.clear();
}

}  // namespace

}  // namespace pirn::fake_gpu
