// SPDX-License-Identifier: Apache-2.0
// The slots of the CUDA table, by the files that fill them. Each has the contract of its slot in device/operations.h.
#pragma once

#include "cuda_driver.h"
#include "device/operations.h"

namespace pirn::device::cuda {

// cuda_devices.cpp
Result<std::vector<Info>> devices();
Result<std::string> version();
Result<PciAddress> pci_of(uint32_t device);
Result<int> attribute_of(uint32_t device, int attribute);
Result<bool> has_attribute(uint32_t device, int attribute);  // false, too, if the driver knows no such attribute
// Some fabric-manager channel was given to this process. The attribute of the device alone promises too much: without
// a channel the driver refuses memory that is to be shared in this way.
bool has_fabric_channel();

// cuda_links.cpp
Result<Link> link(uint32_t device, uint32_t peer);

// cuda_identify.cpp
Result<std::optional<Allocation>> identify(const void *address);

// cuda_memory.cpp
Result<Allocation> allocate(uint32_t device, uint64_t length);
Status release(const Allocation &allocation);
Result<void *> allocate_host(uint64_t length);
Status release_host(void *address);
Status pin(void *address, uint64_t length);
Status unpin(void *address);
bool is_pinned_by_us(const void *address);

// cuda_chunks.cpp: physical memory in ranges of its own
Properties chunk_properties(uint32_t device, int handle_types);
Result<uint64_t> rounded_to_chunks(uint32_t device, uint64_t length);
// A new range of `length` bytes with `chunk` in it, open to the devices of `access` (of one element at least). The
// caller still has to release its reference to the chunk.
Result<void *> map_chunk(Chunk chunk, uint64_t length, const std::vector<Access> &access);
Status unmap_chunk(void *address, uint64_t length);
bool is_chunk(const void *address);

// cuda_sharing.cpp
Result<Handle> share(const Allocation &allocation, HandleKind kind);
Result<void *> map(uint32_t device, const Handle &handle, uint64_t length, bool writable);
Status unmap(uint32_t device, void *address, uint64_t length, HandleKind kind);
Status enable_peer(uint32_t device, uint32_t peer);
Result<DmaBuf> dma_buf(const Allocation &allocation);
Status order_with_nics(const Allocation &allocation);
Result<RemoteWrites> remote_writes(uint32_t device);
Status flush_remote_writes(uint32_t device);

// cuda_streams.cpp
Result<void *> make_stream(uint32_t device);
Status drop_stream(uint32_t device, void *stream);
Result<void *> make_event(uint32_t device);
Status drop_event(uint32_t device, void *event);
Status record(uint32_t device, void *event, void *stream);
Result<bool> reached(uint32_t device, void *event);
Status copy(uint32_t device, void *stream, void *to, const void *from, uint64_t length);
Status finish(uint32_t device, void *stream, uint64_t timeout);
Result<uint32_t> device_of(void *stream);
Result<bool> capturing(void *stream);
Status wait_word(void *stream, uint64_t *word, uint64_t value);
Status write_word(void *stream, uint64_t *word, uint64_t value);

// cuda_copy_blocks.cpp
Status copy_blocks(uint32_t device, void *stream, const Block *blocks, uint64_t count, uint32_t ctas);
Status copy_selected(uint32_t device, void *stream, const SelectedBlocks &selected, uint32_t ctas);

inline Pointer pointer_to(const void *address) { return reinterpret_cast<Pointer>(address); }
inline void *address_of(Pointer pointer) { return reinterpret_cast<void *>(pointer); }

}  // namespace pirn::device::cuda
