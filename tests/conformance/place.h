// SPDX-License-Identifier: Apache-2.0
// Where a test's memory lies: "host" (plain), "shared" (pirn_memory_alloc on the host), "cuda:N" or "hip:N"
// (pirn_memory_alloc on a device), or one of these with "/plain" (the vendor's own allocator). Bytes of devices are put
// and got by the vendor's runtime itself, opened at run time, never by pirn. With guards before and behind. A trouble with the driver ends the program with its words.
#pragma once

#include <pirn/pirn.h>

#include <cstdint>
#include <memory>
#include <string>

namespace pirn_test {

class Place {
 public:
  // nullptr: pirn refused, pirn_last_error() says why. Not for "host".
  static std::unique_ptr<Place> make(const std::string &kind, pirn_context *context, uint64_t size);
  virtual ~Place() = default;

  uint8_t *address() const { return start_ + guard; }
  void put(uint64_t offset, const void *bytes, uint64_t length) { write(start_ + guard + offset, bytes, length); }
  void get(uint64_t offset, void *bytes, uint64_t length) const { read(start_ + guard + offset, bytes, length); }
  bool guards_intact() const;

 protected:
  explicit Place(uint64_t size) : size_(size) {}
  void set_guards();
  virtual void write(uint8_t *to, const void *from, uint64_t length) const = 0;
  virtual void read(const uint8_t *from, void *to, uint64_t length) const = 0;

  static constexpr uint64_t guard = 4096;
  uint8_t *start_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace pirn_test
