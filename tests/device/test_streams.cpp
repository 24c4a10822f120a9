// SPDX-License-Identifier: Apache-2.0
// Words that streams wait for and write, captures, and the caller's context.
#include "groups.h"
#include "rig.h"

#include <thread>

#include <unistd.h>

namespace {

using namespace rig;

void set(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
uint64_t get(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

void pause() {
  const timespec time = {0, 20'000'000};
  nanosleep(&time, nullptr);
}

void wait_word__holds_the_stream_until_the_word_is_there(void **) {
  struct Case {
    uint64_t wanted, too_low, enough;
  };
  // The difference counts, as a signed number: words may run over.
  for (const Case &one :
       {Case{5, 4, 5}, Case{5, 0, 900}, Case{3, UINT64_MAX, 3}, Case{UINT64_MAX - 1, UINT64_MAX - 9, 2}}) {
    OwnStream stream(any_device());
    const HostMemory words(16);
    set(&words.words()[0], one.too_low);
    set(&words.words()[1], 77);
    check(table().wait_word(stream.get(), &words.words()[0], one.wanted));
    check(table().write_word(stream.get(), &words.words()[1], 88));
    pause();
    assert_int_equal(get(&words.words()[1]), 77);
    assert_true(stream.is_busy());
    set(&words.words()[0], one.enough);
    stream.finish();
    assert_int_equal(get(&words.words()[1]), 88);
  }
}

void write_word__comes_after_the_bytes_copied_before_it(void **) {
  constexpr uint64_t length = 1 << 20;
  OwnStream stream(any_device());
  const DeviceMemory memory(stream.device(), length);
  const HostMemory host(length), word(8);
  set(word.words(), 0);
  for (uint64_t round = 1; round <= 20; ++round) {
    const std::vector<std::byte> sent = noise(length);
    write_device(stream.device(), memory.bytes(), sent);
    std::memset(host.bytes(), 0, length);
    stream.copy(host.bytes(), memory.bytes(), length);
    check(table().write_word(stream.get(), word.words(), round));
    wait_until([&] { return get(word.words()) == round; }, "the word");
    assert_memory_equal(host.bytes(), sent.data(), length);
  }
  stream.finish();
}

void device_of__stream_of_each_device__is_it(void **) {
  for (uint32_t device = 0; device < devices().size(); ++device) {
    OwnStream stream(device);
    assert_int_equal(take(table().device_of(stream.get())), device);
  }
}

void device_of__default_stream__is_that_of_the_callers_context(void **) {
  const uint32_t device = any_device();
  application().make_current(device);
  assert_int_equal(take(table().device_of(nullptr)), device);
  application().make_none_current();
}

// What a transfer does to a stream that is captured: tell the host, wait for it, make ready for the next replay.
void capture__words__are_replayed_with_the_graph(void **) {
  OwnStream stream(any_device());
  const HostMemory words(16);
  uint64_t *trigger = &words.words()[0], *done = &words.words()[1];
  set(trigger, 0);
  set(done, 0);
  assert_false(take(table().capturing(stream.get())));
  begin_capture(stream);
  assert_true(take(table().capturing(stream.get())));
  check(table().write_word(stream.get(), trigger, 1));
  check(table().wait_word(stream.get(), done, 1));
  check(table().write_word(stream.get(), done, 0));
  void *graph = end_capture(stream);
  assert_false(take(table().capturing(stream.get())));
  assert_int_equal(get(trigger), 0);
  for (int round = 0; round < 100; ++round) {
    application().replay(graph, stream.get());
    wait_until([&] { return get(trigger) == 1; }, "the trigger");
    assert_int_equal(get(done), 0);
    set(trigger, 0);
    set(done, 1);
    stream.finish();
    assert_int_equal(get(done), 0);
  }
  application().drop(graph);
}

// Some work on a stream of its own; why it failed. (A test cannot end in a thread that is not its own.)
Status work_elsewhere(uint32_t device) {
  Result<void *> stream = table().make_stream(device), event = table().make_event(device);
  Result<void *> host = table().allocate_host(4096);
  Result<Allocation> memory = table().allocate(device, 4096);
  for (const Status &made : {stream.status(), event.status(), host.status(), memory.status()})
    if (!made.is_ok()) return made;
  Status status = table().copy(device, stream.value(), memory.value().address, host.value(), 4096);
  if (status.is_ok()) status = table().record(device, event.value(), stream.value());
  if (status.is_ok()) status = table().finish(device, stream.value(), patience);
  if (status.is_ok() && !table().reached(device, event.value()).is_ok()) status = fail(PIRN_ERR_IO, "the event");
  if (status.is_ok()) status = table().identify(memory.value().address).status();
  for (const Status &dropped : {table().drop_event(device, event.value()), table().drop_stream(device, stream.value()),
                                table().release(memory.value()), table().release_host(host.value())})
    if (status.is_ok()) status = dropped;
  return status;
}

// A capture in the strictest mode forbids most calls to every thread of the process, and breaks when one is made.
void capture__while_every_slot_is_at_work__is_not_broken(void **) {
  OwnStream stream(any_device());
  const HostMemory words(16);
  set(&words.words()[0], 0);
  const uint32_t device = any_device();
  Status there;
  begin_capture(stream);
  check(table().write_word(stream.get(), &words.words()[0], 3));
  std::thread([&] { there = work_elsewhere(device); }).join();
  const Status here = work_elsewhere(device);
  void *graph = end_capture(stream);
  check(there);
  check(here);
  assert_int_equal(get(&words.words()[0]), 0);
  application().replay(graph, stream.get());
  stream.finish();
  assert_int_equal(get(&words.words()[0]), 3);
  application().drop(graph);
}

// Everything once, by way of the other scenarios' building blocks.
void use_all_slots(uint32_t device) {
  const DeviceMemory memory(device, 1 << 20);
  const std::vector<std::byte> bytes = noise(1000);
  write_device(device, memory.bytes(), bytes);
  assert_same(read_device(device, memory.bytes(), bytes.size()), bytes);
  std::vector<std::byte> heap(1 << 16);
  check(table().pin(heap.data(), heap.size()));
  check(table().unpin(heap.data()));
  OwnStream stream(device);
  const HostMemory word(8);
  void *event = take(table().make_event(device));
  check(table().write_word(stream.get(), word.words(), 4));
  check(table().wait_word(stream.get(), word.words(), 4));
  check(table().record(device, event, stream.get()));
  take(table().reached(device, event));
  stream.finish();
  check(table().drop_event(device, event));
  take(table().device_of(stream.get()));
  take(table().capturing(stream.get()));
  (void)table().enable_peer(device, other_device(device)).is_ok();
  const Result<DmaBuf> exported = table().dma_buf(memory.allocation());
  if (exported.is_ok()) close(exported.value().file);
  (void)table().share(memory.allocation(), HandleKind::fabric).is_ok();
  Handle garbage;
  garbage.kind = HandleKind::legacy;
  assert_false(table().map(device, garbage, 4096, true).is_ok());
  assert_false(table().allocate(device, uint64_t{1} << 46).is_ok());
  identified(memory.bytes());
  take(table().devices());
}

void context__of_the_caller__stays_as_it_was(void **) {
  for (uint32_t device = 0; device < devices().size(); ++device) {
    application().make_none_current();
    use_all_slots(device);
    assert_null(application().current());
    const uint32_t other = other_device(device);
    application().make_current(other);
    void *const before = application().current();
    use_all_slots(device);
    assert_ptr_equal(application().current(), before);
    application().make_none_current();
  }
}

}  // namespace

int run_streams() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(wait_word__holds_the_stream_until_the_word_is_there),
      cmocka_unit_test(write_word__comes_after_the_bytes_copied_before_it),
      cmocka_unit_test(device_of__stream_of_each_device__is_it),
      cmocka_unit_test(device_of__default_stream__is_that_of_the_callers_context),
      cmocka_unit_test_teardown(capture__words__are_replayed_with_the_graph, drop_capture),
      cmocka_unit_test_teardown(capture__while_every_slot_is_at_work__is_not_broken, drop_capture),
      cmocka_unit_test(context__of_the_caller__stays_as_it_was),
  };
  return cmocka_run_group_tests_name("device streams", tests, open_devices, nullptr);
}
