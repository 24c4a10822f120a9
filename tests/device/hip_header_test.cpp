// SPDX-License-Identifier: Apache-2.0
// providers/device/hip_api.h against the vendor's own header, of whichever version is installed. Built only where there
// is one. What a later version than the installed one changed is not compared.
#include "../unit/check.h"

#include "hip_api.h"
#include "hip_extra.h"

#include <hip/hip_runtime_api.h>

namespace hip = pirn::device::hip;

namespace {

constexpr int installed = hip::version(HIP_VERSION_MAJOR, HIP_VERSION_MINOR);

// How a value travels through a call: two types of one class and size are passed alike.
template <typename T>
struct Passed {
  int kind = std::is_pointer_v<T> ? 1 : std::is_class_v<T> ? 2 : 3;
  size_t size = sizeof(T);
  constexpr bool operator==(const auto &other) const { return kind == other.kind && size == other.size; }
};

template <typename Ours, typename Theirs>
struct Same {
  static constexpr bool value = false;
};
template <typename A, typename... As, typename B, typename... Bs>
  requires(sizeof...(As) == sizeof...(Bs))
struct Same<A(As...), B(Bs...)> {
  static constexpr bool value = (Passed<A>{} == Passed<B>{}) && (... && (Passed<As>{} == Passed<Bs>{}));
};

// The vendor overloads these for C++; that there is one of this type is what the casts check.
using PlainMalloc = hipError_t(void **, size_t);
using PlainHostMalloc = hipError_t(void **, size_t, unsigned);
using PlainManaged = hipError_t(void **, size_t, unsigned);
using PlainPool = hipError_t(void **, size_t, hipMemPool_t, hipStream_t);
using ManagedIsThere = decltype(static_cast<PlainManaged *>(&::hipMallocManaged));
using PoolIsThere = decltype(static_cast<PlainPool *>(&::hipMallocFromPoolAsync));
using MallocIsThere = decltype(static_cast<PlainMalloc *>(&::hipMalloc));
using HostMallocIsThere = decltype(static_cast<PlainHostMalloc *>(&::hipHostMalloc));

struct Row {
  const char *name;
  bool same;
};

template <typename A, typename B>
void values(std::vector<Row> &rows, const char *name, A ours, B theirs) {
  rows.push_back({name, static_cast<long long>(ours) == static_cast<long long>(theirs)});
}

void all_equal(const std::vector<Row> &rows) {
  for (const Row &row : rows)
    if (!row.same) fail_test("%s differs from HIP %d.%d", row.name, HIP_VERSION_MAJOR, HIP_VERSION_MINOR);
  std::printf("compared %zu with HIP %d.%d\n", rows.size(), HIP_VERSION_MAJOR, HIP_VERSION_MINOR);
}

}  // namespace

#if HIP_VERSION_MAJOR < 6
// As version 6 declares them.
extern "C" hipError_t hipStreamGetDevice(hipStream_t stream, hipDevice_t *device);
extern "C" hipError_t hipMemGetHandleForAddressRange(void *handle, hipDeviceptr_t address, size_t size, int type,
                                                     unsigned long long flags);
#endif

