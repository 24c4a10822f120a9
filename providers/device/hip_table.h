// SPDX-License-Identifier: Apache-2.0
// The slots of the HIP table, by the files that fill them. Each has the contract of its slot in device/operations.h.
#pragma once

#include "device/operations.h"
#include "hip_runtime.h"

namespace pirn::device::hip {

Result<std::vector<Info>> devices();
Result<std::string> version_text();

// hip_links.cpp
Result<Link> link(uint32_t device, uint32_t peer);

// hip_memory.cpp
Result<std::optional<Allocation>> identify(const void *address);
Result<Allocation> allocate(uint32_t device, uint64_t length);
Status release(const Allocation &allocation);
Result<void *> allocate_host(uint64_t length);
Status release_host(void *address);
Status pin(void *address, uint64_t length);
Status unpin(void *address);

// hip_share.cpp
bool can_share_legacy();
Result<Handle> share(const Allocation &allocation, HandleKind kind);
Result<void *> map(uint32_t device, const Handle &handle, uint64_t length, bool writable);
Status unmap(uint32_t device, void *address, uint64_t length, HandleKind kind);
Status enable_peer(uint32_t device, uint32_t peer);
Result<DmaBuf> dma_buf(const Allocation &allocation);
Status order_with_nics(const Allocation &allocation);

// hip_stream.cpp
bool can_wait_on_words(uint32_t device);
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

// hip_copy_blocks.cpp
Status copy_blocks(uint32_t device, void *stream, const Block *blocks, uint64_t count, uint32_t ctas);
Status copy_selected(uint32_t device, void *stream, const SelectedBlocks &selected, uint32_t ctas);

}  // namespace pirn::device::hip
