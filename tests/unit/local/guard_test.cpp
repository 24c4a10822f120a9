// SPDX-License-Identifier: Apache-2.0
// Windows that the kernel reads, and the word that takes them back.
#include "process.h"

#include "local/cross_memory.h"
#include "local/guard.h"

#include <atomic>
#include <thread>

using namespace fixture;

namespace {

// What an owner process publishes to the test: which content its window has, and its guard. Even: consistent.
struct Published {
  std::atomic<uint64_t> version{0};
  std::atomic<uint64_t> content{0}, address{0}, value{0};
};

Published *published() {
  void *const made = mmap(nullptr, sizeof(Published), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(made != MAP_FAILED);
  return new (made) Published;
}

void publish(Published *there, uint64_t content, const wire::ShareWord &word) {
  there->version += 1;
  there->content = content;
  there->address = word.address;
  there->value = word.value;
  there->version += 1;
}

wire::ShareWord current(const Published *there, uint64_t *content) {
  for (;;) {
    const uint64_t before = there->version;
    const wire::ShareWord word{there->address, there->value};
    *content = there->content;
    if (before % 2 == 0 && before > 0 && there->version == before) return word;
  }
}

// The owner opens its window with one content, closes it, and writes another, again and again.
void guard__window_opens_and_closes_without_end__a_good_read_is_never_of_another_content(void **) {
  const Directory directory;
  Published *const there = published();
  const auto churn = [there](const wire::ShareAsk &ask) {
    std::thread([there] {
      for (uint64_t turn = 1;; ++turn) {
        arena.fill(static_cast<std::byte>(turn % 251));
        Guard guard = Guard::make();
        publish(there, turn % 251, guard.word());
        for (const uint64_t end = now_ns() + 200 * ns_per_us; now_ns() < end;) {}
        guard.close();
        arena.fill(std::byte{0xff});
      }
    }).detach();
    return offer_file(ask);
  };
  Connected two(settings_for(directory.path()), churn);
  const CrossMemory memory = probed(two.peer());
  (void)two.asker.question(two.id, {window_of_file, 0, 0, 1});
  Seeded random;
  std::vector<std::byte> room(arena_size);
  uint64_t good = 0, gone = 0;
  for (const uint64_t end = now_ns() + 10 * ns_per_s; now_ns() < end && (good < 300 || gone < 300);) {
    uint64_t content = 0;
    const wire::ShareWord word = current(there, &content);
    const size_t size = random.between(1, arena_size), at = random.between(0, arena_size - size);
    const Status status = memory.read_window(room.data(), arena.data() + at, size, word);
    if (status.is_ok()) {
      ++good;
      for (size_t i = 0; i < size; ++i) assert_int_equal(std::to_integer<unsigned>(room[i]), content);
    } else {
      assert_int_equal(status.code, PIRN_ERR_WINDOW_GONE);
      ++gone;
    }
  }
  std::printf("  %llu good, %llu gone\n", static_cast<unsigned long long>(good), static_cast<unsigned long long>(gone));
  assert_true(good > 0);
  assert_true(gone > 0);
}

void guard__closed__no_read_is_ok_again_although_the_word_serves_another_window(void **) {
  const Directory directory;
  Published *const there = published();
  const auto steps = [there](const wire::ShareAsk &ask) {
    static Guard guard, next;
    if (ask.window == 1) guard = Guard::make();
    if (ask.window == 3) guard.close();
    if (ask.window == 4) next = Guard::make();
    publish(there, 0, (ask.window == 4 ? next : guard).word());
    return offer_file(ask);
  };
  Connected two(settings_for(directory.path()), steps);
  const CrossMemory memory = probed(two.peer());
  std::vector<std::byte> room(arena_size);
  uint64_t content = 0;
  (void)two.asker.question(two.id, {1, 0, 0, 1});
  const wire::ShareWord first = current(there, &content);
  assert_text(memory.read_window(room.data(), arena.data(), arena_size, first).text, "");
  for (const std::byte byte : room) assert_true(byte == std::byte{0x77});
  for (const uint64_t step : {3, 4}) {
    (void)two.asker.question(two.id, {step, 0, 0, 1});
    for (const size_t size : {size_t{1}, size_t{4096}, arena_size}) {
      const Status status = memory.read_window(room.data(), arena.data(), size, first);
      assert_int_equal(status.code, PIRN_ERR_WINDOW_GONE);
      assert_contains(status.text, "withdrawn");
    }
  }
  const wire::ShareWord second = current(there, &content);
  assert_true(second.address == first.address && second.value != first.value);
  assert_text(memory.read_window(room.data(), arena.data(), arena_size, second).text, "");
}

void guard__not_in_the_process__is_gone(void **) {
  const Directory directory;
  const Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  std::array<std::byte, 10> room{};
  const Status status = memory.read_window(room.data(), arena.data(), room.size(), {8, 5});
  assert_int_equal(status.code, PIRN_ERR_WINDOW_GONE);
}

void guard__owner_killed__is_peer_lost(void **) {
  const Directory directory;
  Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  two.owner.kill_it();
  std::array<std::byte, 10> room{};
  const Status status = memory.read_window(room.data(), arena.data(), room.size(), {8, 5});
  assert_int_equal(status.code, PIRN_ERR_PEER_LOST);
}

void guard__memory_that_is_not_there__names_its_address(void **) {
  const Directory directory;
  const Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  std::array<std::byte, 10> room{};
  const Status status = memory.read_window(room.data(), reinterpret_cast<std::byte *>(4096), room.size(),
                                           {two.peer().word.address, two.peer().word.value});
  assert_int_equal(status.code, PIRN_ERR_RANGE);
  assert_contains(status.text, "0x1000");
}

void handle__of_a_guard__tells_it(void **) {
  Guard guard = Guard::make();
  wire::ShareChunk chunk;
  assert_false(guard_of(chunk).has_value());
  chunk.handles = {address_handle(&chunk), guard_handle(guard)};
  assert_true(guard_of(chunk).value() == guard.word());
  Guard moved = std::move(guard);
  assert_false(guard.is_open());
  assert_true(moved.word() == guard_of(chunk).value());
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(guard__window_opens_and_closes_without_end__a_good_read_is_never_of_another_content),
      cmocka_unit_test(guard__closed__no_read_is_ok_again_although_the_word_serves_another_window),
      cmocka_unit_test(guard__not_in_the_process__is_gone),
      cmocka_unit_test(guard__owner_killed__is_peer_lost),
      cmocka_unit_test(guard__memory_that_is_not_there__names_its_address),
      cmocka_unit_test(handle__of_a_guard__tells_it),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
