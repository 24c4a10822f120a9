// SPDX-License-Identifier: Apache-2.0
// The memory that one side lends to transfers, wherever it lies, and how its bytes are set and seen.
#pragma once

#include "gpu_runtime.h"
#include "handles.h"

#include <vector>

struct Range {
  uint64_t offset, length;
};

// Page-aligned memory.
class Storage {
 public:
  // where: "host": the process's own; "shared" or a device: of pirn_memory_alloc; "cuda:0/plain": of the runtime's own
  // allocator.
  Storage(pirn_context *context, const std::string &where, uint64_t bytes);
  ~Storage();
  Storage(const Storage &) = delete;
  Storage &operator=(const Storage &) = delete;
  void *address() const { return address_; }

 private:
  pirn_context *allocator_ = nullptr;  // pirn_memory_alloc's
  std::unique_ptr<GpuMemory> plain_;
  void *address_ = nullptr;
  uint64_t size_;
};

// Memory registered at an endpoint, with one window over all of it.
class Lent {
 public:
  Lent(pirn_endpoint *endpoint, void *address, uint64_t bytes);
  ~Lent();
  Lent(const Lent &) = delete;
  Lent &operator=(const Lent &) = delete;
  pirn_region *region() const { return region_.get(); }
  const std::string &blob_text() const { return blob_text_; }

 private:
  Region region_;
  uint64_t window_ = 0;
  std::string blob_text_;
};

class Mirror;

// Storage as options.memory says, lent at the endpoint, and filled with `background` if it is host memory or is checked.
class Memory {
 public:
  // checked: its bytes will be set and seen.
  Memory(pirn_context *context, pirn_endpoint *endpoint, const Options &options, uint64_t bytes, bool checked);
  ~Memory();

  void *address() const { return storage_.address(); }
  uint64_t size() const { return size_; }
  pirn_region *region() const { return lent_.region(); }
  const std::string &blob_text() const { return lent_.blob_text(); }

  // The bytes as the CPU sees them: the memory itself, or a copy of device memory, which push() and pull() keep up.
  unsigned char *data();
  void push(const std::vector<Range> &ranges);  // data() to the memory
  void pull(const std::vector<Range> &ranges);  // the memory to data()

 private:
  uint64_t size_;
  bool on_device_;
  Storage storage_;
  Lent lent_;
  std::unique_ptr<Mirror> mirror_;
};
