// SPDX-License-Identifier: Apache-2.0
// Both ends of a transfer lie where PIRN_TEST_MEMORY and PIRN_TEST_PEER_MEMORY say, devices above all.
#include "harness.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace pirn_test;

namespace {

bool on_device(const char *name) { return variable(name, "host").find(':') != std::string::npos; }

// Both ends, with patterns that are renewed by hand.
struct Ends {
  Ends(void **state, uint64_t bytes) : pair(pair_of(state)), peer(pair.start()), size(bytes) {
    remote = pair.remote(pair.target(), peer, size, 1);
    local = &pair.memory(size, 2);
  }
  // Fills [offset, offset + length) of the own memory.
  void fill(uint64_t offset, uint64_t length, uint64_t seed) const {
    fill_pattern(local->buffer.at(offset), length, seed);
    local->push(offset, length);
  }
  uint64_t check(uint64_t offset, uint64_t length, uint64_t seed, uint64_t start = 0) const {
    local->pull(offset, length);
    return find_mismatch(local->buffer.at(offset), length, seed, start);
  }

  Pair &pair;
  pirn_peer *peer;
  uint64_t size;
  Remote remote;
  const Memory *local = nullptr;
};

void device__random_writes_and_reads__bytes_are_right_and_no_others_change(void **state) {
  Ends ends(state, 4 << 20);
  Random &random = ends.pair.random;
  for (int round = 0; round < 40; ++round) {
    const uint64_t length = random.between(1, random.below(4) == 0 ? ends.size : 70000);
    const uint64_t at = random.below(ends.size - length + 1), from = random.below(ends.size - length + 1);
    const uint64_t seed = random.next();
    ends.pair.target().fill(ends.remote.buffer, 0, ends.size, 1);
    ends.fill(from, length, seed);
    EXPECT_OK(pirn_write(ends.local->region, from, ends.remote.window, at, length, nullptr, nullptr));
    EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, at, length, seed));
    EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, 0, at, 1));
    EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, at + length, ends.size - at - length, 1, at + length));
    ends.fill(0, ends.size, 2);
    EXPECT_OK(pirn_read(ends.local->region, from, ends.remote.window, at, length, nullptr, nullptr));
    EXPECT_MATCH(ends.check(from, length, seed));
    EXPECT_MATCH(ends.check(0, from, 2));
    EXPECT_MATCH(ends.check(from + length, ends.size - from - length, 2, from + length));
  }
}

void device__list_of_many_blocks__each_lands_in_its_place(void **state) {
  Ends ends(state, 1 << 20);
  Random &random = ends.pair.random;
  const uint64_t block = random.between(32, 512), count = ends.size / block;
  std::vector<uint64_t> order(count);
  for (uint64_t i = 0; i < count; ++i) order[i] = i;
  for (uint64_t i = count - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  std::vector<pirn_segment> list(count);
  for (uint64_t i = 0; i < count; ++i)
    list[i] = {ends.local->region, i * block, ends.remote.window, order[i] * block, block};
  ends.fill(0, ends.size, 3);
  EXPECT_OK(pirn_writev(list.data(), count, nullptr, nullptr));
  for (uint64_t i = 0; i < count; i += count / 50 + 1)
    EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, order[i] * block, block, 3, i * block));
  ends.fill(0, ends.size, 4);
  EXPECT_OK(pirn_readv(list.data(), count, nullptr, nullptr));
  EXPECT_MATCH(ends.check(0, count * block, 3));
}

