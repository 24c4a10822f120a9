// SPDX-License-Identifier: Apache-2.0
#include "capture.h"
#include "cuda_face.h"
#include "worker.h"

namespace pirn::fake_gpu::cuda {

using StreamPointer = const std::shared_ptr<Stream> &;

Result cuStreamBeginCapture_v2(Handle handle, int mode) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &, StreamPointer stream) {
    return begin_capture(stream, mode);
  });
}

Result cuStreamEndCapture(Handle handle, Handle *out) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &, StreamPointer stream) {
    std::shared_ptr<Graph> graph;
    Code code = end_capture(stream, graph);
    *out = graph ? engine().graphs.add(graph) : nullptr;
    return code;
  });
}

Result cuStreamIsCapturing(Handle handle, int *status) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &, StreamPointer stream) {
    *status = !stream->capture ? 0 : stream->capture->valid ? 1 : 2;
    return ok;
  });
}

Result cuStreamGetCaptureInfo(Handle handle, int *status, uint64_t *id) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &, StreamPointer stream) {
    *status = !stream->capture ? 0 : stream->capture->valid ? 1 : 2;
    if (id && stream->capture) *id = stream->capture->id;
    return ok;
  });
}

Result cuThreadExchangeStreamCaptureMode(int *mode) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!mode || *mode < 0 || *mode > 2) return invalid_value;
    std::swap(*mode, thread_mode());
    return ok;
  });
}

Result cuGraphInstantiateWithFlags(Handle *executable, Handle handle, uint64_t) {
  return run_call(__func__, needs_init, [&](Call &) {
    std::shared_ptr<Graph> graph = engine().graphs.find(handle);
    if (!executable || !graph) return invalid_value;
    *executable = engine().executables.add(std::make_shared<Graph>(*graph));
    return ok;
  });
}

Result cuGraphGetNodes(Handle handle, Handle *nodes, size_t *count) {
  return run_call(__func__, needs_init, [&](Call &) {
    std::shared_ptr<Graph> graph = engine().graphs.find(handle);
    if (!graph || !count) return invalid_value;
    if (nodes)
      for (size_t i = 0; i < *count; i++) nodes[i] = i < graph->nodes.size() ? &graph->nodes[i] : nullptr;
    *count = graph->nodes.size();
    return ok;
  });
}

Result cuGraphLaunch(Handle executable, Handle handle) {
  return run_on_stream(__func__, handle, needs_init, [&](Call &call, StreamPointer stream) {
    std::shared_ptr<Graph> graph = engine().executables.find(executable);
    if (!graph) return invalid_handle;
    if (stream->capture) return not_supported;  // a graph inside a graph
    return submit(call, stream, graph_work(graph));
  });
}

Result cuGraphUpload(Handle executable, Handle) {
  return run_call(__func__, needs_init, [&](Call &) {
    return engine().executables.find(executable) ? ok : invalid_handle;
  });
}

Result cuGraphExecDestroy(Handle executable) {
  return run_call(__func__, needs_init, [&](Call &) {
    return engine().executables.take(executable) ? ok : invalid_handle;
  });
}

Result cuGraphDestroy(Handle graph) {
  return run_call(__func__, needs_init, [&](Call &) { return engine().graphs.take(graph) ? ok : invalid_handle; });
}

}  // namespace pirn::fake_gpu::cuda
