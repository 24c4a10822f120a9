// SPDX-License-Identifier: Apache-2.0
// Regions and windows as objects: registration, overlap, huge ranges, who is busy, what is malformed.
#include "harness.h"

#include <cstring>

using namespace pirn_test;

namespace {

void expect_write_lands(Pair &pair, const Remote &remote, pirn_region *region, const void *source, uint64_t offset,
                        uint64_t length) {
  EXPECT_OK(pirn_write(region, offset, remote.window, 0, length, nullptr, nullptr));
  Memory &back = pair.memory(length);
  EXPECT_OK(pirn_read(back.region, 0, remote.window, 0, length, nullptr, nullptr));
  assert_memory_equal(back.buffer.data(), source, length);
}

void register__same_range_many_times__each_handle_works(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 4096, 1);
  const Buffer &buffer = pair.memory(4096, 9).buffer;
  pirn_region *regions[100];
  for (auto &region : regions) EXPECT_OK(pirn_region_register(pair.endpoint(), buffer.data(), 4096, nullptr, &region));

  for (int i = 0; i < 100; i += 2) EXPECT_OK(pirn_region_deregister(regions[i]));
  for (int i = 1; i < 100; i += 2) {
    EXPECT_OK(pirn_write(regions[i], 0, remote.window, 0, 4096, nullptr, nullptr));
    EXPECT_OK(pirn_region_deregister(regions[i]));
  }

  EXPECT_MATCH(pair.target().check(remote.buffer, 0, 4096, 9));
}

void register__overlapping_and_sub_ranges__each_handle_works(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const uint64_t size = 100000;
  const Remote remote = pair.remote(pair.target(), peer, size, 1);
  const Buffer &buffer = pair.memory(size, 9).buffer;
  for (int round = 0; round < 30; ++round) {
    const uint64_t offset = pair.random.below(size - 1), length = pair.random.between(1, size - offset);
    const uint64_t inner = pair.random.below(length);
    pirn_region *region = nullptr;
    EXPECT_OK(pirn_region_register(pair.endpoint(), buffer.at(offset), length, nullptr, &region));
    expect_write_lands(pair, remote, region, buffer.at(offset + inner), inner, length - inner);
    EXPECT_OK(pirn_region_deregister(region));
  }
}

void register_many__a_thousand_ranges__all_work(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const uint64_t count = 1000, each = 64;
  const Remote remote = pair.remote(pair.target(), peer, count * each, 1);
  const Buffer &buffer = pair.memory(count * each, 9).buffer;
  std::vector<pirn_memory> ranges;
  for (uint64_t i = 0; i < count; ++i) ranges.push_back({buffer.at(i * each), each});
  std::vector<pirn_region *> regions(count);

  EXPECT_OK(pirn_region_register_many(pair.endpoint(), ranges.data(), count, nullptr, regions.data()));

  std::vector<pirn_segment> segments;
  for (uint64_t i = 0; i < count; ++i) segments.push_back({regions[i], 0, remote.window, i * each, each});
  EXPECT_OK(pirn_writev(segments.data(), count, nullptr, nullptr));
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, count * each, 9));
  for (auto *region : regions) EXPECT_OK(pirn_region_deregister(region));
}

void register_many__one_range_is_bad__none_is_registered(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  const Buffer &buffer = pair.memory(4096).buffer;
  const pirn_memory ranges[] = {{buffer.data(), 100}, {buffer.at(100), 0}, {buffer.at(200), 100}};
  pirn_region *regions[3];
  std::memset(regions, 0x5a, sizeof regions);
  EXPECT(PIRN_ERR_INVALID, pirn_region_register_many(pair.endpoint(), ranges, 3, nullptr, regions));
  for (const auto *region : regions) assert_null(region);
}

void region__of_five_gib_sparse__works_beyond_four_gib(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const uint64_t size = 5ull << 30, piece = 1 << 20;
  Memory *local = pair.own.allocate(size, 0, true);
  assert_non_null(local);
  const Remote remote = pair.remote(pair.target(), peer, 3 * piece, 1);
  const uint64_t offsets[] = {0, (4ull << 30) - piece / 2, size - piece};
  for (uint64_t i = 0; i < 3; ++i) {
    fill_pattern(local->buffer.at(offsets[i]), piece, 100 + i);
    EXPECT_OK(pirn_write(local->region, offsets[i], remote.window, i * piece, piece, nullptr, nullptr));
    EXPECT_MATCH(pair.target().check(remote.buffer, i * piece, piece, 100 + i));
  }
}

