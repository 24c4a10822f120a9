// SPDX-License-Identifier: Apache-2.0
#include "api/params.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <csetjmp>
#include <random>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

using namespace pirn::api;
using pirn::Status;

namespace {

// A struct of this release: `first` and `second` were there from the start, `third` was added since.
struct Sample {
  size_t struct_size;
  uint64_t first;
  uint32_t second;
  uint32_t reserved;
  uint64_t third;
};
constexpr Layout sample_layout{"sample", sizeof(Sample), offsetof(Sample, third), offsetof(Sample, reserved)};

// Memory of exactly `size` bytes that ends at an unmapped page: reading or writing past it faults.
class Fenced {
 public:
  explicit Fenced(size_t size) : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))), size_(size) {
    base_ = static_cast<char *>(
        mmap(nullptr, 3 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    assert_ptr_not_equal(base_, MAP_FAILED);
    assert_int_equal(mprotect(base_ + 2 * page_, page_, PROT_NONE), 0);
  }
  ~Fenced() { munmap(base_, 3 * page_); }
  char *data() { return base_ + 2 * page_ - size_; }
  void set_size(size_t size) { std::memcpy(data(), &size, sizeof size); }

 private:
  size_t page_;
  size_t size_;
  char *base_;
};

std::mt19937_64 &random_source() {
  static const uint64_t seed = std::random_device{}();
  static std::mt19937_64 source = [] {
    std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
    return std::mt19937_64(seed);
  }();
  return source;
}

size_t random_between(size_t low, size_t high) {
  return std::uniform_int_distribution<size_t>(low, high)(random_source());
}

Sample dirty_sample() {
  Sample sample;
  std::memset(&sample, 0xee, sizeof sample);
  return sample;
}

void assert_defaults(const Sample &sample) {
  assert_int_equal(sample.struct_size, sizeof(Sample));
  assert_int_equal(sample.first, 0);
  assert_int_equal(sample.second, 0);
  assert_int_equal(sample.reserved, 0);
  assert_int_equal(sample.third, 0);
}

void import__null__is_all_defaults(void **) {
  Sample copy = dirty_sample();
  assert_true(import_struct(sample_layout, nullptr, &copy).outcome == Import::absent);
  assert_defaults(copy);
  assert_int_equal(import_status(sample_layout, nullptr, &copy).code, PIRN_OK);
}

void import__same_release__copies_every_field(void **) {
  const Sample caller{sizeof(Sample), 11, 22, 0, 33};
  Sample copy = dirty_sample();
  assert_true(import_struct(sample_layout, &caller, &copy).outcome == Import::same);
  assert_memory_equal(&copy, &caller, sizeof copy);
}

void import__older_caller__missing_fields_are_zero(void **) {
  Fenced memory(sample_layout.minimum);
  const Sample caller{sample_layout.minimum, 11, 22, 0, 0};
  std::memcpy(memory.data(), &caller, sample_layout.minimum);
  Sample copy = dirty_sample();
  assert_true(import_struct(sample_layout, memory.data(), &copy).outcome == Import::older);
  assert_int_equal(copy.struct_size, sizeof(Sample));
  assert_int_equal(copy.first, 11);
  assert_int_equal(copy.second, 22);
  assert_int_equal(copy.third, 0);
}

void import__newer_caller_with_zero_tail__is_taken(void **) {
  const size_t size = sizeof(Sample) + random_between(1, 500);
  Fenced memory(size);
  const Sample caller{size, 11, 22, 0, 33};
  std::memcpy(memory.data(), &caller, sizeof caller);
  Sample copy = dirty_sample();
  assert_true(import_struct(sample_layout, memory.data(), &copy).outcome == Import::newer);
  assert_int_equal(copy.struct_size, sizeof(Sample));
  assert_int_equal(copy.third, 33);
}

void import__newer_caller_with_any_byte_set__names_struct_and_byte(void **) {
  const size_t size = sizeof(Sample) + random_between(1, 500);
  for (size_t where = sizeof(Sample); where < size; ++where) {
    Fenced memory(size);
    memory.set_size(size);
    memory.data()[where] = static_cast<char>(random_between(1, 255));
    Sample copy = dirty_sample();
    const ImportResult result = import_struct(sample_layout, memory.data(), &copy);
    assert_true(result.outcome == Import::unknown_field);
    assert_int_equal(result.where, where);
    assert_defaults(copy);
    const Status status = import_status(sample_layout, memory.data(), &copy);
    assert_int_equal(status.code, PIRN_ERR_INVALID);
    assert_non_null(strstr(status.text.c_str(), ("sample: byte " + std::to_string(where) + " ").c_str()));
  }
}

void import__reserved_not_zero__is_invalid(void **) {
  const Sample caller{sizeof(Sample), 11, 22, 0x01000000, 33};
  Sample copy = dirty_sample();
  const ImportResult result = import_struct(sample_layout, &caller, &copy);
  assert_true(result.outcome == Import::unknown_field);
  assert_int_equal(result.where, offsetof(Sample, reserved) + 3);
  assert_defaults(copy);
}

void import__every_size_below_the_first_release__is_invalid(void **) {
  for (size_t size = 0; size < sample_layout.minimum; ++size) {
    // Only struct_size itself may be read.
    Fenced memory(sizeof(size_t));
    memory.set_size(size);
    Sample copy = dirty_sample();
    const ImportResult result = import_struct(sample_layout, memory.data(), &copy);
    assert_true(result.outcome == Import::too_small);
    assert_int_equal(result.where, size);
    assert_defaults(copy);
    const Status status = import_status(sample_layout, memory.data(), &copy);
    assert_int_equal(status.code, PIRN_ERR_INVALID);
    assert_non_null(strstr(status.text.c_str(), ("sample: struct_size is " + std::to_string(size) + ";").c_str()));
  }
}

void import__absurd_size__is_invalid_and_not_followed(void **) {
  for (const size_t size : {largest_struct + 1, size_t{0xdeadbeefdeadbeef}, SIZE_MAX}) {
    Fenced memory(sizeof(size_t));
    memory.set_size(size);
    Sample copy = dirty_sample();
    assert_true(import_struct(sample_layout, memory.data(), &copy).outcome == Import::too_large);
    assert_defaults(copy);
    assert_int_equal(import_status(sample_layout, memory.data(), &copy).code, PIRN_ERR_INVALID);
  }
}

void export__every_caller_size__writes_no_more_and_defines_all(void **) {
  const Sample value{sizeof(Sample), 11, 22, 0, 33};
  for (size_t size = sample_layout.minimum; size <= sizeof(Sample) + 64; ++size) {
    Fenced memory(size);
    std::memset(memory.data(), 0xee, size);
    export_struct(sample_layout, &value, memory.data(), size);

    std::vector<char> expected(size, 0);
    std::memcpy(expected.data(), &value, std::min(size, sizeof value));
    std::memcpy(expected.data(), &size, sizeof size);
    assert_memory_equal(memory.data(), expected.data(), size);
  }
}

void clear_output__accepted_struct__is_zero_but_for_its_size(void **) {
  const size_t size = random_between(sample_layout.minimum, 200);
  Fenced memory(size);
  std::memset(memory.data(), 0xee, size);
  memory.set_size(size);
  assert_int_equal(clear_output(sample_layout, memory.data()).code, PIRN_OK);
  std::vector<char> expected(size, 0);
  std::memcpy(expected.data(), &size, sizeof size);
  assert_memory_equal(memory.data(), expected.data(), size);
}

void clear_output__refused_struct__is_untouched(void **) {
  for (const size_t size : {size_t{0}, sample_layout.minimum - 1, largest_struct + 1, SIZE_MAX}) {
    Fenced memory(sizeof(Sample));
    std::memset(memory.data(), 0xee, sizeof(Sample));
    memory.set_size(size);
    const std::string before(memory.data(), sizeof(Sample));
    assert_int_equal(clear_output(sample_layout, memory.data()).code, PIRN_ERR_INVALID);
    assert_memory_equal(memory.data(), before.data(), before.size());
  }
  const Status status = clear_output(sample_layout, nullptr);
  assert_int_equal(status.code, PIRN_ERR_INVALID);
  assert_string_equal(status.text.c_str(), "sample: NULL");
}

// The sizes of release 0.1 never change: they are what its callers pass.
void layout__first_release__is_fixed(void **) {
  assert_int_equal(LayoutOf<pirn_context_params>::value.minimum, 40);
  assert_int_equal(LayoutOf<pirn_endpoint_params>::value.minimum, 40);
  assert_int_equal(LayoutOf<pirn_region_params>::value.minimum, 16);
  assert_int_equal(LayoutOf<pirn_transfer_params>::value.minimum, 48);
  assert_int_equal(LayoutOf<pirn_setting_info>::value.minimum, 56);
  assert_int_equal(LayoutOf<pirn_provider_info>::value.minimum, 40);
  assert_int_equal(LayoutOf<pirn_nic_info>::value.minimum, 56);
  assert_int_equal(LayoutOf<pirn_peer_info>::value.minimum, 168);
  assert_int_equal(LayoutOf<pirn_result>::value.minimum, 384);
  assert_int_equal(LayoutOf<pirn_notification>::value.minimum, 24);
}

void import_params__real_struct__goes_through_its_layout(void **) {
  pirn_transfer_params caller{};
  caller.struct_size = sizeof caller;
  caller.user_data = 77;
  pirn_transfer_params copy;
  assert_int_equal(import_params(&caller, &copy).code, PIRN_OK);
  assert_memory_equal(&copy, &caller, sizeof copy);

  caller.struct_size = 0;
  const Status status = import_params(&caller, &copy);
  assert_int_equal(status.code, PIRN_ERR_INVALID);
  assert_string_equal(status.text.c_str(),
                      "pirn_transfer_params: struct_size is 0; set it to sizeof(pirn_transfer_params), "
                      "which is 56 here and at least 48");
}

void export_result__real_struct__round_trips(void **) {
  pirn_notification caller{};
  caller.struct_size = sizeof caller;
  assert_int_equal(clear_output(&caller).code, PIRN_OK);
  const pirn_notification value{sizeof value, nullptr, 4711};
  export_result(value, &caller);
  assert_int_equal(caller.struct_size, sizeof caller);
  assert_int_equal(caller.length, 4711);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(import__null__is_all_defaults),
      cmocka_unit_test(import__same_release__copies_every_field),
      cmocka_unit_test(import__older_caller__missing_fields_are_zero),
      cmocka_unit_test(import__newer_caller_with_zero_tail__is_taken),
      cmocka_unit_test(import__newer_caller_with_any_byte_set__names_struct_and_byte),
      cmocka_unit_test(import__reserved_not_zero__is_invalid),
      cmocka_unit_test(import__every_size_below_the_first_release__is_invalid),
      cmocka_unit_test(import__absurd_size__is_invalid_and_not_followed),
      cmocka_unit_test(export__every_caller_size__writes_no_more_and_defines_all),
      cmocka_unit_test(clear_output__accepted_struct__is_zero_but_for_its_size),
      cmocka_unit_test(clear_output__refused_struct__is_untouched),
      cmocka_unit_test(layout__first_release__is_fixed),
      cmocka_unit_test(import_params__real_struct__goes_through_its_layout),
      cmocka_unit_test(export_result__real_struct__round_trips),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
