// SPDX-License-Identifier: Apache-2.0
// What an application does with its devices past pirn: memory of every kind, current contexts, captures. One per
// vendor.
// Whatever fails ends the running test with the vendor's error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// A range of several chunks, each of which may be replaced.
struct ChunkRange {
  void *address = nullptr;
  std::vector<uint64_t> lengths;
};

class Application {
 public:
  virtual ~Application() = default;

  virtual void open() = 0;   // the runtime, without initialising it
  virtual void start() = 0;  // initialises it
  virtual bool starts_by_itself() const { return false; }  // with its first call, whoever makes it
  virtual const char *runtime() const = 0;           // a part of the text if it is not loaded
  virtual const char *no_memory_text() const = 0;    // how the text of an allocation beyond the device's size begins

  // The calling thread's context, or whatever the vendor has; compared only.
  virtual void *current() = 0;
  virtual void make_current(uint32_t device) = 0;
  virtual void make_none_current() = 0;

  virtual void *plain(uint32_t device, uint64_t length) = 0;
  virtual void free_plain(void *address) = 0;
  virtual void *managed(uint32_t device, uint64_t length) = 0;
  virtual void free_managed(void *address) = 0;
  virtual void *from_pool(uint32_t device, uint64_t length) = 0;
  virtual void free_from_pool(void *address) = 0;

  // `units` is the length of each chunk as a multiple of the smallest possible. `shareable`: by descriptors.
  virtual ChunkRange chunks(uint32_t device, const std::vector<uint32_t> &units, bool shareable) = 0;
  virtual void replace_chunk(uint32_t device, ChunkRange &range, size_t index) = 0;
  virtual void free_chunks(ChunkRange &range) = 0;

  // Capture of a stream in the strictest mode, and its replay.
  virtual void begin_capture(void *stream) = 0;
  virtual void *end_capture(void *stream) = 0;  // something to replay
  virtual void abandon_capture(void *stream) = 0;  // ends it, broken or not; fails no test
  virtual void replay(void *graph, void *stream) = 0;
  virtual void drop(void *graph) = 0;
};

std::unique_ptr<Application> make_cuda_application();
std::unique_ptr<Application> make_hip_application();
