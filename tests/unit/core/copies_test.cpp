// SPDX-License-Identifier: Apache-2.0
// Copies between devices of this process, by a device whose streams go on when the test says so.
#include "rig.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <span>

using namespace pirn;
using namespace pirn::core;

namespace {

// Host memory passes for that of devices 0, 1 and 2.
struct Stream {
  struct Work {
    device::Block copy;
    const device::Block *list = nullptr;  // a kernel's, which it reads when it runs
    uint64_t count = 1;
    uint32_t ctas = 0;
    bool kernel() const { return list != nullptr; }
    std::span<const device::Block> blocks() const { return {list ? list : &copy, count}; }
  };
  std::deque<Work> queue;
  uint64_t submitted = 0, done = 0;
  bool held = false;
};
struct Event {
  Stream *stream = nullptr;
  uint64_t mark = 0;
};
struct {
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<std::unique_ptr<Event>> events;
  bool refuses_kernels = false, refuses_memory = false;
} gpu;

Stream &stream_of(void *handle) { return *static_cast<Stream *>(handle); }

Status submit(void *handle, Stream::Work work) {
  ++stream_of(handle).submitted;
  stream_of(handle).queue.push_back(std::move(work));
  return Status::ok();
}

void run(Stream &stream) {
  for (; !stream.held && !stream.queue.empty(); stream.queue.pop_front(), ++stream.done)
    for (const device::Block &block : stream.queue.front().blocks()) std::memcpy(block.to, block.from, block.length);
}

void run_all() {
  for (auto &stream : gpu.streams) run(*stream);
}

// What was submitted and not run yet, stream by stream.
std::vector<Stream *> laden() {
  std::vector<Stream *> found;
  for (auto &stream : gpu.streams)
    if (!stream->queue.empty()) found.push_back(stream.get());
  return found;
}

void fill_copies(device::Operations *table) {
  table->make_stream = [](uint32_t) -> Result<void *> {
    return static_cast<void *>(gpu.streams.emplace_back(std::make_unique<Stream>()).get());
  };
  table->drop_stream = [](uint32_t, void *) { return Status::ok(); };
  table->make_event = [](uint32_t) -> Result<void *> {
    return static_cast<void *>(gpu.events.emplace_back(std::make_unique<Event>()).get());
  };
  table->drop_event = [](uint32_t, void *) { return Status::ok(); };
  table->record = [](uint32_t, void *event, void *stream) {
    *static_cast<Event *>(event) = {&stream_of(stream), stream_of(stream).submitted};
    return Status::ok();
  };
  table->reached = [](uint32_t, void *event) -> Result<bool> {
    return static_cast<Event *>(event)->stream->done >= static_cast<Event *>(event)->mark;
  };
  table->finish = [](uint32_t, void *stream, uint64_t) {
    run(stream_of(stream));
    return Status::ok();
  };
  table->copy = [](uint32_t, void *stream, void *to, const void *from, uint64_t length) {
    return submit(stream, {{to, from, length, 0}});
  };
  table->copy_blocks = [](uint32_t, void *stream, const device::Block *blocks, uint64_t count, uint32_t ctas) {
    if (gpu.refuses_kernels) return fail(PIRN_ERR_IO, "no room for the kernel");
    return submit(stream, {{}, blocks, count, ctas});
  };
}

device::Operations operations() {
  device::Operations table = device::unsupported("fake");
  table.devices = []() -> Result<std::vector<device::Info>> {
    std::vector<device::Info> all(3);
    for (uint32_t i = 0; i < 3; ++i) all[i].ordinal = i, all[i].features = device::has_kernels;
    return all;
  };
  table.enable_peer = [](uint32_t, uint32_t) { return Status::ok(); };
  table.allocate_host = [](uint64_t length) -> Result<void *> {
    if (gpu.refuses_memory) return fail(PIRN_ERR_NO_MEMORY, "no more can be page-locked");
    return std::aligned_alloc(64, (length + 63) / 64 * 64);
  };
  table.release_host = [](void *address) {
    std::free(address);
    return Status::ok();
  };
  table.allocate = [](uint32_t device, uint64_t length) -> Result<device::Allocation> {
    return device::Allocation{std::calloc(1, length), length, device, device::Backing::chunks, 1};
  };
  table.release = [](const device::Allocation &allocation) {
    std::free(allocation.address);
    return Status::ok();
  };
  table.capturing = [](void *) -> Result<bool> { return false; };
  table.wait_word = [](void *, uint64_t *, uint64_t) { return Status::ok(); };
  table.write_word = [](void *, uint64_t *, uint64_t) { return Status::ok(); };
  fill_copies(&table);
  return table;
}

const device::Operations &table() {
  static const device::Operations made = operations();
  return made;
}

RigOptions with(const std::vector<std::string> &settings) {
  RigOptions options;
  options.settings = settings;
  return options;
}

constexpr uint64_t room = 64 << 20, piece = 16 << 20;

// A with memory of device 0; B and C with that of devices 1 and 2, both of which A has imported.
struct Three {
  explicit Three(const std::vector<std::string> &settings = {"COPY_CONCURRENT=kernel"}) : rig(with(settings)) {
    gpu.streams.clear();
    gpu.events.clear();
    gpu.refuses_kernels = gpu.refuses_memory = false;
    rig.open(c, RigOptions{});
    c.peer = must(rig.a.endpoint->add(c.endpoint->metadata()), "add");
    assert_true(until([&] { return c.peer->state == PIRN_PEER_UP; }));
    near = memory(rig.a, 0, &source);
    for (uint64_t at = 0; at < room; at += piece) std::copy_n(rig.random.bytes(1 << 20).data(), 1 << 20, near + at);
    far[0] = memory(rig.b, 1, nullptr);
    far[1] = memory(c, 2, nullptr);
    windows[0] = import(rig.b, *rig.a.peer);
    windows[1] = import(c, *c.peer);
    options.path = Route::self;
  }
  ~Three() {
    for (auto &stream : gpu.streams) stream->held = false;
    run_all();
    assert_true(until([&] { return !rig.a.endpoint->engine().busy(); }));
    rig.a.endpoint.reset();
    c.endpoint.reset();
  }

