// SPDX-License-Identifier: Apache-2.0
// What pirn knows of the binary interface of NVIDIA's driver, libcuda.so.1: no header of the vendor is needed to build.
// tests/device/cuda_header_test.cpp compares all of it with the vendor's cuda.h where that is installed.
#pragma once

#include "runtime.h"

#include <cstddef>
#include <cstdint>

namespace pirn::device::cuda {

using Device = int;                    // CUdevice: its ordinal
using Pointer = unsigned long long;    // CUdeviceptr
using Chunk = unsigned long long;      // CUmemGenericAllocationHandle: physical memory
using Context = struct ContextState *;
using Stream = struct StreamState *;
using Event = struct EventState *;
using Module = struct ModuleState *;
using Function = struct FunctionState *;
using Pool = struct PoolState *;

struct Uuid16 {  // CUuuid
  unsigned char bytes[16];
};

struct IpcHandle {  // CUipcMemHandle; CUmemFabricHandle has the same size
  unsigned char bytes[64];
};

struct Location {  // CUmemLocation
  int type;
  int id;
};

struct Properties {  // CUmemAllocationProp
  int type;
  int handle_types;
  Location location;
  void *unused;
  unsigned char compression;
  unsigned char rdma;
  unsigned short usage;
  unsigned char reserved[4];
};

struct Access {  // CUmemAccessDesc
  Location location;
  int flags;
};

enum Error : int {
  success = 0,
  error_invalid_value = 1,
  error_out_of_memory = 2,
  error_not_initialized = 3,
  error_no_device = 100,
  error_invalid_device = 101,
  error_invalid_context = 201,
  error_no_binary = 209,
  error_peer_unsupported = 217,
  error_invalid_ptx = 218,
  error_no_compiler = 221,
  error_ptx_version = 222,
  error_invalid_handle = 400,
  error_not_ready = 600,
  error_peer_already_enabled = 704,
  error_already_registered = 712,
  error_not_registered = 713,
  error_not_permitted = 800,
  error_not_supported = 801,
};

enum DeviceAttribute : int {
  attribute_processors = 16,
  attribute_pci_bus = 33,
  attribute_pci_device = 34,
  attribute_unified_addressing = 41,
  attribute_pci_domain = 50,
  attribute_capability_major = 75,
  attribute_capability_minor = 76,
  attribute_chunks = 102,       // VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED
  attribute_chunk_files = 103,  // HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED
  attribute_chunk_rdma = 110,   // GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED
  attribute_flush_options = 117,  // GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS
  attribute_writes_ordering = 118,  // GPU_DIRECT_RDMA_WRITES_ORDERING
  attribute_stream_words = 122, // CAN_USE_64_BIT_STREAM_MEM_OPS
  attribute_dma_buf = 124,
  attribute_chunk_fabric = 128,  // HANDLE_TYPE_FABRIC_SUPPORTED
};

enum PairAttribute : int {
  pair_atomics = 3,  // NATIVE_ATOMIC_SUPPORTED
};

enum PointerAttribute : int {
  pointer_memory_type = 2,
  pointer_sync_copies = 6,     // SYNC_MEMOPS
  pointer_buffer_id = 7,
  pointer_is_managed = 8,
  pointer_device = 9,
  pointer_legacy_ipc = 10,
  pointer_range_start = 11,
  pointer_range_size = 12,
  pointer_handle_types = 14,
  pointer_pool = 17,
  pointer_mapping_size = 18,   // these three: drivers of CUDA 12.1 and later
  pointer_mapping_start = 19,
  pointer_block_id = 20,       // of the physical memory
};

enum Flag : unsigned {
  memory_host = 1,
  memory_device = 2,
  memory_unified = 4,
  chunk_pinned = 1,            // CU_MEM_ALLOCATION_TYPE_PINNED
  location_device = 1,
  granularity_minimum = 0,
  handle_file = 1,
  handle_fabric = 8,
  access_read = 1,
  access_read_write = 3,
  host_portable = 1,
  host_device_map = 2,
  ipc_lazy_peer = 1,
  range_dma_buf = 1,
  ordering_owner = 100,        // CU_GPU_DIRECT_RDMA_WRITES_ORDERING_OWNER; numbers above it order more
  flush_by_host = 1,           // CU_FLUSH_GPU_DIRECT_RDMA_WRITES_OPTION_HOST
  flush_current_context = 0,   // CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX
  flush_to_owner = 100,        // CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER
  stream_non_blocking = 1,
  event_no_timing = 2,
  wait_geq = 0,
  write_default = 0,
  capture_relaxed = 2,
  capturing_none = 0,
  capturing_active = 1,
};

// The functions, by the names that the driver exports them under.
struct Driver {
#define REQUIRED(symbol, ...) Entry<__VA_ARGS__> symbol{{#symbol, true}};
#define OPTIONAL(symbol, ...) Entry<__VA_ARGS__> symbol{{#symbol, false}};
#include "cuda_functions.inc"
#undef REQUIRED
#undef OPTIONAL
};

}  // namespace pirn::device::cuda
