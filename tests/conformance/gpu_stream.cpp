// SPDX-License-Identifier: Apache-2.0
#include "gpu_stream.h"

#include "harness.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pirn_test {

namespace {

constexpr int not_ready = 600;
constexpr unsigned no_flags = 0, non_blocking = 1;
constexpr int mode_relaxed = 2;

struct Driver {
  static const Driver &get() {
    static const Driver driver;
    return driver;
  }
  static void check(int result, const char *call) {
    if (result == 0) return;
    std::fprintf(stderr, "a stream of the test: %s gave %d\n", call, result);
    std::exit(1);
  }
  void enter() const {
    void *context = nullptr;
    check(retain(&context, 0), "cuDevicePrimaryCtxRetain");
    check(set_current(context), "cuCtxSetCurrent");
  }

  int (*init)(unsigned) = nullptr;
  int (*retain)(void **, int) = nullptr;
  int (*set_current)(void *) = nullptr;
  int (*stream_create)(void **, unsigned) = nullptr;
  int (*stream_destroy)(void *) = nullptr;
  int (*stream_query)(void *) = nullptr;
  int (*copy)(unsigned long long, unsigned long long, size_t, void *) = nullptr;
  int (*allocate_host)(void **, size_t, unsigned) = nullptr;
  int (*free_host)(void *) = nullptr;
  int (*begin_capture)(void *, int) = nullptr;
  int (*end_capture)(void *, void **) = nullptr;
  int (*instantiate)(void **, void *, unsigned long long) = nullptr;
  int (*launch)(void *, void *) = nullptr;
  int (*destroy_graph)(void *) = nullptr;
  int (*destroy_exec)(void *) = nullptr;

 private:
  Driver() {
    library_ = dlopen("libcuda.so.1", RTLD_NOW);
    if (library_ == nullptr) {
      std::fprintf(stderr, "a stream of the test: %s\n", dlerror());
      std::exit(1);
    }
    find("cuInit", &init);
    find("cuDevicePrimaryCtxRetain", &retain);
    find("cuCtxSetCurrent", &set_current);
    find("cuStreamCreate", &stream_create);
    find("cuStreamDestroy_v2", &stream_destroy);
    find("cuStreamQuery", &stream_query);
    find("cuMemcpyAsync", &copy);
    find("cuMemHostAlloc", &allocate_host);
    find("cuMemFreeHost", &free_host);
    find("cuStreamBeginCapture_v2", &begin_capture);
    find("cuStreamEndCapture", &end_capture);
    find("cuGraphInstantiateWithFlags", &instantiate);
    find("cuGraphLaunch", &launch);
    find("cuGraphDestroy", &destroy_graph);
    find("cuGraphExecDestroy", &destroy_exec);
    check(init(0), "cuInit");
  }
  template <typename Function>
  void find(const char *name, Function **out) {
    *out = reinterpret_cast<Function *>(dlsym(library_, name));
    if (*out == nullptr) check(-1, name);
  }

  void *library_ = nullptr;
};

unsigned long long number(const void *address) { return reinterpret_cast<unsigned long long>(address); }

}  // namespace

GpuStream::GpuStream() {
  Driver::get().enter();
  Driver::check(Driver::get().stream_create(&stream_, non_blocking), "cuStreamCreate");
}

GpuStream::~GpuStream() { (void)Driver::get().stream_destroy(stream_); }

void GpuStream::copy(void *to, const void *from, uint64_t length) {
  Driver::check(Driver::get().copy(number(to), number(from), length, stream_), "cuMemcpyAsync");
}

bool GpuStream::done() const {
  const int state = Driver::get().stream_query(stream_);
  if (state != not_ready) Driver::check(state, "cuStreamQuery");
  return state == 0;
}

bool GpuStream::done_within(uint64_t milliseconds) const {
  return wait_until(milliseconds, [this] { return done(); });
}

void GpuStream::begin_capture() {
  Driver::check(Driver::get().begin_capture(stream_, mode_relaxed), "cuStreamBeginCapture");
}

void *GpuStream::end_capture() {
  void *graph = nullptr, *exec = nullptr;
  Driver::check(Driver::get().end_capture(stream_, &graph), "cuStreamEndCapture");
  Driver::check(Driver::get().instantiate(&exec, graph, 0), "cuGraphInstantiateWithFlags");
  Driver::check(Driver::get().destroy_graph(graph), "cuGraphDestroy");
  return exec;
}

void GpuStream::launch(void *graph) { Driver::check(Driver::get().launch(graph, stream_), "cuGraphLaunch"); }

void GpuStream::destroy(void *graph) { Driver::check(Driver::get().destroy_exec(graph), "cuGraphExecDestroy"); }

PinnedBytes::PinnedBytes(uint64_t size) {
  Driver::get().enter();
  void *address = nullptr;
  Driver::check(Driver::get().allocate_host(&address, size, no_flags), "cuMemHostAlloc");
  std::memset(address, 0, size);
  data_ = static_cast<uint8_t *>(address);
}

PinnedBytes::~PinnedBytes() { (void)Driver::get().free_host(data_); }

}  // namespace pirn_test
