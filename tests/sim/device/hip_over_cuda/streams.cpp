// SPDX-License-Identifier: Apache-2.0
// Streams, events, copies, captures.
#include "shim.h"

namespace pirn::shim {
namespace {

// Before waits_on_host_words_since: only memory of hipMallocSignalMemory, of which there is none here.
bool refuses_words() { return shown_version() < hip::waits_on_host_words_since; }

// Forwards with the stream's context current, as the CUDA table calls for words: HIP goes by the stream, whatever device
// the thread is on.
template <typename Call>
int forward_on(void *stream, Call call, const char *function = __builtin_FUNCTION()) {
  const auto there = [&](const Driver &all) -> int {
    cuda::Context context = nullptr;
    int error = all.cuStreamGetCtx(stream_of(stream), &context);
    if (error == 0) error = all.cuCtxSetCurrent(context);
    return error != 0 ? error : call(all);
  };
  return forward(there, function);
}

}  // namespace

int hipStreamCreateWithFlags(void **stream, unsigned flags) {
  return forward([=](const Driver &all) { return all.cuStreamCreate(reinterpret_cast<cuda::Stream *>(stream), flags); });
}

int hipStreamDestroy(void *stream) {
  return forward([=](const Driver &all) { return all.cuStreamDestroy_v2(stream_of(stream)); });
}

int hipStreamQuery(void *stream) {
  return forward([=](const Driver &all) { return all.cuStreamQuery(stream_of(stream)); });
}

int hipStreamGetDevice(void *stream, int *device) {
  return forward([=](const Driver &all) {
    cuda::Context context = nullptr;
    int error = all.cuStreamGetCtx(stream_of(stream), &context);
    if (error != 0) return error;
    error = all.cuCtxPushCurrent_v2(context);
    if (error != 0) return error;
    error = all.cuCtxGetDevice(device);
    all.cuCtxPopCurrent_v2(&context);
    return error;
  });
}

int hipStreamSynchronize(void *stream) {
  return forward([=](const Driver &all) { return all.cuStreamSynchronize(stream_of(stream)); });
}

int hipStreamBeginCapture(void *stream, int mode) {
  return forward([=](const Driver &all) { return all.cuStreamBeginCapture_v2(stream_of(stream), mode); });
}

int hipStreamEndCapture(void *stream, void **graph) {
  return forward([=](const Driver &all) {
    return all.cuStreamEndCapture(stream_of(stream), reinterpret_cast<cuda::Graph *>(graph));
  });
}

int hipGraphInstantiate(void **executable, void *graph, void **, char *, size_t) {
  return forward([=](const Driver &all) {
    return all.cuGraphInstantiateWithFlags(reinterpret_cast<cuda::GraphExec *>(executable),
                                                 static_cast<cuda::Graph>(graph), 0);
  });
}

int hipGraphLaunch(void *executable, void *stream) {
  return forward([=](const Driver &all) {
    return all.cuGraphLaunch(static_cast<cuda::GraphExec>(executable), stream_of(stream));
  });
}

int hipGraphExecDestroy(void *executable) {
  return forward([=](const Driver &all) { return all.cuGraphExecDestroy(static_cast<cuda::GraphExec>(executable)); });
}

int hipGraphDestroy(void *graph) {
  return forward([=](const Driver &all) { return all.cuGraphDestroy(static_cast<cuda::Graph>(graph)); });
}

int hipStreamIsCapturing(void *stream, int *status) {
  return forward([=](const Driver &all) { return all.cuStreamIsCapturing(stream_of(stream), status); });
}

int hipThreadExchangeStreamCaptureMode(int *mode) {
  return forward([=](const Driver &all) { return all.cuThreadExchangeStreamCaptureMode(mode); });
}

int hipStreamWaitValue64(void *stream, void *word, uint64_t value, unsigned flags, uint64_t mask) {
  if (refuses_words() || flags != hip::wait_greater_or_equal || mask != UINT64_MAX) {
    return told(hip::error_invalid_value);
  }
  return forward_on(stream, [=](const Driver &all) -> int {
    if (!all.cuStreamWaitValue64_v2) return hip::error_not_supported;
    return all.cuStreamWaitValue64_v2(stream_of(stream), pointer_of(word), value, cuda::wait_geq);
  });
}

int hipStreamWriteValue64(void *stream, void *word, uint64_t value, unsigned flags) {
  return forward_on(stream, [=](const Driver &all) -> int {
    if (!all.cuStreamWriteValue64_v2) return hip::error_not_supported;
    return all.cuStreamWriteValue64_v2(stream_of(stream), pointer_of(word), value, flags);
  });
}

int hipEventCreateWithFlags(void **event, unsigned flags) {
  return forward([=](const Driver &all) { return all.cuEventCreate(reinterpret_cast<cuda::Event *>(event), flags); });
}

int hipEventDestroy(void *event) {
  return forward([=](const Driver &all) { return all.cuEventDestroy_v2(static_cast<cuda::Event>(event)); });
}

int hipEventRecord(void *event, void *stream) {
  return forward(
      [=](const Driver &all) { return all.cuEventRecord(static_cast<cuda::Event>(event), stream_of(stream)); });
}

int hipEventQuery(void *event) {
  return forward([=](const Driver &all) { return all.cuEventQuery(static_cast<cuda::Event>(event)); });
}

int hipMemcpyAsync(void *to, const void *from, size_t length, int kind, void *stream) {
  if (kind != hip::copy_default) return told(hip::error_invalid_value);
  if (length == 0) return hip::success;
  return forward([=](const Driver &all) {
    return all.cuMemcpyAsync(pointer_of(to), pointer_of(from), length, stream_of(stream));
  });
}

int hipMemcpy(void *to, const void *from, size_t length, int) {
  const int error = length == 0 ? 0 : hipMemcpyAsync(to, from, length, hip::copy_default, nullptr);
  return error != 0 ? error : hipStreamSynchronize(nullptr);
}

int hipDeviceSynchronize() {
  return forward([](const Driver &all) { return all.cuCtxSynchronize(); });
}

}  // namespace pirn::shim
