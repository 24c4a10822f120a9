// SPDX-License-Identifier: Apache-2.0
// The same transfers over fabrics of every shape: addressing, keys, descriptors, registrations bound to an endpoint, parts,
// tiny queues; and over several rails.
#include "rig.h"

#include <algorithm>

using namespace pirn;
using namespace pirn::core;

namespace {

constexpr size_t whole = 1 << 18;

struct Kind {
  const char *provider;
  sim::Persona (*persona)();
  const char *one;  // its first NIC
};

const Kind kinds[] = {{"tcp", sim::plain_persona, "eth0"},
                      {"verbs", sim::verbs_persona, "mlx5_0"},
                      {"efa", sim::efa_persona, "rdmap79s0-rdm"},
                      {"cxi", sim::cxi_persona, "cxi0"}};

RigOptions options_of(const Kind &kind, bool one_rail) {
  RigOptions options;
  options.persona = kind.persona();
  options.provider = kind.provider;
  if (one_rail) options.nics = kind.one;
  options.bytes = whole;
  return options;
}

// Lists of random pieces, written to places of their own and read back from any.
void round_trips(Rig &rig, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::byte> expected_a = rig.a.memory, expected_b = rig.b.memory;
    bool write = rig.random.between(0, 1) == 1;
    std::vector<Segment> segments;
    uint64_t total = 0, slot = whole / 64;
    for (uint64_t i = 0; i < rig.random.between(1, 64); ++i) {
      uint64_t length = rig.random.between(0, slot), any = rig.random.between(0, whole - length);
      uint64_t own = i * slot + rig.random.between(0, slot - length);
      segments.push_back(write ? rig.segment(any, own, length) : rig.segment(own, any, length));
      const auto &from = write ? rig.a.memory : rig.b.memory;
      auto &to = write ? expected_b : expected_a;
      std::copy_n(from.begin() + static_cast<ptrdiff_t>(any), length, to.begin() + static_cast<ptrdiff_t>(own));
      total += length;
    }
    pirn_result result = rig.finish(rig.vectored(write ? OpKind::write : OpKind::read, segments));
    if (result.status != PIRN_OK) fail_test("status %d: %s", result.status, result.text);
    assert_int_equal(result.bytes, total);
    assert_bytes(rig.a.memory.data(), expected_a.data(), whole, "A");
    assert_bytes(rig.b.memory.data(), expected_b.data(), whole, "B");
  }
}

void round_trip__every_persona__is_byte_exact(void **) {
  for (const Kind &kind : kinds) {
    Rig rig(options_of(kind, true));
    assert_int_equal(rig.a.endpoint->rails().size(), 1);
    round_trips(rig, 60);
  }
}

void round_trip__every_persona_under_faults__is_byte_exact(void **) {
  for (const Kind &kind : kinds) {
    RigOptions options = options_of(kind, true);
    options.settings = {"CHUNK_SIZE=4096", "HEARTBEAT=10ms"};
    options.persona.transmit_size = 16;
    options.persona.receive_size = 4;  // less than CONTROL_BUFFERS
    Rig rig(options);
    rig.fake.reorder(rig.random.any() | 1);
    rig.fake.again_every(13, 6);
    round_trips(rig, 20);
  }
}

// The target of such a fabric refuses what comes from an address that it has not inserted.
void new_address__not_confirmed_by_the_peer__nothing_is_posted_there(void **) {
  for (bool one_rail : {true, false}) {
    Rig rig(options_of(kinds[2], one_rail));
    Paths &paths = rig.a.endpoint->paths();
    paths.announcing(*rig.a.peer, 0);
    paths.announcing(*rig.a.peer, 0);
    rig.fake.hold();
    pirn_transfer id = rig.write(0, 0, whole);
    for (int i = 0; i < 20; ++i) rig.pump();
    assert_int_equal(rig.a.peer->paths[0].outstanding, 0);
    if (!one_rail) assert_true(rig.a.peer->paths[1].outstanding > 0);
    paths.announced(*rig.a.peer, 0);
    for (int i = 0; i < 20; ++i) rig.pump();
    assert_int_equal(rig.a.peer->paths[0].outstanding, 0);
    paths.announced(*rig.a.peer, 0);
    rig.fake.release();
    assert_int_equal(rig.finish(id).status, PIRN_OK);
    assert_bytes(rig.b.memory.data(), rig.a.memory.data(), whole, "B");
  }
}

