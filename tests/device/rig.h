// SPDX-License-Identifier: Apache-2.0
// What every scenario of the table conformance uses. Lengths are in bytes; `device` is an ordinal.
#pragma once

#include "../unit/check.h"
#include "application.h"
#include "device/registry.h"

#include <functional>
#include <span>

namespace rig {

using namespace pirn;
using namespace pirn::device;

constexpr uint64_t second = 1'000'000'000;
constexpr uint64_t patience = 30 * second;  // for work that must end

const Operations &table();
Application &application();
const std::vector<Info> &devices();
Seeded &dice();
uint32_t any_device();
uint32_t other_device(uint32_t device);  // itself if there is no other

// Chooses table and application by PIRN_TEST_DEVICE ("cuda" if it is not set).
void choose();
// Opens the runtime and lists the devices; at least one must be there.
int open_devices(void **);

// Ends the test with the error's text.
void check(const Status &status);
template <typename T>
T take(Result<T> result) {
  check(result.status());
  return result.take();
}
// Ends the test unless this code came, and a text with these parts.
void check_refused(const Status &status, pirn_status code, const std::vector<std::string> &parts = {});

Allocation identified(const void *address);
bool known(const void *address);

// A stream of its own that is dropped at the end.
class OwnStream {
 public:
  explicit OwnStream(uint32_t device) : device_(device), stream_(take(table().make_stream(device))) {}
  ~OwnStream() { check(table().drop_stream(device_, stream_)); }
  OwnStream(const OwnStream &) = delete;
  void *get() const { return stream_; }
  uint32_t device() const { return device_; }
  void copy(void *to, const void *from, uint64_t length) { check(table().copy(device_, stream_, to, from, length)); }
  void finish() { check(table().finish(device_, stream_, patience)); }
  bool is_busy() const { return table().finish(device_, stream_, 0).code == PIRN_ERR_TIMEOUT; }

 private:
  uint32_t device_;
  void *stream_;
};

// Capture of a stream, and its end with something to replay. A scenario that fails in between skips destructors, and
// its capture would forbid calls to all that come after it: whoever captures has drop_capture() as its tear-down.
void begin_capture(const OwnStream &stream);
void *end_capture(const OwnStream &stream);
int drop_capture(void **);

// Page-locked host memory.
class HostMemory {
 public:
  explicit HostMemory(uint64_t length) : length_(length), address_(take(table().allocate_host(length))) {}
  ~HostMemory() { check(table().release_host(address_)); }
  HostMemory(const HostMemory &) = delete;
  std::byte *bytes() const { return static_cast<std::byte *>(address_); }
  uint64_t *words() const { return static_cast<uint64_t *>(address_); }
  uint64_t length() const { return length_; }

 private:
  uint64_t length_;
  void *address_;
};

// Shareable device memory.
class DeviceMemory {
 public:
  DeviceMemory(uint32_t device, uint64_t length) : allocation_(take(table().allocate(device, length))) {}
  ~DeviceMemory() { check(table().release(allocation_)); }
  DeviceMemory(const DeviceMemory &) = delete;
  const Allocation &allocation() const { return allocation_; }
  std::byte *bytes() const { return static_cast<std::byte *>(allocation_.address); }

 private:
  Allocation allocation_;
};

// By a stream of `device`, and waited for.
void write_device(uint32_t device, void *to, const std::vector<std::byte> &bytes);
std::vector<std::byte> read_device(uint32_t device, const void *from, uint64_t length);
void assert_same(const std::vector<std::byte> &actual, const std::vector<std::byte> &expected);

// Until it is true, `patience` at most.
void wait_until(const std::function<bool()> &reached, const char *what);

// What seed and length make; and of some seed.
std::vector<std::byte> pattern(uint64_t seed, uint64_t length);
std::vector<std::byte> noise(uint64_t length);

}  // namespace rig
