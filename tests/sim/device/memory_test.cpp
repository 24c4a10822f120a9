// SPDX-License-Identifier: Apache-2.0
// Devices and memory through the driver API.
#include "child.h"
#include "code.h"

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstring>
#include <random>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}

using namespace pirn::fake_gpu;
using namespace pirn::fake_gpu::cuda;
using namespace pirn::fake_gpu::test;

namespace {

void expect_clean(const Outcome &outcome) {
  assert_true(outcome.passed);
  assert_int_equal(outcome.lines("pirn-fake-gpu"), 0);
}

void expect_one(const Outcome &outcome, const char *line) {
  assert_true(outcome.passed);
  assert_int_equal(outcome.lines("pirn-fake-gpu misuse"), 1);
  assert_int_equal(outcome.lines(line), 1);
}

void devices__visible_list__gives_order_and_identity(void **) {
  expect_clean(run({{"PIRN_FAKE_GPUS", "4"}, {"CUDA_VISIBLE_DEVICES", "3,1"}}, [] {
    CHECK_IS(cuInit(0), ok);
    int count = 0;
    CHECK_IS(cuDeviceGetCount(&count), ok);
    CHECK_IS(count, 2);
    for (int ordinal : {0, 1}) {
      char pci[16];
      Uuid uuid{};
      int bus = 0;
      CHECK_IS(cuDeviceGetPCIBusId(pci, sizeof pci, ordinal), ok);
      CHECK_IS(strcmp(pci, ordinal == 0 ? "0000:24:00.0" : "0000:1C:00.0"), 0);
      CHECK_IS(cuDeviceGetAttribute(&bus, 33, ordinal), ok);
      CHECK_IS(bus, ordinal == 0 ? 0x24 : 0x1c);
      CHECK_IS(cuDeviceGetUuid_v2(&uuid, ordinal), ok);
      CHECK_IS(uuid.bytes[15], ordinal == 0 ? 3 : 1);
    }
    Device device = 0;
    CHECK_IS(cuDeviceGet(&device, 2), invalid_device);
  }));
}

void devices__list_by_uuid_and_invalid_entry__ends_there(void **) {
  const char *list = "GPU-facec000-513a-4f0d-9b11-7069726e0002,7,0";
  expect_clean(run({{"PIRN_FAKE_GPUS", "4"}, {"CUDA_VISIBLE_DEVICES", list}}, [] {
    CHECK_IS(cuInit(0), ok);
    int count = 0;
    Uuid uuid{};
    CHECK_IS(cuDeviceGetCount(&count), ok);
    CHECK_IS(count, 1);
    CHECK_IS(cuDeviceGetUuid_v2(&uuid, 0), ok);
    CHECK_IS(uuid.bytes[15], 2);
  }));
}

void devices__none_visible__is_no_device(void **) {
  expect_clean(run({{"CUDA_VISIBLE_DEVICES", ""}}, [] {
    int count = 0;
    CHECK_IS(cuDeviceGetCount(&count), not_initialized);
    CHECK_IS(cuInit(0), no_device);
  }));
}

void touch__device_memory_by_cpu__faults(void **) {
  Outcome outcome = run({}, [] {
    use_device(0);
    auto *bytes = reinterpret_cast<volatile uint8_t *>(put(random_bytes(4096, 1)));
    bytes[17] = 1;
  });
  assert_int_equal(outcome.signal, SIGSEGV);
}

void touch__mapped_memory_by_system_call__is_efault(void **) {
  expect_clean(run({}, [] {
    use_device(0);
    Mapped mapped = map_memory(0, 2 * mebibyte, {0});
    int ends[2];
    CHECK_IS(pipe(ends), 0);
    CHECK_IS(write(ends[1], reinterpret_cast<void *>(mapped.address), 8), -1);
    CHECK_IS(errno, EFAULT);
    unmap(mapped);
  }));
}

void copy__host_device_peer_host__same_bytes(void **) {
  uint64_t seed = seed_of_run();
  expect_clean(run({{"PIRN_FAKE_GPU_DELAY_US", "200"}}, [seed] {
    Handle contexts[2] = {use_device(1), use_device(0)};
    std::mt19937_64 random(seed);
    for (int round = 0; round < 20; round++) {
      size_t length = 1 + random() % (300 << 10), offset = random() % 5000;
      std::vector<uint8_t> bytes = random_bytes(length, random());
      Pointer first = put(std::vector<uint8_t>(length + offset));
      CHECK_IS(cuCtxPushCurrent_v2(contexts[0]), ok);
      Pointer second = put(std::vector<uint8_t>(length + offset));
      CHECK_IS(cuCtxPopCurrent_v2(nullptr), ok);
      Handle stream = new_stream();
      void *pinned = nullptr;
      CHECK_IS(cuMemHostAlloc(&pinned, length, 1), ok);
      memcpy(pinned, bytes.data(), length);
      CHECK_IS(cuMemcpyAsync(first + offset, reinterpret_cast<Pointer>(pinned), length, stream), ok);
      CHECK_IS(cuMemcpyAsync(second, first + offset, length, stream), ok);
      CHECK_IS(cuStreamSynchronize(stream), ok);
      CHECK(get(second, length) == bytes);
      CHECK(get(second + length, offset) == std::vector<uint8_t>(offset));
      CHECK_IS(cuMemFree_v2(first), ok);
      CHECK_IS(cuMemFree_v2(second), ok);
      CHECK_IS(cuMemFreeHost(pinned), ok);
      CHECK_IS(cuStreamDestroy_v2(stream), ok);
    }
  }));
}

struct Answer {
  int type = 0;
  bool managed = false;
  int device = 0;
  Pointer base = 0;
  size_t length = 0;
  unsigned long long id = 0;
};

Answer ask(Pointer address) {
  Answer answer;
  int attributes[] = {2, 8, 9, 19, 18, 7};
  void *values[] = {&answer.type, &answer.managed, &answer.device, &answer.base, &answer.length, &answer.id};
  CHECK_IS(cuPointerGetAttributes(6, attributes, values, address), ok);
  return answer;
}

void pointer__every_kind__is_told_apart(void **) {
  expect_clean(run({}, [] {
    use_device(1);
    Pointer plain = 0, managed = 0, pooled = 0;
    void *pinned = nullptr;
    std::vector<uint8_t> other(10000);
    CHECK_IS(cuMemAlloc_v2(&plain, 5000), ok);
    CHECK_IS(cuMemAllocManaged(&managed, 5000, 1), ok);
    CHECK_IS(cuMemAllocAsync(&pooled, 5000, nullptr), ok);
    CHECK_IS(cuMemHostAlloc(&pinned, 5000, 1), ok);
    CHECK_IS(cuMemHostRegister_v2(other.data(), other.size(), 1), ok);
    Mapped mapped = map_memory(0, 4 * mebibyte, {0, 1});

    Answer answer = ask(plain + 4999);
    CHECK(answer.type == 2 && !answer.managed && answer.device == 1 && answer.base == plain && answer.length == 5000);
    CHECK_IS(ask(plain + 5000).type, 0);
    answer = ask(managed + 10);
    CHECK(answer.type == 2 && answer.managed && answer.base == managed);
    reinterpret_cast<uint8_t *>(managed)[3] = 7;  // the CPU may
    answer = ask(mapped.address + 3 * mebibyte);
    CHECK(answer.type == 2 && answer.device == 0 && answer.base == mapped.address && answer.length == 4 * mebibyte);
    CHECK_IS(ask(reinterpret_cast<Pointer>(pinned)).type, 1);
    answer = ask(reinterpret_cast<Pointer>(other.data()) + 9999);
    CHECK(answer.type == 1 && answer.length == other.size());
    CHECK_IS(ask(reinterpret_cast<Pointer>(&answer)).type, 0);
    CHECK_IS(ask(reinterpret_cast<Pointer>(&answer)).device, -2);
    void *pool = nullptr, *default_pool = nullptr;
    CHECK_IS(cuPointerGetAttribute(&pool, 17, pooled), ok);
    CHECK_IS(cuDeviceGetDefaultMemPool(&default_pool, 1), ok);
    CHECK(pool == default_pool);
    CHECK_IS(cuPointerGetAttribute(&pool, 17, reinterpret_cast<Pointer>(&answer)), invalid_value);

    CHECK_IS(cuMemFree_v2(plain), ok);
    CHECK_IS(cuMemFree_v2(managed), ok);
    CHECK_IS(cuMemFreeAsync(pooled, nullptr), ok);
    CHECK_IS(cuStreamSynchronize(nullptr), ok);
    CHECK_IS(cuMemFreeHost(pinned), ok);
    CHECK_IS(cuMemHostUnregister(other.data()), ok);
    unmap(mapped);
  }));
}

void id__of_memory_at_a_used_address__is_new(void **) {
  expect_clean(run({}, [] {
    use_device(0);
    unsigned long long last = 0;
    for (int i = 0; i < 10; i++) {
      Pointer address = put(random_bytes(4096, 1));
      CHECK(ask(address).id > last);
      last = ask(address).id;
      CHECK_IS(cuMemFree_v2(address), ok);
    }
  }));
}

void free__twice__is_reported(void **) {
  expect_one(run({}, [] {
    use_device(0);
    Pointer address = put(random_bytes(100, 1));
    CHECK_IS(cuMemFree_v2(address), ok);
    CHECK_IS(cuMemFree_v2(address), invalid_value);
  }), "which is no allocation any more");
}

void copy__freed_memory__is_reported(void **) {
  expect_one(run({}, [] {
    use_device(0);
    Pointer address = put(random_bytes(100, 1));
    uint8_t byte;
    CHECK_IS(cuMemFree_v2(address), ok);
    CHECK_IS(cuMemcpy(reinterpret_cast<Pointer>(&byte), address + 50, 1), invalid_value);
  }), "which is device memory no more");
}

void copy__beyond_the_allocation__is_reported(void **) {
  Outcome outcome = run({}, [] {
    use_device(0);
    std::vector<uint8_t> bytes(200);
    Pointer address = put(std::vector<uint8_t>(100));
    CHECK_IS(cuMemcpyHtoD_v2(address, bytes.data(), 101), invalid_value);
    CHECK_IS(cuMemcpyHtoD_v2(address, bytes.data(), 100), ok);
    CHECK_IS(cuMemFree_v2(address), ok);
  });
  assert_true(outcome.passed);
  assert_int_equal(outcome.lines("pirn-fake-gpu misuse"), 1);
}

void copy__mapped_memory_without_access__is_reported(void **) {
  expect_one(run({}, [] {
    use_device(1);
    Mapped mapped = map_memory(0, 2 * mebibyte, {0});
    uint8_t byte = 0;
    CHECK_IS(cuMemcpyHtoD_v2(mapped.address, &byte, 1), invalid_value);
    unmap(mapped);
  }), "device 1 has no write access to mapped memory");
}

void copy__two_chunks_side_by_side__is_one_range(void **) {
  expect_clean(run({}, [] {
    use_device(0);
    Properties properties{};
    properties.type = 1;
    properties.location = {1, 0};
    Pointer base = 0;
    Physical chunks[2];
    CHECK_IS(cuMemAddressReserve(&base, 6 * mebibyte, 0, 0, 0), ok);
    for (size_t i : {0, 1}) {
      CHECK_IS(cuMemCreate(&chunks[i], 2 * mebibyte, &properties, 0), ok);
      CHECK_IS(cuMemMap(base + i * 2 * mebibyte, 2 * mebibyte, 0, chunks[i], 0), ok);
      CHECK_IS(cuMemRelease(chunks[i]), ok);  // the mapping holds it
    }
    Access access{{1, 0}, 3};
    CHECK_IS(cuMemSetAccess(base, 6 * mebibyte, &access, 1), invalid_value);  // not all of it is mapped
    CHECK_IS(cuMemSetAccess(base, 4 * mebibyte, &access, 1), ok);
    std::vector<uint8_t> bytes = random_bytes(3 * mebibyte, 5);
    CHECK_IS(cuMemcpyHtoD_v2(base + 1000, bytes.data(), bytes.size()), ok);
    CHECK(get(base + 1000, bytes.size()) == bytes);
    CHECK(ask(base).id != ask(base + 2 * mebibyte).id);
    CHECK_IS(ask(base + 3 * mebibyte).base, base + 2 * mebibyte);
    Physical again = 0;
    CHECK_IS(cuMemRetainAllocationHandle(&again, reinterpret_cast<void *>(base + 3 * mebibyte)), ok);
    CHECK(again != chunks[0]);
    CHECK_IS(cuMemRelease(again), ok);
    CHECK_IS(cuMemUnmap(base, 4 * mebibyte), ok);
    CHECK_IS(cuMemAddressFree(base, 6 * mebibyte), ok);
  }));
}

void memory__more_than_the_device_has__is_out_of_memory(void **) {
  expect_clean(run({{"PIRN_FAKE_GPU_MEMORY_MB", "16"}}, [] {
    use_device(0);
    Pointer first = 0, second = 0;
    CHECK_IS(cuMemAlloc_v2(&first, 12 * mebibyte), ok);
    CHECK_IS(cuMemAlloc_v2(&second, 12 * mebibyte), out_of_memory);
    CHECK_IS(cuMemFree_v2(first), ok);
    CHECK_IS(cuMemAlloc_v2(&second, 12 * mebibyte), ok);
    CHECK_IS(cuMemFree_v2(second), ok);
  }));
}

void rule__third_call_fails__only_that(void **) {
  expect_clean(run({{"PIRN_FAKE_GPU_FAIL", "cuMemAlloc:3:2,cuMemFree:2+"}}, [] {
    use_device(0);
    Pointer address[4];
    for (int i = 0; i < 4; i++) CHECK_IS(cuMemAlloc_v2(&address[i], 100), i == 2 ? out_of_memory : ok);
    CHECK_IS(cuMemFree_v2(address[0]), ok);
    CHECK_IS(cuMemFree_v2(address[1]), unknown);
    CHECK_IS(cuMemFree_v2(address[3]), unknown);
    _exit(0);  // what is left is no leak
  }));
}

void exit__with_things_left__is_one_line(void **) {
  Outcome outcome = run({}, [] {
    use_device(0);
    put(random_bytes(10, 1));
    put(random_bytes(10, 1));
    new_stream();
    map_memory(0, 2 * mebibyte, {});
  });
  assert_true(outcome.passed);
  assert_int_equal(outcome.lines("pirn-fake-gpu"), 1);
  assert_int_equal(outcome.lines("pirn-fake-gpu leak: 2 plain memory, 1 mapped memory, 1 physical handles, "
                                 "1 address ranges, 1 streams"), 1);
}

void process__forked_after_initialization__is_refused(void **) {
  expect_one(run({}, [] {
    use_device(0);
    Outcome inner = run({}, [] {
      int count = 0;
      CHECK_IS(cuDeviceGetCount(&count), not_initialized);
    });
    CHECK(inner.passed);
  }), "forked after initialization");
}

void context__none_current__is_invalid(void **) {
  expect_clean(run({}, [] {
    Pointer address = 0;
    CHECK_IS(cuInit(0), ok);
    CHECK_IS(cuMemAlloc_v2(&address, 10), invalid_context);
    Handle context = use_device(0), found = nullptr;
    CHECK_IS(cuCtxGetCurrent(&found), ok);
    CHECK(found == context);
    CHECK_IS(cuDevicePrimaryCtxRelease_v2(0), ok);
    CHECK_IS(cuMemAlloc_v2(&address, 10), context_is_destroyed);
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
    cmocka_unit_test(devices__visible_list__gives_order_and_identity),
    cmocka_unit_test(devices__list_by_uuid_and_invalid_entry__ends_there),
    cmocka_unit_test(devices__none_visible__is_no_device),
    cmocka_unit_test(touch__device_memory_by_cpu__faults),
    cmocka_unit_test(touch__mapped_memory_by_system_call__is_efault),
    cmocka_unit_test(copy__host_device_peer_host__same_bytes),
    cmocka_unit_test(pointer__every_kind__is_told_apart),
    cmocka_unit_test(id__of_memory_at_a_used_address__is_new),
    cmocka_unit_test(free__twice__is_reported),
    cmocka_unit_test(copy__freed_memory__is_reported),
    cmocka_unit_test(copy__beyond_the_allocation__is_reported),
    cmocka_unit_test(copy__mapped_memory_without_access__is_reported),
    cmocka_unit_test(copy__two_chunks_side_by_side__is_one_range),
    cmocka_unit_test(memory__more_than_the_device_has__is_out_of_memory),
    cmocka_unit_test(rule__third_call_fails__only_that),
    cmocka_unit_test(exit__with_things_left__is_one_line),
    cmocka_unit_test(process__forked_after_initialization__is_refused),
    cmocka_unit_test(context__none_current__is_invalid),
  };
  return cmocka_run_group_tests_name("sim-gpu-memory", tests, nullptr, nullptr);
}