// The huge range is the window: this side is the one that is written to.
void window__of_five_gib_sparse__works_beyond_four_gib(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const uint64_t there = target.connect(listen_on(pair.endpoint(), own_host() + ":0"));
  const uint64_t size = 5ull << 30, piece = 1 << 20;
  Memory *huge = pair.own.allocate(size, 0, true);
  assert_non_null(huge);
  const WindowBlob blob = advertise(*huge);
  const uint64_t window = target.import_window(there, blob.bytes);
  const uint64_t source = target.alloc(piece, 42), sink = target.alloc(piece, 43);
  const uint64_t offsets[] = {0, (4ull << 30) - piece / 2, size - piece};
  for (const uint64_t offset : offsets) {
    EXPECT_OK(target.write(source, 0, window, offset, piece));
    EXPECT_MATCH(find_mismatch(huge->buffer.at(offset), piece, 42));
    target.fill(sink, 0, piece, 43);
    EXPECT_OK(target.read(sink, 0, window, offset, piece));
    EXPECT_MATCH(target.check(sink, 0, piece, 42));
  }
  EXPECT(PIRN_ERR_RANGE, target.write(source, 0, window, size - piece + 1, piece));
}

void register__bad_arguments__name_the_value(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  uint8_t byte = 0;
  pirn_region *region = reinterpret_cast<pirn_region *>(state);
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_region_register(pair.endpoint(), &byte, 0, nullptr, &region), "length");
  assert_null(region);
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_region_register(pair.endpoint(), nullptr, 8, nullptr, &region), "address");
  EXPECT(PIRN_ERR_INVALID, pirn_region_register(nullptr, &byte, 1, nullptr, &region));
  EXPECT(PIRN_ERR_INVALID, pirn_region_register(pair.endpoint(), &byte, 1, nullptr, nullptr));
  assert_true(pirn_region_register(pair.endpoint(), &byte, UINT64_MAX, nullptr, &region) < 0);
  pirn_region_params params{};
  params.struct_size = sizeof params;
  params.kind = 77;
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_region_register(pair.endpoint(), &byte, 1, &params, &region), "77");
}

void advertise__bad_arguments__name_the_value_and_make_no_window(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Memory &memory = pair.memory(1000);
  char blob[8192];
  const auto advertise = [&](uint64_t offset, uint64_t length, uint32_t access) {
    size_t room = sizeof blob;
    uint64_t id = 77;
    const pirn_status status = pirn_region_advertise(memory.region, offset, length, access, blob, &room, &id);
    if (status != PIRN_OK) assert_int_equal(id, 0);
    return status;
  };
  EXPECT_ERROR(PIRN_ERR_RANGE, advertise(1, 1000, read_write), "1000");
  EXPECT(PIRN_ERR_RANGE, advertise(1001, 1, read_write));
  EXPECT(PIRN_ERR_RANGE, advertise(UINT64_MAX, 2, read_write));
  EXPECT(PIRN_ERR_RANGE, advertise(2, UINT64_MAX, read_write));
  EXPECT_ERROR(PIRN_ERR_INVALID, advertise(0, 100, 0), "access");
  EXPECT_ERROR(PIRN_ERR_INVALID, advertise(0, 100, 8), "8");
  size_t room = 10;
  uint64_t id = 77;
  EXPECT(PIRN_ERR_TOO_SMALL, pirn_region_advertise(memory.region, 0, 10, read_write, blob, &room, &id));
  assert_in_range(room, 11, sizeof blob);
  EXPECT_OK(pirn_region_deregister(memory.region));
}

void deregister__window_advertised__is_busy_until_withdrawn(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Memory &memory = pair.memory(1000);
  char blob[8192];
  size_t length = sizeof blob;
  uint64_t first = 0, other = 0;
  EXPECT_OK(pirn_region_advertise(memory.region, 0, 1000, PIRN_ACCESS_READ, blob, &length, &first));
  length = sizeof blob;
  EXPECT_OK(pirn_region_advertise(memory.region, 10, 20, PIRN_ACCESS_WRITE, blob, &length, &other));
  assert_int_not_equal(first, other);

  EXPECT_ERROR(PIRN_ERR_BUSY, pirn_region_deregister(memory.region), "window");
  EXPECT_OK(pirn_region_withdraw(memory.region, first, second));
  EXPECT(PIRN_ERR_BUSY, pirn_region_deregister(memory.region));
  EXPECT_OK(pirn_region_withdraw(memory.region, other, second));
  EXPECT_OK(pirn_region_deregister(memory.region));
}

