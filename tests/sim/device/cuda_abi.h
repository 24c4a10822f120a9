// SPDX-License-Identifier: Apache-2.0
// The part of the driver API that the fake serves, as the vendor's manual gives it. Enumerations are int, handles
// opaque pointers: the same binary interface.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pirn::fake_gpu::cuda {

using Result = int;
using Device = int;
using Pointer = unsigned long long;
using Physical = unsigned long long;  // CUmemGenericAllocationHandle
using Handle = void *;                // of a context, stream, event, graph, module, function, pool

struct Uuid {
  uint8_t bytes[16];
};
struct IpcHandle {
  uint8_t bytes[64];
};
struct Location {
  int type;  // 1: a device
  int id;
};
struct Properties {  // CUmemAllocationProp
  int type;
  int handle_types;
  Location location;
  void *metadata;
  uint8_t compression, rdma;
  uint16_t usage;
  uint8_t reserved[4];
};
struct Access {
  Location location;
  int flags;
};
struct PoolProperties {
  int type;
  int handle_types;
  Location location;
  void *attributes;
  size_t max_size;
  uint16_t usage;
  uint8_t reserved[54];
};
struct CopyAttributes {  // CUmemcpyAttributes
  int source_order;
  Location source_hint, target_hint;
  unsigned flags;
};
union BatchOperation {  // CUstreamBatchMemOpParams
  int operation;
  struct {
    int operation;
    Pointer address;
    uint64_t value;
    unsigned flags;
    Pointer alias;
  } word;
  uint64_t pad[6];
};
struct LaunchConfig {
  unsigned grid[3], block[3];
  unsigned shared_bytes;
  Handle stream;
  void *attributes;
  unsigned attribute_count;
};

#define PIRN_FAKE_CUDA(name, ...) extern "C" __attribute__((visibility("default"))) Result name(__VA_ARGS__);
#include "cuda_functions.inc"
#undef PIRN_FAKE_CUDA

}  // namespace pirn::fake_gpu::cuda
