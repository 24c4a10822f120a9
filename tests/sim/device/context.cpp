// SPDX-License-Identifier: Apache-2.0
#include "context.h"

#include "report.h"
#include "units.h"

#include <algorithm>

namespace pirn::fake_gpu {

std::vector<Context *> &current_stack() {
  thread_local std::vector<Context *> stack;
  return stack;
}

Context *current() { return current_stack().empty() ? nullptr : current_stack().back(); }

bool is_context(const Context *context) {
  Engine &all = engine();
  auto same = [&](const std::unique_ptr<Context> &one) { return one.get() == context; };
  return std::any_of(all.primaries.begin(), all.primaries.end(), same) ||
         std::any_of(all.others.begin(), all.others.end(), same);
}

void activate(Context &context) {
  context.alive = true;
  context.sticky = ok;
  context.null_stream = std::make_shared<Stream>();
  context.null_stream->context = &context;
  context.null_stream->id = engine().next_id++;
}

void retire(Context &context) {
  Engine &all = engine();
  context.alive = false;
  size_t left = 0;
  for (const auto &[base, mapping] : all.mappings)
    left += mapping.context == &context && mapping.kind != Kind::chunk;
  for (const auto &[handle, stream] : all.streams.all()) left += stream->context == &context;
  for (const auto &[handle, event] : all.events.all()) left += event->context == &context;
  if (left) report("misuse", "context of device %u destroyed with %zu allocations, streams or events", context.ordinal,
                   left);
  context.peers.clear();
}

Context *new_context(uint32_t ordinal) {
  auto context = std::make_unique<Context>();
  context->ordinal = ordinal;
  context->unit = visible_units()[ordinal];
  context->primary = false;
  activate(*context);
  engine().others.push_back(std::move(context));
  return engine().others.back().get();
}

Context *primary_of_unit(uint32_t unit) {
  int ordinal = ordinal_of(unit);
  return ordinal < 0 ? nullptr : engine().primaries[static_cast<size_t>(ordinal)].get();
}

Code enable_peer(Context &self, const Context &peer) {
  if (!peer.alive) return invalid_context;
  if (self.unit == peer.unit) return invalid_device;
  if (!are_peers(self.unit, peer.unit)) return peer_access_unsupported;
  return self.peers.insert(peer.unit).second ? ok : peer_access_already_enabled;
}

Code disable_peer(Context &self, const Context &peer) {
  if (!is_context(&peer)) return invalid_context;
  return self.peers.erase(peer.unit) ? ok : peer_access_not_enabled;
}

}  // namespace pirn::fake_gpu
