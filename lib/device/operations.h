// SPDX-License-Identifier: Apache-2.0
// What a vendor's runtime does for pirn. One const table per vendor in providers/device; nothing else names a vendor.
//
// A table is complete: slots that a vendor does not fill answer UNAVAILABLE, or as they say (unsupported()), so nobody tests
// for nullptr. The runtime is opened by load(), never linked. Any thread may call any slot once load() has succeeded. Each
// slot leaves the caller's current device, context and last error as they were; nothing here waits for a device unless
// it says so. Devices are named by their ordinal in this process; across processes by uuid or PCI address.
// Streams and events are the vendor's own handles.
#pragma once

#include "base/pci_address.h"
#include "base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pirn::device {

using Uuid = std::array<uint8_t, 16>;

// Features of a device; Info::lacking says why one is missing.
constexpr uint32_t shares_files = 1;     // chunks can be exported as file descriptors
constexpr uint32_t shares_fabric = 2;    // chunks can be exported as handles that cross hosts
constexpr uint32_t shares_legacy = 4;    // plain allocations have a handle for other processes of this host
constexpr uint32_t waits_on_words = 8;   // streams can wait for and write a word of host memory
constexpr uint32_t has_kernels = 16;     // copy_blocks works
constexpr uint32_t exports_dma_buf = 32;
constexpr size_t feature_count = 6;

struct Info {
  uint32_t ordinal = 0;
  Uuid uuid{};
  PciAddress pci;
  std::string name;
  uint64_t memory = 0;    // bytes
  uint32_t features = 0;
  std::array<std::string, feature_count> lacking;  // why bit i of `features` is not set; "" if it is
  uint32_t processors = 0;  // that a kernel's thread blocks run on
};

// How one device reaches the memory of another one.
struct Link {
  std::string kind;     // the vendor's word; "" if unknown
  uint32_t lanes = 0;   // links of that kind side by side; 0: unknown
  uint64_t speed = 0;   // bits per second in one direction, of all; 0: unknown
  bool direct = false;  // loads, stores and copies need no host between the two
  bool atomics = false;
  std::string reason;   // why the kind is unknown, or no direct access; "" if neither
};

// How the memory at an address came to be.
enum class Backing : uint8_t {
  plain,       // device memory, one allocation of the runtime's plain allocator
  chunks,      // device memory, physical chunks mapped side by side into a virtual range
  pool,        // device memory of a stream-ordered pool
  managed,     // migrates between host and device
  pinned,      // host memory that the runtime allocated, page-locked
  registered,  // host memory of others, page-locked later
};
const char *backing_name(Backing backing);

// One allocation, or one chunk of a virtual range.
struct Allocation {
  void *address = nullptr;
  uint64_t length = 0;
  uint32_t device = 0;
  Backing backing = Backing::plain;
  uint64_t id = 0;  // never used again for another allocation of this process
  bool on_device() const { return backing == Backing::plain || backing == Backing::chunks || backing == Backing::pool; }
};

// Something another process can map an allocation by.
enum class HandleKind : uint8_t { file = 1, fabric = 2, legacy = 3 };
constexpr size_t handle_bytes = 64;
struct Handle {
  HandleKind kind = HandleKind::file;
  int file = -1;  // kind file; belongs to whoever holds the Handle
  std::array<std::byte, handle_bytes> bytes{};  // the other kinds
};

// One piece of a scattered copy; both addresses are reachable from the device that runs it. Kernels know this layout.
struct Block {
  void *to = nullptr;
  const void *from = nullptr;
  uint64_t length = 0;
  uint64_t before = 0;  // bytes of the blocks ahead of it in the list, of which a part may be launched; see chain()
};
// Fills in `before`; whoever hands out a list has done so. Returns the bytes of all.
uint64_t chain(std::span<Block> blocks);

// Blocks of one length, by index from a list that stays where it is: the i-th goes to list[to[i]].to from
// list[from[i]].from.
struct SelectedBlocks {
  const Block *list = nullptr;  // in memory of the device
  const uint32_t *to = nullptr;
  const uint32_t *from = nullptr;
  uint64_t count = 0;
  uint64_t length = 0;  // of each
};

struct DmaBuf {
  int file = -1;  // the caller's
  uint64_t offset = 0;
};

// How what a NIC has written into a device's memory comes to be seen by work of that device which runs already. Work that is
// given to the device later sees it in any case.
enum class RemoteWrites : uint8_t {
  seen,     // in the order in which it arrives, by itself
  flushed,  // by flush_remote_writes()
  unseen,   // by nothing that is known
};

