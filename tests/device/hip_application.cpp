// SPDX-License-Identifier: Apache-2.0
#include "../unit/check.h"
#include "application.h"
#include "hip_extra.h"

#include <array>

#include <dlfcn.h>

namespace {

using namespace pirn::device::hip;

class HipApplication : public Application {
 public:
  void open() override {
    void *library = nullptr;
    for (const char *name : {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5"})
      if (library == nullptr) library = dlopen(name, RTLD_NOW);
    if (library == nullptr) fail_test("%s", dlerror());
    const auto find = [library](pirn::device::Symbol &symbol) {
      symbol.address = dlsym(library, symbol.name);
      if (symbol.address == nullptr && symbol.required) fail_test("%s", dlerror());
    };
#define PIRN_HIP_NEEDED(name, ...) find(runtime_.name);
#define PIRN_HIP_WANTED PIRN_HIP_NEEDED
#include "../../providers/device/hip_functions.inc"
#undef PIRN_HIP_WANTED
#undef PIRN_HIP_NEEDED
#define PIRN_HIP_NEEDED(name, ...) find(extra_.name);
#include "hip_extra.inc"
#undef PIRN_HIP_NEEDED
  }

  void start() override { check(runtime_.hipInit(0), "hipInit"); }
  bool starts_by_itself() const override { return true; }
  const char *runtime() const override { return "libamdhip64.so"; }
  const char *no_memory_text() const override { return "hipMemCreate: hipErrorOutOfMemory ("; }

  // HIP has a current device, the first one unless another was chosen.
  void *current() override {
    int device = 0;
    check(runtime_.hipGetDevice(&device), "hipGetDevice");
    return reinterpret_cast<void *>(static_cast<intptr_t>(device));
  }
  void make_current(uint32_t device) override { check(runtime_.hipSetDevice(static_cast<int>(device)), "hipSetDevice"); }
  void make_none_current() override { make_current(0); }

  void *plain(uint32_t device, uint64_t length) override {
    const Inside inside(*this, device);
    void *address = nullptr;
    check(runtime_.hipMalloc(&address, length), "hipMalloc");
    return address;
  }
  void free_plain(void *address) override { check(runtime_.hipFree(address), "hipFree"); }
  void *managed(uint32_t device, uint64_t length) override {
    const Inside inside(*this, device);
    void *address = nullptr;
    check(extra_.hipMallocManaged(&address, length, attach_global), "hipMallocManaged");
    return address;
  }
  void free_managed(void *address) override { free_plain(address); }

  void *from_pool(uint32_t device, uint64_t length) override {
    const Inside inside(*this, device);
    PoolProperties wanted{};
    wanted.type = allocation_pinned;
    wanted.location = {location_device, static_cast<int>(device)};
    check(extra_.hipMemPoolCreate(&pool_, &wanted), "hipMemPoolCreate");
    void *address = nullptr;
    check(extra_.hipMallocFromPoolAsync(&address, length, pool_, nullptr), "hipMallocFromPoolAsync");
    check(extra_.hipStreamSynchronize(nullptr), "hipStreamSynchronize");
    pool_device_ = device;
    return address;
  }
  void free_from_pool(void *address) override {
    const Inside inside(*this, pool_device_);
    check(extra_.hipFreeAsync(address, nullptr), "hipFreeAsync");
    check(extra_.hipStreamSynchronize(nullptr), "hipStreamSynchronize");
    check(extra_.hipMemPoolDestroy(pool_), "hipMemPoolDestroy");
  }

  ChunkRange chunks(uint32_t device, const std::vector<uint32_t> &units, bool shareable) override {
    const AllocationProperties wanted = properties(device, shareable);
    size_t unit = 0, total = 0;
    check(runtime_.hipMemGetAllocationGranularity(&unit, &wanted, granularity_minimum), "granularity");
    ChunkRange range;
    for (uint32_t count : units) range.lengths.push_back(count * unit);
    for (uint64_t length : range.lengths) total += length;
    check(runtime_.hipMemAddressReserve(&range.address, total, 0, nullptr, 0), "hipMemAddressReserve");
    for (size_t i = 0; i < units.size(); ++i) fill(device, place(range, i), range.lengths[i], wanted);
    return range;
  }
  void replace_chunk(uint32_t device, ChunkRange &range, size_t index) override {
    check(runtime_.hipMemUnmap(place(range, index), range.lengths[index]), "hipMemUnmap");
    fill(device, place(range, index), range.lengths[index], properties(device, true));
  }
  void free_chunks(ChunkRange &range) override {
    uint64_t total = 0;
    for (size_t i = 0; i < range.lengths.size(); ++i) {
      check(runtime_.hipMemUnmap(place(range, i), range.lengths[i]), "hipMemUnmap");
      total += range.lengths[i];
    }
    check(runtime_.hipMemAddressFree(range.address, total), "hipMemAddressFree");
  }

  void begin_capture(void *stream) override {
    check(extra_.hipStreamBeginCapture(stream, capture_global), "hipStreamBeginCapture");
  }
  void *end_capture(void *stream) override {
    void *graph = nullptr, *ready = nullptr;
    std::array<char, 256> log{};
    check(extra_.hipStreamEndCapture(stream, &graph), "hipStreamEndCapture");
    check(extra_.hipGraphInstantiate(&ready, graph, nullptr, log.data(), log.size()), "hipGraphInstantiate");
    check(extra_.hipGraphDestroy(graph), "hipGraphDestroy");
    return ready;
  }
  void abandon_capture(void *stream) override {
    void *graph = nullptr;
    extra_.hipStreamEndCapture(stream, &graph);
    if (graph != nullptr) extra_.hipGraphDestroy(graph);
    runtime_.hipGetLastError();
  }
  void replay(void *graph, void *stream) override { check(extra_.hipGraphLaunch(graph, stream), "hipGraphLaunch"); }
  void drop(void *graph) override { check(extra_.hipGraphExecDestroy(graph), "hipGraphExecDestroy"); }

 private:
  // Makes a device current for a while.
  class Inside {
   public:
    Inside(HipApplication &application, uint32_t device) : application_(application) {
      application.check(application.runtime_.hipGetDevice(&saved_), "hipGetDevice");
      application.make_current(device);
    }
    ~Inside() { application_.runtime_.hipSetDevice(saved_); }

   private:
    HipApplication &application_;
    int saved_ = 0;
  };

  void check(int error, const char *what) {
    if (error != success) fail_test("%s: %s", what, runtime_.hipGetErrorName(error));
  }

  static void *place(const ChunkRange &range, size_t index) {
    char *at = static_cast<char *>(range.address);
    for (size_t i = 0; i < index; ++i) at += range.lengths[i];
    return at;
  }

  static AllocationProperties properties(uint32_t device, bool shareable) {
    AllocationProperties wanted{};
    wanted.type = allocation_pinned;
    if (shareable) wanted.handle_kinds = handle_file;
    wanted.location = {location_device, static_cast<int>(device)};
    return wanted;
  }

  void fill(uint32_t device, void *at, uint64_t length, const AllocationProperties &wanted) {
    void *chunk = nullptr;
    const Access access = {{location_device, static_cast<int>(device)}, access_read_write};
    check(runtime_.hipMemCreate(&chunk, length, &wanted, 0), "hipMemCreate");
    check(runtime_.hipMemMap(at, length, 0, chunk, 0), "hipMemMap");
    check(runtime_.hipMemSetAccess(at, length, &access, 1), "hipMemSetAccess");
    check(runtime_.hipMemRelease(chunk), "hipMemRelease");
  }

  Runtime runtime_;
  Extra extra_;
  void *pool_ = nullptr;
  uint32_t pool_device_ = 0;
};

}  // namespace

std::unique_ptr<Application> make_hip_application() { return std::make_unique<HipApplication>(); }
