// SPDX-License-Identifier: Apache-2.0
// Random transfers under random faults. Whatever happens: every transfer ends, OK means that all bytes are there, and
// after the end, whatever it was, nothing touches the memory any more.
#include "rig.h"

#include <algorithm>

using namespace pirn;
using namespace pirn::core;

namespace {

constexpr uint64_t slots = 24, slot_bytes = 8192;

// A place of memory that one transfer at a time writes (at B) or reads into (at A).
struct Slot {
  pirn_transfer id = 0;
  bool write = true;
  bool cancelled = false;
  uint64_t source = 0, length = 0;
  std::vector<std::byte> expected;  // while nothing is under way
  int rest = 0;                     // steps to look on before the next transfer
};

struct Chaos {
  explicit Chaos(const RigOptions &options) : rig(options), of_slots(slots) {
    for (uint64_t i = 0; i < slots; ++i) {
      of_slots[i].write = i % 2 == 0;
      settle(i);
    }
  }

  std::byte *place(uint64_t i) {
    return (of_slots[i].write ? rig.b : rig.a).memory.data() + (slots + i) * slot_bytes;
  }
  void settle(uint64_t i) {
    of_slots[i].expected.assign(place(i), place(i) + slot_bytes);
    of_slots[i].id = 0;
    of_slots[i].rest = static_cast<int>(rig.random.between(1, 30));
  }
  void start(uint64_t i);
  void look(uint64_t i);
  void disturb();
  void calm_down();
  void step() {
    rig.pump();
    // By the clock: a suspect is idle for milliseconds, which are thousands of steps.
    if (now_ns() >= next_disturbance) {
      disturb();
      next_disturbance = now_ns() + rig.random.between(0, 4 * ns_per_ms);
    }
    for (uint64_t i = 0; i < slots; ++i) look(i);
  }

  Rig rig;
  std::vector<Slot> of_slots;
  uint64_t ended_well = 0, ended_otherwise = 0, next_disturbance = 0;
};

void Chaos::start(uint64_t i) {
  Slot &slot = of_slots[i];
  slot.length = rig.random.between(0, slot_bytes);
  slot.source = rig.random.between(0, slots * slot_bytes - slot.length);
  slot.cancelled = false;
  TransferOptions options;
  options.timeout = rig.random.between(0, 3) == 0 ? rig.random.between(5, 60) * ns_per_ms : 60 * ns_per_s;
  uint64_t at = (slots + i) * slot_bytes;
  slot.id = slot.write ? rig.write(slot.source, at, slot.length, options) : rig.read(at, slot.source, slot.length, options);
}

void Chaos::look(uint64_t i) {
  Slot &slot = of_slots[i];
  if (slot.id == 0) {
    assert_bytes(place(i), slot.expected.data(), slot_bytes, "memory of an ended transfer");
    if (--slot.rest <= 0) start(i);
    return;
  }
  if (!slot.cancelled && rig.random.between(0, 40000) == 0) {
    slot.cancelled = true;
    (void)rig.a.endpoint->cancel(slot.id);
  }
  pirn_result result = rig.look(slot.id);
  if (result.status == PIRN_IN_PROGRESS) return;
  if (result.status == PIRN_OK) {
    const auto &from = slot.write ? rig.a.memory : rig.b.memory;
    std::copy_n(from.begin() + static_cast<ptrdiff_t>(slot.source), slot.length, slot.expected.begin());
    assert_bytes(place(i), slot.expected.data(), slot_bytes, "memory of a transfer that is OK");
    assert_int_equal(result.bytes, slot.length);
    ++ended_well;
  } else {
    bool known = result.status == PIRN_ERR_TIMEOUT || result.status == PIRN_ERR_CANCELLED ||
                 result.status == PIRN_ERR_ACCESS || result.status == PIRN_ERR_IO;
    if (!known) fail_test("status %d: %s", result.status, result.text);
    ++ended_otherwise;
  }
  require(rig.a.endpoint->release(slot.id), "release");
  settle(i);
}

void Chaos::disturb() {
  switch (rig.random.between(0, 13)) {
    case 0: rig.fake.again(rig.random.between(1, 50)); break;
    case 1: rig.fake.again_every(rig.random.between(2, 20), rig.random.between(0, 1)); break;
    case 2: rig.fake.reorder(rig.random.any()); break;
    case 3: rig.fake.hold(); break;
    case 4: rig.fake.fail_operation(rig.random.between(1, 20), FI_ECONNRESET, 0); break;
    case 5: rig.fake.fail_operation(rig.random.between(1, 20), FI_EACCES, 9); break;
    case 6: rig.fake.hang(rig.number(rig.b)); break;
    case 7: rig.fake.release(rig.random.between(1, 20)); break;
    default: calm_down(); break;
  }
}

void Chaos::calm_down() {
  rig.fake.mend(rig.number(rig.b));
  rig.fake.again_every(0, 0);
  rig.fake.release();
}

void run(RigOptions options) {
  options.settings = {"HEARTBEAT=10ms", "QUIET_TIME=5ms", "PEER_TIMEOUT=60s", "PEER_CONFIRM_TIMEOUT=60s",
                      "CHUNK_SIZE=4096"};
  options.bytes = 2 * slots * slot_bytes;
  Chaos chaos(options);
  for (uint64_t end = now_ns() + 1500 * ns_per_ms; now_ns() < end;) chaos.step();
  chaos.calm_down();
  bool ended = chaos.rig.until([&] {
    bool all = true;
    for (uint64_t i = 0; i < slots; ++i) {
      chaos.of_slots[i].rest = 1 << 20;
      if (chaos.of_slots[i].id != 0) chaos.look(i);
      all = all && chaos.of_slots[i].id == 0;
    }
    return all;
  }, 20000);
  assert_true(ended);
  for (uint64_t i = 0; i < slots; ++i)
    assert_bytes(chaos.place(i), chaos.of_slots[i].expected.data(), slot_bytes, "memory at the end");
  std::printf("%llu transfers ended well, %llu otherwise\n", static_cast<unsigned long long>(chaos.ended_well),
              static_cast<unsigned long long>(chaos.ended_otherwise));
  assert_true(chaos.ended_well > 0 && chaos.ended_otherwise > 0);
  assert_true(chaos.rig.until([&] { return chaos.rig.a.peer->state == PIRN_PEER_UP; }));
}

void chaos__ip_fabric__is_never_wrong(void **) { run({}); }

void chaos__two_rails__is_never_wrong(void **) {
  run({.persona = sim::verbs_persona(), .provider = "verbs"});
}

void chaos__registrations_bound_to_endpoints__is_never_wrong(void **) {
  run({.persona = sim::cxi_persona(), .provider = "cxi"});
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(chaos__ip_fabric__is_never_wrong),
      cmocka_unit_test(chaos__two_rails__is_never_wrong),
      cmocka_unit_test(chaos__registrations_bound_to_endpoints__is_never_wrong),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
