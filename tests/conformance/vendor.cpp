// SPDX-License-Identifier: Apache-2.0
#include "vendor.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace pirn_test {

namespace {

// What is needed of the driver; its contexts are the primary ones, as the runtime's are.
class Cuda : public Vendor {
 public:
  Cuda() : Vendor({"libcuda.so.1"}) {
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

  void enter(int device) const override {
    void *context = nullptr;
    check(retain_(&context, device), "cuDevicePrimaryCtxRetain");
    check(set_current_(context), "cuCtxSetCurrent");
  }
  uint8_t *allocate(uint64_t size) const override {
    unsigned long long address = 0;
    check(allocate_(&address, size), "cuMemAlloc");
    return reinterpret_cast<uint8_t *>(address);
  }
  void release(uint8_t *address) const override { check(free_(number(address)), "cuMemFree"); }
  void put(uint8_t *to, const void *from, uint64_t length) const override {
    if (length > 0) check(to_device_(number(to), from, length), "cuMemcpyHtoD");
    check(synchronize_(), "cuCtxSynchronize");
  }
  void get(void *to, const uint8_t *from, uint64_t length) const override {
    if (length > 0) check(to_host_(to, number(from), length), "cuMemcpyDtoH");
  }

 private:
  static unsigned long long number(const uint8_t *address) { return reinterpret_cast<unsigned long long>(address); }

  int (*retain_)(void **, int) = nullptr;
  int (*set_current_)(void *) = nullptr;
  int (*synchronize_)() = nullptr;
  int (*allocate_)(unsigned long long *, size_t) = nullptr;
  int (*free_)(unsigned long long) = nullptr;
  int (*to_device_)(unsigned long long, const void *, size_t) = nullptr;
  int (*to_host_)(void *, unsigned long long, size_t) = nullptr;
};

class Hip : public Vendor {
 public:
  Hip() : Vendor({"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5"}) {
    int (*init)(unsigned) = nullptr;
    find("hipInit", &init);
    find("hipSetDevice", &set_device_);
    find("hipDeviceSynchronize", &synchronize_);
    find("hipMalloc", &allocate_);
    find("hipFree", &free_);
    find("hipMemcpy", &copy_);
    check(init(0), "hipInit");
  }

  void enter(int device) const override { check(set_device_(device), "hipSetDevice"); }
  uint8_t *allocate(uint64_t size) const override {
    void *address = nullptr;
    check(allocate_(&address, size), "hipMalloc");
    return static_cast<uint8_t *>(address);
  }
  void release(uint8_t *address) const override { check(free_(address), "hipFree"); }
  void put(uint8_t *to, const void *from, uint64_t length) const override {
    if (length > 0) check(copy_(to, from, length, to_device), "hipMemcpy");
    check(synchronize_(), "hipDeviceSynchronize");
  }
  void get(void *to, const uint8_t *from, uint64_t length) const override {
    if (length > 0) check(copy_(to, from, length, to_host), "hipMemcpy");
  }

 private:
  static constexpr int to_device = 1, to_host = 2;  // hipMemcpyKind

  int (*set_device_)(int) = nullptr;
  int (*synchronize_)() = nullptr;
  int (*allocate_)(void **, size_t) = nullptr;
  int (*free_)(void *) = nullptr;
  int (*copy_)(void *, const void *, size_t, int) = nullptr;
};

}  // namespace

const Vendor &Vendor::of(const std::string &device) {
  if (device.rfind("hip:", 0) == 0) {
    static const Hip hip;
    return hip;
  }
  static const Cuda cuda;
  return cuda;
}

Vendor::Vendor(std::initializer_list<const char *> libraries) {
  for (const char *library : libraries)
    if (library_ == nullptr) library_ = dlopen(library, RTLD_NOW);
  if (library_ == nullptr) stop(dlerror());
}

void Vendor::stop(const char *why) {
  std::fprintf(stderr, "test memory on a device: %s\n", why);
  std::exit(1);
}

void Vendor::check(int result, const char *call) {
  if (result != 0) stop((std::string(call) + " gave " + std::to_string(result)).c_str());
}

void *Vendor::symbol(const char *name) const {
  void *const found = dlsym(library_, name);
  if (found == nullptr) stop((std::string("no ") + name).c_str());
  return found;
}

}  // namespace pirn_test
