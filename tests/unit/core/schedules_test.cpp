// SPDX-License-Identifier: Apache-2.0
// Random fault schedules over four NICs on each side, each replayable by its seed: a handful of transfers, a handful of
// faults at random moments, healed later. Every transfer ends; OK means that its bytes are there; another status is an
// honest one, and nothing touches the memory of an ended transfer.
//
//   PIRN_TEST_SCHEDULES   how many (default 200)
#include "rig.h"

#include <algorithm>
#include <cstdlib>

using namespace pirn;
using namespace pirn::core;

namespace {

constexpr uint64_t slots = 6, slot_bytes = 100'000;
constexpr size_t nics = 4;

struct Slot {
  pirn_transfer id = 0;
  bool write = true;
  uint64_t source = 0, length = 0;
  std::vector<std::byte> expected;  // once ended
};

RigOptions options(size_t spares) {
  RigOptions options = several_nics(nics);
  options.spares = spares;
  options.settings = {"HEARTBEAT=10ms",   "QUIET_TIME=5ms",           "RAIL_TIMEOUT=10ms",
                      "PEER_TIMEOUT=60s", "PEER_CONFIRM_TIMEOUT=60s", "CHUNK_SIZE=4096"};
  options.bytes = 2 * slots * slot_bytes;
  return options;
}

struct Schedule {
  explicit Schedule(Rig &rig_in) : rig(rig_in) {}

  std::byte *place(uint64_t i) {
    return (all[i].write ? rig.b : rig.a).memory.data() + (slots + i) * slot_bytes;
  }
  void start(uint64_t i) {
    Slot &slot = all[i];
    slot.write = rig.random.between(0, 1) == 0;
    slot.length = rig.random.between(0, 1) == 0 ? rig.random.between(1, slot_bytes) : rig.random.between(1, 64);
    slot.source = rig.random.between(0, slots * slot_bytes - slot.length);
    TransferOptions options;
    options.timeout = rig.random.between(0, 9) == 0 ? rig.random.between(5, 30) * ns_per_ms : 60 * ns_per_s;
    uint64_t at = (slots + i) * slot_bytes;
    slot.expected.clear();
    slot.id =
        slot.write ? rig.write(slot.source, at, slot.length, options) : rig.read(at, slot.source, slot.length, options);
  }
  bool ended(uint64_t i);
  void fault();
  void heal() {
    for (size_t rail = 0; rail < nics; ++rail) {
      rig.fake.mend(rig.number(rig.a, rail));
      rig.fake.mend(rig.number(rig.b, rail));
    }
    rig.fake.again_every(0, 0);
    rig.fake.reorder(0);
    rig.fake.release();
  }
  void run();

  Rig &rig;
  Slot all[slots];
  uint64_t well = 0, otherwise = 0, faults = 0;
};

bool Schedule::ended(uint64_t i) {
  Slot &slot = all[i];
  if (slot.id == 0) {
    assert_bytes(place(i), slot.expected.data(), slot_bytes, "memory of an ended transfer");
    return true;
  }
  pirn_result result = rig.look(slot.id);
  if (result.status == PIRN_IN_PROGRESS) return false;
  slot.expected.assign(place(i), place(i) + slot_bytes);
  if (result.status == PIRN_OK) {
    const auto &from = slot.write ? rig.a.memory : rig.b.memory;
    assert_bytes(place(i), from.data() + slot.source, slot.length, "bytes of a transfer that is OK");
    assert_int_equal(result.bytes, slot.length);
    ++well;
  } else {
    bool honest = result.status == PIRN_ERR_TIMEOUT || result.status == PIRN_ERR_IO;
    if (!honest) fail_test("status %d: %s", result.status, result.text);
    ++otherwise;
  }
  require(rig.a.endpoint->release(slot.id), "release");
  slot.id = 0;
  return true;
}

void Schedule::fault() {
  ++faults;
  // A NIC among spares fails in both directions, here or there.
  const bool here = rig.a.endpoint->spares() > 0 && rig.random.between(0, 1) == 0;
  uint32_t victim = rig.number(here ? rig.a : rig.b, rig.random.between(0, nics - 1));
  switch (rig.random.between(0, 8)) {
    case 0:
    case 1: rig.fake.cut(victim); break;
    case 2:
    case 3: rig.fake.hang(victim); break;
    case 4: rig.fake.fail_operation(rig.random.between(1, 20), FI_ECONNRESET, 0); break;
    case 5: rig.fake.again_every(rig.random.between(2, 5), 1); break;
    case 6: rig.fake.reorder(rig.random.any()); break;
    case 7: rig.fake.fail_queue(FI_EIO); break;
    default: rig.fake.hold(); break;
  }
}

void Schedule::run() {
  for (uint64_t i = 0; i < slots; ++i) start(i);
  uint64_t steps = rig.random.between(2, 60), until_fault = rig.random.between(0, 5);
  for (uint64_t step = 0; step < steps; ++step) {
    rig.pump();
    if (step >= until_fault) {
      fault();
      until_fault = step + rig.random.between(1, 30);
    }
    for (uint64_t i = 0; i < slots; ++i) ended(i);
  }
  // Sometimes what is broken stays so until the survivors have done the work.
  if (rig.random.between(0, 3) != 0) heal();
  uint64_t healed_at = now_ns() + 40 * ns_per_ms;
  bool all_ended = rig.until([&] {
    if (now_ns() > healed_at) heal();
    bool every = true;
    for (uint64_t i = 0; i < slots; ++i) every = ended(i) && every;
    return every;
  }, 20000);
  if (!all_ended) fail_test("a transfer did not end; peer is %s%s", peer_state_name(rig.a.peer->state),
                            Paths::troubles(*rig.a.peer).c_str());
  heal();
}

// `spares` of the NICs are some.
void run_schedules(size_t spares) {
  const char *wish = std::getenv("PIRN_TEST_SCHEDULES");
  uint64_t count = wish ? std::strtoull(wish, nullptr, 10) : 200;
  constexpr uint64_t per_rig = 50;
  uint64_t well = 0, otherwise = 0, faults = 0, carried = 0;
  for (uint64_t done = 0; done < count;) {
    Rig rig(options(spares));
    rig.fake.both_ways(spares > 0);
    for (uint64_t i = 0; i < per_rig && done < count; ++i, ++done) {
      Schedule schedule(rig);
      schedule.run();
      well += schedule.well;
      otherwise += schedule.otherwise;
      faults += schedule.faults;
      assert_true(rig.until([&] { return rig.a.peer->state == PIRN_PEER_UP; }));
    }
    for (const Path &path : rig.a.peer->paths)
      if (path.spares > 0) carried += path.moved;
  }
  std::printf("%llu schedules, %llu faults: %llu transfers ended well, %llu otherwise; %llu bytes by spares\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(faults),
              static_cast<unsigned long long>(well), static_cast<unsigned long long>(otherwise),
              static_cast<unsigned long long>(carried));
  assert_true(well > count && faults > 0);
  assert_true((carried > 0) == (spares > 0));
}

void schedules__random_faults_on_four_rails__bytes_are_exact_or_the_error_is_honest(void **) { run_schedules(0); }
void schedules__one_near_nic_and_three_spares__bytes_are_exact_or_the_error_is_honest(void **) { run_schedules(3); }

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(schedules__random_faults_on_four_rails__bytes_are_exact_or_the_error_is_honest),
      cmocka_unit_test(schedules__one_near_nic_and_three_spares__bytes_are_exact_or_the_error_is_honest),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
