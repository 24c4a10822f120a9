// SPDX-License-Identifier: Apache-2.0
// Memory files: what an owner makes and gives away, and what is mapped of it.
#include "fixture.h"

#include "local/host_file.h"

#include <algorithm>
#include <fcntl.h>

using namespace fixture;

namespace {

struct Mapped {
  Mapped(const Fd &file, uint64_t length_in, bool writable) : length(length_in) {
    Result<void *> mapped = map_host_file(file.get(), length, writable);
    assert_text(mapped.status().text, "");
    bytes = static_cast<std::byte *>(mapped.value());
  }
  ~Mapped() { assert_int_equal(munmap(bytes, length), 0); }
  uint64_t length;
  std::byte *bytes = nullptr;
};

Fd made(uint64_t length) {
  Result<Fd> file = make_host_file(length);
  assert_text(file.status().text, "");
  return file.take();
}

void make__random_length__is_zero_and_shared_by_all_mappings(void **) {
  Seeded random;
  const uint64_t length = random.between(1, 100000);
  const Fd file = made(length);
  const Mapped one(file, length, true), other(file, length, false);
  for (uint64_t at = 0; at < length; ++at) assert_true(other.bytes[at] == std::byte{0});
  const auto content = random.bytes(length);
  std::copy(content.begin(), content.end(), one.bytes);
  assert_memory_equal(other.bytes, content.data(), length);
}

void make__length_that_no_file_has__is_out_of_range(void **) {
  const Status none = make_host_file(0).status();
  assert_int_equal(none.code, PIRN_ERR_RANGE);
  assert_text(none.text, "a memory file of 0 bytes; allowed are 1 to 9223372036854775807");
  assert_int_equal(make_host_file(UINT64_MAX).status().code, PIRN_ERR_RANGE);
}

void made__who_has_a_descriptor__can_neither_cut_nor_grow_nor_seal_it(void **) {
  const Fd file = made(8192);
  const Fd given = host_file_for(file.get(), true).take();
  for (const int descriptor : {file.get(), given.get()}) {
    for (const off_t length : {0, 8191, 8193}) {
      assert_int_equal(ftruncate(descriptor, length), -1);
      assert_int_equal(errno, EPERM);
    }
    assert_int_equal(fcntl(descriptor, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    assert_int_equal(errno, EPERM);
  }
}

void host_file_for__reader__cannot_write(void **) {
  const Fd file = made(8192);
  const Fd reader = host_file_for(file.get(), false).take(), writer = host_file_for(file.get(), true).take();
  const Status status = map_host_file(reader.get(), 8192, true).status();
  assert_int_equal(status.code, PIRN_ERR_ACCESS);
  assert_text(status.text, "mmap of 8192 bytes to be written: Permission denied");
  assert_int_equal(pwrite(reader.get(), "x", 1, 0), -1);
  assert_int_equal(errno, EBADF);
  const Mapped from(writer, 8192, true), to(reader, 8192, false);
  from.bytes[8191] = std::byte{0x6b};
  assert_true(to.bytes[8191] == std::byte{0x6b});
  for (const Fd *given : {&reader, &writer}) assert_int_equal(fcntl(given->get(), F_GETFD), FD_CLOEXEC);
}

void host_file_for__no_such_descriptor__says_so(void **) {
  const int closed = memory_of({}).get();
  for (const bool writable : {true, false}) {
    const Status status = host_file_for(closed, writable).status();
    assert_int_equal(status.code, PIRN_ERR_UNAVAILABLE);
    assert_contains(status.text, text("%s descriptor of memory file %d: ", writable ? "second" : "read-only",
                                      closed).c_str());
  }
}

void map__file_without_a_fixed_end__is_invalid(void **) {
  const Fd file = made(8192);
  const Status status = map_host_file(file.get(), 8193, false).status();
  assert_int_equal(status.code, PIRN_ERR_INVALID);
  assert_text(status.text, "the file has 8192 bytes, the allocation 8193");
  const Fd loose(memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  assert_int_equal(ftruncate(loose.get(), 8192), 0);
  assert_int_equal(map_host_file(loose.get(), 8192, false).status().code, PIRN_ERR_INVALID);
  const Directory directory;
  const Fd plain(open((directory.path() + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  assert_int_equal(ftruncate(plain.get(), 8192), 0);
  assert_int_equal(map_host_file(plain.get(), 8192, false).status().code, PIRN_ERR_INVALID);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(make__random_length__is_zero_and_shared_by_all_mappings),
      cmocka_unit_test(make__length_that_no_file_has__is_out_of_range),
      cmocka_unit_test(made__who_has_a_descriptor__can_neither_cut_nor_grow_nor_seal_it),
      cmocka_unit_test(host_file_for__reader__cannot_write),
      cmocka_unit_test(host_file_for__no_such_descriptor__says_so),
      cmocka_unit_test(map__file_without_a_fixed_end__is_invalid),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