void device__prepared_list__each_post_moves_the_bytes_of_today(void **state) {
  Ends ends(state, 4 << 20);
  Random &random = ends.pair.random;
  const uint64_t block = random.between(64, 20000), count = ends.size / block;
  std::vector<pirn_segment> list(count);
  for (uint64_t i = 0; i < count; ++i)
    list[i] = {ends.local->region, i * block, ends.remote.window, (count - 1 - i) * block, block};
  pirn_prepared *write = nullptr, *read = nullptr;
  EXPECT_OK(pirn_transfer_prepare(PIRN_WRITE, list.data(), count, &write));
  EXPECT_OK(pirn_transfer_prepare(PIRN_READ, list.data(), count, &read));
  for (uint64_t round = 0; round < 5; ++round) {
    ends.fill(0, ends.size, 10 + round);
    EXPECT_OK(pirn_prepared_post(write, nullptr, nullptr));
    for (uint64_t i = 0; i < count; i += count / 20 + 1)
      EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, (count - 1 - i) * block, block, 10 + round, i * block));
    EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, count * block, ends.size - count * block, 1, count * block));
    ends.fill(0, ends.size, 50);
    EXPECT_OK(pirn_prepared_post(read, nullptr, nullptr));
    EXPECT_MATCH(ends.check(0, count * block, 10 + round));
  }
  // The window ends: lists that were written for its memory are not used any more.
  EXPECT_OK(ends.pair.target().withdraw(ends.remote.buffer, ends.remote.window_id, 10 * second));
  ends.pair.target().fill(ends.remote.buffer, 0, ends.size, 77);
  EXPECT(PIRN_ERR_WINDOW_GONE, pirn_prepared_post(write, nullptr, nullptr));
  EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, 0, ends.size, 77));
  EXPECT_OK(pirn_prepared_release(write));
  EXPECT_OK(pirn_prepared_release(read));
}

void device__prepared_list_by_index__chosen_blocks_move_and_no_others(void **state) {
  Ends ends(state, 2 << 20);
  Random &random = ends.pair.random;
  const uint64_t block = random.between(64, 4096), count = ends.size / block;
  std::vector<pirn_segment> list(count);
  for (uint64_t i = 0; i < count; ++i) list[i] = {ends.local->region, i * block, ends.remote.window, i * block, block};
  for (const uint32_t operation : {PIRN_WRITE, PIRN_READ}) {
    pirn_prepared *prepared = nullptr;
    EXPECT_OK(pirn_transfer_prepare(operation, list.data(), count, &prepared));
    const uint32_t chosen = static_cast<uint32_t>(random.between(8, count / 2));
    std::vector<uint32_t> near(count), far(count);
    for (uint32_t i = 0; i < count; ++i) near[i] = far[i] = i;
    for (uint32_t i = static_cast<uint32_t>(count) - 1; i > 0; --i) {
      std::swap(near[i], near[random.below(i + 1)]);
      std::swap(far[i], far[random.below(i + 1)]);
    }
    ends.fill(0, ends.size, 20);
    ends.pair.target().fill(ends.remote.buffer, 0, ends.size, 21);
    EXPECT_OK(pirn_prepared_post_select(prepared, near.data(), far.data(), chosen, nullptr, nullptr));
    for (uint32_t i = 0; i < count; i += static_cast<uint32_t>(count) / 60 + 1) {
      const uint64_t here = near[i] * block, there = far[i] * block;
      if (operation == PIRN_WRITE)
        EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, there, block, i < chosen ? 20 : 21, i < chosen ? here : there));
      else
        EXPECT_MATCH(ends.check(here, block, i < chosen ? 21 : 20, i < chosen ? there : here));
    }
    EXPECT_OK(pirn_prepared_release(prepared));
  }
}

