// SPDX-License-Identifier: Apache-2.0
#include "place.h"

#include "bytes.h"
#include "vendor.h"

#include <cstdlib>
#include <cstring>
#include <vector>

namespace pirn_test {

namespace {

constexpr uint64_t guard_seed = 0x6775617264;

class SharedHost : public Place {
 public:
  SharedHost(pirn_context *context, uint64_t size) : Place(size), context_(context) {
    void *address = nullptr;
    if (pirn_memory_alloc(context, nullptr, size + 2 * guard, &address) == PIRN_OK) start_ = static_cast<uint8_t *>(address);
    if (start_ != nullptr) set_guards();
  }
  ~SharedHost() override { pirn_memory_free(context_, start_); }
  bool made() const { return start_ != nullptr; }

 private:
  void write(uint8_t *to, const void *from, uint64_t length) const override { std::memcpy(to, from, length); }
  void read(const uint8_t *from, void *to, uint64_t length) const override { std::memcpy(to, from, length); }
  pirn_context *context_;
};

class OnDevice : public Place {
 public:
  OnDevice(pirn_context *context, const std::string &name, bool plain, uint64_t size)
      : Place(size),
        context_(plain ? nullptr : context),
        vendor_(Vendor::of(name)),
        device_(std::atoi(name.c_str() + name.find(':') + 1)) {
    vendor_.enter(device_);
    void *address = nullptr;
    if (plain) start_ = vendor_.allocate(size + 2 * guard);
    else if (pirn_memory_alloc(context, name.c_str(), size + 2 * guard, &address) == PIRN_OK)
      start_ = static_cast<uint8_t *>(address);
    if (start_ != nullptr) set_guards();
  }
  ~OnDevice() override {
    vendor_.enter(device_);
    if (context_ != nullptr) pirn_memory_free(context_, start_);
    else if (start_ != nullptr) vendor_.release(start_);
  }
  bool made() const { return start_ != nullptr; }

 private:
  void write(uint8_t *to, const void *from, uint64_t length) const override {
    vendor_.enter(device_);
    vendor_.put(to, from, length);
  }
  void read(const uint8_t *from, void *to, uint64_t length) const override {
    vendor_.enter(device_);
    vendor_.get(to, from, length);
  }
  pirn_context *context_;
  const Vendor &vendor_;
  int device_;
};

}  // namespace

std::unique_ptr<Place> Place::make(const std::string &kind, pirn_context *context, uint64_t size) {
  if (kind == "shared") {
    auto made = std::make_unique<SharedHost>(context, size);
    return made->made() ? std::move(made) : nullptr;
  }
  const size_t slash = kind.find('/');
  auto made = std::make_unique<OnDevice>(context, kind.substr(0, slash), slash != std::string::npos, size);
  return made->made() ? std::move(made) : nullptr;
}

void Place::set_guards() {
  std::vector<uint8_t> bytes(guard);
  fill_pattern(bytes.data(), guard, guard_seed);
  write(start_, bytes.data(), guard);
  write(start_ + guard + size_, bytes.data(), guard);
}

bool Place::guards_intact() const {
  std::vector<uint8_t> bytes(2 * guard);
  read(start_, bytes.data(), guard);
  read(start_ + guard + size_, bytes.data() + guard, guard);
  return find_mismatch(bytes.data(), guard, guard_seed) == all_match &&
         find_mismatch(bytes.data() + guard, guard, guard_seed) == all_match;
}

}  // namespace pirn_test
