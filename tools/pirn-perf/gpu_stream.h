// SPDX-License-Identifier: Apache-2.0
// A stream of a GPU and graphs of it, by the vendor's runtime, which is opened when one is made. Throws Failure.
#pragma once

#include <functional>
#include <memory>
#include <string>

class GpuStream {
 public:
  // device: "cuda:0", "hip:1".
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
  struct Runtime;
  std::unique_ptr<Runtime> runtime_;
  void *stream_ = nullptr;
  void *graph_ = nullptr;
};
