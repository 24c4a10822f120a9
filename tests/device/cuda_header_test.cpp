// SPDX-License-Identifier: Apache-2.0
// Compares cuda_api.h, and what the tests know besides it, with the vendor's header; the compiler does all of it.
#include "../../providers/device/cuda_api.h"
#include "cuda_extra.h"

#include <cstdio>
#include <tuple>
#include <type_traits>

#include <cuda.h>

namespace {

// The same in a call: pointers to whatever, numbers of one size, structs of one size and alignment.
template <typename Ours, typename Theirs>
constexpr bool same_value() {
  if constexpr (std::is_pointer_v<Ours> || std::is_pointer_v<Theirs>) {
    return std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>;
  } else {
    return sizeof(Ours) == sizeof(Theirs) && alignof(Ours) == alignof(Theirs) &&
           std::is_class_v<Ours> == std::is_class_v<Theirs>;
  }
}

// What pointers point at has one size, too, where both sides know it.
template <typename T, typename = void>
struct Pointee {
  static constexpr size_t size = 0;
};
template <typename T>
struct Pointee<T *, std::void_t<decltype(sizeof(T))>> {
  static constexpr size_t size = sizeof(T);
};
template <typename T>
constexpr size_t pointee_size() {
  if constexpr (std::is_void_v<std::remove_pointer_t<T>>) return 0;
  return Pointee<T>::size;
}

template <typename Ours, typename Theirs>
constexpr bool same_parameter() {
  constexpr size_t ours = pointee_size<Ours>(), theirs = pointee_size<Theirs>();
  return same_value<Ours, Theirs>() && (ours == 0 || theirs == 0 || ours == theirs);
}

template <typename Ours, typename Theirs>
struct Same;
template <typename... Ours, typename... Theirs>
struct Same<pirn::device::Entry<Ours...>, CUresult (*)(Theirs...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(Ours) != sizeof...(Theirs)) return false;
    else return (same_parameter<Ours, Theirs>() && ...);
  }();
};

