// SPDX-License-Identifier: Apache-2.0
// Windows whose keys change with a reset of their owner's rail, or are made only when a far rail is to carry something.
#include "rig.h"

#include <algorithm>

using namespace pirn;
using namespace pirn::core;

namespace {

void reset(Side &side, size_t rail) { side.endpoint->engine().reset_rail(*side.endpoint->rails()[rail]); }

uint64_t known_key(Rig &rig, size_t rail) { return rig.a.window->keys[rail].key; }
uint64_t true_key(Rig &rig, size_t rail) {
  return rig.b.endpoint->memory().find(rig.b.window_id)->keys[rail].key;
}

uint64_t refused(Rig &rig) { return rig.fake.counters().error_completions; }

// Writes a random range of A to B, reads another one back: OK and byte-exact.
void move_and_check(Rig &rig, const std::function<void()> &meanwhile = [] {}) {
  for (bool write : {true, false}) {
    Side &to = write ? rig.b : rig.a;
    Side &from = write ? rig.a : rig.b;
    const uint64_t length = rig.random.between(400'000, 900'000), source = rig.random.between(0, 100'000),
                   target = rig.random.between(0, 100'000);
    std::vector<std::byte> expected = to.memory;
    std::copy_n(from.memory.begin() + static_cast<ptrdiff_t>(source), length,
                expected.begin() + static_cast<ptrdiff_t>(target));
    const pirn_transfer id = write ? rig.write(source, target, length) : rig.read(target, source, length);
    meanwhile();
    const pirn_result result = rig.finish(id);
    if (result.status != PIRN_OK) fail_test("ended with %d: %s", result.status, result.text);
    assert_int_equal(result.bytes, length);
    assert_bytes(to.memory.data(), expected.data(), expected.size(), "memory");
  }
}

void owner_reset__keys_change__importer_is_told_and_nothing_is_refused(void **) {
  for (size_t nics : {1, 3}) {
    Rig rig(rekeying_nics(nics));
    for (int round = 0; round < 5; ++round) {
      const size_t rail = rig.random.between(0, nics - 1);
      const uint64_t before = known_key(rig, rail);
      reset(rig.b, rail);
      const uint64_t errors = refused(rig);  // with the receives that ended
      assert_true(rig.until([&] { return known_key(rig, rail) != before; }));
      assert_int_equal(known_key(rig, rail), true_key(rig, rail));
      rig.calm();
      const uint64_t moved = rig.a.peer->paths[rail].moved;
      move_and_check(rig);
      assert_true(rig.a.peer->paths[rail].moved > moved);
      assert_int_equal(refused(rig), errors);
    }
  }
}

void owner_reset__every_window_and_importer__is_told(void **) {
  Rig rig(rekeying_nics(2));
  std::vector<Window *> windows;
  std::vector<uint64_t> before;
  for (uint64_t i = 0; i < 100; ++i) {  // more than frames may be unacknowledged
    uint64_t id = 0;
    windows.push_back(rig.import(rig.a, rig.advertise(rig.b, i * 4096, 4096, PIRN_ACCESS_WRITE, &id)));
    before.push_back(windows.back()->keys[1].key);
  }
  reset(rig.b, 1);
  reset(rig.b, 1);
  rig.calm();
  for (size_t i = 0; i < windows.size(); ++i) {
    assert_true(windows[i]->keys[1].known() && windows[i]->keys[1].key != before[i]);
    assert_int_equal(windows[i]->keys[1].key, rig.b.endpoint->memory().find(windows[i]->blob.window)->keys[1].key);
  }
}

// Posted before the news can have come: refused, asked for, sent again.
void owner_reset__under_a_transfer__bytes_are_exact_all_the_same(void **) {
  for (size_t nics : {1, 2, 3}) {
    Rig rig(rekeying_nics(nics));
    for (int round = 0; round < 3; ++round) {
      const size_t rail = rig.random.between(0, nics - 1);
      move_and_check(rig, [&] {
        reset(rig.b, rail);
        for (uint64_t i = rig.random.between(0, 5); i > 0; --i) rig.a.endpoint->progress_manually();
      });
      rig.calm();
      assert_int_equal(known_key(rig, rail), true_key(rig, rail));
      assert_true(rig.until([&] { return Paths::troubles(*rig.a.peer).empty(); }));
    }
  }
}

void stale_key__refused__rail_rests_for_that_window_until_the_owner_answers(void **) {
  Rig rig(rekeying_nics(2));
  uint64_t id = 0;
  Window *other = rig.import(rig.a, rig.advertise(rig.b, 0, 4096, PIRN_ACCESS_WRITE, &id));
  rig.a.window->keys[1].key ^= 0x55;
  const pirn_transfer transfer = rig.write(0, 0, 900'000);
  assert_true(rig.until([&] {  // A alone: B answers nothing
    rig.a.endpoint->progress_manually();
    return !rig.a.window->keys[1].known() && rig.a.peer->outstanding == 0;
  }));
  const uint64_t errors = refused(rig);
  for (int i = 0; i < 50; ++i) rig.a.endpoint->progress_manually();
  assert_int_equal(refused(rig), errors);
  assert_true(other->keys[1].known());
  assert_int_equal(rig.finish(transfer).status, PIRN_OK);
  assert_int_equal(refused(rig), errors);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 900'000, "B");
  assert_true(rig.until([&] { return Paths::troubles(*rig.a.peer).empty(); }));
  assert_true(rig.until([&] {
    move_and_check(rig);
    return known_key(rig, 1) == true_key(rig, 1);
  }));
}

void import__blob_older_than_a_reset__keys_come_before_the_first_byte(void **) {
  for (size_t nics : {1, 3}) {
    Rig rig(rekeying_nics(nics));
    uint64_t id = 0;
    const std::vector<std::byte> blob = rig.advertise(rig.b, 0, rig.b.memory.size(), 3, &id);
    for (size_t rail = 0; rail < nics; ++rail) reset(rig.b, rail);
    rig.calm();
    const uint64_t errors = refused(rig);
    rig.a.window = must(rig.a.endpoint->import(*rig.a.peer, blob), "import");
    move_and_check(rig);  // posted while the window is not confirmed
    assert_int_equal(refused(rig), errors);
    for (size_t rail = 0; rail < nics; ++rail)
      assert_int_equal(known_key(rig, rail), rig.b.endpoint->memory().find(id)->keys[rail].key);
  }
}

// Nothing that such a peer would not understand is sent to it, and it goes on as before.
void peer__does_not_know_of_updates__is_not_told(void **) {
  Rig rig(rekeying_nics(2));
  rig.b.peer->metadata.features = rig.a.peer->metadata.features = 0;
  const uint64_t before = known_key(rig, 1);
  reset(rig.b, 1);
  rig.calm();
  assert_int_equal(known_key(rig, 1), before);
  const std::vector<std::byte> message = rig.random.bytes(100);
  pirn_transfer id = 0;
  rig.notify(message, {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_true(rig.take_at_b() == message);
}

void update__of_a_rail_or_range_that_is_none__changes_nothing(void **) {
  Rig rig(rekeying_nics(2));
  const std::vector<WindowKey> before = rig.a.window->keys;
  Windows &windows = rig.a.endpoint->windows();
  windows.updated(*rig.a.peer, {rig.b.window_id, 2, PIRN_OK, {0, 7}});
  windows.updated(*rig.a.peer, {rig.b.window_id, 31, PIRN_OK, {0, 7}});
  windows.updated(*rig.a.peer, {rig.b.window_id + 99, 0, PIRN_OK, {0, 7}});
  windows.updated(*rig.a.peer, {rig.b.window_id, 0, PIRN_OK, {UINT64_MAX - 100, 7}});
  assert_int_equal(rig.a.window->keys.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) assert_true(rig.a.window->keys[i] == before[i]);
  // And questions for windows that are none, or not its own to ask for.
  const uint64_t registrations = rig.fake.counters().registrations;
  uint64_t id = 0;
  (void)rig.advertise(rig.b, 0, 4096, PIRN_ACCESS_WRITE, &id);
  rig.b.endpoint->windows().wanted(*rig.b.peer, {id, 0});
  rig.b.endpoint->windows().wanted(*rig.b.peer, {id + 1, 0});
  rig.b.endpoint->windows().wanted(*rig.b.peer, {rig.b.window_id, 31});
  assert_int_equal(rig.fake.counters().registrations, registrations + 2);  // those of advertise
  assert_true(rig.b.peer->mailbox.idle());
}

RigOptions two_near_one_far(bool rekeying) {
  RigOptions options = rekeying ? rekeying_nics(3) : several_nics(3);
  options.far = {false, true, false};
  return options;
}

void far_rail__nothing_moved_there__has_no_registration(void **) {
  for (bool rekeying : {false, true}) {
    RigOptions options = two_near_one_far(rekeying);
    options.connect = false;
    Rig rig(options);
    const uint64_t each = rekeying ? 1 : 2;  // without descriptors local use needs none
    uint64_t before = rig.fake.counters().registrations;
    std::vector<std::byte> more(65536);
    Region *region = must(rig.a.endpoint->register_memory(more.data(), more.size()), "register");
    assert_int_equal(rig.fake.counters().registrations - before, 2 * (each - 1));
    before = rig.fake.counters().registrations;
    uint64_t id = 0;
    const auto blob = must(wire::decode_window(rig.advertise(rig.a, 0, 4096, PIRN_ACCESS_READ, &id)), "blob");
    assert_int_equal(rig.fake.counters().registrations - before, 2);
    assert_int_equal(blob.rails.size(), 3);
    assert_int_equal(blob.rails[1].key, wire::no_key);
    assert_true(blob.rails[0].key != wire::no_key && blob.rails[2].key != wire::no_key);
    require(rig.a.endpoint->deregister(region), "deregister");
  }
}

void far_rail__first_transfer_that_takes_it__registers_once_on_each_side(void **) {
  for (bool rekeying : {false, true}) {
    Rig rig(two_near_one_far(rekeying));
    const uint64_t local = rekeying ? 0 : 1;
    const uint64_t before = rig.fake.counters().registrations;
    assert_true(!rig.a.window->keys[1].known());
    assert_true(rig.until([&] {
      move_and_check(rig);
      return rig.a.peer->paths[1].moved > 0;
    }));
    assert_int_equal(rig.fake.counters().registrations - before, 1 + local);
    if (rekeying) {
      reset(rig.b, 1);
      rig.calm();
      move_and_check(rig);
      assert_int_equal(known_key(rig, 1), true_key(rig, 1));
    }
  }
}

void far_rail__registration_refused__others_carry_all_until_it_is_granted(void **) {
  for (bool rekeying : {false, true}) {
    Rig rig(two_near_one_far(rekeying));
    rig.fake.refuse_registrations(FI_ENOMEM);
    move_and_check(rig);
    rig.calm();
    move_and_check(rig);
    assert_int_equal(rig.a.peer->paths[1].moved, 0);
    assert_true(!rig.a.window->keys[1].known());
    assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
    rig.fake.refuse_registrations(0);
    assert_true(rig.until([&] {
      move_and_check(rig);
      return rig.a.peer->paths[1].moved > 0;
    }));
  }
}

void far_rail__the_only_one_that_works__carries_all(void **) {
  for (bool rekeying : {false, true}) {
    Rig rig(two_near_one_far(rekeying));
    rig.fake.cut(rig.number(rig.b, 0));
    rig.fake.cut(rig.number(rig.b, 2));
    move_and_check(rig);
    assert_true(rig.a.peer->paths[1].moved > 0);
    assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  }
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(owner_reset__keys_change__importer_is_told_and_nothing_is_refused),
      cmocka_unit_test(owner_reset__every_window_and_importer__is_told),
      cmocka_unit_test(owner_reset__under_a_transfer__bytes_are_exact_all_the_same),
      cmocka_unit_test(stale_key__refused__rail_rests_for_that_window_until_the_owner_answers),
      cmocka_unit_test(import__blob_older_than_a_reset__keys_come_before_the_first_byte),
      cmocka_unit_test(peer__does_not_know_of_updates__is_not_told),
      cmocka_unit_test(update__of_a_rail_or_range_that_is_none__changes_nothing),
      cmocka_unit_test(far_rail__nothing_moved_there__has_no_registration),
      cmocka_unit_test(far_rail__first_transfer_that_takes_it__registers_once_on_each_side),
      cmocka_unit_test(far_rail__registration_refused__others_carry_all_until_it_is_granted),
      cmocka_unit_test(far_rail__the_only_one_that_works__carries_all),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
