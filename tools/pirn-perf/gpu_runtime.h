// SPDX-License-Identifier: Apache-2.0
// What pirn-perf does with a GPU by the vendor's own runtime, which is opened when it is needed. Throws Failure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

struct GpuRuntime;

// Memory of the runtime's plain allocator (cudaMalloc, hipMalloc).
class GpuMemory {
 public:
  // device: "cuda:0", "hip:1".
  GpuMemory(const std::string &device, uint64_t bytes);
  ~GpuMemory();
  GpuMemory(const GpuMemory &) = delete;
  GpuMemory &operator=(const GpuMemory &) = delete;
  void *address() const { return address_; }

 private:
  std::unique_ptr<GpuRuntime> runtime_;
  void *address_ = nullptr;
};

// A stream, and a graph of it.
class GpuStream {
 public:
  explicit GpuStream(const std::string &device);
  ~GpuStream();
  GpuStream(const GpuStream &) = delete;
  GpuStream &operator=(const GpuStream &) = delete;

  void *handle() const { return stream_; }
  void synchronize() const;
  // Makes a graph of what `record` puts into the stream, in place of the one before.
  void capture(const std::function<void()> &record);
  void replay() const;  // puts the graph into the stream

 private:
  std::unique_ptr<GpuRuntime> runtime_;
  void *stream_ = nullptr;
  void *graph_ = nullptr;
};
