// SPDX-License-Identifier: Apache-2.0
// Physical chunks mapped into virtual ranges: what can be shared as a file.
//
// All calls of the runtime about chunks go through here, one at a time: ROCr's own bookkeeping of them is not safe
// against an import in one thread and a mapping in another (ROCm/mori serialises them for that reason, too).
#pragma once

#include "device/operations.h"
#include "hip_runtime.h"

namespace pirn::device::hip {

bool can_share_files(uint32_t device);

// A range of one chunk of its own, reachable from `device` and from every device that can reach that one.
Result<Allocation> allocate_chunk(uint32_t device, uint64_t length);
// Of allocate_chunk() only; false: `address` is not of that kind.
Result<bool> release_chunk(void *address);
// Whether `address` lies in a chunk that can be exported. The application's chunks can be told from other memory from
// retains_since on; before, only those of allocate_chunk() are known.
bool is_chunk(const void *address);
// A descriptor of the chunk that starts at `address`; the caller's.
Result<int> export_chunk(const Allocation &allocation);
// `length` is that of the chunk, as its exporter has it.
Result<void *> map_chunk(uint32_t device, int file, uint64_t length, bool writable);
Status unmap_chunk(void *address, uint64_t length);

}  // namespace pirn::device::hip
