// SPDX-License-Identifier: Apache-2.0
// How fast bytes go from one GPU to another: the copy kernel (variants, budgets, run by the source's or by the target's
// device), the copy engine for each block, cuMemcpyBatchAsync, and contiguous copies. Every result is checked.
// Needs two peers of compute capability 9.0 or later and CUDA 12 (13 for cuMemcpyBatchAsync). tools/dev/gpu-tests
// gathers it with its kernels:
//   bench_copy bench_kernels.fatbin > copy.csv
#include <cuda.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace {

void *library;

template <typename F>
F *function(const char *name) {
  void *found = dlsym(library, name);
  if (found == nullptr) std::fprintf(stderr, "libcuda has no %s\n", name), std::exit(2);
  return reinterpret_cast<F *>(found);
}
#define STRING(x) #x
#define NAME(x) STRING(x)
// cuda.h maps names to their versioned ones; so does this.
#define CALL(f, ...)                                                                         \
  do {                                                                                       \
    static auto *const pointer = function<decltype(f)>(NAME(f));                             \
    const CUresult result = pointer(__VA_ARGS__);                                            \
    if (result != CUDA_SUCCESS) {                                                            \
      std::fprintf(stderr, "%s line %d: error %d\n", NAME(f), __LINE__, int(result));        \
      std::exit(2);                                                                          \
    }                                                                                        \
  } while (0)

struct Block {
  CUdeviceptr to, from;
  uint64_t length, before;
};

constexpr uint64_t pool_bytes = uint64_t{2} << 30;
constexpr uint64_t most_bytes = uint64_t{512} << 20;

struct Gpu {
  CUcontext context;
  CUstream stream;
  CUdeviceptr pool, list;
  CUmodule module;
};
Gpu gpus[2];                      // 0 has the source, 1 the target
Block *host_list;                 // pinned
CUdeviceptr host_list_address;
std::vector<Block> unused;        // slots of the target that must stay zero
CUdeviceptr unused_list;
unsigned long long *wrong;        // pinned
int failures;

void enter(const Gpu &gpu) { CALL(cuCtxSetCurrent, gpu.context); }
void finish(const Gpu &gpu) { CALL(cuStreamSynchronize, gpu.stream); }

CUfunction entry(const Gpu &gpu, const std::string &name) {
  CUfunction found;
  CALL(cuModuleGetFunction, &found, gpu.module, name.c_str());
  return found;
}

void launch(const Gpu &gpu, CUfunction kernel, unsigned ctas, unsigned threads, std::vector<void *> arguments) {
  CALL(cuLaunchKernel, kernel, ctas, 1, 1, threads, 1, 1, 0, gpu.stream, arguments.data(), nullptr);
}

std::vector<unsigned char> read_all(const char *path) {
  std::FILE *file = std::fopen(path, "rb");
  if (file == nullptr) std::perror(path), std::exit(2);
  std::vector<unsigned char> bytes;
  for (int c; (c = std::fgetc(file)) != EOF;) bytes.push_back(static_cast<unsigned char>(c));
  std::fclose(file);
  return bytes;
}

