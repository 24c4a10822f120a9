// SPDX-License-Identifier: Apache-2.0
// The devices that this process sees, of all kinds, as one list; and whose memory an address is. Whoever makes a
// Registry loads every runtime there is; identify() loads none. Immutable once made: any thread.
#pragma once

#include "base/text.h"
#include "device/operations.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pirn::device {

struct Device {
  const Operations *operations = nullptr;
  Info info;

  std::string name() const { return text("%s:%u", operations->name, info.ordinal); }
};

// What became of one kind of device. Each is built in; `loaded`: its runtime runs in this process; usable: it has shown
// a device.
struct Kind {
  const Operations *operations = nullptr;
  bool loaded = false;
  std::string version;  // "" unless loaded
  size_t devices = 0;
  std::string reason;  // why no device is usable; "" if one is

  bool usable() const { return devices > 0; }
};

// An address and what it lies in.
struct Memory {
  const Operations *operations = nullptr;
  Allocation allocation;
};

class Registry {
 public:
  // Takes up to a second per vendor; makes no context and allocates nothing on a device.
  explicit Registry(std::span<const Operations *const> all = tables());

  const std::vector<Device> &devices() const { return devices_; }
  const std::vector<Kind> &kinds() const { return kinds_; }

  // "KIND:NUMBER". INVALID: not of this form; UNAVAILABLE: it is not there, and why. The device is the registry's.
  Result<const Device *> find(const std::string &name) const;
  // nullptr if this process does not see it.
  const Device *find(const Uuid &uuid) const;
  const Device *find(const PciAddress &pci) const;

 private:
  std::vector<Device> devices_;
  std::vector<Kind> kinds_;
};

// The memory that `address` lies in; nothing if it is no runtime's. Asks only runtimes that the process has loaded and
// initialised: memory of others cannot exist.
Result<std::optional<Memory>> identify(const void *address, std::span<const Operations *const> all = tables());

}  // namespace pirn::device
