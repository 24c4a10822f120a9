// SPDX-License-Identifier: Apache-2.0
#include "exchange.h"
#include "groups.h"
#include "rig.h"

#include <fcntl.h>
#include <unistd.h>

namespace {

using namespace rig;

bool has(uint32_t device, uint32_t feature) { return (devices()[device].features & feature) != 0; }

uint32_t reachable_from(uint32_t device) {
  const uint32_t other = other_device(device);
  return table().enable_peer(other, device).is_ok() ? other : device;
}

// What is looked at is somewhere inside, so that a handle that is taken to name an address, not an allocation, shows.
Order order_for(uint32_t importer, uint64_t length) {
  Order order{};
  order.writable = 1;
  order.device = importer;
  order.length = length;
  order.bytes = dice().between(1, std::min<uint64_t>(length, 100'000));
  order.offset = dice().between(0, length - order.bytes);
  order.expected = dice().any();
  order.leave = dice().any() | 1;
  return order;
}

// The importer sees the exporter's bytes, and the exporter then sees the importer's.
void exchange(Importer &importer, const Allocation &allocation, HandleKind kind, Order order) {
  std::byte *const place = static_cast<std::byte *>(allocation.address) + order.offset;
  write_device(allocation.device, place, pattern(order.expected, order.bytes));
  const Handle handle = take(table().share(allocation, kind));
  assert_int_equal(handle.kind, kind);
  assert_true((handle.file >= 0) == (kind == HandleKind::file));
  check(importer.map(handle, order));
  if (handle.file >= 0) close(handle.file);
  const uint64_t now = order.leave != 0 ? order.leave : order.expected;
  assert_same(read_device(allocation.device, place, order.bytes), pattern(now, order.bytes));
}

void share__own_allocation_by_descriptor__crosses_processes(void **) {
  Importer importer;
  for (int round = 0; round < 4; ++round) {
    const uint32_t device = any_device();
    if (!has(device, shares_files)) {
      const DeviceMemory memory(device, 1);
      check_refused(table().share(memory.allocation(), HandleKind::file).status(), PIRN_ERR_UNAVAILABLE);
      continue;
    }
    const DeviceMemory memory(device, dice().between(1, 9 << 20));
    const Order order = order_for(reachable_from(device), memory.allocation().length);
    exchange(importer, memory.allocation(), HandleKind::file, order);
  }
}

void share__each_chunk_of_a_range__crosses_processes(void **) {
  Importer importer;
  const uint32_t device = any_device();
  ChunkRange range = application().chunks(device, {1, 2, 1}, true);
  std::byte *start = static_cast<std::byte *>(range.address);
  for (const uint64_t length : range.lengths) {
    const Allocation chunk = identified(start + dice().between(0, length - 1));
    exchange(importer, chunk, HandleKind::file, order_for(reachable_from(device), chunk.length));
    start += length;
  }
  application().free_chunks(range);
}

void share__plain_memory_among_others__crosses_processes_by_legacy_handle(void **) {
  Importer importer;
  const uint32_t device = any_device();
  std::vector<void *> all;
  for (int i = 0; i < 6; ++i) all.push_back(application().plain(device, dice().between(1000, 300'000)));
  for (void *address : all) {
    const Allocation found = identified(address);
    if (has(device, shares_legacy)) {
      exchange(importer, found, HandleKind::legacy, order_for(reachable_from(device), found.length));
    } else {
      check_refused(table().share(found, HandleKind::legacy).status(), PIRN_ERR_UNAVAILABLE);
    }
  }
  for (void *address : all) application().free_plain(address);
}

void share__by_fabric_handle__crosses_processes_or_says_why_not(void **) {
  const uint32_t device = any_device();
  const DeviceMemory memory(device, 5 << 20);
  if (has(device, shares_fabric)) {
    Importer importer;
    exchange(importer, memory.allocation(), HandleKind::fabric,
             order_for(reachable_from(device), memory.allocation().length));
  } else {
    check_refused(table().share(memory.allocation(), HandleKind::fabric).status(), PIRN_ERR_UNAVAILABLE, {"fabric"});
  }
}

void map__not_writable__can_be_read(void **) {
  Importer importer;
  const uint32_t device = any_device();
  const DeviceMemory memory(device, 1 << 20);
  Order order = order_for(reachable_from(device), memory.allocation().length);
  order.writable = 0;
  order.leave = 0;
  exchange(importer, memory.allocation(), HandleKind::file, order);
}

void map__own_handle_in_the_same_process__is_the_same_memory(void **) {
  const uint32_t device = any_device(), other = reachable_from(device);
  const DeviceMemory memory(device, 1 << 20);
  const Handle handle = take(table().share(memory.allocation(), HandleKind::file));
  const uint64_t length = memory.allocation().length;
  void *mapped = take(table().map(other, handle, length, true));
  close(handle.file);
  assert_ptr_not_equal(mapped, memory.bytes());
  const std::vector<std::byte> bytes = noise(length);
  write_device(device, memory.bytes(), bytes);
  assert_same(read_device(other, mapped, length), bytes);
  check(table().unmap(other, mapped, length, HandleKind::file));
  assert_false(known(mapped));
}

void map__after_the_exporter_let_go__still_holds_the_memory(void **) {
  const uint32_t device = any_device();
  const Allocation memory = take(table().allocate(device, 1 << 20));
  const std::vector<std::byte> bytes = noise(memory.length);
  write_device(device, memory.address, bytes);
  const Handle handle = take(table().share(memory, HandleKind::file));
  void *mapped = take(table().map(device, handle, memory.length, true));
  close(handle.file);
  check(table().release(memory));
  assert_same(read_device(device, mapped, bytes.size()), bytes);
  check(table().unmap(device, mapped, bytes.size(), HandleKind::file));
}

void share__memory_without_that_handle__says_why(void **) {
  const uint32_t device = any_device();
  void *plain = application().plain(device, 4096);
  const Allocation found = identified(plain);
  check_refused(table().share(found, HandleKind::file).status(), PIRN_ERR_UNAVAILABLE, {"plain device memory"});
  check_refused(table().share(found, HandleKind::fabric).status(), PIRN_ERR_UNAVAILABLE, {"plain device memory"});
  application().free_plain(plain);
  ChunkRange range = application().chunks(device, {1}, false);
  const Allocation chunk = identified(range.address);
  check_refused(table().share(chunk, HandleKind::file).status(), PIRN_ERR_UNAVAILABLE, {"without the right"});
  check_refused(table().share(chunk, HandleKind::legacy).status(), PIRN_ERR_UNAVAILABLE, {"mapped from chunks"});
  application().free_chunks(range);
}

void map__forged_handle__is_an_error(void **) {
  const uint32_t device = any_device();
  Handle handle;
  assert_false(table().map(device, handle, 1 << 20, true).is_ok());  // no descriptor
  handle.file = open("/dev/null", O_RDWR | O_CLOEXEC);
  assert_true(handle.file >= 0);
  assert_false(table().map(device, handle, 1 << 20, true).is_ok());
  close(handle.file);
  handle.file = -1;
  for (const HandleKind kind : {HandleKind::legacy, HandleKind::fabric}) {
    handle.kind = kind;
    for (std::byte &byte : handle.bytes) byte = static_cast<std::byte>(dice().any());
    const Status refused = table().map(device, handle, 1 << 20, true).status();
    assert_false(refused.is_ok());
    assert_true(!refused.text.empty());
  }
}

void map__longer_than_the_allocation__is_an_error(void **) {
  Importer importer;
  const uint32_t device = any_device();
  const DeviceMemory memory(device, 1 << 20);
  Order order = order_for(device, memory.allocation().length);
  order.length = memory.allocation().length + 1;
  const Handle handle = take(table().share(memory.allocation(), HandleKind::file));
  assert_false(importer.map(handle, order).is_ok());
  close(handle.file);
  if (!has(device, shares_legacy)) return;
  void *plain = application().plain(device, 3 << 20);
  const Allocation found = identified(plain);
  order.length = found.length + (64 << 20);  // the importer may see all of the pages that the allocation lies in
  check_refused(importer.map(take(table().share(found, HandleKind::legacy)), order), PIRN_ERR_RANGE,
                {std::to_string(order.length)});
  application().free_plain(plain);
}

void dma_buf__of_each_kind_of_device_memory__is_a_descriptor_or_a_reason(void **) {
  const uint32_t device = any_device();
  void *plain = application().plain(device, 4 << 20);
  const DeviceMemory memory(device, 1 << 20);
  for (const Allocation &allocation : {identified(plain), memory.allocation()}) {
    const Result<DmaBuf> exported = table().dma_buf(allocation);
    // Some runtimes tell only when they are asked for one.
    if (!has(device, exports_dma_buf) && !exported.is_ok()) {
      check_refused(exported.status(), PIRN_ERR_UNAVAILABLE, {"dma-buf"});
      continue;
    }
    check(exported.status());
    assert_true(fcntl(exported.value().file, F_GETFD) >= 0);
    assert_true(exported.value().offset < static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
    close(exported.value().file);
  }
  application().free_plain(plain);
}

void link__of_each_pair__agrees_with_peer_access(void **) {
  for (const Info &one : devices())
    for (const Info &other : devices()) {
      if (one.ordinal == other.ordinal) continue;
      const Link link = take(table().link(one.ordinal, other.ordinal));
      print_message("%u -> %u: %s, %u lanes, %.1f GB/s, direct %d, atomics %d %s\n", one.ordinal, other.ordinal,
                    link.kind.c_str(), link.lanes, static_cast<double>(link.speed) / 8e9, link.direct, link.atomics,
                    link.reason.c_str());
      assert_int_equal(link.direct, table().enable_peer(one.ordinal, other.ordinal).is_ok());
      assert_int_equal(link.reason.empty(), link.direct && !link.kind.empty());
      assert_true(link.speed == 0 || link.lanes > 0);
    }
  const auto none = static_cast<uint32_t>(devices().size());
  assert_false(table().link(none, 0).is_ok());
}

void features__that_are_missing__say_why(void **) {
  for (const Info &info : devices())
    for (size_t i = 0; i < feature_count; ++i) assert_int_equal(info.lacking[i].empty(), (info.features >> i & 1) != 0);
}

}  // namespace

int run_sharing() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(share__own_allocation_by_descriptor__crosses_processes),
      cmocka_unit_test(share__each_chunk_of_a_range__crosses_processes),
      cmocka_unit_test(share__plain_memory_among_others__crosses_processes_by_legacy_handle),
      cmocka_unit_test(share__by_fabric_handle__crosses_processes_or_says_why_not),
      cmocka_unit_test(map__not_writable__can_be_read),
      cmocka_unit_test(map__own_handle_in_the_same_process__is_the_same_memory),
      cmocka_unit_test(map__after_the_exporter_let_go__still_holds_the_memory),
      cmocka_unit_test(share__memory_without_that_handle__says_why),
      cmocka_unit_test(map__forged_handle__is_an_error),
      cmocka_unit_test(map__longer_than_the_allocation__is_an_error),
      cmocka_unit_test(link__of_each_pair__agrees_with_peer_access),
      cmocka_unit_test(features__that_are_missing__say_why),
      cmocka_unit_test(dma_buf__of_each_kind_of_device_memory__is_a_descriptor_or_a_reason),
  };
  return cmocka_run_group_tests_name("device sharing", tests, open_devices, nullptr);
}
