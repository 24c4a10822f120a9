// SPDX-License-Identifier: Apache-2.0
#include "groups.h"
#include "rig.h"

#include <algorithm>

namespace {

using namespace rig;

constexpr uint64_t arena = 2 << 20;

// Memory somewhere, and what must be in it.
struct Place {
  Place(uint32_t owner, bool on_device) : device(owner), expected(noise(arena)) {
    if (on_device) {
      memory = std::make_unique<DeviceMemory>(owner, arena);
      write_device(owner, memory->bytes(), expected);
    } else {
      host = std::make_unique<HostMemory>(arena);
      std::memcpy(host->bytes(), expected.data(), arena);
    }
  }
  std::byte *bytes() const { return memory ? memory->bytes() : host->bytes(); }
  void verify() const { assert_same(read_device(device, bytes(), arena), expected); }

  uint32_t device;
  std::unique_ptr<DeviceMemory> memory;
  std::unique_ptr<HostMemory> host;
  std::vector<std::byte> expected;
};

bool reaches(uint32_t device, uint32_t peer) { return table().enable_peer(device, peer).is_ok(); }

void copy__random_pieces_in_every_direction__arrive_and_touch_nothing_else(void **) {
  const uint32_t near = any_device(), far = other_device(near);
  std::vector<std::unique_ptr<Place>> places;
  places.push_back(std::make_unique<Place>(near, true));
  places.push_back(std::make_unique<Place>(near, false));
  places.push_back(std::make_unique<Place>(far, true));
  places.push_back(std::make_unique<Place>(near, true));
  OwnStream stream(near);
  for (int round = 0; round < 300; ++round) {
    Place &to = *places[dice().between(0, places.size() - 1)];
    const Place &from = *places[dice().between(0, places.size() - 1)];
    if (&to == &from || (!reaches(near, far) && (to.device != near || from.device != near))) continue;
    const uint64_t length = dice().between(0, dice().between(0, 1) != 0 ? 200 : arena / 4);
    const uint64_t target = dice().between(0, arena - length), source = dice().between(0, arena - length);
    stream.copy(to.bytes() + target, from.bytes() + source, length);
    std::copy_n(from.expected.begin() + static_cast<ptrdiff_t>(source), length,
                to.expected.begin() + static_cast<ptrdiff_t>(target));
  }
  stream.finish();
  for (const std::unique_ptr<Place> &place : places) place->verify();
}

void copy__pageable_host_memory__arrives(void **) {
  const uint32_t device = any_device();
  const DeviceMemory memory(device, arena);
  const std::vector<std::byte> sent = noise(dice().between(1, arena));
  std::vector<std::byte> received(sent.size());
  OwnStream stream(device);
  stream.copy(memory.bytes(), sent.data(), sent.size());
  stream.copy(received.data(), memory.bytes(), received.size());
  stream.finish();
  assert_same(received, sent);
}

void copy__pinned_heap_memory__arrives(void **) {
  const uint32_t device = any_device();
  const DeviceMemory memory(device, arena);
  std::byte *heap = static_cast<std::byte *>(aligned_alloc(4096, arena));
  check(table().pin(heap, arena));
  const std::vector<std::byte> sent = noise(arena);
  std::memcpy(heap, sent.data(), arena);
  OwnStream stream(device);
  stream.copy(memory.bytes(), heap, arena);
  stream.finish();
  assert_same(read_device(device, memory.bytes(), arena), sent);
  check(table().unpin(heap));
  free(heap);
}

void copy__plain_memory_of_a_peer__arrives_after_enable_peer(void **) {
  const uint32_t near = any_device(), far = other_device(near);
  const std::vector<std::byte> sent = noise(arena);
  void *there = application().plain(far, arena);
  void *here = application().plain(near, arena);
  write_device(far, there, sent);
  const Status enabled = table().enable_peer(near, far);
  if (!enabled.is_ok()) check_refused(enabled, PIRN_ERR_UNAVAILABLE, {"cannot reach the memory"});
  check(table().enable_peer(near, near));
  assert_int_equal(table().enable_peer(near, far).code, enabled.code);
  OwnStream stream(near);
  stream.copy(here, there, arena);
  stream.finish();
  assert_same(read_device(near, here, arena), sent);
  application().free_plain(here);
  application().free_plain(there);
}

void finish__stream_that_waits__times_out_and_finishes_later(void **) {
  OwnStream stream(any_device());
  const HostMemory word(8);
  word.words()[0] = 0;
  check(table().finish(stream.device(), stream.get(), 0));
  check(table().wait_word(stream.get(), word.words(), 1));
  check_refused(table().finish(stream.device(), stream.get(), 20'000'000), PIRN_ERR_TIMEOUT, {"20000000 ns"});
  __atomic_store_n(word.words(), 1, __ATOMIC_RELEASE);
  stream.finish();
}

void event__is_reached_with_the_work_before_it_whatever_comes_after(void **) {
  OwnStream stream(any_device());
  const HostMemory words(16);
  words.words()[0] = words.words()[1] = 0;
  void *event = take(table().make_event(stream.device()));
  check(table().wait_word(stream.get(), &words.words()[0], 1));
  check(table().record(stream.device(), event, stream.get()));
  check(table().wait_word(stream.get(), &words.words()[1], 1));
  assert_false(take(table().reached(stream.device(), event)));
  __atomic_store_n(&words.words()[0], 1, __ATOMIC_RELEASE);
  wait_until([&] { return take(table().reached(stream.device(), event)); }, "the event");
  assert_true(stream.is_busy());
  __atomic_store_n(&words.words()[1], 1, __ATOMIC_RELEASE);
  stream.finish();
  check(table().drop_event(stream.device(), event));
}

void event__recorded_again__counts_anew(void **) {
  OwnStream stream(any_device());
  const HostMemory word(8);
  word.words()[0] = 0;
  void *event = take(table().make_event(stream.device()));
  for (uint64_t round = 1; round < 20; ++round) {
    check(table().wait_word(stream.get(), word.words(), round));
    check(table().record(stream.device(), event, stream.get()));
    assert_false(take(table().reached(stream.device(), event)));
    __atomic_store_n(word.words(), round, __ATOMIC_RELEASE);
    wait_until([&] { return take(table().reached(stream.device(), event)); }, "the event");
  }
  check(table().drop_event(stream.device(), event));
}

}  // namespace

int run_copies() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(copy__random_pieces_in_every_direction__arrive_and_touch_nothing_else),
      cmocka_unit_test(copy__pageable_host_memory__arrives),
      cmocka_unit_test(copy__pinned_heap_memory__arrives),
      cmocka_unit_test(copy__plain_memory_of_a_peer__arrives_after_enable_peer),
      cmocka_unit_test(finish__stream_that_waits__times_out_and_finishes_later),
      cmocka_unit_test(event__is_reached_with_the_work_before_it_whatever_comes_after),
      cmocka_unit_test(event__recorded_again__counts_anew),
  };
  return cmocka_run_group_tests_name("device copies", tests, open_devices, nullptr);
}
