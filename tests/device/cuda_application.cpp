// SPDX-License-Identifier: Apache-2.0
#include "../unit/check.h"
#include "application.h"
#include "cuda_extra.h"

#include <map>

#include <dlfcn.h>

namespace {

using namespace pirn::device::cuda;

void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (found == nullptr) fail_test("%s", dlerror());
  return found;
}

class CudaApplication : public Application {
 public:
  void open() override {
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr) fail_test("%s", dlerror());
#define REQUIRED(name, ...) driver_.name.address = symbol(library, #name);
#define OPTIONAL(name, ...)
#include "../../providers/device/cuda_functions.inc"
#undef REQUIRED
#undef OPTIONAL
#define REQUIRED(name, ...) extra_.name.address = symbol(library, #name);
#include "cuda_extra.inc"
#undef REQUIRED
  }

  void start() override { check(driver_.cuInit(0), "cuInit"); }
  const char *runtime() const override { return "libcuda.so.1"; }
  const char *no_memory_text() const override { return "cuMemCreate: CUDA_ERROR_OUT_OF_MEMORY ("; }

  void *current() override {
    Context context = nullptr;
    check(extra_.cuCtxGetCurrent(&context), "cuCtxGetCurrent");
    return context;
  }
  void make_current(uint32_t device) override {
    check(extra_.cuCtxSetCurrent(context_of(device)), "cuCtxSetCurrent");
  }
  void make_none_current() override { check(extra_.cuCtxSetCurrent(nullptr), "cuCtxSetCurrent"); }

  void *plain(uint32_t device, uint64_t length) override {
    const Inside inside(*this, device);
    Pointer address = 0;
    check(extra_.cuMemAlloc_v2(&address, length), "cuMemAlloc");
    owner_[address] = device;
    return reinterpret_cast<void *>(address);
  }
  void free_plain(void *address) override {
    const Pointer pointer = reinterpret_cast<Pointer>(address);
    const Inside inside(*this, owner_.at(pointer));
    check(extra_.cuMemFree_v2(pointer), "cuMemFree");
    owner_.erase(pointer);
  }
  void *managed(uint32_t device, uint64_t length) override {
    const Inside inside(*this, device);
    Pointer address = 0;
    check(extra_.cuMemAllocManaged(&address, length, attach_global), "cuMemAllocManaged");
    owner_[address] = device;
    return reinterpret_cast<void *>(address);
  }
  void free_managed(void *address) override { free_plain(address); }

  void *from_pool(uint32_t device, uint64_t length) override {
    const Inside inside(*this, device);
    PoolProperties wanted{};
    wanted.type = chunk_pinned;
    wanted.location = {location_device, static_cast<int>(device)};
    check(extra_.cuMemPoolCreate(&pool_, &wanted), "cuMemPoolCreate");
    Pointer address = 0;
    check(extra_.cuMemAllocFromPoolAsync(&address, length, pool_, nullptr), "cuMemAllocFromPoolAsync");
    check(extra_.cuStreamSynchronize(nullptr), "cuStreamSynchronize");
    owner_[address] = device;
    return reinterpret_cast<void *>(address);
  }
  void free_from_pool(void *address) override {
    const Pointer pointer = reinterpret_cast<Pointer>(address);
    const Inside inside(*this, owner_.at(pointer));
    check(extra_.cuMemFreeAsync(pointer, nullptr), "cuMemFreeAsync");
    check(extra_.cuStreamSynchronize(nullptr), "cuStreamSynchronize");
    check(extra_.cuMemPoolDestroy(pool_), "cuMemPoolDestroy");
    owner_.erase(pointer);
  }

  ChunkRange chunks(uint32_t device, const std::vector<uint32_t> &units, bool shareable) override {
    const Inside inside(*this, device);
    const Properties wanted = properties(device, shareable);
    size_t unit = 0, total = 0;
    check(driver_.cuMemGetAllocationGranularity(&unit, &wanted, granularity_minimum), "granularity");
    ChunkRange range;
    for (uint32_t count : units) range.lengths.push_back(count * unit);
    for (uint64_t length : range.lengths) total += length;
    Pointer start = 0;
    check(driver_.cuMemAddressReserve(&start, total, 0, 0, 0), "cuMemAddressReserve");
    range.address = reinterpret_cast<void *>(start);
    uint64_t offset = 0;
    for (uint64_t length : range.lengths) {
      fill(device, start + offset, length, wanted);
      offset += length;
    }
    return range;
  }
  void replace_chunk(uint32_t device, ChunkRange &range, size_t index) override {
    const Inside inside(*this, device);
    Pointer place = reinterpret_cast<Pointer>(range.address);
    for (size_t i = 0; i < index; ++i) place += range.lengths[i];
    check(driver_.cuMemUnmap(place, range.lengths[index]), "cuMemUnmap");
    fill(device, place, range.lengths[index], properties(device, true));
  }
  void free_chunks(ChunkRange &range) override {
    const Pointer start = reinterpret_cast<Pointer>(range.address);
    uint64_t offset = 0;
    for (uint64_t length : range.lengths) {
      check(driver_.cuMemUnmap(start + offset, length), "cuMemUnmap");
      offset += length;
    }
    check(driver_.cuMemAddressFree(start, offset), "cuMemAddressFree");
  }

  void begin_capture(void *stream) override {
    check(extra_.cuStreamBeginCapture_v2(static_cast<Stream>(stream), capture_global), "cuStreamBeginCapture");
  }
  void *end_capture(void *stream) override {
    Graph graph = nullptr;
    GraphExec ready = nullptr;
    const Inside inside(*this, 0);  // the real driver wants a context, any one
    check(extra_.cuStreamEndCapture(static_cast<Stream>(stream), &graph), "cuStreamEndCapture");
    check(extra_.cuGraphInstantiateWithFlags(&ready, graph, 0), "cuGraphInstantiate");
    check(extra_.cuGraphDestroy(graph), "cuGraphDestroy");
    return ready;
  }
  void abandon_capture(void *stream) override {
    Graph graph = nullptr;
    const Inside inside(*this, 0);
    extra_.cuStreamEndCapture(static_cast<Stream>(stream), &graph);
    if (graph != nullptr) extra_.cuGraphDestroy(graph);
  }
  void replay(void *graph, void *stream) override {
    check(extra_.cuGraphLaunch(static_cast<GraphExec>(graph), static_cast<Stream>(stream)), "cuGraphLaunch");
  }
  void drop(void *graph) override { check(extra_.cuGraphExecDestroy(static_cast<GraphExec>(graph)), "destroy"); }

 private:
  // Makes a device's context current for a while.
  class Inside {
   public:
    Inside(CudaApplication &application, uint32_t device) : application_(application) {
      check_of(application, application.driver_.cuCtxPushCurrent_v2(application.context_of(device)));
    }
    ~Inside() {
      Context popped = nullptr;
      application_.driver_.cuCtxPopCurrent_v2(&popped);
    }

   private:
    static void check_of(CudaApplication &application, int error) { application.check(error, "cuCtxPushCurrent"); }
    CudaApplication &application_;
  };

  void check(int error, const char *what) {
    const char *name = "unknown";
    if (error == success) return;
    driver_.cuGetErrorName(error, &name);
    fail_test("%s: %s", what, name);
  }

  Context context_of(uint32_t device) {
    Context &context = contexts_[device];
    if (context == nullptr) check(driver_.cuDevicePrimaryCtxRetain(&context, static_cast<Device>(device)), "retain");
    return context;
  }

  static Properties properties(uint32_t device, bool shareable) {
    Properties wanted{};
    wanted.type = chunk_pinned;
    if (shareable) wanted.handle_types = handle_file;
    wanted.location = {location_device, static_cast<int>(device)};
    return wanted;
  }

  void fill(uint32_t device, Pointer place, uint64_t length, const Properties &wanted) {
    Chunk chunk = 0;
    const Access access = {{location_device, static_cast<int>(device)}, access_read_write};
    check(driver_.cuMemCreate(&chunk, length, &wanted, 0), "cuMemCreate");
    check(driver_.cuMemMap(place, length, 0, chunk, 0), "cuMemMap");
    check(driver_.cuMemSetAccess(place, length, &access, 1), "cuMemSetAccess");
    check(driver_.cuMemRelease(chunk), "cuMemRelease");
  }

  Driver driver_;
  Extra extra_;
  std::map<uint32_t, Context> contexts_;
  std::map<Pointer, uint32_t> owner_;
  Pool pool_ = nullptr;
};

}  // namespace

std::unique_ptr<Application> make_cuda_application() { return std::make_unique<CudaApplication>(); }
