// SPDX-License-Identifier: Apache-2.0
// What pirn adds to one small write: nanoseconds and heap allocations, through the functions of the public interface, over
// a fabric in this process that does next to nothing, with manual progress on one thread. The row "rail" is that
// fabric alone (post and poll), to be taken off. op_cost.sh adds system calls and instructions.
#include "api/handles.h"
#include "base/clock.h"
#include "fake_fabric.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

static uint64_t allocations;

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void *realloc(void *block, size_t size) {
  ++allocations;
  return __libc_realloc(block, size);
}
}

using namespace pirn;
using namespace pirn::api;

namespace {

constexpr uint64_t size = 8;
constexpr uint64_t window_depth = 16;
constexpr uint64_t target_ns = 150;

[[noreturn]] void give_up(const char *what, const char *text) {
  fprintf(stderr, "op_cost: %s: %s\n", what, text);
  exit(1);
}

void must(pirn_status status, const char *what) {
  if (status != PIRN_OK) give_up(what, pirn_last_error());
}

template <typename T>
T must(Result<T> result, const char *what) {
  if (!result.is_ok()) give_up(what, result.error().text.c_str());
  return result.take();
}

struct Bench {
  sim::FakeFabric fake{{sim::plain_persona()}};
  std::unique_ptr<core::Context> context;
  std::unique_ptr<core::Endpoint> near, far;
  std::vector<std::byte> source = std::vector<std::byte>(4096), sink = std::vector<std::byte>(4096);
  pirn_region *region = nullptr;
  pirn_window *window = nullptr;
  pirn_endpoint *endpoint = nullptr;
  pirn_prepared *prepared = nullptr;

