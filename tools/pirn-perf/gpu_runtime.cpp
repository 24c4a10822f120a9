// SPDX-License-Identifier: Apache-2.0
#include "gpu_runtime.h"

#include "handles.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <vector>

// The calls that both vendors have, with the same arguments. The device is the calling thread's from then on.
struct GpuRuntime {
  explicit GpuRuntime(const std::string &device);

  int (*allocate)(void **address, size_t bytes) = nullptr;
  int (*release)(void *address) = nullptr;
  int (*create)(void **stream, unsigned flags) = nullptr;
  int (*destroy)(void *stream) = nullptr;
  int (*synchronize)(void *stream) = nullptr;
  int (*begin)(void *stream, int mode) = nullptr;
  int (*end)(void *stream, void **graph) = nullptr;
  int (*instantiate)(void **replayable, void *graph, unsigned long long flags) = nullptr;
  int (*drop_graph)(void *graph) = nullptr;
  int (*launch)(void *replayable, void *stream) = nullptr;
  int (*drop)(void *replayable) = nullptr;

 private:
  template <typename Function>
  void find(const std::string &name, Function **out) {
    *out = reinterpret_cast<Function *>(dlsym(library_, name.c_str()));
    if (!*out) throw Failure(fmt::format("the GPU's runtime has no {}", name));
  }
  void enter_cuda(int ordinal);
  void enter_hip(int ordinal);

  void *library_ = nullptr;
};

namespace {

constexpr unsigned non_blocking = 1;
constexpr int relaxed = 2;

void gpu_check(int result, const char *what) {
  if (result != 0) throw Failure(fmt::format("{}: the GPU's runtime gave error {}", what, result));
}

void *open_first(const std::vector<const char *> &names) {
  for (const char *name : names)
    if (void *library = dlopen(name, RTLD_NOW | RTLD_GLOBAL)) return library;
  throw Failure(fmt::format("this needs {}: {}", names.front(), dlerror()));
}

}  // namespace

void GpuRuntime::enter_cuda(int ordinal) {
  library_ = open_first({"libcuda.so.1"});
  int (*init)(unsigned) = nullptr;
  int (*retain)(void **, int) = nullptr;
  int (*enter)(void *) = nullptr;
  find("cuInit", &init);
  find("cuDevicePrimaryCtxRetain", &retain);
  find("cuCtxSetCurrent", &enter);
  gpu_check(init(0), "cuInit");
  void *context = nullptr;
  gpu_check(retain(&context, ordinal), "cuDevicePrimaryCtxRetain");
  gpu_check(enter(context), "cuCtxSetCurrent");
}

void GpuRuntime::enter_hip(int ordinal) {
  library_ = open_first({"libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5"});
  int (*enter)(int) = nullptr;
  find("hipSetDevice", &enter);
  gpu_check(enter(ordinal), "hipSetDevice");
}

GpuRuntime::GpuRuntime(const std::string &device) {
  const auto colon = device.find(':');
  const std::string kind = device.substr(0, colon);
  const int ordinal = std::stoi(device.substr(colon + 1));
  const bool hip = kind == "hip";
  if (!hip && kind != "cuda") throw Failure(fmt::format("no runtime for \"{}\": cuda and hip are known", device));
  hip ? enter_hip(ordinal) : enter_cuda(ordinal);
  const std::string prefix = hip ? "hip" : "cu";
  find(prefix + (hip ? "Malloc" : "MemAlloc_v2"), &allocate);
  find(prefix + (hip ? "Free" : "MemFree_v2"), &release);
  find(prefix + (hip ? "StreamCreateWithFlags" : "StreamCreate"), &create);
  find(prefix + (hip ? "StreamDestroy" : "StreamDestroy_v2"), &destroy);
  find(prefix + "StreamSynchronize", &synchronize);
  find(prefix + (hip ? "StreamBeginCapture" : "StreamBeginCapture_v2"), &begin);
  find(prefix + "StreamEndCapture", &end);
  find(prefix + "GraphInstantiateWithFlags", &instantiate);
  find(prefix + "GraphDestroy", &drop_graph);
  find(prefix + "GraphLaunch", &launch);
  find(prefix + "GraphExecDestroy", &drop);
}

GpuMemory::GpuMemory(const std::string &device, uint64_t bytes) : runtime_(std::make_unique<GpuRuntime>(device)) {
  gpu_check(runtime_->allocate(&address_, bytes), "allocating memory");
}

GpuMemory::~GpuMemory() { (void)runtime_->release(address_); }

GpuStream::GpuStream(const std::string &device) : runtime_(std::make_unique<GpuRuntime>(device)) {
  gpu_check(runtime_->create(&stream_, non_blocking), "making a stream");
}

GpuStream::~GpuStream() {
  if (graph_) (void)runtime_->drop(graph_);
  (void)runtime_->destroy(stream_);
}

void GpuStream::synchronize() const { gpu_check(runtime_->synchronize(stream_), "waiting for the stream"); }

void GpuStream::capture(const std::function<void()> &record) {
  if (graph_) gpu_check(runtime_->drop(graph_), "dropping a graph");
  graph_ = nullptr;
  void *graph = nullptr;
  gpu_check(runtime_->begin(stream_, relaxed), "beginning a capture");
  record();
  gpu_check(runtime_->end(stream_, &graph), "ending a capture");
  const int made = runtime_->instantiate(&graph_, graph, 0);
  (void)runtime_->drop_graph(graph);
  gpu_check(made, "instantiating a graph");
}

void GpuStream::replay() const { gpu_check(runtime_->launch(graph_, stream_), "launching a graph"); }
