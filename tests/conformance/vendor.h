// SPDX-License-Identifier: Apache-2.0
// Device memory past pirn, by the vendor's own runtime, opened at run time. Trouble with it ends the program with its
// words.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

namespace pirn_test {

class Vendor {
 public:
  // By the name of a device: "cuda:1".
  static const Vendor &of(const std::string &device);
  virtual ~Vendor() = default;

  // The calling thread is to work on this device; before each of the others.
  virtual void enter(int device) const = 0;
  virtual uint8_t *allocate(uint64_t size) const = 0;
  virtual void release(uint8_t *address) const = 0;
  virtual void put(uint8_t *to, const void *from, uint64_t length) const = 0;
  virtual void get(void *to, const uint8_t *from, uint64_t length) const = 0;

 protected:
  explicit Vendor(std::initializer_list<const char *> libraries);  // the first that is there
  [[noreturn]] static void stop(const char *why);
  static void check(int result, const char *call);
  template <typename Function>
  void find(const char *name, Function **out) const {
    *out = reinterpret_cast<Function *>(symbol(name));
  }

 private:
  void *symbol(const char *name) const;
  void *library_ = nullptr;
};

}  // namespace pirn_test
