// SPDX-License-Identifier: Apache-2.0
// Scattered copies by the kernel. Where a device has none, copy_blocks has to say why.
#include "groups.h"
#include "rig.h"

#include <algorithm>

namespace {

using namespace rig;

constexpr uint64_t arena = 2 << 20;

// Random blocks of a random list: what is at `source` goes to places of `target` that do not overlap.
struct List {
  std::vector<Block> blocks;
  std::vector<std::byte> expected;  // of the target
};

struct Shape {
  uint64_t longest;
  uint64_t unit;  // addresses and lengths are multiples of it
  uint64_t most;  // blocks
};

List make_list(const Shape &shape, std::byte *to, const std::byte *from, const std::vector<std::byte> &sent,
               const std::vector<std::byte> &before) {
  List list;
  list.expected = before;
  for (uint64_t at = 0; list.blocks.size() < shape.most;) {
    const uint64_t length = dice().between(0, shape.longest / shape.unit) * shape.unit;
    at += dice().between(0, 3) * shape.unit;
    if (at + length > arena) break;
    const uint64_t source = dice().between(0, (arena - length) / shape.unit) * shape.unit;
    list.blocks.push_back({to + at, from + source, length, 0});
    std::copy_n(sent.begin() + static_cast<ptrdiff_t>(source), length,
                list.expected.begin() + static_cast<ptrdiff_t>(at));
    at += length;
  }
  for (size_t i = list.blocks.size(); i > 1; --i) std::swap(list.blocks[i - 1], list.blocks[dice().between(0, i - 1)]);
  chain(list.blocks);
  return list;
}

// The list as the kernel takes it.
class Posted {
 public:
  explicit Posted(const std::vector<Block> &blocks)
      : memory_(std::max<uint64_t>(blocks.size(), 1) * sizeof(Block)), count_(blocks.size()) {
    std::memcpy(memory_.bytes(), blocks.data(), count_ * sizeof(Block));
  }
  Status run(const OwnStream &stream, uint32_t ctas) const {
    return table().copy_blocks(stream.device(), stream.get(), blocks(), count_, ctas);
  }
  const Block *blocks() const { return reinterpret_cast<const Block *>(memory_.bytes()); }

