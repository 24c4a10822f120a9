// SPDX-License-Identifier: Apache-2.0
// The cache of mappings: one per allocation and importer, found until its owner takes it back, unmapped when unused.
#include "fixture.h"

#include "local/mappings.h"

#include <sys/mman.h>

using namespace fixture;

namespace {

struct Cache {
  std::vector<uint64_t> unmapped;  // lengths, which tell mappings apart here
  Mappings mappings{[this](const Mapping &mapping) {
    unmapped.push_back(mapping.length);
    return mapping.length == 666 ? fail(PIRN_ERR_IO, "made to fail") : Status::ok();
  }};

  MappingId add(uint8_t owner, uint64_t allocation, uint64_t length, const Importer &importer = {}) {
    return mappings.add(instance_of(owner), allocation, importer, {nullptr, 0, nullptr, length, {}});
  }
  MappingId find(uint8_t owner, uint64_t allocation, const Importer &importer = {}) {
    return mappings.find(instance_of(owner), allocation, importer);
  }
};

Importer writer() {
  Importer importer;
  importer.writable = true;
  return importer;
}

void find__of_the_same_allocation__is_the_same_mapping(void **) {
  Cache cache;
  assert_int_equal(cache.find(1, 7), 0);
  const MappingId id = cache.add(1, 7, 100);
  assert_int_equal(cache.find(1, 7), id);
  assert_int_equal(cache.mappings.get(id).length, 100);
  assert_int_equal(cache.find(1, 8), 0);
  assert_int_equal(cache.find(2, 7), 0);
  Importer other_device;
  other_device.device = 1;
  assert_int_equal(cache.find(1, 7, other_device), 0);
}

void find__read_only_mapping__serves_no_writer(void **) {
  Cache cache;
  cache.add(1, 7, 100);
  assert_int_equal(cache.find(1, 7, writer()), 0);
  const MappingId both = cache.add(1, 7, 200, writer());
  assert_int_equal(cache.find(1, 7, writer()), both);
  assert_int_equal(cache.find(1, 7), both);
}

// A table whose page-locking is counted; `unlocks` false: it refuses to undo it.
struct {
  std::vector<void *> locked;
  int calls = 0;
  bool unlocks = true;
} pages;

device::Operations locking_table() {
  device::Operations table{};
  table.pin = [](void *address, uint64_t) {
    ++pages.calls;
    pages.locked.push_back(address);
    return Status::ok();
  };
  table.unpin = [](void *address) {
    if (!pages.unlocks) return fail(PIRN_ERR_IO, "made to fail");
    std::erase(pages.locked, address);
    return Status::ok();
  };
  return table;
}

void *one_page() { return mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

bool is_mapped(void *address) {
  unsigned char resident = 0;
  return mincore(address, 4096, &resident) == 0;
}

void lock__of_host_memory__is_done_once_and_undone_before_it_is_unmapped(void **) {
  const device::Operations table = locking_table();
  pages = {};
  void *page = one_page();
  {
    Mappings mappings;
    const MappingId id = mappings.add(instance_of(1), 7, {}, {nullptr, 0, page, 4096, {}});
    assert_int_equal(mappings.lock(id, table).code, PIRN_OK);
    assert_int_equal(mappings.lock(id, table).code, PIRN_OK);
    assert_int_equal(pages.calls, 1);
    mappings.lost(instance_of(1));
    assert_int_equal(pages.locked.size(), 1);
    mappings.release(id);
    assert_true(pages.locked.empty());
    assert_false(is_mapped(page));
  }
  assert_int_equal(pages.calls, 1);
}

void unmap__what_cannot_be_unlocked__stays_mapped(void **) {
  const device::Operations table = locking_table();
  pages = {};
  pages.unlocks = false;
  void *page = one_page();
  Mappings mappings;
  const MappingId id = mappings.add(instance_of(1), 7, {}, {nullptr, 0, page, 4096, {}});
  assert_int_equal(mappings.lock(id, table).code, PIRN_OK);
  mappings.gone(instance_of(1), 7);
  mappings.release(id);
  assert_int_equal(mappings.failed(), 1);
  assert_int_equal(mappings.size(), 0);
  assert_true(is_mapped(page));
  munmap(page, 4096);
}

void lock__of_device_memory__is_invalid(void **) {
  const device::Operations table = locking_table();
  pages = {};
  Cache cache;
  const MappingId id = cache.mappings.add(instance_of(1), 7, {}, {&table, 0, nullptr, 100, {}});
  assert_int_equal(cache.mappings.lock(id, table).code, PIRN_ERR_INVALID);
  assert_int_equal(pages.calls, 0);
}

void keep_all__unmaps_nothing_any_more(void **) {
  Cache cache;
  const MappingId id = cache.add(1, 7, 100);
  cache.mappings.keep_all();
  cache.mappings.gone(instance_of(1), 7);
  cache.mappings.release(id);
  assert_int_equal(cache.mappings.size(), 0);
  assert_true(cache.unmapped.empty());
}

void release__by_the_last_user__keeps_it_for_the_next(void **) {
  Cache cache;
  const MappingId id = cache.add(1, 7, 100);
  cache.mappings.release(id);
  assert_int_equal(cache.unmapped.size(), 0);
  assert_int_equal(cache.find(1, 7), id);
}

void gone__while_used__is_stale_and_unmapped_by_the_last_user(void **) {
  Cache cache;
  const MappingId id = cache.add(1, 7, 100);
  const MappingId for_writer = cache.add(1, 7, 101, writer());
  const MappingId neighbour = cache.add(1, 8, 102);
  assert_int_equal(cache.find(1, 7), for_writer);
  cache.mappings.release(id);
  cache.mappings.gone(instance_of(1), 7);
  assert_true(cache.unmapped == std::vector<uint64_t>{100});
  assert_true(cache.mappings.is_stale(for_writer));
  assert_false(cache.mappings.is_stale(neighbour));
  assert_int_equal(cache.find(1, 7), 0);
  cache.mappings.release(for_writer);
  assert_int_equal(cache.unmapped.size(), 1);
  cache.mappings.release(for_writer);
  assert_true(cache.unmapped == (std::vector<uint64_t>{100, 101}));
  assert_int_equal(cache.mappings.size(), 1);
}

// The owner's id space may be used again by nobody, but a new mapping beside a stale one must not be mixed up with it.
void add__beside_a_stale_one__is_another(void **) {
  Cache cache;
  const MappingId old = cache.add(1, 7, 100);
  cache.mappings.gone(instance_of(1), 7);
  const MappingId fresh = cache.add(1, 7, 200);
  assert_true(fresh != old);
  cache.mappings.release(old);
  assert_true(cache.unmapped == std::vector<uint64_t>{100});
  assert_int_equal(cache.find(1, 7), fresh);
  assert_int_equal(cache.mappings.get(fresh).length, 200);
}

void lost__ends_all_of_that_owner_only(void **) {
  Cache cache;
  for (uint64_t allocation = 0; allocation < 10; ++allocation) {
    cache.mappings.release(cache.add(1, allocation, 100 + allocation));
    cache.mappings.release(cache.add(2, allocation, 200 + allocation));
    cache.mappings.release(cache.add(3, allocation, 300 + allocation));
  }
  cache.mappings.lost(instance_of(2));
  assert_int_equal(cache.unmapped.size(), 10);
  for (const uint64_t length : cache.unmapped) assert_in_range(length, 200, 209);
  assert_int_equal(cache.mappings.size(), 20);
}

void unmap__that_fails__is_counted_and_forgotten(void **) {
  Cache cache;
  cache.mappings.release(cache.add(1, 7, 666));
  cache.mappings.gone(instance_of(1), 7);
  assert_int_equal(cache.mappings.failed(), 1);
  assert_int_equal(cache.mappings.size(), 0);
}

void end__unmaps_everything_once(void **) {
  std::vector<uint64_t> unmapped;
  {
    Mappings mappings([&](const Mapping &mapping) {
      unmapped.push_back(mapping.length);
      return Status::ok();
    });
    mappings.add(instance_of(1), 7, {}, {nullptr, 0, nullptr, 100, {}});
    mappings.add(instance_of(1), 8, {}, {nullptr, 0, nullptr, 101, {}});
  }
  assert_true(unmapped == (std::vector<uint64_t>{100, 101}));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(find__of_the_same_allocation__is_the_same_mapping),
      cmocka_unit_test(find__read_only_mapping__serves_no_writer),
      cmocka_unit_test(lock__of_host_memory__is_done_once_and_undone_before_it_is_unmapped),
      cmocka_unit_test(unmap__what_cannot_be_unlocked__stays_mapped),
      cmocka_unit_test(lock__of_device_memory__is_invalid),
      cmocka_unit_test(keep_all__unmaps_nothing_any_more),
      cmocka_unit_test(release__by_the_last_user__keeps_it_for_the_next),
      cmocka_unit_test(gone__while_used__is_stale_and_unmapped_by_the_last_user),
      cmocka_unit_test(add__beside_a_stale_one__is_another),
      cmocka_unit_test(lost__ends_all_of_that_owner_only),
      cmocka_unit_test(unmap__that_fails__is_counted_and_forgotten),
      cmocka_unit_test(end__unmaps_everything_once),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