  std::byte *memory(Side &side, uint32_t device, Region **region) {
    std::vector<std::byte> &bytes = places.emplace_back(room);
    Memory &all = side.endpoint->memory();
    Region *added = must(all.add(side.endpoint.get(), bytes.data(), room, Home{&table(), device}), "add");
    advertised = must(all.advertise(added, 0, room, PIRN_ACCESS_READ | PIRN_ACCESS_WRITE), "advertise");
    if (region) *region = added;
    blobs[&side] = wire::encode_window(advertised->blob);
    return bytes.data();
  }
  Window *import(Side &owner, Peer &peer) {
    Window *window = must(rig.a.endpoint->import(peer, blobs[&owner]), "import");
    assert_true(until([&] { return window->state != WindowState::opening; }));
    return window;
  }
  template <typename Done>
  bool until(Done &&done) {
    return rig.until([&] {
      c.endpoint->progress_manually();
      return done();
    });
  }
  pirn_transfer post(OpKind kind, size_t to, uint64_t local, uint64_t remote, uint64_t length) {
    return rig.vectored(kind, {{source, local, windows[to], remote, length}}, options);
  }
  pirn_transfer post(size_t to) { return post(OpKind::write, to, 0, 0, piece); }
  void end(const std::vector<pirn_transfer> &ids) {
    assert_true(until([&] {
      run_all();
      return std::all_of(ids.begin(), ids.end(), [&](pirn_transfer id) { return rig.look(id).status != PIRN_IN_PROGRESS; });
    }));
    for (pirn_transfer id : ids) assert_int_equal(rig.finish(id).status, PIRN_OK);
  }