using pirn::device::Entry;
using namespace pirn::device::cuda;  // NOLINT: the parameter types of the lists
#define REQUIRED(symbol, ...) \
  static_assert(Same<Entry<__VA_ARGS__>, decltype(&::symbol)>::value, #symbol " has other parameters");
#define OPTIONAL(symbol, ...) REQUIRED(symbol, __VA_ARGS__)
#include "../../providers/device/cuda_functions.inc"
#include "cuda_extra.inc"
#undef REQUIRED
#undef OPTIONAL

#define SAME_SIZE(ours, theirs) static_assert(sizeof(ours) == sizeof(theirs) && alignof(ours) == alignof(theirs))
#define SAME_PLACE(ours, our_field, theirs, their_field) \
  static_assert(offsetof(ours, our_field) == offsetof(theirs, their_field))
#define SAME(ours, theirs) static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs))

SAME_SIZE(Uuid16, CUuuid);
SAME_SIZE(IpcHandle, CUipcMemHandle);
SAME_SIZE(IpcHandle, CUmemFabricHandle);
SAME_SIZE(Location, CUmemLocation);
SAME_PLACE(Location, id, CUmemLocation, id);
SAME_SIZE(Properties, CUmemAllocationProp);
SAME_PLACE(Properties, handle_types, CUmemAllocationProp, requestedHandleTypes);
SAME_PLACE(Properties, location, CUmemAllocationProp, location);
SAME_PLACE(Properties, rdma, CUmemAllocationProp, allocFlags.gpuDirectRDMACapable);
SAME_PLACE(Properties, usage, CUmemAllocationProp, allocFlags.usage);
SAME_SIZE(Access, CUmemAccessDesc);
SAME_PLACE(Access, flags, CUmemAccessDesc, flags);
SAME_SIZE(PoolProperties, CUmemPoolProps);
SAME_PLACE(PoolProperties, location, CUmemPoolProps, location);

SAME(success, CUDA_SUCCESS);
SAME(error_invalid_value, CUDA_ERROR_INVALID_VALUE);
SAME(error_out_of_memory, CUDA_ERROR_OUT_OF_MEMORY);
SAME(error_not_initialized, CUDA_ERROR_NOT_INITIALIZED);
SAME(error_no_device, CUDA_ERROR_NO_DEVICE);
SAME(error_invalid_device, CUDA_ERROR_INVALID_DEVICE);
SAME(error_invalid_context, CUDA_ERROR_INVALID_CONTEXT);
SAME(error_no_binary, CUDA_ERROR_NO_BINARY_FOR_GPU);
SAME(error_peer_unsupported, CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
SAME(error_invalid_ptx, CUDA_ERROR_INVALID_PTX);
SAME(error_no_compiler, CUDA_ERROR_JIT_COMPILER_NOT_FOUND);
SAME(error_ptx_version, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
SAME(error_invalid_handle, CUDA_ERROR_INVALID_HANDLE);
SAME(error_not_ready, CUDA_ERROR_NOT_READY);
SAME(error_peer_already_enabled, CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
SAME(error_already_registered, CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
SAME(error_not_registered, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
SAME(error_not_permitted, CUDA_ERROR_NOT_PERMITTED);
SAME(error_not_supported, CUDA_ERROR_NOT_SUPPORTED);

SAME(attribute_processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(attribute_capability_major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(attribute_capability_minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(attribute_pci_bus, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID);
SAME(attribute_pci_device, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID);
SAME(attribute_unified_addressing, CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING);
SAME(attribute_pci_domain, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID);
SAME(attribute_chunks, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
SAME(attribute_chunk_files, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
SAME(attribute_chunk_rdma, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED);
SAME(attribute_flush_options, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS);
SAME(attribute_writes_ordering, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WRITES_ORDERING);
SAME(attribute_stream_words, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS);
SAME(attribute_dma_buf, CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED);
SAME(attribute_chunk_fabric, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED);

SAME(pair_atomics, CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED);

SAME(pointer_memory_type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
SAME(pointer_sync_copies, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS);
SAME(pointer_buffer_id, CU_POINTER_ATTRIBUTE_BUFFER_ID);
SAME(pointer_is_managed, CU_POINTER_ATTRIBUTE_IS_MANAGED);
SAME(pointer_device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
SAME(pointer_legacy_ipc, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE);
SAME(pointer_range_start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR);
SAME(pointer_range_size, CU_POINTER_ATTRIBUTE_RANGE_SIZE);
SAME(pointer_handle_types, CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES);
SAME(pointer_pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE);
SAME(pointer_mapping_size, CU_POINTER_ATTRIBUTE_MAPPING_SIZE);
SAME(pointer_mapping_start, CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR);
SAME(pointer_block_id, CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID);

SAME(memory_host, CU_MEMORYTYPE_HOST);
SAME(memory_device, CU_MEMORYTYPE_DEVICE);
SAME(memory_unified, CU_MEMORYTYPE_UNIFIED);
SAME(chunk_pinned, CU_MEM_ALLOCATION_TYPE_PINNED);
SAME(location_device, CU_MEM_LOCATION_TYPE_DEVICE);
SAME(granularity_minimum, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
SAME(handle_file, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
SAME(handle_fabric, CU_MEM_HANDLE_TYPE_FABRIC);
SAME(access_read, CU_MEM_ACCESS_FLAGS_PROT_READ);
SAME(access_read_write, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
SAME(host_portable, CU_MEMHOSTALLOC_PORTABLE);
SAME(host_portable, CU_MEMHOSTREGISTER_PORTABLE);
SAME(host_device_map, CU_MEMHOSTALLOC_DEVICEMAP);
SAME(host_device_map, CU_MEMHOSTREGISTER_DEVICEMAP);
SAME(ipc_lazy_peer, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
SAME(range_dma_buf, CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD);
SAME(ordering_owner, CU_GPU_DIRECT_RDMA_WRITES_ORDERING_OWNER);
SAME(flush_by_host, CU_FLUSH_GPU_DIRECT_RDMA_WRITES_OPTION_HOST);
SAME(flush_current_context, CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX);
SAME(flush_to_owner, CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER);
SAME(stream_non_blocking, CU_STREAM_NON_BLOCKING);
SAME(event_no_timing, CU_EVENT_DISABLE_TIMING);
SAME(wait_geq, CU_STREAM_WAIT_VALUE_GEQ);
SAME(write_default, CU_STREAM_WRITE_VALUE_DEFAULT);
SAME(capture_relaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
SAME(capture_global, CU_STREAM_CAPTURE_MODE_GLOBAL);
SAME(capturing_none, CU_STREAM_CAPTURE_STATUS_NONE);
SAME(capturing_active, CU_STREAM_CAPTURE_STATUS_ACTIVE);
SAME(attach_global, CU_MEM_ATTACH_GLOBAL);

}  // namespace

int main() {
  std::printf("compared with the header of CUDA %d.%d\n", CUDA_VERSION / 1000, CUDA_VERSION % 1000 / 10);
  return 0;
}
