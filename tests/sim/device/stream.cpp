// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include "capture.h"
#include "report.h"
#include "worker.h"

#include <cstdint>

namespace pirn::fake_gpu {

std::shared_ptr<Stream> find_stream(Call &call, void *handle) {
  auto value = reinterpret_cast<uintptr_t>(handle);
  if (value <= 2 && !call.context) return nullptr;
  if (value <= 1) return call.context->null_stream;
  if (value == 2) {
    std::shared_ptr<Stream> &own = call.context->per_thread[std::this_thread::get_id()];
    if (!own) {
      own = std::make_shared<Stream>();
      own->context = call.context;
      own->id = engine().next_id++;
    }
    return own;
  }
  std::shared_ptr<Stream> stream = engine().streams.find(handle);
  if (!stream) report("misuse", "%s of %p, which is no stream", call.name, handle);
  return stream;
}

void *make_stream(Context &context, bool blocking, int priority) {
  auto stream = std::make_shared<Stream>();
  stream->context = &context;
  stream->blocking = blocking;
  stream->priority = priority;
  stream->id = engine().next_id++;
  return engine().streams.add(stream);
}

Code drop_stream(Call &call, void *handle) {
  std::shared_ptr<Stream> stream = engine().streams.take(handle);
  if (!stream) {
    report("misuse", "%s of %p, which is no stream", call.name, handle);
    return invalid_handle;
  }
  if (stream->capture) invalidate(*stream->capture);
  return ok;  // its work goes on
}

Code query_stream(Call &, const std::shared_ptr<Stream> &stream) {
  if (stream->capture) return invalidate(*stream->capture);
  if (stream->context->sticky != ok) return stream->context->sticky;
  return stream->idle() ? ok : not_ready;
}

Code synchronize_stream(Call &call, const std::shared_ptr<Stream> &stream) {
  if (stream->capture) return invalidate(*stream->capture);
  if (stream != stream->context->null_stream) return wait_for(call.lock, {stream, stream->submitted});
  std::vector<Mark> marks{{stream, stream->submitted}};
  for (const auto &other : engine().busy)
    if (other->context == stream->context && other->blocking) marks.push_back({other, other->submitted});
  for (const Mark &mark : marks) static_cast<void>(wait_for(call.lock, mark));
  return stream->context->sticky;
}

Code synchronize_context(Call &call, Context &context) {
  std::vector<Mark> marks;
  for (const auto &stream : engine().busy)
    if (stream->context == &context) marks.push_back({stream, stream->submitted});
  for (const Mark &mark : marks) static_cast<void>(wait_for(call.lock, mark));
  return context.sticky;
}

Code record_event(Call &call, const std::shared_ptr<Event> &event, const std::shared_ptr<Stream> &stream) {
  if (event->context != stream->context) {
    report("misuse", "%s of an event of device %u in a stream of device %u", call.name, event->context->ordinal,
           stream->context->ordinal);
    return invalid_handle;
  }
  if (stream->capture) return capture_event(*event, stream);
  // Work of its own: recording takes its turn in the stream, and comes as late as a copy.
  Code code = submit(call, stream, {"an event", [](Context &, Code &) { return Step::done; }, {}});
  if (code != ok) return code;
  event->captured = false;
  event->mark = {stream, stream->submitted};
  return ok;
}

Code wait_event(Call &call, const std::shared_ptr<Stream> &stream, const std::shared_ptr<Event> &event) {
  if (event->captured) return join_capture(event, stream);
  if (stream->capture) {  // work outside the capture cannot be waited for in it
    invalidate(*stream->capture);
    return event->mark.stream ? capture_isolation : ok;
  }
  if (event->mark.reached()) return ok;
  stream->needs.push_back(event->mark);
  return submit(call, stream, {"waiting for an event", [](Context &, Code &) { return Step::done; }, {}});
}

Code query_event(Call &, const std::shared_ptr<Event> &event) {
  if (event->captured) return captured_event;
  if (event->context->sticky != ok) return event->context->sticky;
  if (!event->mark.stream) return ok;
  if (event->mark.stream->context->sticky != ok) return event->mark.stream->context->sticky;
  return event->mark.reached() ? ok : not_ready;
}

Code synchronize_event(Call &call, const std::shared_ptr<Event> &event) {
  if (event->captured) return captured_event;
  return wait_for(call.lock, event->mark);
}

}  // namespace pirn::fake_gpu