// Told by a frame, confirmed by its acknowledgement.
void reset__new_address__is_confirmed_and_used_again(void **) {
  RigOptions options = options_of(kinds[2], true);
  options.persona.keeps_address = false;
  options.settings = {"QUIET_TIME=10ms", "HEARTBEAT=10ms"};
  Rig rig(options);
  rig.fake.hang(rig.number(rig.b));
  TransferOptions soon;
  soon.timeout = 30 * ns_per_ms;
  pirn_transfer stuck = rig.write(0, 0, 4096, soon);
  while (rig.look(stuck).status == PIRN_IN_PROGRESS) rig.a.endpoint->progress_manually();
  assert_int_equal(rig.a.peer->paths[0].unannounced, 1);
  rig.fake.mend(rig.number(rig.b));
  assert_true(rig.until([&] { return rig.a.peer->paths[0].unannounced == 0; }));
  assert_int_equal(rig.finish(stuck).status, PIRN_ERR_TIMEOUT);
  assert_int_equal(rig.finish(rig.write(0, 0, 4096)).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 4096, "B");
}

void reset__every_persona__windows_and_regions_still_work(void **) {
  for (const Kind &kind : kinds) {
    RigOptions options = options_of(kind, true);
    options.settings = {"QUIET_TIME=10ms"};
    Rig rig(options);
    rig.fake.hold();
    pirn_transfer id = rig.write(0, 0, 1000);
    assert_int_equal(rig.a.endpoint->cancel(id).code, PIRN_ERR_CANCELLED);
    require(rig.a.endpoint->release(id), "release");
    rig.fake.release();
    round_trips(rig, 5);
    // And what the other side knows of the rail that was reset.
    pirn_transfer back = 0;
    require(rig.b.endpoint->transfer(OpKind::write, {rig.b.region, 0, rig.b.window, 0, 4096}, {}, &back), "write");
    pirn_result result{};
    assert_true(rig.until([&] { return rig.b.endpoint->test(back, &result).code != PIRN_IN_PROGRESS; }));
    if (result.status != PIRN_OK) fail_test("%s: status %d: %s", kind.provider, result.status, result.text);
    require(rig.b.endpoint->release(back), "release");
    assert_bytes(rig.a.memory.data(), rig.b.memory.data(), 4096, "A");
  }
}

void wrong_key__every_persona__moves_nothing(void **) {
  for (const Kind &kind : {kinds[0], kinds[1], kinds[2]}) {
    RigOptions options = options_of(kind, true);
    options.settings = {"HEARTBEAT=10ms"};
    Rig rig(options);
    std::vector<std::byte> before = rig.b.memory;
    rig.a.window->keys[0].key ^= 0x1234;
    pirn_result result = rig.finish(rig.write(0, 0, 1000));
    assert_int_equal(result.status, PIRN_ERR_IO);
    assert_bytes(rig.b.memory.data(), before.data(), whole, "B");
  }
}

// A reset may have changed it, so the owner is asked.
void wrong_key__of_an_endpoint__is_refused_once_and_asked_for(void **) {
  RigOptions options = options_of(kinds[3], true);
  options.settings = {"HEARTBEAT=10ms"};
  Rig rig(options);
  const uint64_t right = rig.a.window->keys[0].key, refused = rig.fake.counters().error_completions;
  rig.a.window->keys[0].key ^= 0x1234;
  assert_int_equal(rig.finish(rig.write(0, 0, 1000)).status, PIRN_OK);
  assert_int_equal(rig.a.window->keys[0].key, right);
  assert_int_equal(rig.fake.counters().error_completions, refused + 1);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 1000, "B");
}

