// SPDX-License-Identifier: Apache-2.0
// Windows of another process, taken into this one over the channel: bytes both ways, parts, sharing, ends.
#include "fake_device.h"
#include "process.h"

#include "local/host_file.h"
#include "local/imports.h"

#include <algorithm>

using namespace fixture;

namespace {

using Kind = wire::ShareHandleKind;
using Bytes = std::vector<std::byte>;

constexpr size_t allocation_bytes = 20000;
constexpr size_t allocations = 5;
constexpr uint64_t window_on_device = 3, window_on_host = 4, window_with_a_hole = 5, window_to_read = 6,
                   window_unsealed = 7;
// Windows begin 7000 bytes into allocation 1 and end 300 before the end of the last.
constexpr uint64_t window_start = 7000, window_length = allocations * allocation_bytes - window_start - 300;

uint64_t allocation_id(uint64_t window, size_t index) { return window * 100 + index; }

// Byte `at` of allocation `index`.
std::byte filling(size_t index, size_t at) { return static_cast<std::byte>((index * 31 + at * 7 + at / 256) & 0xff); }

bool is_host(uint64_t window) { return window == window_on_host || window >= window_to_read; }

// Filled with what tells the allocations apart.
Fd make_allocation(size_t index) {
  Bytes content(allocation_bytes);
  for (size_t at = 0; at < content.size(); ++at) content[at] = filling(index, at);
  Fd file = make_host_file(allocation_bytes).take();
  if (pwrite(file.get(), content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) _exit(1);
  return file;
}

// To give away. The owner of `window_to_read` tries to cut the file after that.
Fd descriptor_of(uint64_t window, const Fd &file, wire::ShareChunk *chunk) {
  if (window == window_unsealed) return memory_of(Bytes(allocation_bytes));
  Fd given = host_file_for(file.get(), window != window_to_read).take();
  if (window == window_to_read && ftruncate(file.get(), 0) != 0) chunk->why_none = std::strerror(errno);
  return given;
}

wire::ShareChunk chunk_of(uint64_t window, size_t index) {
  wire::ShareChunk chunk;
  const uint64_t begin = std::max<uint64_t>(index * allocation_bytes, window_start);
  const uint64_t end = std::min<uint64_t>((index + 1) * allocation_bytes, window_start + window_length);
  chunk.offset = begin - window_start;
  chunk.length = end - begin;
  chunk.allocation = allocation_id(window, index);
  chunk.allocation_offset = begin - index * allocation_bytes;
  chunk.allocation_length = allocation_bytes;
  if (!is_host(window)) chunk.device[0] = 1;
  return chunk;
}

// The owner's side: all that a window lies in, at most two chunks at a time.
Offer offer_window(const wire::ShareAsk &ask) {
  static std::vector<Fd> kept;
  while (kept.size() < allocations) kept.push_back(make_allocation(kept.size()));
  Offer offer;
  offer.answer.window_length = window_length;
  for (size_t index = 0; index < allocations && offer.answer.chunks.size() < 2; ++index) {
    wire::ShareChunk chunk = chunk_of(ask.window, index);
    if (chunk.offset + chunk.length <= ask.offset) continue;
    const Kind kind = is_host(ask.window) ? Kind::host_file : Kind::device_file;
    chunk.handles.push_back({kind, static_cast<uint8_t>(offer.files.size()), {}});
    offer.files.push_back(descriptor_of(ask.window, kept[index], &chunk));
    if (ask.window == window_on_device) chunk.handles.push_back(legacy_handle(kept[index].get()));
    if (ask.window == window_with_a_hole && index == 3) chunk.allocation_length += 1;
    offer.answer.chunks.push_back(std::move(chunk));
  }
  return offer;
}

Importer on_device(bool writable = true) {
  return {fake_operations(), fake_ordinal, false, writable, now_ns() + 60 * ns_per_s};
}
Importer on_host(bool writable = true) { return {nullptr, 0, false, writable, now_ns() + 60 * ns_per_s}; }

struct Two : Connected {
  explicit Two(const Directory &directory) : Connected(settings_for(directory.path()), offer_window) { reset_fake(); }

  const wire::Instance &instance() const { return peer().instance; }

  // As an endpoint would: asks until the whole window is taken or something fails.
  Status take(uint64_t window, const Importer &importer, Imported *imported) {
    for (;;) {
      const Side::Answer answer = asker.question(id, {window, 0, imported->end(), usable_kinds(importer)});
      if (!answer.status.is_ok()) return answer.status;
      const auto &chunks = answer.offer.answer.chunks;
      const Status status = imports.take(instance(), chunks, answer.offer.files, importer, imported);
      if (!status.is_ok() || imported->end() == answer.offer.answer.window_length) return status;
    }
  }

  Imports imports;
};

void check_extents(const Imported &imported) {
  assert_int_equal(imported.extents.size(), allocations);
  assert_int_equal(imported.end(), window_length);
  uint64_t at = 0;
  for (size_t index = 0; index < allocations; ++index) {
    const Extent &extent = imported.extents[index];
    assert_int_equal(extent.offset, at);
    for (uint64_t i = 0; i < extent.length; ++i, ++at) {
      const uint64_t absolute = window_start + at;
      assert_true(extent.address[i] == filling(absolute / allocation_bytes, absolute % allocation_bytes));
    }
  }
  assert_int_equal(at, window_length);
}

// What is written through one import is found by another, made anew of what the owner has.
void check_writing(Two &two, uint64_t window, const Importer &importer, const Imported &imported) {
  Seeded random;
  const uint64_t at = random.between(0, window_length - 1);
  const auto extent = std::find_if(imported.extents.begin(), imported.extents.end(),
                                   [&](const Extent &e) { return at < e.offset + e.length; });
  extent->address[at - extent->offset] = std::byte{0x3c};
  Imports other;
  const Side::Answer answer = two.asker.question(two.id, {window, 0, at, usable_kinds(importer)});
  Imported again;
  assert_text(other.take(two.instance(), answer.offer.answer.chunks, answer.offer.files, importer, &again).text, "");
  assert_true(again.extents[0].address[at - again.extents[0].offset] == std::byte{0x3c});
  other.release(&again);
}

void take__device_window_of_several_allocations__is_all_there(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported;
  assert_text(two.take(window_on_device, on_device(), &imported).text, "");
  check_extents(imported);
  assert_text(imported.words(), "file");
  check_writing(two, window_on_device, on_device(), imported);
  two.imports.release(&imported);
  assert_int_equal(imported.end(), 0);
}

void take__host_window__is_all_there(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported;
  assert_text(two.take(window_on_host, on_host(), &imported).text, "");
  check_extents(imported);
  assert_text(imported.words(), "shared file");
  check_writing(two, window_on_host, on_host(), imported);
  two.imports.release(&imported);
}

void take__host_window_whose_owner_cuts_it__is_all_there(void **) {
  const Directory directory;
  Two two(directory);
  const Side::Answer answer = two.asker.question(two.id, {window_to_read, 0, 0, usable_kinds(on_host())});
  assert_text(answer.offer.answer.chunks[0].why_none, "Operation not permitted");
  Imported imported;
  assert_text(two.take(window_to_read, on_host(false), &imported).text, "");
  check_extents(imported);
  two.imports.release(&imported);
}

void take__host_window_that_is_not_this_sides_to_write__is_refused_to_a_writer(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported;
  const Status status = two.take(window_to_read, on_host(), &imported);
  assert_int_equal(status.code, PIRN_ERR_UNAVAILABLE);
  assert_contains(status.text, "shared file: mmap of 20000 bytes to be written: Permission denied");
}

void take__host_file_that_may_be_cut__is_refused(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported;
  const Status status = two.take(window_unsealed, on_host(), &imported);
  assert_int_equal(status.code, PIRN_ERR_UNAVAILABLE);
  assert_contains(status.text, "13000 bytes from 0 of the window: shared file: the file is not sealed against shrin");
}

void take__files_do_not_map__goes_by_legacy_handles_and_says_why(void **) {
  const Directory directory;
  Two two(directory);
  fake.failing = bit(device::HandleKind::file);
  Imported imported;
  assert_text(two.take(window_on_device, on_device(), &imported).text, "");
  check_extents(imported);
  assert_text(imported.words(), "legacy (file: no such luck)");
  two.imports.release(&imported);
}

void take__part_of_the_chunks_by_another_way__tells_both(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported;
  const Side::Answer first = two.asker.question(two.id, {window_on_device, 0, 0, usable_kinds(on_device())});
  assert_true(two.imports.take(two.instance(), first.offer.answer.chunks, first.offer.files, on_device(), &imported)
                  .is_ok());
  fake.failing = bit(device::HandleKind::file);
  assert_true(two.take(window_on_device, on_device(), &imported).is_ok());
  check_extents(imported);
  assert_text(imported.words(), "file; legacy (file: no such luck)");
  two.imports.release(&imported);
}

void take__second_window_of_the_same_allocations__maps_nothing_more(void **) {
  const Directory directory;
  Two two(directory);
  Imported first, second, third;
  assert_true(two.take(window_on_device, on_device(), &first).is_ok());
  assert_true(two.take(window_on_device, on_device(false), &second).is_ok());
  assert_int_equal(fake.mapped.size(), allocations);
  assert_true(first.extents == second.extents);
  two.imports.release(&first);
  two.imports.release(&second);
  two.imports.release(&second);
  assert_true(two.take(window_on_device, on_device(), &third).is_ok());
  assert_int_equal(fake.mapped.size(), allocations);
  assert_int_equal(fake.unmapped.size(), 0);
  check_extents(third);
  two.imports.release(&third);
}

void take__one_allocation_fails__names_its_bytes_and_is_undone_by_release(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported;
  const Status status = two.take(window_with_a_hole, on_device(), &imported);
  assert_int_equal(status.code, PIRN_ERR_UNAVAILABLE);
  assert_text(status.text, text("%zu bytes from %llu of the window: file: no %zu bytes", allocation_bytes,
                                static_cast<unsigned long long>(3 * allocation_bytes - window_start),
                                allocation_bytes + 1));
  assert_int_equal(imported.extents.size(), 3);
  two.imports.release(&imported);
  for (size_t index = 0; index < allocations; ++index)
    two.imports.gone(two.instance(), allocation_id(window_with_a_hole, index));
  assert_int_equal(fake.unmapped.size(), 3);
  assert_int_equal(two.imports.mappings().size(), 0);
}

void take__chunk_that_does_not_follow__is_invalid(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported;
  assert_true(two.take(window_on_device, on_device(), &imported).is_ok());
  const Side::Answer again = two.asker.question(two.id, {window_on_device, 0, 0, usable_kinds(on_device())});
  const Status status =
      two.imports.take(two.instance(), again.offer.answer.chunks, again.offer.files, on_device(), &imported);
  assert_int_equal(status.code, PIRN_ERR_INVALID);
  assert_contains(status.text, "a chunk at offset 0 of the window does not follow on ");
  assert_int_equal(imported.extents.size(), allocations);
  two.imports.release(&imported);
}

void take__known_allocation_of_another_length__is_invalid(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported, other;
  Side::Answer answer = two.asker.question(two.id, {window_on_device, 0, 0, usable_kinds(on_device())});
  auto &chunks = answer.offer.answer.chunks;
  assert_true(two.imports.take(two.instance(), chunks, answer.offer.files, on_device(), &imported).is_ok());
  chunks[0].allocation_length += 4096;
  const Status status = two.imports.take(two.instance(), chunks, answer.offer.files, on_device(), &other);
  assert_int_equal(status.code, PIRN_ERR_INVALID);
  assert_contains(status.text, "allocation 300 had 20000 bytes and now has 24096");
  assert_int_equal(other.mappings.size(), 0);
  two.imports.release(&imported);
}

void gone__of_one_allocation__makes_the_window_stale(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported, again;
  assert_true(two.take(window_on_device, on_device(), &imported).is_ok());
  assert_false(two.imports.is_stale(imported));
  two.imports.gone(two.instance(), allocation_id(window_on_device, 2));
  assert_true(two.imports.is_stale(imported));
  assert_int_equal(fake.unmapped.size(), 0);
  assert_true(two.take(window_on_device, on_device(), &again).is_ok());
  assert_int_equal(fake.mapped.size(), allocations + 1);
  assert_false(two.imports.is_stale(again));
  two.imports.release(&imported);
  assert_int_equal(fake.unmapped.size(), 1);
  check_extents(again);
  two.imports.release(&again);
}

void owner__killed__mappings_last_until_released(void **) {
  const Directory directory;
  Two two(directory);
  Imported imported;
  assert_true(two.take(window_on_host, on_host(), &imported).is_ok());
  two.owner.kill_it();
  assert_true(drive({&two.asker}, [&] { return two.asker.ends.size() == 1; }));
  check_extents(imported);  // no fault: the files live as long as they are mapped
  two.imports.lost(two.instance());
  assert_true(two.imports.is_stale(imported));
  assert_int_equal(two.imports.mappings().size(), allocations);
  two.imports.release(&imported);
  assert_int_equal(two.imports.mappings().size(), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(take__device_window_of_several_allocations__is_all_there),
      cmocka_unit_test(take__host_window__is_all_there),
      cmocka_unit_test(take__host_window_whose_owner_cuts_it__is_all_there),
      cmocka_unit_test(take__host_window_that_is_not_this_sides_to_write__is_refused_to_a_writer),
      cmocka_unit_test(take__host_file_that_may_be_cut__is_refused),
      cmocka_unit_test(take__files_do_not_map__goes_by_legacy_handles_and_says_why),
      cmocka_unit_test(take__part_of_the_chunks_by_another_way__tells_both),
      cmocka_unit_test(take__second_window_of_the_same_allocations__maps_nothing_more),
      cmocka_unit_test(take__one_allocation_fails__names_its_bytes_and_is_undone_by_release),
      cmocka_unit_test(take__chunk_that_does_not_follow__is_invalid),
      cmocka_unit_test(take__known_allocation_of_another_length__is_invalid),
      cmocka_unit_test(gone__of_one_allocation__makes_the_window_stale),
      cmocka_unit_test(owner__killed__mappings_last_until_released),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