// Each peer has half of the own memory; what is written comes from one half of that, what is read goes to the other.
void device__large_transfers_with_two_peers__bytes_are_right_and_no_others_change(void **state) {
  constexpr uint64_t size = 16 << 20, part = size / 2;
  Ends ends(state, 2 * size);
  Pair &pair = ends.pair;
  Target &another = pair.spawn();
  another.open();
  pirn_peer *const other = pair.connect(another);
  Target *const targets[] = {&pair.target(), &another};
  const Remote remotes[] = {ends.remote, pair.remote(another, other, 2 * size, 1)};
  for (int round = 0; round < 4; ++round) {
    uint64_t seeds[2], lengths[2], at[2];
    ends.fill(0, 2 * size, 2);
    pirn_transfer ids[8];
    for (uint64_t i = 0; i < 2; ++i) {
      seeds[i] = pair.random.next();
      lengths[i] = pair.random.between(2 << 20, part);
      at[i] = pair.random.below((part - lengths[i]) / 16 + 1) * 16;
      targets[i]->fill(remotes[i].buffer, 0, part, 1);
      targets[i]->fill(remotes[i].buffer, size, part, seeds[i] + 1);
      ends.fill(i * size, part, seeds[i]);
    }
    for (uint64_t k = 0; k < 8; ++k) {  // twice, so that those of one peer are many when those of the other come
      const uint64_t i = k / 2 % 2, here = i * size;
      EXPECT_OK(k % 2 == 0 ? pirn_write(ends.local->region, here, remotes[i].window, at[i], lengths[i], nullptr, &ids[k])
                           : pirn_read(ends.local->region, here + part, remotes[i].window, size, lengths[i], nullptr, &ids[k]));
    }
    for (const pirn_transfer id : ids) {
      EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, at_most(60 * second), nullptr));
      EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    }
    for (uint64_t i = 0; i < 2; ++i) {
      EXPECT_MATCH(targets[i]->check(remotes[i].buffer, at[i], lengths[i], seeds[i]));
      EXPECT_MATCH(targets[i]->check(remotes[i].buffer, 0, at[i], 1));
      EXPECT_MATCH(targets[i]->check(remotes[i].buffer, at[i] + lengths[i], part - at[i] - lengths[i], 1, at[i] + lengths[i]));
      EXPECT_MATCH(ends.check(i * size + part, lengths[i], seeds[i] + 1));
      EXPECT_MATCH(ends.check(i * size + part + lengths[i], part - lengths[i], 2, i * size + part + lengths[i]));
    }
  }
}

void device__notification_after_a_write__finds_the_bytes(void **state) {
  Ends ends(state, 2 << 20);
  for (uint64_t round = 0; round < 20; ++round) {
    const uint64_t length = ends.pair.random.between(1, ends.size), seed = ends.pair.random.next();
    ends.fill(0, length, seed);
    const DataNote note{0, length, seed};
    pirn_transfer_params params = params_with(10 * second);
    params.notify = &note;
    params.notify_length = sizeof note;
    EXPECT_OK(pirn_write(ends.local->region, 0, ends.remote.window, 0, length, &params, nullptr));
    const Reply taken = ends.pair.target().call({Op::take_checked, {ends.remote.buffer, 1, 10 * second}, ""});
    assert_int_equal(taken.status, PIRN_OK);
    assert_int_equal(taken.values[1], 0);
  }
}

void device__cancelled_write__leaves_the_source_alone_afterwards(void **state) {
  Ends ends(state, 32 << 20);
  for (int round = 0; round < 10; ++round) {
    ends.fill(0, ends.size, 5);
    pirn_transfer id = 0;
    EXPECT_OK(pirn_write(ends.local->region, 0, ends.remote.window, 0, ends.size, nullptr, &id));
    const pirn_status status = pirn_transfer_cancel(ends.pair.endpoint(), id);
    EXPECT_OK(pirn_transfer_release(ends.pair.endpoint(), id));
    if (status != PIRN_OK && status != PIRN_ERR_CANCELLED) fail_test("cancel: %s", status_name(status));
    const uint64_t before = ends.pair.target().digest(ends.remote.buffer);
    ends.fill(0, ends.size, 6);
    sleep_ms(20);
    assert_int_equal(ends.pair.target().digest(ends.remote.buffer), before);
  }
}

// Device memory takes a way of its own over the fabric, PIRN_TEST_DEVICE_WAY; the result says so.
void device__fabric_demanded__goes_over_it_and_says_how(void **state) {
  constexpr uint64_t length = 3 << 20;
  Ends ends(state, length);
  const bool device = on_device("PIRN_TEST_MEMORY") || on_device("PIRN_TEST_PEER_MEMORY");
  const std::string way = device ? variable("PIRN_TEST_DEVICE_WAY", "staged") : "";
  pirn_transfer_params params = params_with(10 * second);
  params.path = "fabric";
  for (const bool write : {true, false}) {
    ends.fill(0, length, write ? 8 : 9);
    pirn_transfer id = 0;
    if (write) EXPECT_OK(pirn_write(ends.local->region, 0, ends.remote.window, 0, length, &params, &id));
    else EXPECT_OK(pirn_read(ends.local->region, 0, ends.remote.window, 0, length, &params, &id));
    pirn_result result{};
    result.struct_size = sizeof result;
    EXPECT_OK(pirn_transfer_wait(ends.pair.endpoint(), id, 10 * second, &result));
    EXPECT_OK(pirn_transfer_release(ends.pair.endpoint(), id));
    assert_string_equal(result.path, "fabric");
    for (const char *each : {"staged", "direct"})
      assert_int_equal(std::strstr(result.rail, (std::string(", ") + each).c_str()) != nullptr, way == each);
    assert_int_equal(result.bytes, length);
    if (write) EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, 0, length, 8));
    else EXPECT_MATCH(ends.check(0, length, 8));
  }
}