RigOptions two_rails(const Kind &kind, uint64_t first_speed, uint64_t second_speed) {
  RigOptions options = options_of(kind, false);
  options.persona.nics[0].speed = first_speed;
  options.persona.nics[1].speed = second_speed;
  options.settings = {"CHUNK_SIZE=4096"};
  return options;
}

void two_rails__one_transfer__is_shared_by_speed_and_exact(void **) {
  constexpr uint64_t slow = 100'000'000'000, fast = 300'000'000'000;
  for (const Kind &kind : {kinds[1], kinds[2], kinds[3]}) {
    Rig rig(two_rails(kind, slow, fast));
    assert_int_equal(rig.a.endpoint->rails().size(), 2);
    assert_int_equal(rig.a.peer->paths.size(), 2);
    rig.fake.hold();
    pirn_transfer id = rig.write(0, 0, whole);
    uint64_t first = rig.a.endpoint->rails()[0]->backlog, second = rig.a.endpoint->rails()[1]->backlog;
    assert_int_equal(first + second, whole);
    assert_true(first >= whole / 4 - 4096 && first <= whole / 4 + 4096);
    rig.fake.release();
    assert_int_equal(rig.finish(id).status, PIRN_OK);
    assert_bytes(rig.b.memory.data(), rig.a.memory.data(), whole, "B");
    assert_int_equal(rig.a.endpoint->rails()[0]->backlog, 0);
    assert_int_equal(rig.a.endpoint->rails()[1]->backlog, 0);
  }
}

void two_rails__random_lists_under_faults__are_exact(void **) {
  for (const Kind &kind : {kinds[1], kinds[2], kinds[3]}) {
    Rig rig(two_rails(kind, 100'000'000'000, 200'000'000'000));
    rig.fake.reorder(rig.random.any() | 1);
    rig.fake.again_every(17, 4);
    round_trips(rig, 20);
  }
}

void two_rails__one_is_full__the_other_takes_the_rest(void **) {
  RigOptions options = two_rails(kinds[1], 400'000'000'000, 100'000'000'000);
  options.settings.push_back("MAX_IN_FLIGHT=8");
  Rig rig(options);
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, whole);
  assert_false(rig.a.endpoint->rails()[0]->takes(rig.a.peer->paths[0].outstanding));
  assert_false(rig.a.endpoint->rails()[1]->takes(rig.a.peer->paths[1].outstanding));
  rig.fake.release();
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), whole, "B");
}

void two_rails__a_deadline_resets_what_is_stuck_and_no_late_byte_lands(void **) {
  for (const Kind &kind : {kinds[1], kinds[3]}) {
    RigOptions options = two_rails(kind, 100'000'000'000, 100'000'000'000);
    options.settings.push_back("QUIET_TIME=10ms");
    Rig rig(options);
    std::vector<std::byte> before = rig.b.memory;
    TransferOptions soon;
    soon.timeout = 30 * ns_per_ms;
    rig.fake.hold();
    assert_int_equal(rig.finish(rig.write(0, 0, whole, soon)).status, PIRN_ERR_TIMEOUT);
    rig.fake.release();
    rig.for_ms(50, [&] { rig.pump(); });
    assert_bytes(rig.b.memory.data(), before.data(), whole, "B");
    round_trips(rig, 5);
  }
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(round_trip__every_persona__is_byte_exact),
      cmocka_unit_test(round_trip__every_persona_under_faults__is_byte_exact),
      cmocka_unit_test(new_address__not_confirmed_by_the_peer__nothing_is_posted_there),
      cmocka_unit_test(reset__new_address__is_confirmed_and_used_again),
      cmocka_unit_test(reset__every_persona__windows_and_regions_still_work),
      cmocka_unit_test(wrong_key__every_persona__moves_nothing),
      cmocka_unit_test(wrong_key__of_an_endpoint__is_refused_once_and_asked_for),
      cmocka_unit_test(two_rails__one_transfer__is_shared_by_speed_and_exact),
      cmocka_unit_test(two_rails__random_lists_under_faults__are_exact),
      cmocka_unit_test(two_rails__one_is_full__the_other_takes_the_rest),
      cmocka_unit_test(two_rails__a_deadline_resets_what_is_stuck_and_no_late_byte_lands),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