  Bench();
  ~Bench() {
    near.reset();
    far.reset();
  }
  void check_bytes();
};

Bench::Bench() {
  context = must(core::Context::open({"PATH=fabric"}, nullptr, nullptr, fake.calls()), "context");
  core::EndpointOptions options;
  options.provider = "tcp";
  options.progress = core::ProgressMode::manual;
  near = must(core::Endpoint::open(*context, options), "endpoint");
  far = must(core::Endpoint::open(*context, options), "endpoint");
  endpoint = wrap(near.get());
  core::Peer *peer = must(near->add(far->metadata()), "add");
  must(pirn_region_register(endpoint, source.data(), source.size(), nullptr, &region), "register");
  pirn_region *target = nullptr;
  must(pirn_region_register(wrap(far.get()), sink.data(), sink.size(), nullptr, &target), "register");
  std::vector<std::byte> blob(4096);
  size_t blob_size = blob.size();
  uint64_t id = 0;
  must(pirn_region_advertise(target, 0, sink.size(), PIRN_ACCESS_WRITE, blob.data(), &blob_size, &id), "advertise");
  for (uint64_t end = now_ns() + ns_per_s; peer->state != PIRN_PEER_UP && now_ns() < end; near->progress_manually())
    far->progress_manually();
  must(pirn_window_import(wrap(peer), blob.data(), blob_size, &window), "import");
  // Until the window is open, and what followed it (acknowledgements) is taken in: a row polls the rail itself.
  for (int rounds = 0; unwrap(window)->state == core::WindowState::opening || rounds < 100; ++rounds) {
    far->progress_manually();
    near->progress_manually();
  }
  pirn_segment segment = {region, 0, window, 0, size};
  must(pirn_transfer_prepare(PIRN_WRITE, &segment, 1, &prepared), "prepare");
}

void Bench::check_bytes() {
  if (memcmp(source.data(), sink.data(), size) != 0) give_up("bytes", "the target does not hold what was written");
  memset(sink.data(), 0, sink.size());
}

void post_wait_release(Bench &bench, uint64_t operations) {
  pirn_transfer transfer = 0;
  for (uint64_t i = 0; i < operations; ++i) {
    must(pirn_write(bench.region, 0, bench.window, 0, size, nullptr, &transfer), "write");
    must(pirn_transfer_wait(bench.endpoint, transfer, 0, nullptr), "wait");
    must(pirn_transfer_release(bench.endpoint, transfer), "release");
  }
}

void blocking(Bench &bench, uint64_t operations) {
  for (uint64_t i = 0; i < operations; ++i)
    must(pirn_write(bench.region, 0, bench.window, 0, size, nullptr, nullptr), "write");
}

void posted_again(Bench &bench, uint64_t operations) {
  pirn_transfer transfer = 0;
  for (uint64_t i = 0; i < operations; ++i) {
    must(pirn_prepared_post(bench.prepared, nullptr, &transfer), "post");
    must(pirn_transfer_wait(bench.endpoint, transfer, 0, nullptr), "wait");
    must(pirn_transfer_release(bench.endpoint, transfer), "release");
  }
}

void selected(Bench &bench, uint64_t operations) {
  pirn_transfer transfer = 0;
  uint32_t index = 0;
  for (uint64_t i = 0; i < operations; ++i) {
    must(pirn_prepared_post_select(bench.prepared, &index, nullptr, 1, nullptr, &transfer), "post");
    must(pirn_transfer_wait(bench.endpoint, transfer, 0, nullptr), "wait");
    must(pirn_transfer_release(bench.endpoint, transfer), "release");
  }
}

void queued(Bench &bench, uint64_t operations) {
  static pirn_result results[window_depth];
  pirn_transfer_params params = {};
  params.struct_size = sizeof params;
  params.flags = PIRN_TRANSFER_QUEUED;
  pirn_transfer transfer = 0;
  for (uint64_t posted = 0, done = 0; done < operations;) {
    for (; posted < operations && posted < done + window_depth; ++posted)
      must(pirn_write(bench.region, 0, bench.window, 0, size, &params, &transfer), "write");
    uint64_t count = 0;
    must(pirn_endpoint_poll(bench.endpoint, 0, results, sizeof results[0], window_depth, &count), "poll");
    for (uint64_t i = 0; i < count; ++i) must(results[i].status, "a result");
    done += count;
  }
}

// The fabric under the library, posted and polled as the library does.
void rail_alone(Bench &bench, uint64_t operations) {
  fabric::Rail &rail = bench.near->rails().front()->fabric();
  const core::Window &window = *unwrap(bench.window);
  const auto &key = window.keys.front();
  iovec local = {bench.source.data(), size};
  void *descriptor = nullptr;
  fabric::RemotePart remote = {key.address, size, key.key};
  fabric::Work work;
  fabric::Completion done;
  for (uint64_t i = 0; i < operations; ++i) {
    int error = 0;
    Status failure;
    if (rail.write({&local, &descriptor, 1, &remote, 1, window.peer->paths.front().address, &work}, &error) !=
        fabric::PostResult::posted)
      give_up("rail", "the post was refused");
    if (rail.poll(&done, 1, &failure) != 1 || done.error != 0 || done.work != &work) give_up("rail", "no completion");
  }
}

struct Row {
  const char *name;
  const char *what;
  void (*run)(Bench &bench, uint64_t operations);
};

const Row rows[] = {
    {"rail", "the fabric alone", rail_alone},
    {"wait", "write, wait, release", post_wait_release},
    {"blocking", "write that blocks", blocking},
    {"post", "prepared post, wait, release", posted_again},
    {"select", "prepared post_select, wait, release", selected},
    {"queued", "write queued, window 16, poll", queued},
};

double measure(Bench &bench, const Row &row, uint64_t operations, int rounds, uint64_t *allocated) {
  std::vector<double> each;
  *allocated = 0;
  for (int i = 0; i < rounds; ++i) {
    for (size_t k = 0; k < size; ++k) bench.source[k] = static_cast<std::byte>(17 * i + static_cast<int>(k) + 1);
    uint64_t before = allocations, start = now_ns();
    row.run(bench, operations);
    uint64_t took = now_ns() - start;
    *allocated += allocations - before;
    each.push_back(static_cast<double>(took) / static_cast<double>(operations));
    bench.check_bytes();
  }
  std::sort(each.begin(), each.end());
  return each[each.size() / 2];
}

}  // namespace

int main(int argc, char **argv) {
  // op_cost [row [operations [rounds]]]
  std::string only = argc > 1 ? argv[1] : "all";
  uint64_t operations = argc > 2 ? strtoull(argv[2], nullptr, 10) : 1000000;
  int rounds = argc > 3 ? atoi(argv[3]) : 5;
  if (operations == 0 || rounds < 1) give_up("usage", "op_cost [all | row [operations [rounds]]]");
  Bench bench;
  bool good = true, known = false;
  double rail = 0;
  printf("%-10s %-36s %9s %9s %14s\n", "row", "one 8 B write", "ns", "added ns", "allocations");
  for (const Row &row : rows) {
    if (only != "all" && only != row.name) continue;
    known = true;
    uint64_t allocated = 0;
    if (only == "all") measure(bench, row, operations / 100 + 1, 1, &allocated);  // warms up
    double each = measure(bench, row, operations, rounds, &allocated);
    if (row.run == rail_alone) rail = each;
    printf("%-10s %-36s %9.1f %9.1f %14llu\n", row.name, row.what, each, each - rail,
           static_cast<unsigned long long>(allocated));
    good = good && (only != "all" || allocated == 0);
  }
  if (!known) give_up("usage", "rows: all, rail, wait, blocking, post, select, queued");
  if (only == "all") printf("target: %llu ns added, 0 allocations\n", static_cast<unsigned long long>(target_ns));
  return good ? 0 : 1;
}