// Between processes, memory that cannot be mapped; the result says through whose slots it went.
void device__memory_that_cannot_be_mapped__goes_through_a_ring_and_says_so(void **state) {
  constexpr uint64_t length = (5 << 20) + 12345;
  Ends ends(state, length);
  const std::string wanted = variable("PIRN_TEST_RAIL", "");
  for (const bool write : {true, false}) {
    ends.fill(0, length, write ? 8 : 9);
    pirn_transfer id = 0;
    if (write) EXPECT_OK(pirn_write(ends.local->region, 0, ends.remote.window, 0, length, nullptr, &id));
    else EXPECT_OK(pirn_read(ends.local->region, 0, ends.remote.window, 0, length, nullptr, &id));
    pirn_result result{};
    result.struct_size = sizeof result;
    EXPECT_OK(pirn_transfer_wait(ends.pair.endpoint(), id, 10 * second, &result));
    EXPECT_OK(pirn_transfer_release(ends.pair.endpoint(), id));
    assert_string_equal(result.path, "ipc");
    assert_string_equal(result.rail, wanted.c_str());
    assert_int_equal(result.bytes, length);
    if (write) EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, 0, length, 8));
    else EXPECT_MATCH(ends.check(0, length, 8));
  }
  char text[8192];
  size_t room = sizeof text;
  EXPECT_OK(pirn_peer_explain(ends.peer, text, &room));
  if (std::strstr(text, "legacy: ") == nullptr) fail_test("why it is not mapped: %s", text);
}

void device__window_withdrawn_and_advertised_again__is_mapped_anew(void **state) {
  Ends ends(state, 1 << 20);
  EXPECT_OK(pirn_write(ends.local->region, 0, ends.remote.window, 0, ends.size, nullptr, nullptr));
  for (uint64_t round = 1; round <= 5; ++round) {
    EXPECT_OK(ends.pair.target().withdraw(ends.remote.buffer, ends.remote.window_id, 10 * second));
    EXPECT(PIRN_ERR_WINDOW_GONE, pirn_write(ends.local->region, 0, ends.remote.window, 0, 64, nullptr, nullptr));
    EXPECT_OK(pirn_window_close(ends.remote.window));
    const WindowBlob blob = ends.pair.target().advertise(ends.remote.buffer, 0, ends.size);
    ends.remote.window_id = blob.id;
    EXPECT_OK(pirn_window_import(ends.peer, blob.bytes.data(), blob.bytes.size(), &ends.remote.window));
    ends.fill(0, ends.size, 100 + round);
    EXPECT_OK(pirn_write(ends.local->region, 0, ends.remote.window, 0, ends.size, nullptr, nullptr));
    EXPECT_MATCH(ends.pair.target().check(ends.remote.buffer, 0, ends.size, 100 + round));
  }
}

