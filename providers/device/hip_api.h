// SPDX-License-Identifier: Apache-2.0
// The part of the HIP runtime's ABI that the table calls, declared by us: building needs no vendor header, and one
// binary fits libamdhip64.so.5, .6 and .7. Compared with the vendor's header by tests/unit/device where that is
// installed. What differs between versions is decided by what hipRuntimeGetVersion() answers, never by the file's name.
//
// hipDeviceProp_t grew in 6 (functions with R0600 in their name): nothing here uses it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pirn::device::hip {

// As hipRuntimeGetVersion() answers: major * 10^7 + minor * 10^5 + patch.
constexpr int version(int major, int minor) { return major * 10000000 + minor * 100000; }

// The memory types were renumbered, and hipIpcMemLazyEnablePeerAccess went from 0 to 1.
constexpr int types_renumbered_since = version(6, 0);
// AllocationProperties as below; before 6.1 no chunk can be exported (clr answered hipErrorNotSupported).
constexpr int chunks_since = version(6, 1);
// Before, only memory of hipMallocSignalMemory could be waited for, and allocate_host() gives none of it.
constexpr int waits_on_host_words_since = version(6, 0);
// ROCm/rocm-systems#759; that 7.0 and 7.1 differ: kvcache-ai/Mooncake#1550, ROCm/rocm-systems#11020.
constexpr int file_by_value_since = version(7, 1);
// ROCm/rocm-systems#2696 and #5807, merged in 2026; the first version known to have both.
constexpr int retains_since = version(7, 15);

enum Error : int {
  success = 0,
  error_invalid_value = 1,
  error_out_of_memory = 2,
  error_not_initialized = 3,
  error_invalid_device_pointer = 17,
  error_no_device = 100,
  error_invalid_device = 101,
  error_no_binary_for_gpu = 209,
  error_peer_access_unsupported = 217,
  error_invalid_handle = 400,
  error_not_found = 500,
  error_not_ready = 600,
  error_peer_access_already_enabled = 704,
  error_host_memory_already_registered = 712,
  error_host_memory_not_registered = 713,
  error_not_supported = 801,
  error_stream_capture_unsupported = 900,
  error_unknown = 999,
};

enum DeviceAttribute : int {
  attribute_processors = 63,           // hipDeviceAttributeMultiprocessorCount
  attribute_chunks = 89,               // hipDeviceAttributeVirtualMemoryManagementSupported; unknown to 5.2
  attribute_wait_value = 10013,        // hipDeviceAttributeCanUseStreamWaitValue
};

constexpr int pair_atomics = 2;  // hipDevP2PAttrNativeAtomicSupported
// hsa_amd_link_info_type_t
enum LinkType : uint32_t { link_pcie = 2, link_xgmi = 4 };

// hipMemoryType from types_renumbered_since on; before: host 0, device 1, array 2, unified 3.
enum MemoryType : int { memory_unregistered = 0, memory_host = 1, memory_device = 2, memory_managed = 3 };
constexpr int memory_host_before_6 = 0;
constexpr int memory_device_before_6 = 1;

// hipPointer_attribute.
enum PointerAttribute : int {
  pointer_buffer_id = 7,  // written as 4 bytes: clear 8 first
  pointer_mempool = 17,   // before 6: hipErrorInvalidValue
};

// hipPointerAttribute_t; the first member was called memoryType before 6, the layout is the same.
struct PointerAttributes {
  int type;  // MemoryType
  int device;
  void *device_pointer;
  void *host_pointer;
  int is_managed;
  unsigned allocation_flags;
};

struct Uuid {
  char bytes[16];
};

struct IpcHandle {
  char bytes[64];
};
constexpr unsigned ipc_lazy_peer_access = 1;
constexpr unsigned ipc_lazy_peer_access_before_6 = 0;

struct Location {
  int type;
  int id;
};
constexpr int location_device = 1;

struct Access {
  Location location;
  int flags;
};
enum AccessFlags : int { access_read = 1, access_read_write = 3 };

// hipMemAllocationProp of chunks_since on. 5.2 ordered its members otherwise.
struct AllocationProperties {
  int type;
  int handle_kinds;
  Location location;
  void *security;  // of another operating system
  struct {
    unsigned char compression;
    unsigned char rdma;
    unsigned short usage;
  } flags;
};
constexpr int allocation_pinned = 1;
enum HandleType : int { handle_none = 0, handle_file = 1, handle_fabric = 8 };
enum Granularity : int { granularity_minimum = 0, granularity_recommended = 1 };
constexpr int range_dma_buf = 1;  // hipMemRangeHandleTypeDmaBufFd

constexpr unsigned host_portable = 1;
constexpr unsigned host_mapped = 2;
constexpr unsigned host_coherent = 0x40000000;
constexpr unsigned register_portable = 1;
constexpr unsigned register_mapped = 2;
constexpr unsigned stream_non_blocking = 1;
constexpr unsigned event_disable_timing = 2;
constexpr unsigned wait_greater_or_equal = 0;
constexpr int copy_default = 4;
enum CaptureStatus : int { capture_none = 0, capture_active = 1, capture_invalidated = 2 };
enum CaptureMode : int { capture_global = 0, capture_thread_local = 1, capture_relaxed = 2 };

// One alias per function type, called like the function: hip::type::hipInit is int(unsigned).
namespace type {
#define PIRN_HIP_NEEDED(name, ...) using name = __VA_ARGS__;
#define PIRN_HIP_WANTED PIRN_HIP_NEEDED
#include "hip_functions.inc"
#undef PIRN_HIP_NEEDED
#undef PIRN_HIP_WANTED
}  // namespace type

}  // namespace pirn::device::hip
