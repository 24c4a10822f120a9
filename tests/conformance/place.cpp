// SPDX-License-Identifier: Apache-2.0
#include "place.h"

#include "bytes.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace pirn_test {

namespace {

constexpr uint64_t guard_seed = 0x6775617264;

// What is needed of the driver; its contexts are the primary ones, as the runtime's are.
class Driver {
 public:
  static const Driver &get() {
    static const Driver driver;
    return driver;
  }

  void enter(int device) const {
    void *context = nullptr;
    check(retain_(&context, device), "cuDevicePrimaryCtxRetain");
    check(set_current_(context), "cuCtxSetCurrent");
  }
  uint8_t *allocate(uint64_t size) const {
    unsigned long long address = 0;
    check(allocate_(&address, size), "cuMemAlloc");
    return reinterpret_cast<uint8_t *>(address);
  }
  void release(uint8_t *address) const { check(free_(number(address)), "cuMemFree"); }
  void put(uint8_t *to, const void *from, uint64_t length) const {
    if (length > 0) check(to_device_(number(to), from, length), "cuMemcpyHtoD");
    check(synchronize_(), "cuCtxSynchronize");
  }
  void get(void *to, const uint8_t *from, uint64_t length) const {
    if (length > 0) check(to_host_(to, number(from), length), "cuMemcpyDtoH");
  }

 private:
  Driver() {
    library_ = dlopen("libcuda.so.1", RTLD_NOW);
    if (library_ == nullptr) stop(dlerror());
    int (*init)(unsigned) = nullptr;
    find("cuInit", &init);
    find("cuDevicePrimaryCtxRetain", &retain_);
    find("cuCtxSetCurrent", &set_current_);
    find("cuCtxSynchronize", &synchronize_);
    find("cuMemAlloc_v2", &allocate_);
    find("cuMemFree_v2", &free_);
    find("cuMemcpyHtoD_v2", &to_device_);
    find("cuMemcpyDtoH_v2", &to_host_);
    check(init(0), "cuInit");
  }

  [[noreturn]] static void stop(const char *why) {
    std::fprintf(stderr, "test memory on a device: %s\n", why);
    std::exit(1);
  }
  static void check(int result, const char *call) {
    if (result != 0) stop((std::string(call) + " gave " + std::to_string(result)).c_str());
  }
  static unsigned long long number(const uint8_t *address) { return reinterpret_cast<unsigned long long>(address); }
  template <typename Function>
  void find(const char *name, Function **out) {
    *out = reinterpret_cast<Function *>(dlsym(library_, name));
    if (*out == nullptr) stop((std::string("no ") + name).c_str());
  }

  void *library_ = nullptr;
  int (*retain_)(void **, int) = nullptr;
  int (*set_current_)(void *) = nullptr;
  int (*synchronize_)() = nullptr;
  int (*allocate_)(unsigned long long *, size_t) = nullptr;
  int (*free_)(unsigned long long) = nullptr;
  int (*to_device_)(unsigned long long, const void *, size_t) = nullptr;
  int (*to_host_)(void *, unsigned long long, size_t) = nullptr;
};

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
      : Place(size), context_(plain ? nullptr : context), device_(std::atoi(name.c_str() + name.find(':') + 1)) {
    Driver::get().enter(device_);
    void *address = nullptr;
    if (plain) start_ = Driver::get().allocate(size + 2 * guard);
    else if (pirn_memory_alloc(context, name.c_str(), size + 2 * guard, &address) == PIRN_OK)
      start_ = static_cast<uint8_t *>(address);
    if (start_ != nullptr) set_guards();
  }
  ~OnDevice() override {
    Driver::get().enter(device_);
    if (context_ != nullptr) pirn_memory_free(context_, start_);
    else if (start_ != nullptr) Driver::get().release(start_);
  }
  bool made() const { return start_ != nullptr; }

 private:
  void write(uint8_t *to, const void *from, uint64_t length) const override {
    Driver::get().enter(device_);
    Driver::get().put(to, from, length);
  }
  void read(const uint8_t *from, void *to, uint64_t length) const override {
    Driver::get().enter(device_);
    Driver::get().get(to, from, length);
  }
  pirn_context *context_;
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