// Shared memory cannot be taken from a process that is stopped: its owner is told so. Through slots only the owner copies.
void device__importer_stopped__withdraw_says_whether_the_memory_is_quiet(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const uint64_t there = target.connect(listen_on(pair.endpoint(), own_host() + ":0"));
  constexpr uint64_t room = 1 << 20;
  Memory &memory = pair.memory(room, 1);
  const WindowBlob blob = advertise(memory);
  const uint64_t window = target.import_window(there, blob.bytes);
  const uint64_t source = target.alloc(room, 7);
  EXPECT_OK(target.write(source, 0, window, 0, room));
  target.signal_now(SIGSTOP);

  if (!variable("PIRN_TEST_RAIL", "").empty()) EXPECT_OK(pirn_region_withdraw(memory.region, blob.id, 300 * ms));
  else EXPECT_ERROR(PIRN_ERR_TIMEOUT, pirn_region_withdraw(memory.region, blob.id, 300 * ms), "mapped");

  target.signal_now(SIGCONT);
  assert_true(target.write(source, 0, window, 0, room) < 0);
  memory.pull(0, room);
  EXPECT_MATCH(find_mismatch(memory.buffer.data(), room, 7));
  EXPECT_OK(pirn_region_deregister(memory.region));
}

// What the dead process had in flight into slots of ours lands in none that another one has.
void device__importer_killed_in_mid_write__others_are_served_and_memory_is_quiet(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  const std::string address = listen_on(pair.endpoint(), own_host() + ":0");
  EXPECT_OK(pirn_endpoint_accept_start(pair.endpoint(), nullptr, nullptr));
  constexpr uint64_t room = 1 << 20;
  Memory &memory = pair.memory(room, 1);
  const WindowBlob blob = advertise(memory);
  Target &dying = pair.spawn();
  dying.open();
  const uint64_t window = dying.import_window(dying.connect(address), blob.bytes);
  const uint64_t source = dying.alloc(room, 6);
  EXPECT_OK(dying.write(source, 0, window, 0, room));
  dying.begin({Op::storm, {source, window, room, 10000}, ""});
  sleep_ms(50);
  dying.kill_now();

  Target &healthy = pair.spawn();
  healthy.open();
  const uint64_t there = healthy.import_window(healthy.connect(address), blob.bytes);
  const uint64_t its_source = healthy.alloc(room, 7);
  // What the dead one had asked for already may still come in between.
  uint64_t wrong = 0;
  for (int round = 0; round < 20 && wrong != all_match; ++round) {
    EXPECT_OK(healthy.write(its_source, 0, there, 0, room));
    memory.pull(0, room);
    wrong = find_mismatch(memory.buffer.data(), room, 7);
  }
  EXPECT_MATCH(wrong);
  EXPECT_OK(pirn_region_withdraw(memory.region, blob.id, 10 * second));
  fill_pattern(memory.buffer.at(0), room, 9);
  memory.push(0, room);
  sleep_ms(100);
  memory.pull(0, room);
  EXPECT_MATCH(find_mismatch(memory.buffer.data(), room, 9));
  EXPECT_OK(pirn_region_deregister(memory.region));
}

}  // namespace

int main(int argc, char **argv) {
  std::vector<CMUnitTest> tests = {
      CASE(device__random_writes_and_reads__bytes_are_right_and_no_others_change),
      CASE(device__list_of_many_blocks__each_lands_in_its_place),
      CASE(device__prepared_list__each_post_moves_the_bytes_of_today),
      CASE(device__prepared_list_by_index__chosen_blocks_move_and_no_others),
      CASE(device__large_transfers_with_two_peers__bytes_are_right_and_no_others_change),
      CASE(device__notification_after_a_write__finds_the_bytes),
      CASE(device__cancelled_write__leaves_the_source_alone_afterwards),
      CASE(device__fabric_demanded__goes_over_it_and_says_how),
      CASE(device__window_withdrawn_and_advertised_again__is_mapped_anew),
  };
  if (std::getenv("PIRN_TEST_RAIL"))
    tests.push_back(CASE(device__memory_that_cannot_be_mapped__goes_through_a_ring_and_says_so));
  const char *path = std::getenv("PIRN_PATH");
  const bool over_fabric = path != nullptr && std::string(path) == "fabric";
  const bool shared = !over_fabric && variable("PIRN_TEST_MEMORY", "host") != "host";
  if (two_processes() && shared)  // plain host memory is not
    tests.push_back(CASE(device__importer_stopped__withdraw_says_whether_the_memory_is_quiet));
  if (two_processes() && shared)
    tests.push_back(CASE(device__importer_killed_in_mid_write__others_are_served_and_memory_is_quiet));
  return run(argc, argv, "device", tests);
}
