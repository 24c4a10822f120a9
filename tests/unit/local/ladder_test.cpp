// SPDX-License-Identifier: Apache-2.0
// The importer's ladder over a small device whose calls fail on demand.
#include "fake_device.h"

#include "local/ladder.h"

#include <fcntl.h>

using namespace fixture;

namespace {

using Kind = wire::ShareHandleKind;
using Bytes = std::vector<std::byte>;

constexpr uint32_t all_kinds_fail = 0xff;

// A chunk with a handle of each device kind, worst first, and the file it lies in.
struct Offered {
  explicit Offered(size_t length) {
    content = Seeded().bytes(length);
    files.push_back(memory_of(content));
    chunk.length = chunk.allocation_length = length;
    chunk.handles = {legacy_handle(files[0].get()), legacy_handle(files[0].get()),
                     {Kind::device_file, 0, {}}};
    chunk.handles[1].kind = Kind::device_fabric;
    reset_fake();
    importer.operations = fake_operations();
    importer.device = fake_ordinal;
    importer.deadline = now_ns() + 60 * ns_per_s;
  }
  Result<Mapping> climb() { return ladder.climb(chunk, files, importer); }

  Bytes content;
  std::vector<Fd> files;
  wire::ShareChunk chunk;
  Importer importer;
  Ladder ladder;
};

void climb__all_work__takes_the_file_and_reads_both_ends(void **) {
  Offered offered(5000);
  const Result<Mapping> mapping = offered.climb();
  assert_text(mapping.status().text, "");
  assert_true(mapping.value().kind == Kind::device_file);
  assert_int_equal(mapping.value().length, 5000);
  assert_text(mapping.value().why_not_better, "");
  assert_memory_equal(mapping.value().address, offered.content.data(), 5000);
  assert_int_equal(fake.copied.size(), 2);
  assert_true(fake.copied[0] == Bytes(offered.content.begin(), offered.content.begin() + 64));
  assert_true(fake.copied[1] == Bytes(offered.content.end() - 64, offered.content.end()));
  assert_true(unmap(mapping.value()).is_ok());
  assert_true(fake.unmapped == std::vector<device::HandleKind>{device::HandleKind::file});
}

void climb__allocation_shorter_than_the_probe__reads_no_byte_too_many(void **) {
  Offered offered(7);
  const Result<Mapping> mapping = offered.climb();
  assert_true(mapping.is_ok());
  assert_true(fake.copied == std::vector<Bytes>(2, offered.content));
  assert_true(unmap(mapping.value()).is_ok());
}

void climb__upper_rungs_fail__takes_the_last_in_order(void **) {
  Offered offered(100);
  fake.failing = bit(device::HandleKind::file) | bit(device::HandleKind::fabric);
  const Result<Mapping> mapping = offered.climb();
  assert_true(mapping.is_ok() && mapping.value().kind == Kind::device_legacy);
  assert_text(mapping.value().why_not_better, "file: no such luck; fabric: no such luck");
  assert_memory_equal(mapping.value().address, offered.content.data(), 100);
  assert_true(fake.mapped == (std::vector<device::HandleKind>{
                                 device::HandleKind::file, device::HandleKind::fabric, device::HandleKind::legacy}));
  assert_true(unmap(mapping.value()).is_ok());
}

void climb__nothing_works__says_what_each_rung_said(void **) {
  Offered offered(100);
  offered.chunk.why_none = "dma-buf: not asked for";
  fake.failing = all_kinds_fail;
  const Status status = offered.climb().status();
  assert_int_equal(status.code, PIRN_ERR_UNAVAILABLE);
  assert_text(status.text,
              "file: no such luck; fabric: no such luck; legacy: no such luck; the owner: dma-buf: not asked for");
}

void climb__mapped_but_unreadable__is_unmapped_and_falls(void **) {
  Offered offered(100);
  fake.copy = PIRN_ERR_IO;
  const Status status = offered.climb().status();
  assert_int_equal(status.code, PIRN_ERR_UNAVAILABLE);
  assert_contains(status.text, "file: mapped, but not readable: copy: made to fail; fabric: mapped");
  assert_true(fake.unmapped == fake.mapped);
  assert_int_equal(fake.mapped.size(), 3);
}

// Work that may still run keeps what it works with, and nothing more is asked of that device until it ends.
void climb__device_does_not_finish__is_left_alone_until_it_does(void **) {
  Offered offered(100);
  fake.finish = PIRN_ERR_TIMEOUT;
  assert_int_equal(offered.climb().status().code, PIRN_ERR_TIMEOUT);
  const Status again = offered.climb().status();
  assert_int_equal(again.code, PIRN_ERR_TIMEOUT);
  assert_text(again.text, "file: fake:3 is still at the reading of an earlier mapping");
  assert_int_equal(fake.mapped.size(), 1);
  assert_int_equal(fake.unmapped.size(), 0);
  assert_int_equal(fake_host_blocks(), 1);
  assert_int_equal(fake.streams, 1);
  fake.finish = PIRN_OK;
  const Result<Mapping> mapping = offered.climb();
  assert_text(mapping.status().text, "");
  assert_int_equal(fake.unmapped.size(), 1);
  assert_true(unmap(mapping.value()).is_ok());
}

void end__reading_under_way__frees_nothing_under_it(void **) {
  for (const pirn_status finish : {PIRN_OK, PIRN_ERR_IO, PIRN_ERR_TIMEOUT}) {
    {
      Offered offered(100);
      fake.finish = PIRN_ERR_TIMEOUT;
      assert_false(offered.climb().is_ok());
      fake.finish = finish;
    }
    const int left = finish == PIRN_ERR_TIMEOUT ? 1 : 0;
    assert_int_equal(fake_host_blocks(), left);
    assert_int_equal(fake.streams, left);
    assert_int_equal(fake.unmapped.size(), 1 - left);
  }
}

void climb__many__read_with_one_stream_and_leave_none(void **) {
  {
    Offered offered(100);
    for (int i = 0; i < 5; ++i) assert_true(unmap(offered.climb().value()).is_ok());
    assert_int_equal(fake.streams_made, 1);
  }
  assert_int_equal(fake_host_blocks(), 0);
  assert_int_equal(fake.streams, 0);
}

void climb__no_stream__falls_with_nothing_left(void **) {
  Offered offered(100);
  fake.make_stream = PIRN_ERR_NO_MEMORY;
  assert_contains(offered.climb().status().text, "file: make_stream: made to fail; fabric: make_stream");
  assert_int_equal(fake.mapped.size(), 0);
  assert_int_equal(fake_host_blocks(), 0);
}

void climb__deadline__bounds_the_wait_and_the_tries(void **) {
  Offered offered(100);
  offered.importer.deadline = now_ns() + 7 * ns_per_s;
  const Result<Mapping> mapping = offered.climb();
  assert_true(mapping.is_ok() && unmap(mapping.value()).is_ok());
  assert_in_range(fake.patience.at(0), 1, 7 * ns_per_s);
  offered.importer.deadline = now_ns();
  const Status status = offered.climb().status();
  assert_int_equal(status.code, PIRN_ERR_TIMEOUT);
  assert_text(status.text, "file: not tried, the deadline has passed");
  assert_int_equal(fake.mapped.size(), 1);
}

void climb__owner_is_this_process__takes_no_legacy_handle(void **) {
  Offered offered(100);
  offered.importer.same_process = true;
  fake.failing = bit(device::HandleKind::file) | bit(device::HandleKind::fabric);
  assert_contains(offered.climb().status().text, "legacy: the owner is this very process");
  assert_int_equal(fake.mapped.size(), 2);
}

void climb__descriptor_that_did_not_come__is_a_reason(void **) {
  Offered offered(100);
  offered.chunk.handles = {{Kind::device_file, 9, {}}};
  assert_text(offered.climb().status().text, "file: descriptor 9 of 1");
  offered.chunk.handles.clear();
  assert_text(offered.climb().status().text, "the owner offered no handle that this side can map");
  offered.chunk.allocation_length = 0;
  assert_int_equal(offered.climb().status().code, PIRN_ERR_INVALID);
}

// -- Host memory

struct HostOffered : Offered {
  HostOffered(size_t length, int seals) : Offered(length) {
    importer.operations = nullptr;
    chunk.handles = {{Kind::host_file, 0, {}}};
    files[0] = Fd(memfd_create("host", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    assert_int_equal(write(files[0].get(), content.data(), length), length);
    assert_int_equal(fcntl(files[0].get(), F_ADD_SEALS, seals), 0);
  }
};

void climb__host_memory__is_shared_both_ways(void **) {
  HostOffered offered(9000, F_SEAL_SHRINK);
  offered.importer.writable = true;
  const Result<Mapping> mapping = offered.climb();
  assert_text(mapping.status().text, "");
  assert_memory_equal(mapping.value().address, offered.content.data(), 9000);
  std::memset(mapping.value().address, 0x5c, 9000);
  Bytes seen(9000);
  assert_int_equal(pread(offered.files[0].get(), seen.data(), 9000, 0), 9000);
  assert_true(seen == Bytes(9000, std::byte{0x5c}));
  assert_true(unmap(mapping.value()).is_ok());
}

void climb__host_memory_that_could_kill_us__is_refused(void **) {
  HostOffered shrinkable(9000, F_SEAL_GROW);
  assert_contains(shrinkable.climb().status().text, "shared file: the file is not sealed against shrinking (seals 0x4");
  HostOffered brief(9000, F_SEAL_SHRINK);
  brief.chunk.allocation_length = 9001;
  assert_contains(brief.climb().status().text, "shared file: the file has 9000 bytes, the allocation 9001");
  HostOffered no_memory(9000, F_SEAL_SHRINK);
  no_memory.files[0] = Fd(open("/dev/null", O_RDWR | O_CLOEXEC));
  assert_contains(no_memory.climb().status().text, "shared file: not a memory file that can be sealed: ");
}

void climb__read_only_descriptor__serves_no_writer(void **) {
  HostOffered offered(9000, F_SEAL_SHRINK);
  offered.files[0] = Fd(open(text("/proc/self/fd/%d", offered.files[0].get()).c_str(), O_RDONLY | O_CLOEXEC));
  offered.importer.writable = true;
  assert_contains(offered.climb().status().text, "shared file: mmap of 9000 bytes to be written: Permission denied");
  offered.importer.writable = false;
  const Result<Mapping> mapping = offered.climb();
  assert_text(mapping.status().text, "");
  assert_memory_equal(mapping.value().address, offered.content.data(), 9000);
  assert_true(unmap(mapping.value()).is_ok());
}

void usable_kinds__are_those_that_climb_tries(void **) {
  Offered offered(1);
  const uint32_t host = share_bit(Kind::host_file), legacy = share_bit(Kind::device_legacy);
  const uint32_t files = share_bit(Kind::device_file) | share_bit(Kind::device_fabric);
  assert_int_equal(usable_kinds({}), host);
  assert_int_equal(usable_kinds(offered.importer), host | legacy | files);
  offered.importer.same_process = true;
  assert_int_equal(usable_kinds(offered.importer), host | files);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(climb__all_work__takes_the_file_and_reads_both_ends),
      cmocka_unit_test(climb__allocation_shorter_than_the_probe__reads_no_byte_too_many),
      cmocka_unit_test(climb__upper_rungs_fail__takes_the_last_in_order),
      cmocka_unit_test(climb__nothing_works__says_what_each_rung_said),
      cmocka_unit_test(climb__mapped_but_unreadable__is_unmapped_and_falls),
      cmocka_unit_test(climb__device_does_not_finish__is_left_alone_until_it_does),
      cmocka_unit_test(end__reading_under_way__frees_nothing_under_it),
      cmocka_unit_test(climb__many__read_with_one_stream_and_leave_none),
      cmocka_unit_test(climb__no_stream__falls_with_nothing_left),
      cmocka_unit_test(climb__deadline__bounds_the_wait_and_the_tries),
      cmocka_unit_test(climb__owner_is_this_process__takes_no_legacy_handle),
      cmocka_unit_test(climb__descriptor_that_did_not_come__is_a_reason),
      cmocka_unit_test(climb__host_memory__is_shared_both_ways),
      cmocka_unit_test(climb__host_memory_that_could_kill_us__is_refused),
      cmocka_unit_test(climb__read_only_descriptor__serves_no_writer),
      cmocka_unit_test(usable_kinds__are_those_that_climb_tries),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