void open_gpus(const char *image) {
  library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) std::fprintf(stderr, "%s\n", dlerror()), std::exit(2);
  CALL(cuInit, 0);
  int count = 0;
  CALL(cuDeviceGetCount, &count);
  if (count < 2) std::fprintf(stderr, "%d GPUs, at least 2 are needed\n", count), std::exit(2);
  const std::vector<unsigned char> module = read_all(image);
  for (int i = 0; i < 2; ++i) {
    CALL(cuDevicePrimaryCtxRetain, &gpus[i].context, i);
    enter(gpus[i]);
    CALL(cuStreamCreate, &gpus[i].stream, CU_STREAM_NON_BLOCKING);
    CALL(cuMemAlloc, &gpus[i].pool, pool_bytes);
    CALL(cuMemAlloc, &gpus[i].list, 64 << 20);
    CALL(cuModuleLoadData, &gpus[i].module, module.data());
  }
  for (int i = 0; i < 2; ++i) {
    enter(gpus[i]);
    CALL(cuCtxEnablePeerAccess, gpus[1 - i].context, 0);
  }
  void *host = nullptr;
  CALL(cuMemHostAlloc, &host, 64 << 20, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
  host_list = static_cast<Block *>(host);
  host_list_address = reinterpret_cast<CUdeviceptr>(host);
  CALL(cuMemHostAlloc, &host, 4096, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
  wrong = static_cast<unsigned long long *>(host);
  enter(gpus[1]);
  CALL(cuMemAlloc, &unused_list, 64 << 20);
}

// -- One set of blocks, several ways

struct Work {
  uint64_t length;
  uint32_t count;
  uint64_t bytes() const { return length * count; }
};

std::mt19937_64 engine(12345);

std::vector<uint64_t> some_slots(uint64_t length, uint64_t slots) {
  std::vector<uint64_t> order(slots);
  std::iota(order.begin(), order.end(), uint64_t{0});
  std::shuffle(order.begin(), order.end(), engine);
  for (uint64_t &slot : order) slot *= length;
  return order;
}

// Random places on both sides, twice as many slots as blocks.
void prepare(const Work &work) {
  const uint64_t slots = std::min<uint64_t>(2 * uint64_t{work.count}, pool_bytes / work.length);
  const std::vector<uint64_t> from = some_slots(work.length, slots), to = some_slots(work.length, slots);
  unused.clear();
  for (uint64_t i = 0; i < slots; ++i)
    if (i < work.count)
      host_list[i] = {gpus[1].pool + to[i], gpus[0].pool + from[i], work.length, i * work.length};
    else
      unused.push_back({gpus[1].pool + to[i], 0, work.length, 0});
  for (Gpu &gpu : gpus) {
    enter(gpu);
    CALL(cuMemcpyHtoD, gpu.list, host_list, work.count * sizeof(Block));
  }
  enter(gpus[1]);
  if (!unused.empty()) CALL(cuMemcpyHtoD, unused_list, unused.data(), unused.size() * sizeof(Block));
}

void clear_target() {
  enter(gpus[1]);
  CALL(cuMemsetD8Async, gpus[1].pool, 0, pool_bytes, gpus[1].stream);
  finish(gpus[1]);
}

uint64_t count_wrong(const Work &work) {
  const Gpu &gpu = gpus[1];
  enter(gpu);
  *wrong = 0;
  CUdeviceptr result = reinterpret_cast<CUdeviceptr>(wrong), list = gpu.list;
  uint32_t count = work.count;
  launch(gpu, entry(gpu, "check"), 528, 512, {&list, &count, &result});
  list = unused_list, count = static_cast<uint32_t>(unused.size());
  if (count != 0) launch(gpu, entry(gpu, "check"), 528, 512, {&list, &count, &result});
  finish(gpu);
  return *wrong;
}

// Median of GB/s, from the first post to the end of the wait.
void measure(const std::string &what, const Work &work, const Gpu &runner, const std::function<void()> &post) {
  clear_target();
  enter(runner);
  std::vector<double> seconds;
  double spent = 0;
  for (int round = 0; round < 8 && (round < 4 || spent < 0.05); ++round) {
    const auto start = std::chrono::steady_clock::now();
    post();
    finish(runner);
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    spent += took;
    if (round > 0) seconds.push_back(took);
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const uint64_t bad = count_wrong(work);
  failures += bad != 0;
  std::printf("%s,%llu,%u,%.1f,%.1f,%s\n", what.c_str(), static_cast<unsigned long long>(work.length), work.count,
              median * 1e6, static_cast<double>(work.bytes()) / median / 1e9, bad == 0 ? "ok" : "WRONG");
  std::fflush(stdout);
}

struct Variant {
  unsigned threads, unroll;
  bool across;
};

void measure_kernel(const Work &work, int side, const Variant &variant, unsigned ctas, bool pinned) {
  const Gpu &gpu = gpus[side];
  enter(gpu);
  const std::string name = "copy_t" + std::to_string(variant.threads) + "_u" + std::to_string(variant.unroll);
  const CUfunction kernel = entry(gpu, name);
  CUdeviceptr list = pinned ? host_list_address : gpu.list;
  uint32_t count = work.count;
  uint64_t across_below = variant.across ? UINT64_MAX : 0;
  measure(name + (variant.across ? "_across" : "_each") + (side == 0 ? ",push," : ",pull,") +
              (pinned ? "pinned," : "device,") + std::to_string(ctas),
          work, gpu, [&] { launch(gpu, kernel, ctas, variant.threads, {&list, &count, &across_below}); });
}

void measure_engine(const Work &work) {
  const Gpu &gpu = gpus[0];
  measure("engine,push,host,0", work, gpu, [&] {
    for (uint32_t i = 0; i < work.count; ++i)
      CALL(cuMemcpyAsync, host_list[i].to, host_list[i].from, host_list[i].length, gpu.stream);
  });
}

void measure_batch(const Work &work) {
#if CUDA_VERSION >= 13000
  const Gpu &gpu = gpus[0];
  std::vector<CUdeviceptr> to, from;
  std::vector<size_t> lengths(work.count, work.length);
  for (uint32_t i = 0; i < work.count; ++i) to.push_back(host_list[i].to), from.push_back(host_list[i].from);
  CUmemcpyAttributes attributes{};
  attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
  size_t first = 0;
  measure("batch,push,host,0", work, gpu, [&] {
    CALL(cuMemcpyBatchAsync, to.data(), from.data(), lengths.data(), work.count, &attributes, &first, 1, gpu.stream);
  });
#else
  (void)work;
#endif
}

void scattered() {
  const std::vector<Variant> variants = {{256, 4, false}, {256, 8, false},  {256, 16, false}, {512, 2, false},
                                         {512, 4, false}, {512, 8, false},  {1024, 2, false}, {1024, 4, false},
                                         {256, 8, true},  {512, 4, true},   {512, 8, true},   {1024, 4, true}};
  for (const uint64_t length : {4096u, 16384u, 32768u, 65536u, 262144u}) {
    const Work work{length, static_cast<uint32_t>(std::min<uint64_t>(16384, most_bytes / length))};
    prepare(work);
    measure_engine(work);
    measure_batch(work);
    for (const int side : {0, 1})
      for (const unsigned ctas : {16u, 32u, 64u, 132u, 264u})
        for (const Variant &variant : variants) measure_kernel(work, side, variant, ctas, true);
    for (const int side : {0, 1}) measure_kernel(work, side, {512, 8, false}, 132, false);
  }
  // Few blocks, and rows of a sliced cache.
  for (const Work &work : {Work{4096, 16}, Work{16384, 64}, Work{65536, 64}, Work{64, 262144}, Work{128, 262144},
                           Work{256, 262144}, Work{512, 131072}, Work{1024, 65536}, Work{2048, 32768}}) {
    prepare(work);
    measure_engine({work.length, std::min(work.count, 64u)});
    for (const int side : {0, 1})
      for (const unsigned ctas : {16u, 132u})
        for (const bool across : {false, true})
          for (const bool pinned : {false, true}) measure_kernel(work, side, {512, 8, across}, ctas, pinned);
  }
}

void contiguous() {
  for (uint64_t length = 4096; length <= uint64_t{1} << 30; length *= 4) {
    const Work work{length, 1};
    prepare(work);
    measure_engine(work);
    for (const int side : {0, 1})
      for (const unsigned ctas : {16u, 132u}) measure_kernel(work, side, {512, 8, false}, ctas, true);
  }
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) std::fprintf(stderr, "usage: bench_copy FATBIN\n"), std::exit(2);
  open_gpus(argv[1]);
  enter(gpus[0]);
  CUdeviceptr pool = gpus[0].pool;
  uint64_t words = pool_bytes / 8, seed = 1;
  launch(gpus[0], entry(gpus[0], "fill"), 528, 512, {&pool, &words, &seed});
  finish(gpus[0]);
  std::printf("way,side,list,ctas,length,count,microseconds,GB/s,check\n");
  scattered();
  contiguous();
  std::fprintf(stderr, "%d wrong\n", failures);
  return failures == 0 ? 0 : 1;
}
