// SPDX-License-Identifier: Apache-2.0
#include "groups.h"
#include "rig.h"

#include <algorithm>
#include <set>

namespace {

using namespace rig;

void load__before_anybody_has__is_unavailable_and_loads_nothing(void **) {
  check_refused(table().load(true), PIRN_ERR_UNAVAILABLE,
                {"nothing in this process has loaded", application().runtime()});
  application().open();
  if (!application().starts_by_itself()) {
    check_refused(table().load(true), PIRN_ERR_UNAVAILABLE,
                  {"nothing in this process has initialised", application().runtime()});
  }
  application().start();
  check(table().load(true));
  check(table().load(false));
}

void devices__each__has_an_identity(void **) {
  std::set<Uuid> uuids;
  std::set<PciAddress> places;
  for (size_t i = 0; i < devices().size(); ++i) {
    const Info &info = devices()[i];
    assert_int_equal(info.ordinal, i);
    assert_false(info.name.empty());
    assert_true(info.memory >= (64u << 20));
    assert_true(info.processors > 0);
    uuids.insert(info.uuid);
    places.insert(info.pci);
    std::printf("%s:%zu %s at %s, %llu MiB, %u processors, features %#x\n", table().name, i, info.name.c_str(),
                pci_text(info.pci).c_str(), static_cast<unsigned long long>(info.memory >> 20), info.processors,
                info.features);
  }
  assert_int_equal(uuids.size(), devices().size());
  assert_int_equal(places.size(), devices().size());
  assert_false(uuids.contains(Uuid{}));
  std::printf("%s\n", take(table().version()).c_str());
}

void device__beyond_the_last__is_named(void **) {
  const uint32_t beyond = static_cast<uint32_t>(devices().size());
  const std::string name = std::string(table().name) + ":" + std::to_string(beyond);
  check_refused(table().allocate(beyond, 1).status(), PIRN_ERR_RANGE, {name});
  check_refused(table().make_stream(beyond).status(), PIRN_ERR_RANGE, {name});
  check_refused(table().enable_peer(0, beyond), PIRN_ERR_RANGE, {name});
}

void identify__memory_of_nobody__is_nothing(void **) {
  const std::vector<std::byte> heap(1 << 20);
  const int local = 0;
  static const int constant = 0;
  assert_false(known(heap.data() + dice().between(0, heap.size() - 1)));
  assert_false(known(&local));
  assert_false(known(&constant));
  assert_false(known(nullptr));
}

void identify__inside_a_plain_allocation__names_all_of_it(void **) {
  for (int round = 0; round < 20; ++round) {
    const uint32_t device = any_device();
    const uint64_t length = dice().between(1, 8 << 20);
    std::byte *address = static_cast<std::byte *>(application().plain(device, length));
    const Allocation found = identified(address + dice().between(0, length - 1));
    assert_ptr_equal(found.address, address);
    assert_true(found.length >= length);
    assert_int_equal(found.device, device);
    assert_int_equal(found.backing, Backing::plain);
    assert_true(found.on_device());
    application().free_plain(address);
    assert_false(known(address));
  }
}

void identify__freed_and_allocated_again__has_another_id(void **) {
  std::set<uint64_t> ids;
  int again = 0;
  const void *before = nullptr;
  for (int round = 0; round < 50; ++round) {
    void *address = application().plain(0, 4 << 20);
    again += address == before;
    before = address;
    assert_true(ids.insert(identified(address).id).second);
    application().free_plain(address);
    const DeviceMemory ours(0, 4 << 20);
    assert_true(ids.insert(ours.allocation().id).second);
    assert_int_equal(identified(ours.bytes()).id, ours.allocation().id);
  }
  assert_false(ids.contains(0));
  std::printf("%d of 50 plain allocations had the address of the one before\n", again);
}

void identify__managed_memory__is_managed(void **) {
  void *address = application().managed(any_device(), 1 << 20);
  const Allocation found = identified(static_cast<std::byte *>(address) + 4097);
  assert_ptr_equal(found.address, address);
  assert_true(found.length >= (1 << 20));
  assert_int_equal(found.backing, Backing::managed);
  assert_false(found.on_device());
  check_refused(table().share(found, HandleKind::legacy).status(), PIRN_ERR_UNAVAILABLE, {"managed memory"});
  application().free_managed(address);
}

void identify__memory_of_a_pool__is_of_a_pool(void **) {
  const uint32_t device = any_device();
  void *address = application().from_pool(device, 1 << 20);
  const Allocation found = identified(static_cast<std::byte *>(address) + 4097);
  assert_ptr_equal(found.address, address);
  assert_int_equal(found.device, device);
  assert_int_equal(found.backing, Backing::pool);
  for (const HandleKind kind : {HandleKind::file, HandleKind::legacy}) {
    check_refused(table().share(found, kind).status(), PIRN_ERR_UNAVAILABLE, {"memory of a pool"});
  }
  application().free_from_pool(address);
}

void identify__page_locked_memory__is_host_memory(void **) {
  const HostMemory host(100'000);
  const Allocation found = identified(host.bytes() + 99'999);
  assert_ptr_equal(found.address, host.bytes());
  assert_true(found.length >= 100'000);
  assert_int_equal(found.backing, Backing::pinned);
  assert_false(found.on_device());
  check_refused(table().share(found, HandleKind::file).status(), PIRN_ERR_UNAVAILABLE, {"page-locked host memory"});
  check_refused(table().dma_buf(found).status(), PIRN_ERR_UNAVAILABLE, {"page-locked host memory"});
}

void pin__memory_of_the_heap__is_registered_until_unpinned(void **) {
  constexpr uint64_t length = 3 << 20;
  void *address = aligned_alloc(4096, length);
  assert_non_null(address);
  check(table().pin(address, length));
  const Allocation found = identified(static_cast<std::byte *>(address) + dice().between(0, length - 1));
  assert_ptr_equal(found.address, address);
  assert_int_equal(found.length, length);
  assert_int_equal(found.backing, Backing::registered);
  check_refused(table().pin(address, length), PIRN_ERR_INVALID);
  check(table().unpin(address));
  assert_false(known(address));
  check_refused(table().unpin(address), PIRN_ERR_INVALID);
  free(address);
}

void allocate__any_length__is_memory_of_the_device(void **) {
  for (int round = 0; round < 10; ++round) {
    const uint32_t device = any_device();
    const uint64_t length = dice().between(1, 9 << 20);
    const DeviceMemory memory(device, length);
    assert_true(memory.allocation().length >= length);
    assert_int_equal(memory.allocation().device, device);
    assert_true(memory.allocation().on_device());
    const Allocation found = identified(memory.bytes() + dice().between(0, length - 1));
    assert_ptr_equal(found.address, memory.bytes());
    assert_int_equal(found.length, memory.allocation().length);
    assert_int_equal(found.id, memory.allocation().id);
    const std::vector<std::byte> bytes = noise(length);
    write_device(device, memory.bytes(), bytes);
    assert_same(read_device(device, memory.bytes(), length), bytes);
  }
}

void allocate__more_than_there_is__is_no_memory(void **) {
  check_refused(table().allocate(any_device(), uint64_t{1} << 46).status(), PIRN_ERR_NO_MEMORY,
                {application().no_memory_text()});
}

void allocate__impossible_length__is_out_of_range(void **) {
  for (const uint64_t length : {uint64_t{0}, UINT64_MAX, UINT64_MAX - 4096}) {
    check_refused(table().allocate(any_device(), length).status(), PIRN_ERR_RANGE, {std::to_string(length)});
  }
}

void release__what_was_not_allocated_here__is_refused(void **) {
  const uint32_t device = any_device();
  void *address = application().plain(device, 4096);
  check_refused(table().release(identified(address)), PIRN_ERR_INVALID, {"was not allocated here"});
  application().free_plain(address);
  const Allocation once = take(table().allocate(device, 4096));
  check(table().release(once));
  check_refused(table().release(once), PIRN_ERR_INVALID, {"released already"});
  assert_false(known(once.address));
}

void chunks__of_one_range__are_allocations_of_their_own(void **) {
  const uint32_t device = any_device();
  ChunkRange range = application().chunks(device, {1, 3, 2, 1}, true);
  std::byte *start = static_cast<std::byte *>(range.address);
  std::set<uint64_t> ids;
  for (const uint64_t length : range.lengths) {
    for (const uint64_t offset : {uint64_t{0}, length - 1, dice().between(0, length - 1)}) {
      const Allocation found = identified(start + offset);
      assert_ptr_equal(found.address, start);
      assert_int_equal(found.length, length);
      assert_int_equal(found.device, device);
      assert_int_equal(found.backing, Backing::chunks);
      ids.insert(found.id);
    }
    start += length;
  }
  assert_int_equal(ids.size(), range.lengths.size());
  application().free_chunks(range);
  assert_false(known(range.address));
}

void chunks__one_replaced_in_its_place__has_another_id(void **) {
  ChunkRange range = application().chunks(0, {2, 1, 1}, true);
  std::byte *middle = static_cast<std::byte *>(range.address) + range.lengths[0];
  std::set<uint64_t> ids = {identified(range.address).id, identified(middle).id};
  const uint64_t first = identified(range.address).id;
  for (int round = 0; round < 20; ++round) {
    application().replace_chunk(0, range, 1);
    const Allocation found = identified(middle + 17);
    assert_ptr_equal(found.address, middle);
    assert_true(ids.insert(found.id).second);
    assert_int_equal(identified(range.address).id, first);
  }
  application().free_chunks(range);
}

}  // namespace

int run_memory() {
  const CMUnitTest before[] = {cmocka_unit_test(load__before_anybody_has__is_unavailable_and_loads_nothing)};
  const int failed = cmocka_run_group_tests_name("device loading", before, nullptr, nullptr);
  const CMUnitTest tests[] = {
      cmocka_unit_test(devices__each__has_an_identity),
      cmocka_unit_test(device__beyond_the_last__is_named),
      cmocka_unit_test(identify__memory_of_nobody__is_nothing),
      cmocka_unit_test(identify__inside_a_plain_allocation__names_all_of_it),
      cmocka_unit_test(identify__freed_and_allocated_again__has_another_id),
      cmocka_unit_test(identify__managed_memory__is_managed),
      cmocka_unit_test(identify__memory_of_a_pool__is_of_a_pool),
      cmocka_unit_test(identify__page_locked_memory__is_host_memory),
      cmocka_unit_test(pin__memory_of_the_heap__is_registered_until_unpinned),
      cmocka_unit_test(allocate__any_length__is_memory_of_the_device),
      cmocka_unit_test(allocate__more_than_there_is__is_no_memory),
      cmocka_unit_test(allocate__impossible_length__is_out_of_range),
      cmocka_unit_test(release__what_was_not_allocated_here__is_refused),
      cmocka_unit_test(chunks__of_one_range__are_allocations_of_their_own),
      cmocka_unit_test(chunks__one_replaced_in_its_place__has_another_id),
  };
  return failed + cmocka_run_group_tests_name("device memory", tests, open_devices, nullptr);
}
