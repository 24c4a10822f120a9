// SPDX-License-Identifier: Apache-2.0
// Transfers in the order of a device's stream, as the API asks for them.
#include "core/endpoint.h"

namespace pirn::core {

// A stream that waits for pirn may hold up its whole device, and so whatever pirn would ask of it later: all that is asked
// but copies comes first.
Status Endpoint::make_ready(Driver::Guard &guard, Prepared &prepared, const TransferOptions &options) {
  Op probe;
  probe.kind = prepared.kind;
  probe.peer = prepared.peer;
  probe.prepared = &prepared;
  probe.elements = prepared.elements.data();
  probe.count = static_cast<uint32_t>(prepared.elements.size());
  probe.total = prepared.total;
  probe.demand = options.path == Route::unknown ? demanded_ : options.path;
  const uint64_t patience = timeout_or(options.timeout, settings().transfer_timeout);
  const uint64_t deadline = deadline_after(now_ns(), patience);
  Result<Route> route = Route::unknown;
  driver_.wait(guard, patience, [&] {
    route = prepared.peer->live() ? copies_.route(probe)
                                  : Result<Route>(fail(prepared.peer->end_status, "%s", prepared.peer->why.c_str()));
    return !route.is_ok() || route.value() != Route::unknown;
  });
  if (!route.is_ok()) return route.status();
  if (route.value() == Route::unknown)
    return fail(PIRN_ERR_TIMEOUT, "windows of peer %s do not open in time", prepared.peer->address.c_str());
  probe.route = route.value();
  if (probe.direct()) return copies_.make_ready(probe);
  if (!by_parts(probe.route)) return Status::ok();
  Status ready;
  const uint64_t now = now_ns();
  driver_.wait(guard, deadline > now ? deadline - now : 0,
               [&] { return (ready = staging_.make_ready(probe)).code != PIRN_ERR_AGAIN; });
  if (ready.code == PIRN_ERR_AGAIN)
    return fail(PIRN_ERR_TIMEOUT, "peer %s lends no host memory in time", prepared.peer->address.c_str());
  return ready;
}

Result<Trigger *> Endpoint::make_trigger(Prepared &prepared, const TransferOptions &options) {
  auto guard = driver_.lock();
  if (Status bad = admit(*prepared.peer, options); !bad.is_ok() && bad.code != PIRN_ERR_AGAIN) return bad;
  if (Status bad = make_ready(guard, prepared, options); !bad.is_ok()) return bad;
  auto trigger = triggers_.make(prepared, options);
  driver_.wake();  // who sleeps must look at it from now on
  return trigger;
}

void Endpoint::describe(const Trigger &trigger, pirn_trigger_info *info) {
  auto guard = driver_.lock();
  info->posts = trigger.posts;
  info->failed = trigger.failed;
  info->device_status = &trigger.words->status;
  info->status = trigger.op ? PIRN_IN_PROGRESS : trigger.status;
  if (trigger.op || trigger.posts == 0) return;
  copy_text(info->path, sizeof(info->path), trigger.route == Route::unknown ? "" : route_name(trigger.route));
  if (trigger.status != PIRN_OK)
    copy_text(info->text, sizeof(info->text),
              text("peer %s: %s", trigger.prepared->peer->address.c_str(), trigger.text.c_str()));
}

Status Endpoint::cancel(Driver::Guard &guard, Trigger &trigger) {
  triggers_.progress();  // a post that a stream has come by is at work
  if (!trigger.op) return Status::ok();
  engine_.end(*trigger.op, PIRN_ERR_CANCELLED, "cancelled by the caller");
  const uint64_t posts = trigger.posts;
  driver_.wait(guard, UINT64_MAX, [&] { return trigger.posts != posts; });
  return {trigger.status, trigger.text};
}

Status Endpoint::cancel(Trigger &trigger) {
  auto guard = driver_.lock();
  return cancel(guard, trigger);
}

void Endpoint::release(Trigger *trigger) {
  auto guard = driver_.lock();
  (void)cancel(guard, *trigger);  // its end is what counts
  triggers_.drop(trigger);
}

Status Endpoint::wait_on_stream(pirn_transfer id, void *stream) {
  auto guard = driver_.lock();
  auto op = find(id);
  return op.is_ok() ? triggers_.wait_for(*op.value(), stream) : op.status();
}

}  // namespace pirn::core
