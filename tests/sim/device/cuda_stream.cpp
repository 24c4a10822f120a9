// SPDX-License-Identifier: Apache-2.0
#include "cuda_face.h"
#include "report.h"

namespace pirn::fake_gpu::cuda {

namespace {

using StreamPointer = const std::shared_ptr<Stream> &;

// Looks an event up in `body`'s stead.
template <typename Body>
Result run_on_event(const char *name, Handle handle, unsigned needs, Body body) {
  return run_call(name, needs, [&](Call &call) -> Code {
    std::shared_ptr<Event> event = engine().events.find(handle);
    if (event) return body(call, event);
    report("misuse", "%s of %p, which is no event", name, handle);
    return invalid_handle;
  });
}

Result wait_value(const char *name, Handle handle, Pointer word, uint64_t value, unsigned flags, bool wide) {
  return run_on_stream(name, handle, needs_context, [&](Call &call, StreamPointer stream) {
    if (flags & ~((1u << 30) | 3u)) return invalid_value;
    return wait_word(call, stream, word, value, static_cast<Compare>(flags & 3u), wide);
  });
}

Result write_value(const char *name, Handle handle, Pointer word, uint64_t value, unsigned flags, bool wide) {
  return run_on_stream(name, handle, needs_context, [&](Call &call, StreamPointer stream) {
    return flags > 1 ? invalid_value : write_word(call, stream, word, value, wide);
  });
}

}  // namespace

Result cuStreamCreateWithPriority(Handle *stream, unsigned flags, int priority) {
  return run_call(__func__, needs_context, [&](Call &call) {
    if (!stream || flags > 1) return invalid_value;
    *stream = make_stream(*call.context, flags == 0, priority);
    return ok;
  });
}

Result cuStreamCreate(Handle *stream, unsigned flags) {
  return run_call(__func__, needs_context, [&](Call &call) {
    if (!stream || flags > 1) return invalid_value;
    *stream = make_stream(*call.context, flags == 0, 0);
    return ok;
  });
}

Result cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  return run_call(__func__, needs_context, [&](Call &) {
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return ok;
  });
}

Result cuStreamDestroy_v2(Handle stream) {
  return run_call(__func__, needs_init, [&](Call &call) { return drop_stream(call, stream); });
}

Result cuStreamQuery(Handle handle) {
  return run_on_stream(__func__, handle, needs_init | unsafe, [](Call &call, StreamPointer stream) {
    return query_stream(call, stream);
  });
}

Result cuStreamSynchronize(Handle handle) {
  return run_on_stream(__func__, handle, needs_init | unsafe, [](Call &call, StreamPointer stream) {
    return synchronize_stream(call, stream);
  });
}

Result cuStreamGetCtx(Handle handle, Handle *context) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &, StreamPointer stream) {
    *context = stream->context;
    return ok;
  });
}

Result cuStreamGetDevice(Handle handle, Device *device) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &, StreamPointer stream) {
    *device = static_cast<Device>(stream->context->ordinal);
    return ok;
  });
}

Result cuStreamGetFlags(Handle handle, unsigned *flags) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &, StreamPointer stream) {
    *flags = stream->blocking ? 0 : 1;
    return ok;
  });
}

Result cuStreamGetId(Handle handle, unsigned long long *id) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &, StreamPointer stream) {
    *id = stream->id;
    return ok;
  });
}

Result cuStreamWaitEvent(Handle handle, Handle event_handle, unsigned) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &call, StreamPointer stream) {
    std::shared_ptr<Event> event = engine().events.find(event_handle);
    return event ? wait_event(call, stream, event) : invalid_handle;
  });
}

Result cuStreamWaitValue32_v2(Handle stream, Pointer word, uint32_t value, unsigned flags) {
  return wait_value(__func__, stream, word, value, flags, false);
}

Result cuStreamWaitValue64_v2(Handle stream, Pointer word, uint64_t value, unsigned flags) {
  return wait_value(__func__, stream, word, value, flags, true);
}

Result cuStreamWriteValue32_v2(Handle stream, Pointer word, uint32_t value, unsigned flags) {
  return write_value(__func__, stream, word, value, flags, false);
}

Result cuStreamWriteValue64_v2(Handle stream, Pointer word, uint64_t value, unsigned flags) {
  return write_value(__func__, stream, word, value, flags, true);
}

Result cuStreamBatchMemOp_v2(Handle handle, unsigned count, BatchOperation *operations, unsigned flags) {
  return run_on_stream(__func__, handle, needs_context, [&](Call &call, StreamPointer stream) {
    if (flags || count > 256) return invalid_value;
    for (unsigned i = 0; i < count; i++) {
      const auto &word = operations[i].word;
      Code code = ok;
      switch (operations[i].operation) {
        case 1: case 4:
          code = wait_word(call, stream, word.address, word.value, static_cast<Compare>(word.flags & 3u),
                           word.operation == 4);
          break;
        case 2: case 5: code = write_word(call, stream, word.address, word.value, word.operation == 5); break;
        case 6: break;  // a barrier: all is in order anyhow
        default: code = not_supported;
      }
      if (code != ok) return code;
    }
    return ok;
  });
}

Result cuLaunchHostFunc(Handle handle, void (*function)(void *), void *argument) {
  return run_on_stream(__func__, handle, needs_context, [&](Call &call, StreamPointer stream) {
    return function ? host_function(call, stream, function, argument) : invalid_value;
  });
}

Result cuEventCreate(Handle *event, unsigned flags) {
  return run_call(__func__, needs_context, [&](Call &call) {
    if (!event || flags > 7) return invalid_value;
    auto made = std::make_shared<Event>();
    made->context = call.context;
    *event = engine().events.add(made);
    return ok;
  });
}

Result cuEventDestroy_v2(Handle handle) {
  return run_on_event(__func__, handle, needs_init, [&](Call &, const std::shared_ptr<Event> &) {
    engine().events.take(handle);
    return ok;
  });
}

Result cuEventRecord(Handle handle, Handle stream_handle) {
  return run_on_event(__func__, handle, needs_context, [&](Call &call, const std::shared_ptr<Event> &event) {
    std::shared_ptr<Stream> stream = find_stream(call, stream_handle);
    return stream ? record_event(call, event, stream) : invalid_handle;
  });
}

Result cuEventQuery(Handle handle) {
  return run_on_event(__func__, handle, needs_init | unsafe, [](Call &call, const std::shared_ptr<Event> &event) {
    return query_event(call, event);
  });
}

Result cuEventSynchronize(Handle handle) {
  return run_on_event(__func__, handle, needs_init | unsafe, [](Call &call, const std::shared_ptr<Event> &event) {
    return synchronize_event(call, event);
  });
}

}  // namespace pirn::fake_gpu::cuda
