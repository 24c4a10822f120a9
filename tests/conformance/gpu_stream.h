// SPDX-License-Identifier: Apache-2.0
// A stream of device 0, graphs of it, and page-locked memory, by the driver's own interface (opened at run time). A trouble
// with the driver ends the program with its words.
#pragma once

#include <cstdint>

namespace pirn_test {

class GpuStream {
 public:
  GpuStream();
  ~GpuStream();  // its work is done, or never will be
  GpuStream(const GpuStream &) = delete;
  GpuStream &operator=(const GpuStream &) = delete;

  void *handle() const { return stream_; }
  void copy(void *to, const void *from, uint64_t length);  // any direction, in order
  bool done() const;                                       // all work so far
  bool done_within(uint64_t milliseconds) const;

  void begin_capture();
  void *end_capture();        // a graph that can be launched
  void launch(void *graph);
  static void destroy(void *graph);

 private:
  void *stream_ = nullptr;
};

// Page-locked host memory, zeroed.
class PinnedBytes {
 public:
  explicit PinnedBytes(uint64_t size);
  ~PinnedBytes();
  PinnedBytes(const PinnedBytes &) = delete;
  PinnedBytes &operator=(const PinnedBytes &) = delete;
  uint8_t *data() const { return data_; }

 private:
  uint8_t *data_ = nullptr;
};

}  // namespace pirn_test