void withdraw__unknown_or_twice__is_an_error(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  const Memory &memory = pair.memory(1000), &stranger = pair.memory(1000);
  char blob[8192];
  size_t length = sizeof blob;
  uint64_t id = 0;
  EXPECT_OK(pirn_region_advertise(memory.region, 0, 1000, PIRN_ACCESS_READ, blob, &length, &id));
  assert_true(pirn_region_withdraw(memory.region, id + 1000, second) < 0);
  assert_true(pirn_region_withdraw(stranger.region, id, second) < 0);
  EXPECT_OK(pirn_region_withdraw(memory.region, id, second));
  assert_true(pirn_region_withdraw(memory.region, id, second) < 0);
}

void handles__prepared_list_exists__are_busy(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 100, 1);
  Memory &memory = pair.memory(100);
  const pirn_segment segment = {memory.region, 0, remote.window, 0, 100};
  pirn_prepared *prepared = nullptr;
  EXPECT_OK(pirn_transfer_prepare(PIRN_WRITE, &segment, 1, &prepared));

  EXPECT(PIRN_ERR_BUSY, pirn_region_deregister(memory.region));
  EXPECT(PIRN_ERR_BUSY, pirn_window_close(remote.window));

  EXPECT_OK(pirn_prepared_release(prepared));
  EXPECT_OK(pirn_region_deregister(memory.region));
  EXPECT_OK(pirn_window_close(remote.window));
}

void close__null_handles__is_fine(void **) {
  EXPECT_OK(pirn_region_deregister(nullptr));
  EXPECT_OK(pirn_window_close(nullptr));
  EXPECT_OK(pirn_peer_close(nullptr));
  EXPECT_OK(pirn_prepared_release(nullptr));
  EXPECT_OK(pirn_endpoint_close(nullptr));
  EXPECT_OK(pirn_context_close(nullptr));
}

void context_close__endpoint_open__is_busy(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  EXPECT(PIRN_ERR_BUSY, pirn_context_close(pair.own.context()));
}

void window_get__imported__reports_length_and_access(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 12345, 1, PIRN_ACCESS_READ);
  uint64_t length = 0;
  uint32_t access = 0;
  EXPECT_OK(pirn_window_get(remote.window, &length, &access));
  assert_int_equal(length, 12345);
  assert_int_equal(access, PIRN_ACCESS_READ);
  EXPECT_OK(pirn_window_get(remote.window, nullptr, nullptr));
}

void import__blob_of_another_endpoint__is_invalid(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  Target &stranger = pair.spawn();
  stranger.open();
  const uint64_t buffer = stranger.alloc(100, 1);
  const WindowBlob blob = stranger.advertise(buffer, 0, 100);
  pirn_window *window = reinterpret_cast<pirn_window *>(state);
  EXPECT(PIRN_ERR_INVALID, pirn_window_import(peer, blob.bytes.data(), blob.bytes.size(), &window));
  assert_null(window);
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "memory",
             {
                 CASE(register__same_range_many_times__each_handle_works),
                 CASE(register__overlapping_and_sub_ranges__each_handle_works),
                 CASE(register_many__a_thousand_ranges__all_work),
                 CASE(register_many__one_range_is_bad__none_is_registered),
                 CASE(region__of_five_gib_sparse__works_beyond_four_gib),
                 CASE(window__of_five_gib_sparse__works_beyond_four_gib),
                 CASE(register__bad_arguments__name_the_value),
                 CASE(advertise__bad_arguments__name_the_value_and_make_no_window),
                 CASE(deregister__window_advertised__is_busy_until_withdrawn),
                 CASE(withdraw__unknown_or_twice__is_an_error),
                 CASE(handles__prepared_list_exists__are_busy),
                 CASE(close__null_handles__is_fine),
                 CASE(context_close__endpoint_open__is_busy),
                 CASE(window_get__imported__reports_length_and_access),
                 CASE(import__blob_of_another_endpoint__is_invalid),
             });
}
