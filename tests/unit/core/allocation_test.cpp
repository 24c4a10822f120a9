// SPDX-License-Identifier: Apache-2.0
// The way of a small write touches no heap: counted here by an operator new of our own.
#include "rig.h"

#include <new>

static uint64_t allocations;

void *operator new(size_t size) {
  ++allocations;
  if (void *block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
void *operator new[](size_t size) { return operator new(size); }
void *operator new(size_t size, const std::nothrow_t &) noexcept {
  ++allocations;
  return std::malloc(size);
}
void *operator new[](size_t size, const std::nothrow_t &nothrow) noexcept { return operator new(size, nothrow); }
void operator delete(void *block) noexcept { std::free(block); }
void operator delete[](void *block) noexcept { std::free(block); }
void operator delete(void *block, size_t) noexcept { std::free(block); }
void operator delete[](void *block, size_t) noexcept { std::free(block); }

using namespace pirn;
using namespace pirn::core;

namespace {

constexpr int operations = 10000;

template <typename Operation>
void expect_none(const char *what, Operation &&operation) {
  for (int i = 0; i < 100; ++i) operation();
  uint64_t before = allocations;
  for (int i = 0; i < operations; ++i) operation();
  if (allocations != before)
    fail_test("%s: %llu allocations in %d operations", what, static_cast<unsigned long long>(allocations - before),
              operations);
}

void wait_and_release(Rig &rig, pirn_transfer id) {
  assert_int_equal(rig.a.endpoint->wait(id, ns_per_s, nullptr).code, PIRN_OK);
  assert_int_equal(rig.a.endpoint->release(id).code, PIRN_OK);
}

void write_wait_release__after_warm_up__allocates_nothing(void **) {
  Rig rig;
  expect_none("write", [&] { wait_and_release(rig, rig.write(0, 0, 8)); });
  expect_none("read", [&] { wait_and_release(rig, rig.read(0, 0, 8)); });
  assert_bytes(rig.a.memory.data(), rig.b.memory.data(), 8, "bytes");
}

void prepared__after_warm_up__allocates_nothing(void **) {
  Rig rig;
  std::vector<Segment> segments;
  for (uint64_t i = 0; i < 64; ++i) segments.push_back(rig.segment(i * 100, i * 100, 50));
  Prepared *prepared = must(rig.a.endpoint->prepare(OpKind::write, segments), "prepare");
  uint32_t index[64];
  for (uint32_t i = 0; i < 64; ++i) index[i] = 63 - i;
  pirn_transfer id = 0;
  expect_none("post", [&] {
    assert_int_equal(rig.a.endpoint->post(*prepared, nullptr, nullptr, 0, {}, &id).code, PIRN_OK);
    wait_and_release(rig, id);
  });
  expect_none("post_select", [&] {
    assert_int_equal(rig.a.endpoint->post(*prepared, index, nullptr, 64, {}, &id).code, PIRN_OK);
    wait_and_release(rig, id);
  });
  for (uint64_t i = 0; i < 64; ++i)
    assert_bytes(rig.b.memory.data() + i * 100, rig.a.memory.data() + i * 100, 50, "element");
  require(rig.a.endpoint->release(prepared), "release");
}

void queued__after_warm_up__allocates_nothing(void **) {
  Rig rig;
  TransferOptions options;
  options.queued = true;
  expect_none("queued", [&] {
    for (uint64_t i = 0; i < 16; ++i) rig.write(i * 8, i * 8, 8, options);
    for (size_t taken = 0; taken < 16;)
      taken += rig.a.endpoint->poll(ns_per_s, 16, [](size_t, const pirn_result &result) {
        assert_int_equal(result.status, PIRN_OK);
      });
  });
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 128, "B");
}

void refused_posts__after_warm_up__allocate_nothing_of_ours(void **) {
  RigOptions options;
  options.persona.transmit_size = 4;  // less than what is posted: pieces are parked
  Rig rig(options);
  pirn_transfer ids[16];
  expect_none("parked", [&] {
    for (pirn_transfer &id : ids) id = rig.write(0, 0, 8);
    for (pirn_transfer id : ids) wait_and_release(rig, id);
  });
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(write_wait_release__after_warm_up__allocates_nothing),
      cmocka_unit_test(prepared__after_warm_up__allocates_nothing),
      cmocka_unit_test(queued__after_warm_up__allocates_nothing),
      cmocka_unit_test(refused_posts__after_warm_up__allocate_nothing_of_ours),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