 private:
  HostMemory memory_;
  uint64_t count_;
};

// False, with the reason checked, if the device cannot.
bool has_copy_kernel(uint32_t device) {
  if ((devices()[device].features & has_kernels) != 0) return true;
  const OwnStream stream(device);
  check_refused(Posted(std::vector<Block>(1)).run(stream, 0), PIRN_ERR_UNAVAILABLE, {"no copy kernel"});
  return false;
}

// From and to any memory of `near`, of its peer `far`, or of the host, each alike.
void copies_lists(const Shape &shape, uint32_t near, uint32_t far) {
  const DeviceMemory here(near, arena), there(far, arena), again(near, arena);
  const HostMemory host(arena);
  std::byte *const places[] = {here.bytes(), there.bytes(), host.bytes(), again.bytes()};
  const uint32_t owners[] = {near, far, near, near};
  const OwnStream stream(near);
  for (const uint32_t ctas : {0u, 1u, static_cast<uint32_t>(dice().between(2, 40)), 100'000u}) {
    const size_t to = dice().between(0, 3), from = (to + dice().between(1, 3)) % 4;
    const std::vector<std::byte> sent = noise(arena), before = noise(arena);
    write_device(owners[from], places[from], sent);
    write_device(owners[to], places[to], before);
    const List list = make_list(shape, places[to], places[from], sent, before);
    const Posted posted(list.blocks);
    check(posted.run(stream, ctas));
    check(table().finish(near, stream.get(), patience));
    assert_same(read_device(owners[to], places[to], arena), list.expected);
  }
}

void every_shape(const std::vector<Shape> &shapes) {
  const uint32_t near = any_device(), other = other_device(near);
  const uint32_t far = table().enable_peer(near, other).is_ok() ? other : near;
  if (!has_copy_kernel(near)) return;
  for (const Shape &shape : shapes) copies_lists(shape, near, far);
}

void copy_blocks__aligned_lists__arrive_and_touch_nothing_else(void **) {
  every_shape({{16, 16, 3000}, {4096, 16, 5000}, {65536, 512, 1000}, {1 << 19, 16, 20}});
}

void copy_blocks__lists_of_any_alignment__arrive_and_touch_nothing_else(void **) {
  every_shape({{1, 1, 3000}, {40, 1, 5000}, {5000, 1, 1000}, {300'000, 4, 40}, {1 << 20, 8, 3}});
}

void copy_blocks__of_nothing__copies_nothing(void **) {
  const uint32_t device = any_device();
  if (!has_copy_kernel(device)) return;
  const DeviceMemory memory(device, arena);
  const std::vector<std::byte> before = noise(arena);
  write_device(device, memory.bytes(), before);
  const Posted none({}), three(std::vector<Block>(3, Block{memory.bytes(), memory.bytes() + 100, 0, 0}));
  OwnStream stream(device);
  check(none.run(stream, 0));
  check(three.run(stream, 5));
  stream.finish();
  assert_same(read_device(device, memory.bytes(), arena), before);
}

void copy_blocks__list_in_device_memory__is_taken(void **) {
  const uint32_t device = any_device();
  if (!has_copy_kernel(device)) return;
  const DeviceMemory from(device, arena), to(device, arena), place(device, 1 << 20);
  const std::vector<std::byte> sent = noise(arena), before = noise(arena);
  write_device(device, from.bytes(), sent);
  write_device(device, to.bytes(), before);
  const List list = make_list({9000, 16, 2000}, to.bytes(), from.bytes(), sent, before);
  const std::byte *bytes = reinterpret_cast<const std::byte *>(list.blocks.data());
  write_device(device, place.bytes(), {bytes, bytes + list.blocks.size() * sizeof(Block)});
  OwnStream stream(device);
  check(table().copy_blocks(device, stream.get(), reinterpret_cast<const Block *>(place.bytes()), list.blocks.size(),
                            0));
  stream.finish();
  assert_same(read_device(device, to.bytes(), arena), list.expected);
}

void copy_blocks__in_a_graph__copies_what_is_there_at_each_replay(void **) {
  OwnStream stream(any_device());
  const uint32_t device = stream.device();
  if (!has_copy_kernel(device)) return;
  const DeviceMemory from(device, arena), to(device, arena);
  const std::vector<std::byte> nothing(arena);
  const List list = make_list({9000, 16, 200}, to.bytes(), from.bytes(), nothing, nothing);
  const Posted posted(list.blocks);
  begin_capture(stream);
  check(posted.run(stream, 0));
  void *graph = end_capture(stream);
  for (int round = 0; round < 3; ++round) {
    const std::vector<std::byte> sent = noise(arena);
    std::vector<std::byte> expected(arena);
    write_device(device, from.bytes(), sent);
    write_device(device, to.bytes(), expected);
    for (const Block &block : list.blocks) {
      std::copy_n(sent.begin() + (static_cast<const std::byte *>(block.from) - from.bytes()), block.length,
                  expected.begin() + (static_cast<std::byte *>(block.to) - to.bytes()));
    }
    application().replay(graph, stream.get());
    stream.finish();
    assert_same(read_device(device, to.bytes(), arena), expected);
  }
  application().drop(graph);
}

// Any pairs out of a list that lies in device memory.
void copy_selected__pairs_by_index__arrive_and_touch_nothing_else(void **) {
  const uint32_t device = any_device();
  if (!has_copy_kernel(device)) return;
  OwnStream stream(device);
  for (const uint64_t unit : {1, 16}) {
    const uint64_t length = dice().between(1, 5000 / unit) * unit, places = arena / length;
    const DeviceMemory from(device, arena), to(device, arena), room(device, places * sizeof(Block));
    const std::vector<std::byte> sent = noise(arena);
    std::vector<std::byte> expected = noise(arena);
    write_device(device, from.bytes(), sent);
    write_device(device, to.bytes(), expected);
    std::vector<Block> list(places);
    for (uint64_t i = 0; i < places; ++i) list[i] = {to.bytes() + i * length, from.bytes() + i * length, length, i * length};
    const std::byte *bytes = reinterpret_cast<const std::byte *>(list.data());
    write_device(device, room.bytes(), {bytes, bytes + places * sizeof(Block)});
    const uint64_t count = dice().between(1, places);
    const HostMemory indices(2 * places * sizeof(uint32_t));
    auto *near = reinterpret_cast<uint32_t *>(indices.bytes()), *far = near + places;
    for (uint32_t i = 0; i < places; ++i) near[i] = far[i] = i;
    for (uint64_t i = places; i > 1; --i) {
      std::swap(near[i - 1], near[dice().between(0, i - 1)]);
      std::swap(far[i - 1], far[dice().between(0, i - 1)]);
    }
    for (uint64_t i = 0; i < count; ++i)
      std::copy_n(sent.begin() + static_cast<ptrdiff_t>(far[i] * length), length,
                  expected.begin() + static_cast<ptrdiff_t>(near[i] * length));
    SelectedBlocks selected{reinterpret_cast<const Block *>(room.bytes()), near, far, count, length};
    check(table().copy_selected(device, stream.get(), selected, static_cast<uint32_t>(dice().between(0, 40))));
    selected.count = 0;
    check(table().copy_selected(device, stream.get(), selected, 0));
    stream.finish();
    assert_same(read_device(device, to.bytes(), arena), expected);
  }
}

}  // namespace

int run_blocks() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(copy_blocks__aligned_lists__arrive_and_touch_nothing_else),
      cmocka_unit_test(copy_blocks__lists_of_any_alignment__arrive_and_touch_nothing_else),
      cmocka_unit_test(copy_blocks__of_nothing__copies_nothing),
      cmocka_unit_test(copy_blocks__list_in_device_memory__is_taken),
      cmocka_unit_test_teardown(copy_blocks__in_a_graph__copies_what_is_there_at_each_replay, drop_capture),
      cmocka_unit_test(copy_selected__pairs_by_index__arrive_and_touch_nothing_else),
  };
  return cmocka_run_group_tests_name("device blocks", tests, open_devices, nullptr);
}
