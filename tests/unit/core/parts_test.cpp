// SPDX-License-Identifier: Apache-2.0
// The parts of the core without an endpoint: op pool, list, choice of a rail.
#include "core/list.h"
#include "core/op.h"
#include "core/scheduler.h"

#include "../check.h"

#include <algorithm>
#include <cmath>
#include <set>

using namespace pirn;
using namespace pirn::core;

namespace {

Op *start(OpPool &pool) {
  Op *op = pool.acquire();
  if (op) op->phase = OpPhase::moving;
  return op;
}

void pool__up_to_the_limit__hands_out_distinct_slots(void **) {
  OpPool pool(600);
  std::set<pirn_transfer> ids;
  std::vector<Op *> ops;
  while (Op *op = start(pool)) {
    ops.push_back(op);
    ids.insert(op->id());
    assert_ptr_equal(pool.find(op->id()), op);
  }
  assert_int_equal(ops.size(), 600);
  assert_int_equal(ids.size(), 600);
  assert_int_equal(ids.count(0), 0);
  assert_int_equal(pool.used(), 600);
  pool.release(*ops[17]);
  assert_ptr_equal(start(pool), ops[17]);
  assert_null(pool.acquire());
}

void pool__released_id__is_not_found_even_when_the_slot_lives_again(void **) {
  OpPool pool(1);
  std::set<pirn_transfer> stale;
  for (int i = 0; i < 1000; ++i) {
    Op *op = start(pool);
    assert_non_null(op);
    assert_int_equal(stale.count(op->id()), 0);
    for (pirn_transfer id : stale) assert_null(pool.find(id));
    stale.insert(op->id());
    pool.release(*op);
    assert_null(pool.find(*stale.rbegin()));
    if (stale.size() > 20) stale.erase(stale.begin());
  }
}

void pool__ids_never_given__are_not_found(void **) {
  Seeded random;
  OpPool pool(1000);
  assert_null(pool.find(0));
  Op *op = start(pool);
  pirn_transfer id = op->id();
  for (int i = 0; i < 10000; ++i) {
    uint64_t other = random.any();
    if (other != id) assert_null(pool.find(other));
  }
  assert_null(pool.find(id + 1));
  assert_null(pool.find(id + (1ull << 32)));
  assert_null(pool.find((1ull << 32) | 256));
  assert_null(pool.find((1ull << 32) | UINT32_MAX));
  assert_ptr_equal(pool.find(id), op);
}

void pool__generation_wraps__zero_is_stepped_over(void **) {
  OpPool pool(1);
  Op *op = start(pool);
  op->generation = UINT32_MAX;
  pool.release(*op);
  op = start(pool);
  assert_int_equal(op->generation, 1);
  assert_int_not_equal(op->id(), 0);
}

void pool__release__drops_what_the_op_owned(void **) {
  OpPool pool(1);
  Op *op = start(pool);
  op->vector = std::make_unique<Segment[]>(3);
  op->selection = std::make_unique<Selection>();
  op->notification.resize(9);
  op->text = "words";
  op->again.push_back({});
  pool.release(*op);
  op = start(pool);
  assert_null(op->vector.get());
  assert_null(op->selection.get());
  assert_true(op->notification.empty());
  assert_true(op->text.empty());
  assert_true(op->again.empty());
}

void pick_rail__table(void **) {
  constexpr uint64_t fast = 400'000'000'000, slow = 100'000'000'000;
  const struct {
    const char *what;
    std::vector<RailLoad> loads;
    uint64_t bytes;
    size_t expected;
  } rows[] = {
      {"one rail", {{0, fast}}, 1, 0},
      {"one rail that takes nothing", {{5, fast, false}}, 1, no_rail},
      {"no rail takes anything", {{5, fast, false}, {0, slow, false}}, 1, no_rail},
      {"equal and idle: the first", {{0, fast}, {0, fast}}, 1, 0},
      {"less backlog", {{100, fast}, {50, fast}}, 1, 1},
      {"faster", {{0, slow}, {0, fast}}, 1, 1},
      {"faster but much busier", {{0, slow}, {1000, fast}}, 10, 0},
      {"faster and a little busier", {{0, slow}, {29, fast}}, 10, 1},
      {"unknown speeds are equal", {{10, 0}, {9, 0}}, 1, 1},
      {"the first takes nothing", {{0, fast, false}, {1000000, slow}}, 1, 1},
      {"the second takes nothing", {{1000000, slow}, {0, fast, false}}, 1, 0},
      {"only the middle one takes", {{0, fast, false}, {1000000, slow}, {0, fast, false}}, 1, 1},
  };
  for (const auto &row : rows) {
    size_t got = pick_rail(row.loads, row.bytes);
    if (got != row.expected) fail_test("%s: rail %zu, expected %zu", row.what, got, row.expected);
  }
}

void pick_rail__random_loads__is_the_soonest_that_is_free(void **) {
  Seeded random;
  for (int round = 0; round < 20000; ++round) {
    std::vector<RailLoad> loads(random.between(1, 8));
    for (RailLoad &load : loads)
      load = {random.between(0, 1 << 20), random.between(1, 8) * 100'000'000'000, random.between(0, 3) != 0};
    uint64_t bytes = random.between(1, 1 << 20);
    size_t got = pick_rail(loads, bytes);
    auto time = [&](const RailLoad &load) {
      return static_cast<double>(load.backlog + bytes) / static_cast<double>(load.link_speed);
    };
    if (std::none_of(loads.begin(), loads.end(), [](const RailLoad &load) { return load.usable; })) {
      assert_int_equal(got, no_rail);
      continue;
    }
    assert_true(got < loads.size() && loads[got].usable);
    for (const RailLoad &load : loads)
      if (load.usable) assert_true(time(loads[got]) <= time(load));
  }
}

void pick_rail__many_pieces__are_shared_by_speed(void **) {
  std::vector<RailLoad> loads = {{0, 100}, {0, 200}, {0, 400}};
  for (int i = 0; i < 7000; ++i) loads[pick_rail(loads, 8)].backlog += 8;
  for (const RailLoad &load : loads) {
    double share = static_cast<double>(load.backlog) / (7000.0 * 8);
    double fair = static_cast<double>(load.link_speed) / 700.0;
    assert_true(std::fabs(share - fair) < 0.01);
  }
}

void piece_size__table(void **) {
  constexpr uint64_t KiB = 1024, MiB = KiB * KiB, chunk = 8 * MiB;
  const struct {
    uint64_t total;
    size_t rails;
    uint64_t chunk, expected;
  } rows[] = {
      {1, 8, chunk, chunk},
      {128 * KiB, 8, chunk, chunk},
      {1024 * MiB, 1, chunk, chunk},
      {129 * KiB, 8, chunk, 128 * KiB},
      {1 * MiB, 8, chunk, 128 * KiB},
      {3 * MiB / 2, 8, chunk, 192 * KiB},
      {1 * MiB, 2, chunk, 256 * KiB},
      {64 * MiB, 8, chunk, 256 * KiB},
      {96 * MiB, 8, chunk, 384 * KiB},
      {1024 * MiB, 8, chunk, 512 * KiB},
      {UINT64_MAX, 8, chunk, 512 * KiB},
      {64 * MiB, 2, 4096, 4096},
  };
  for (const auto &row : rows) {
    uint64_t got = piece_size(row.total, row.rails, row.chunk);
    if (got != row.expected)
      fail_test("%llu bytes over %zu rails: %llu, expected %llu", static_cast<unsigned long long>(row.total), row.rails,
                static_cast<unsigned long long>(got), static_cast<unsigned long long>(row.expected));
  }
}

// The pieces of one transfer, dealt out by backlog and speed: the last rail ends within 5 % of the ideal.
void piece_size__unequal_rails__end_together(void **) {
  Seeded random;
  for (int round = 0; round < 200; ++round) {
    std::vector<RailLoad> loads(random.between(2, 8));
    for (RailLoad &load : loads) load.link_speed = random.between(1, 2) * 200'000'000'000;
    uint64_t total = random.between(64 << 20, 1 << 30), all = 0;
    uint64_t piece = piece_size(total, loads.size(), 8 << 20);
    for (uint64_t left = total; left > 0;) {
      uint64_t bytes = std::min(left, piece);
      loads[pick_rail(loads, bytes)].backlog += bytes;
      left -= bytes;
    }
    double last = 0;
    for (const RailLoad &load : loads) {
      all += load.link_speed;
      last = std::max(last, static_cast<double>(load.backlog) / static_cast<double>(load.link_speed));
    }
    assert_true(last <= 1.05 * static_cast<double>(total) / static_cast<double>(all));
  }
}

// How long the rails take for `total` bytes, over what they would need at their real speeds, when pieces are handed out
// as rails have room for them.
double slowness(uint64_t total, std::vector<RailLoad> loads, const std::vector<double> &real) {
  const uint64_t piece = piece_size(total, loads.size(), 8 << 20);
  std::vector<std::vector<uint64_t>> queues(loads.size());
  std::vector<double> free_at(loads.size(), 0);  // when the first of its queue is through
  uint64_t left = total, fastest = 0;
  double now = 0, together = 0;
  for (size_t i = 0; i < loads.size(); ++i) {
    fastest = std::max(fastest, loads[i].link_speed);
    together += real[i];
  }
  for (;;) {
    while (left > 0) {
      const uint64_t bytes = std::min(left, piece), limit = last_backlog_limit(piece, left, loads.size());
      for (RailLoad &load : loads) load.usable = has_room(load.backlog, bytes, limit, load.link_speed, fastest);
      const size_t rail = pick_rail(loads, bytes);
      if (rail == no_rail) break;
      if (queues[rail].empty()) free_at[rail] = now + static_cast<double>(bytes) / real[rail];
      queues[rail].push_back(bytes);
      loads[rail].backlog += bytes;
      left -= bytes;
    }
    size_t first = loads.size();
    for (size_t i = 0; i < loads.size(); ++i)
      if (!queues[i].empty() && (first == loads.size() || free_at[i] < free_at[first])) first = i;
    if (first == loads.size()) return now * together / static_cast<double>(total);
    now = free_at[first];
    loads[first].backlog -= queues[first].front();
    queues[first].erase(queues[first].begin());
    if (!queues[first].empty()) free_at[first] += static_cast<double>(queues[first].front()) / real[first];
  }
}

void rails__one_at_half_speed__all_end_together(void **) {
  Seeded random;
  for (size_t rails : {2, 4, 8}) {
    for (int round = 0; round < 100; ++round) {
      const uint64_t total = random.between(64 << 20, 1 << 30);
      std::vector<RailLoad> loads(rails);
      for (RailLoad &load : loads) load.link_speed = 400;
      std::vector<double> real(rails, 400);
      const double equal = slowness(total, loads, real);
      real[random.between(0, rails - 1)] = 200;
      const double unknown = slowness(total, loads, real);
      for (size_t i = 0; i < rails; ++i) loads[i].link_speed = static_cast<uint64_t>(real[i]);
      const double known = slowness(total, loads, real);
      if (equal > 1.04 || known > 1.05 || unknown > 1.08)
        fail_test("%llu bytes over %zu rails: equal %.3f, one slow %.3f, and not known to be %.3f of the ideal time",
                  static_cast<unsigned long long>(total), rails, equal, known, unknown);
    }
  }
}

void has_room__table(void **) {
  const struct {
    uint64_t backlog, bytes, limit, speed, fastest;
    bool expected;
  } rows[] = {
      {0, 9, 8, 100, 100, true},  // an idle rail takes anything
      {4, 4, 8, 100, 100, true}, {5, 4, 8, 100, 100, false}, {2, 2, 8, 100, 200, true},
      {3, 2, 8, 100, 200, false}, {4, 4, 8, 0, 200, true},  // a rail of unknown speed is taken as the fastest
  };
  for (const auto &row : rows)
    assert_int_equal(has_room(row.backlog, row.bytes, row.limit, row.speed, row.fastest), row.expected);
}

// Whatever its size and the backlog, the first piece of a turn finds room exactly where a whole chunk would.
void first_backlog_limit__pieces_of_any_size__find_room_at_the_same_backlog(void **) {
  Seeded random;
  for (int round = 0; round < 10000; ++round) {
    const uint64_t chunk = random.between(4 << 10, 16 << 20), piece = random.between(1, chunk);
    const uint64_t backlog = random.between(1, 3 * std::max<uint64_t>(chunk, 2 << 20));
    const bool large = has_room(backlog, chunk, first_backlog_limit(chunk, chunk), 100, 100);
    assert_int_equal(large, has_room(backlog, chunk, backlog_limit(chunk), 100, 100));
    assert_int_equal(has_room(backlog, piece, first_backlog_limit(piece, chunk), 100, 100), large);
  }
}

void may_take__one_takes_three_quarters_and_everybody_one(void **) {
  const struct {
    uint32_t held;
    size_t free;
    bool expected;
  } rows[] = {{0, 0, false}, {0, 1, true}, {1, 1, false}, {1, 2, true}, {3, 2, false}, {5, 3, true}, {6, 3, false}};
  for (const auto &row : rows) assert_int_equal(may_take(row.held, row.free), row.expected);

  for (size_t depth = 1; depth <= 512; ++depth) {
    size_t free = depth;
    uint32_t hog = 0, second = 0;
    while (may_take(hog, free)) ++hog, --free;
    assert_true(hog >= 1 && hog <= (3 * depth + 3) / 4);
    if (depth > 1) assert_true(free >= 1);
    while (may_take(second, free)) ++second, --free;
    if (depth > 1) assert_true(second >= 1);
    if (depth > 8) assert_true(hog >= depth / 2 && free >= 1);
  }
}

struct Item {
  explicit Item(int value_in) : value(value_in), link(this), other(this) {}
  int value;
  Link<Item> link, other;
};

std::vector<int> values(List<Item, &Item::link> &list) {
  std::vector<int> out;
  list.each([&](Item &item) { out.push_back(item.value); });
  return out;
}

void list__push_pop_unlink__keep_order(void **) {
  List<Item, &Item::link> list;
  Item a(1), b(2), c(3);
  assert_true(list.empty());
  assert_null(list.front());
  assert_null(list.pop_front());
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  assert_true((values(list) == std::vector<int>{1, 2, 3}));
  b.link.unlink();
  assert_false(b.link.linked());
  b.link.unlink();
  assert_true((values(list) == std::vector<int>{1, 3}));
  assert_true(list.any([](const Item &item) { return item.value == 3; }));
  assert_false(list.any([](const Item &item) { return item.value == 2; }));
  assert_ptr_equal(list.pop_front(), &a);
  assert_ptr_equal(list.pop_front(), &c);
  assert_true(list.empty());
}

void list__one_item_on_two_lists__is_independent(void **) {
  List<Item, &Item::link> first;
  List<Item, &Item::other> second;
  Item a(1), b(2);
  first.push_back(a);
  second.push_back(b);
  second.push_back(a);
  a.link.unlink();
  assert_true(first.empty());
  assert_ptr_equal(second.pop_front(), &b);
  assert_ptr_equal(second.pop_front(), &a);
}

void list__each_may_unlink_the_item_it_visits(void **) {
  List<Item, &Item::link> list;
  std::vector<std::unique_ptr<Item>> items;
  for (int i = 0; i < 10; ++i) {
    items.push_back(std::make_unique<Item>(i));
    list.push_back(*items.back());
  }
  list.each([](Item &item) {
    if (item.value % 2 == 0) item.link.unlink();
  });
  assert_true((values(list) == std::vector<int>{1, 3, 5, 7, 9}));
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(pool__up_to_the_limit__hands_out_distinct_slots),
      cmocka_unit_test(pool__released_id__is_not_found_even_when_the_slot_lives_again),
      cmocka_unit_test(pool__ids_never_given__are_not_found),
      cmocka_unit_test(pool__generation_wraps__zero_is_stepped_over),
      cmocka_unit_test(pool__release__drops_what_the_op_owned),
      cmocka_unit_test(pick_rail__table),
      cmocka_unit_test(pick_rail__random_loads__is_the_soonest_that_is_free),
      cmocka_unit_test(pick_rail__many_pieces__are_shared_by_speed),
      cmocka_unit_test(piece_size__table),
      cmocka_unit_test(piece_size__unequal_rails__end_together),
      cmocka_unit_test(rails__one_at_half_speed__all_end_together),
      cmocka_unit_test(has_room__table),
      cmocka_unit_test(first_backlog_limit__pieces_of_any_size__find_room_at_the_same_backlog),
      cmocka_unit_test(may_take__one_takes_three_quarters_and_everybody_one),
      cmocka_unit_test(list__push_pop_unlink__keep_order),
      cmocka_unit_test(list__one_item_on_two_lists__is_independent),
      cmocka_unit_test(list__each_may_unlink_the_item_it_visits),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