  Rig rig;
  Side c;
  std::deque<std::vector<std::byte>> places;
  std::map<Side *, std::vector<std::byte>> blobs;
  Advertised *advertised = nullptr;
  Region *source = nullptr;
  std::byte *near = nullptr, *far[2] = {nullptr, nullptr};
  Window *windows[2] = {nullptr, nullptr};
  TransferOptions options;
};

// -- Several peers at once

void large_copies__of_one_peer__are_the_copy_engines(void **) {
  Three three;
  const std::vector<pirn_transfer> ids = {three.post(0), three.post(0), three.post(0)};
  assert_int_equal(laden().size(), 1);
  for (const auto &work : laden()[0]->queue) assert_false(work.kernel());
  three.end(ids);
}

void large_copies__of_two_peers__go_by_kernels_on_streams_of_their_own(void **) {
  Three three;
  std::vector<pirn_transfer> ids;
  for (int round = 0; round < 3; ++round)
    for (size_t to : {0, 1}) ids.push_back(three.post(to));
  const auto streams = laden();
  assert_int_equal(streams.size(), 3);  // the first one was alone
  assert_int_equal(streams[0]->queue.size(), 1);
  assert_false(streams[0]->queue[0].kernel());
  uint64_t launches = 0;
  for (size_t i : {1, 2}) {
    std::byte *begin = nullptr;
    for (const auto &work : streams[i]->queue) {
      assert_true(work.kernel());
      assert_int_equal(work.ctas, 48);
      assert_int_equal(work.blocks().size(), 1);
      assert_int_equal(work.blocks()[0].length, piece);
      auto *to = static_cast<std::byte *>(work.blocks()[0].to);
      assert_true(!begin || begin == to);  // one peer's
      begin = to;
      ++launches;
    }
  }
  assert_int_equal(launches, 5);
  three.end(ids);
  const std::vector<pirn_transfer> again = {three.post(0)};  // alone
  assert_int_equal(laden().size(), 1);
  assert_false(laden()[0]->queue[0].kernel());
  three.end(again);
}

void large_copies__of_two_peers_both_ways__bytes_are_right_and_no_others_change(void **) {
  Three three;
  for (int round = 0; round < 30; ++round) {
    std::vector<pirn_transfer> ids;
    const uint64_t half = room / 2;
    std::vector<std::byte> expected[2], mine(three.near, three.near + room);
    const std::vector<std::byte> fresh = three.rig.random.bytes(64 << 10);
    for (uint64_t at = three.rig.random.between(0, 4096); at + fresh.size() <= room; at += 8 << 20) {
      std::copy(fresh.begin(), fresh.end(), three.near + at);
      std::copy(fresh.begin(), fresh.end(), mine.begin() + static_cast<ptrdiff_t>(at));
    }
    for (size_t to : {0, 1}) {
      expected[to].assign(three.far[to], three.far[to] + room);
      // Its own part of the near memory, so that what is read is not what is written.
      const uint64_t length = three.rig.random.between(2 << 20, half / 2), from = three.rig.random.between(0, half / 2 - length);
      const uint64_t at = round % 2 ? three.rig.random.between(0, half - length) : from;  // even: alike in a word
      ids.push_back(three.post(OpKind::write, to, to * half + from, at, length));
      std::copy_n(three.near + to * half + from, length, expected[to].begin() + static_cast<ptrdiff_t>(at));
      ids.push_back(three.post(OpKind::read, to, to * half + half / 2 + from, half + at, length));
      std::copy_n(three.far[to] + half + at, length, mine.begin() + static_cast<ptrdiff_t>(to * half + half / 2 + from));
    }
    three.end(ids);
    for (size_t to : {0, 1}) assert_bytes(three.far[to], expected[to].data(), room, "written");
    assert_bytes(three.near, mine.data(), room, "read");
  }
}

void large_copies__engine_is_set__one_stream_and_no_kernel(void **) {
  Three three({"COPY_CONCURRENT=engine"});
  const std::vector<pirn_transfer> ids = {three.post(0), three.post(1), three.post(0), three.post(1)};
  assert_int_equal(laden().size(), 1);
  assert_int_equal(laden()[0]->queue.size(), 4);
  for (const auto &work : laden()[0]->queue) assert_false(work.kernel());
  three.end(ids);
}

void large_copies__thread_blocks_are_set__each_kernel_has_them(void **) {
  Three three({"COPY_CONCURRENT=kernel", "COPY_CTAS=10"});
  const std::vector<pirn_transfer> ids = {three.post(0), three.post(1), three.post(0)};
  assert_int_equal(laden().size(), 3);
  for (size_t i : {1, 2}) assert_int_equal(laden()[i]->queue.front().ctas, 10);
  three.end(ids);
}

void large_copies__reads_and_below_two_mebibytes__half_the_thread_blocks_and_none(void **) {
  Three three;
  const std::vector<pirn_transfer> ids = {three.post(0), three.post(OpKind::read, 1, 0, 0, 2 << 20),
                                          three.post(OpKind::read, 1, 0, 0, (2 << 20) - 16)};
  assert_int_equal(laden().size(), 2);
  assert_int_equal(laden()[0]->queue.size(), 2);
  assert_int_equal(laden()[1]->queue.size(), 1);
  assert_int_equal(laden()[1]->queue.front().ctas, 24);
  three.end(ids);
}

void large_copies__ends_that_lie_differently_in_a_word__are_the_copy_engines(void **) {
  Three three;
  const std::vector<pirn_transfer> ids = {three.post(0), three.post(OpKind::write, 1, 0, 8, piece)};
  assert_int_equal(laden().size(), 1);
  assert_int_equal(laden()[0]->queue.size(), 2);
  three.end(ids);
}

void large_copies__kernels_are_refused__engines_make_them_and_it_is_said(void **) {
  Three three;
  gpu.refuses_kernels = true;
  std::copy_n(three.rig.random.bytes(piece).data(), piece, three.near);
  const std::vector<pirn_transfer> ids = {three.post(0), three.post(1), three.post(0)};
  for (Stream *stream : laden())
    for (const auto &work : stream->queue) assert_false(work.kernel());
  three.end(ids);
  for (size_t to : {0, 1}) assert_bytes(three.far[to], three.near, piece, "written");
  assert_true(three.rig.a.endpoint->explain().find("no room for the kernel") != std::string::npos);
}

// The engine is tried first, kernels then, and what came of it is said.
void large_copies__auto_is_set__both_ways_are_tried(void **) {
  Three three({"COPY_CONCURRENT=auto"});
  uint64_t moved[2] = {0, 0};
  auto said = [&](const char *what) { return three.rig.a.endpoint->explain().find(what) != std::string::npos; };
  while (!said(" (last tried: engine ")) {
    std::vector<pirn_transfer> ids;
    for (size_t i = 0; i < 8; ++i) ids.push_back(three.post(i % 2));
    for (Stream *stream : laden())
      for (const auto &work : stream->queue) moved[work.kernel()] += work.blocks()[0].length;
    if (moved[1] == 0) assert_true(said("fake:0 to or from several peers at once: by its copy engine\n"));
    else assert_true(moved[0] >= Contest::trial);
    three.end(ids);
    assert_in_range(moved[0] + moved[1], 0, 3 * Contest::trial);
  }
  assert_true(moved[1] >= Contest::trial);
}

// Kernels, and whoever asks its device for more, may have to wait for a stream that waits for us.
void large_copies__a_stream_waits_for_us__are_the_copy_engines(void **) {
  Three three;
  Endpoint &endpoint = *three.rig.a.endpoint;
  const auto expect = [&](bool kernels) {
    const size_t streams = gpu.streams.size();
    const std::vector<pirn_transfer> ids = {three.post(0), three.post(1), three.post(0)};
    size_t launches = 0;
    for (Stream *stream : laden())
      for (const auto &work : stream->queue) launches += work.kernel();
    assert_int_equal(launches, kernels ? 2 : 0);
    if (!kernels) assert_int_equal(gpu.streams.size(), streams);
    three.end(ids);
  };
  const std::vector<pirn_transfer> first = {three.post(0)};
  require(endpoint.wait_on_stream(first[0], &gpu), "wait");
  expect(false);
  three.end(first);
  expect(true);
  Prepared *prepared = must(endpoint.prepare(OpKind::write, {{three.source, 0, three.windows[0], 0, piece}}), "prepare");
  Trigger *trigger = must(endpoint.make_trigger(*prepared, three.options), "trigger");
  expect(false);
  endpoint.release(trigger);
  require(endpoint.release(prepared), "release");
  expect(true);
}

void large_copies__no_memory_for_concurrent_ones__engines_make_them_and_it_is_said(void **) {
  Three three;
  gpu.refuses_memory = true;
  const std::vector<pirn_transfer> ids = {three.post(0), three.post(1), three.post(0), three.post(1)};
  assert_int_equal(laden().size(), 1);
  for (const auto &work : laden()[0]->queue) assert_false(work.kernel());
  const size_t streams = gpu.streams.size();
  three.end(ids);
  three.end({three.post(0), three.post(1)});
  assert_int_equal(gpu.streams.size(), streams);
  assert_true(three.rig.a.endpoint->explain().find("by its copy engine, since those of kernels could not be made ready: no more can "
                                                   "be page-locked\n") != std::string::npos);
}

// Nothing in a kernel's way is in an engine's.
void large_copies__a_kernel_stands_still__engines_go_on(void **) {
  Three three;
  std::vector<pirn_transfer> stuck = {three.post(0), three.post(1)};
  Stream *const slow = laden().back();
  assert_true(slow->queue.front().kernel());
  slow->held = true;
  for (int i = 0; i < 40; ++i) three.end({three.post(OpKind::write, 0, 0, 8, piece)});  // no kernel's: 640 MiB
  stuck.push_back(three.post(OpKind::write, 0, 0, 8, piece));
  slow->held = false;
  three.end(stuck);
}

// A peer that asks for more without end, on a device that runs its stream before all others.
void large_copies__one_stream_stands_still__others_wait_for_it_in_time(void **) {
  constexpr uint64_t lane_bytes = 256 << 20, window = 24;
  Three three;
  std::vector<pirn_transfer> greedy;
  for (uint64_t i = 0; i < window; ++i) greedy.push_back(three.post(0));
  const pirn_transfer modest = three.post(1);
  Stream *const slow = laden().back();
  assert_true(slow->queue.front().kernel());
  slow->held = true;
  uint64_t ended = 0;
  for (uint64_t idle = 0; idle < 1000; ++idle) {
    run_all();
    three.rig.pump();
    for (auto &id : greedy) {
      if (three.rig.look(id).status == PIRN_IN_PROGRESS) continue;
      assert_int_equal(three.rig.finish(id).status, PIRN_OK);
      id = three.post(0);
      ++ended;
      idle = 0;
    }
    assert_in_range(ended * piece, 0, 3 * lane_bytes);
  }
  assert_true(ended * piece >= lane_bytes);
  assert_int_equal(three.rig.look(modest).status, PIRN_IN_PROGRESS);
  slow->held = false;
  greedy.push_back(modest);
  three.end(greedy);
}

// -- Lists

void prepared_list__not_at_the_device_yet__keeps_to_the_stream_that_takes_it_there(void **) {
  constexpr uint64_t blocks = 64, length = 64 << 10;
  Three three;
  std::vector<Segment> list;
  for (uint64_t i = 0; i < blocks; ++i) list.push_back({three.source, i * length, three.windows[0], (blocks - 1 - i) * length, length});
  Prepared *prepared = must(three.rig.a.endpoint->prepare(OpKind::write, list), "prepare");
  std::vector<pirn_transfer> ids(3);
  for (size_t i : {0, 1}) require(three.rig.a.endpoint->post(*prepared, nullptr, nullptr, 0, three.options, &ids[i]), "post");
  assert_int_equal(laden().size(), 1);
  assert_int_equal(laden()[0]->queue.size(), 3);
  assert_false(laden()[0]->queue[0].kernel());  // the list itself
  const std::vector<pirn_transfer> first = {ids[0], ids[1]};
  three.end(first);
  for (uint64_t i = 0; i < blocks; ++i)
    assert_bytes(three.far[0] + (blocks - 1 - i) * length, three.near + i * length, length, "a block");
  for (size_t i : {0, 1, 2}) require(three.rig.a.endpoint->post(*prepared, nullptr, nullptr, 0, three.options, &ids[i]), "post");
  assert_int_equal(laden().size(), 2);
  three.end(ids);
  require(three.rig.a.endpoint->release(prepared), "release");
}

void prepared_list__few_by_index_beside_another_peer__are_the_copy_engines(void **) {
  constexpr uint32_t blocks = 64, length = 64 << 10, chosen = 4;
  Three three;
  std::vector<Segment> list;
  for (uint64_t i = 0; i < blocks; ++i) list.push_back({three.source, i * length, three.windows[0], i * length, length});
  Prepared *prepared = must(three.rig.a.endpoint->prepare(OpKind::write, list), "prepare");
  std::vector<pirn_transfer> ids = {three.post(1), 0};
  const uint32_t indices[chosen] = {5, 60, 7, 1};
  require(three.rig.a.endpoint->post(*prepared, indices, indices, chosen, three.options, &ids[1]), "post");
  assert_int_equal(laden().size(), 1);
  for (const auto &work : laden()[0]->queue) assert_false(work.kernel());
  three.end(ids);
  for (const uint32_t i : indices) assert_bytes(three.far[0] + i * length, three.near + i * length, length, "chosen");
  require(three.rig.a.endpoint->release(prepared), "release");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(large_copies__of_one_peer__are_the_copy_engines),
      cmocka_unit_test(large_copies__of_two_peers__go_by_kernels_on_streams_of_their_own),
      cmocka_unit_test(large_copies__of_two_peers_both_ways__bytes_are_right_and_no_others_change),
      cmocka_unit_test(large_copies__engine_is_set__one_stream_and_no_kernel),
      cmocka_unit_test(large_copies__thread_blocks_are_set__each_kernel_has_them),
      cmocka_unit_test(large_copies__reads_and_below_two_mebibytes__half_the_thread_blocks_and_none),
      cmocka_unit_test(large_copies__ends_that_lie_differently_in_a_word__are_the_copy_engines),
      cmocka_unit_test(large_copies__kernels_are_refused__engines_make_them_and_it_is_said),
      cmocka_unit_test(large_copies__auto_is_set__both_ways_are_tried),
      cmocka_unit_test(large_copies__a_stream_waits_for_us__are_the_copy_engines),
      cmocka_unit_test(large_copies__no_memory_for_concurrent_ones__engines_make_them_and_it_is_said),
      cmocka_unit_test(large_copies__a_kernel_stands_still__engines_go_on),
      cmocka_unit_test(large_copies__one_stream_stands_still__others_wait_for_it_in_time),
      cmocka_unit_test(prepared_list__not_at_the_device_yet__keeps_to_the_stream_that_takes_it_there),
      cmocka_unit_test(prepared_list__few_by_index_beside_another_peer__are_the_copy_engines),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