static void functions__of_the_vendors_header__take_and_give_the_same(void **) {
  std::vector<Row> rows;
  [[maybe_unused]] const MallocIsThere hipMalloc = nullptr;  // hide the overloads from what follows
  [[maybe_unused]] const HostMallocIsThere hipHostMalloc = nullptr;
  [[maybe_unused]] const ManagedIsThere hipMallocManaged = nullptr;
  [[maybe_unused]] const PoolIsThere hipMallocFromPoolAsync = nullptr;
#define PIRN_HIP_NEEDED(name, ...) \
  rows.push_back({#name, Same<hip::type::name, std::remove_pointer_t<std::decay_t<decltype(name)>>>::value});
#define PIRN_HIP_WANTED PIRN_HIP_NEEDED
#include "hip_functions.inc"
#include "hip_extra.inc"
#undef PIRN_HIP_NEEDED
#undef PIRN_HIP_WANTED
  all_equal(rows);
}

static void structures__of_the_vendors_header__have_the_same_layout(void **) {
  std::vector<Row> rows;
  values(rows, "sizeof hipUUID", sizeof(hip::Uuid), sizeof(hipUUID));
  values(rows, "sizeof hipIpcMemHandle_t", sizeof(hip::IpcHandle), sizeof(hipIpcMemHandle_t));
  values(rows, "sizeof hipPointerAttribute_t", sizeof(hip::PointerAttributes), sizeof(hipPointerAttribute_t));
#define MEMBER(ours, mine, theirs, member) \
  values(rows, #theirs "." #member, offsetof(hip::ours, mine), offsetof(theirs, member))
  MEMBER(PointerAttributes, device, hipPointerAttribute_t, device);
  MEMBER(PointerAttributes, device_pointer, hipPointerAttribute_t, devicePointer);
  MEMBER(PointerAttributes, host_pointer, hipPointerAttribute_t, hostPointer);
  MEMBER(PointerAttributes, is_managed, hipPointerAttribute_t, isManaged);
  MEMBER(PointerAttributes, allocation_flags, hipPointerAttribute_t, allocationFlags);
  values(rows, "sizeof hipMemLocation", sizeof(hip::Location), sizeof(hipMemLocation));
  MEMBER(Location, type, hipMemLocation, type);
  MEMBER(Location, id, hipMemLocation, id);
  values(rows, "sizeof hipMemAccessDesc", sizeof(hip::Access), sizeof(hipMemAccessDesc));
  MEMBER(Access, location, hipMemAccessDesc, location);
  MEMBER(Access, flags, hipMemAccessDesc, flags);
  values(rows, "sizeof hipMemPoolProps", sizeof(hip::PoolProperties), sizeof(hipMemPoolProps));
  MEMBER(PoolProperties, handle_types, hipMemPoolProps, handleTypes);
  MEMBER(PoolProperties, location, hipMemPoolProps, location);
#if HIP_VERSION_MAJOR >= 6
  MEMBER(PointerAttributes, type, hipPointerAttribute_t, type);
  values(rows, "sizeof hipMemAllocationProp", sizeof(hip::AllocationProperties), sizeof(hipMemAllocationProp));
  MEMBER(AllocationProperties, type, hipMemAllocationProp, type);
  MEMBER(AllocationProperties, handle_kinds, hipMemAllocationProp, requestedHandleType);
  MEMBER(AllocationProperties, location, hipMemAllocationProp, location);
  MEMBER(AllocationProperties, flags.rdma, hipMemAllocationProp, allocFlags.gpuDirectRDMACapable);
#else
  MEMBER(PointerAttributes, type, hipPointerAttribute_t, memoryType);
#endif
#undef MEMBER
  all_equal(rows);
}

#define VALUE(ours, theirs) values(rows, #theirs, hip::ours, theirs)
static void errors__of_the_vendors_header__have_the_same_numbers(void **) {
  std::vector<Row> rows;
  VALUE(success, hipSuccess);
  VALUE(error_invalid_value, hipErrorInvalidValue);
  VALUE(error_out_of_memory, hipErrorOutOfMemory);
  VALUE(error_not_initialized, hipErrorNotInitialized);
  VALUE(error_invalid_device_pointer, hipErrorInvalidDevicePointer);
  VALUE(error_no_device, hipErrorNoDevice);
  VALUE(error_invalid_device, hipErrorInvalidDevice);
  VALUE(error_no_binary_for_gpu, hipErrorNoBinaryForGpu);
  VALUE(error_peer_access_unsupported, hipErrorPeerAccessUnsupported);
  VALUE(error_invalid_handle, hipErrorInvalidHandle);
  VALUE(error_not_found, hipErrorNotFound);
  VALUE(error_not_ready, hipErrorNotReady);
  VALUE(error_peer_access_already_enabled, hipErrorPeerAccessAlreadyEnabled);
  VALUE(error_host_memory_already_registered, hipErrorHostMemoryAlreadyRegistered);
  VALUE(error_host_memory_not_registered, hipErrorHostMemoryNotRegistered);
  VALUE(error_not_supported, hipErrorNotSupported);
  VALUE(error_stream_capture_unsupported, hipErrorStreamCaptureUnsupported);
  VALUE(error_unknown, hipErrorUnknown);
  all_equal(rows);
}

static void numbers__of_the_vendors_header__are_the_same(void **) {
  std::vector<Row> rows;
  VALUE(attribute_processors, hipDeviceAttributeMultiprocessorCount);
  VALUE(pair_atomics, hipDevP2PAttrNativeAtomicSupported);
  VALUE(attribute_wait_value, hipDeviceAttributeCanUseStreamWaitValue);
  VALUE(pointer_buffer_id, HIP_POINTER_ATTRIBUTE_BUFFER_ID);
  VALUE(pointer_mempool, HIP_POINTER_ATTRIBUTE_MEMPOOL_HANDLE);
  VALUE(location_device, hipMemLocationTypeDevice);
  VALUE(access_read, hipMemAccessFlagsProtRead);
  VALUE(access_read_write, hipMemAccessFlagsProtReadWrite);
  VALUE(allocation_pinned, hipMemAllocationTypePinned);
  VALUE(handle_none, hipMemHandleTypeNone);
  VALUE(handle_file, hipMemHandleTypePosixFileDescriptor);
  VALUE(granularity_minimum, hipMemAllocationGranularityMinimum);
  VALUE(granularity_recommended, hipMemAllocationGranularityRecommended);
  VALUE(host_portable, hipHostMallocPortable);
  VALUE(host_mapped, hipHostMallocMapped);
  VALUE(host_coherent, hipHostMallocCoherent);
  VALUE(register_portable, hipHostRegisterPortable);
  VALUE(register_mapped, hipHostRegisterMapped);
  VALUE(stream_non_blocking, hipStreamNonBlocking);
  VALUE(event_disable_timing, hipEventDisableTiming);
  VALUE(wait_greater_or_equal, hipStreamWaitValueGte);
  VALUE(copy_default, hipMemcpyDefault);
  VALUE(capture_none, hipStreamCaptureStatusNone);
  VALUE(capture_active, hipStreamCaptureStatusActive);
  VALUE(capture_invalidated, hipStreamCaptureStatusInvalidated);
  VALUE(capture_global, hipStreamCaptureModeGlobal);
  VALUE(capture_thread_local, hipStreamCaptureModeThreadLocal);
  VALUE(capture_relaxed, hipStreamCaptureModeRelaxed);
#if HIP_VERSION_MAJOR >= 6
  VALUE(memory_unregistered, hipMemoryTypeUnregistered);
  VALUE(memory_host, hipMemoryTypeHost);
  VALUE(memory_device, hipMemoryTypeDevice);
  VALUE(memory_managed, hipMemoryTypeManaged);
  VALUE(ipc_lazy_peer_access, hipIpcMemLazyEnablePeerAccess);
  VALUE(attribute_chunks, hipDeviceAttributeVirtualMemoryManagementSupported);
#else
  VALUE(memory_host_before_6, hipMemoryTypeHost);
  VALUE(memory_device_before_6, hipMemoryTypeDevice);
  VALUE(ipc_lazy_peer_access_before_6, hipIpcMemLazyEnablePeerAccess);
  VALUE(attribute_chunks, hipDeviceAttributeMemoryPoolsSupported + 1);  // the next that 6 added
#endif
  all_equal(rows);
}
#undef VALUE

static void version__as_the_vendor_counts__is_the_same(void **) {
  assert_int_equal(installed + HIP_VERSION_PATCH, HIP_VERSION);
  assert_true(hip::version(7, 0) < hip::file_by_value_since);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(functions__of_the_vendors_header__take_and_give_the_same),
      cmocka_unit_test(structures__of_the_vendors_header__have_the_same_layout),
      cmocka_unit_test(errors__of_the_vendors_header__have_the_same_numbers),
      cmocka_unit_test(numbers__of_the_vendors_header__are_the_same),
      cmocka_unit_test(version__as_the_vendor_counts__is_the_same),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