struct Operations {
  const char *name;  // of its devices: "NAME:0"
  uint32_t fabric_interface;  // libfabric's number for this kind of memory (enum fi_hmem_iface); 0: it has none

  // Opens the runtime. `only_if_loaded`: only if the process has it already, and has initialised it; whoever has not
  // cannot have its memory. UNAVAILABLE says why not. May be called again; succeeds at once when loaded.
  Status (*load)(bool only_if_loaded);
  Result<std::vector<Info>> (*devices)();
  Result<std::string> (*version)();  // of driver and runtime, for people
  // From `device` to `peer`, which differ. May load another library of the vendor, which takes up to a second.
  Result<Link> (*link)(uint32_t device, uint32_t peer);

  // -- Memory
  // The allocation that `address` lies in; nothing if it is not this runtime's.
  Result<std::optional<Allocation>> (*identify)(const void *address);
  // Shareable device memory, at least `length` bytes, open to every device that can reach `device`.
  Result<Allocation> (*allocate)(uint32_t device, uint64_t length);
  // What allocate() gave; no work may be using it any more.
  Status (*release)(const Allocation &allocation);
  // Page-locked host memory that every device reaches under the same address.
  Result<void *> (*allocate_host)(uint64_t length);
  Status (*release_host)(void *address);
  // Page-locks host memory of others, so that copies from and to it run asynchronously.
  Status (*pin)(void *address, uint64_t length);
  Status (*unpin)(void *address);

  // -- Sharing between processes
  // A handle of exactly this allocation or chunk. UNAVAILABLE: it has none of this kind, and why.
  Result<Handle> (*share)(const Allocation &allocation, HandleKind kind);
  // Maps what a handle names for use by `device` alone, read-only where the runtime can do that. `handle.file` stays
  // the caller's.
  Result<void *> (*map)(uint32_t device, const Handle &handle, uint64_t length, bool writable);
  Status (*unmap)(uint32_t device, void *address, uint64_t length, HandleKind kind);
  // Whether `device` can reach the memory of `peer` directly; makes it so for plain memory. Mapped chunks are open to
  // the devices that whoever mapped them named.
  Status (*enable_peer)(uint32_t device, uint32_t peer);
  // Of any part of one allocation or chunk.
  Result<DmaBuf> (*dma_buf)(const Allocation &allocation);
  // Before a NIC is given the allocation: its own copies must not overtake what the NIC does.
  Status (*order_with_nics)(const Allocation &allocation);
  // Of memory of this device. Tables that do not fill these two in have nothing to flush.
  Result<RemoteWrites> (*remote_writes)(uint32_t device);
  // What a NIC had written before this call is seen after it. Waits for the writes, not for work of the device.
  Status (*flush_remote_writes)(uint32_t device);

  // -- Copies, in the order of a stream
  Result<void *> (*make_stream)(uint32_t device);
  Status (*drop_stream)(uint32_t device, void *stream);
  Result<void *> (*make_event)(uint32_t device);
  Status (*drop_event)(uint32_t device, void *event);
  Status (*record)(uint32_t device, void *event, void *stream);
  Result<bool> (*reached)(uint32_t device, void *event);  // an error of the work before it is returned
  // Any direction: device, peer's device, host. Returns before it is done if the host side is page-locked.
  Status (*copy)(uint32_t device, void *stream, void *to, const void *from, uint64_t length);
  // All of them as one piece of work, at most `ctas` thread blocks at a time (0: as many as useful). `blocks` must stay
  // until the work is done, in page-locked host memory or memory of the device.
  Status (*copy_blocks)(uint32_t device, void *stream, const Block *blocks, uint64_t count, uint32_t ctas);
  // The same for a selection; `to` and `from` must stay like `blocks` there.
  Status (*copy_selected)(uint32_t device, void *stream, const SelectedBlocks &selected, uint32_t ctas);
  // Waits, for at most `timeout` ns, until the stream has nothing left to do.
  Status (*finish)(uint32_t device, void *stream, uint64_t timeout);

  // -- The application's streams
  Result<uint32_t> (*device_of)(void *stream);
  Result<bool> (*capturing)(void *stream);
  // The stream goes on once *word >= value (as signed difference); the word is in allocate_host() memory.
  Status (*wait_word)(void *stream, uint64_t *word, uint64_t value);
  Status (*write_word)(void *stream, uint64_t *word, uint64_t value);
};

// Every slot that needs something of the vendor answers UNAVAILABLE.
Operations unsupported(const char *name);

// All tables, in the order they are asked.
std::span<const Operations *const> tables();
const Operations *find_table(const std::string &name);  // nullptr if unknown

}  // namespace pirn::device
