// SPDX-License-Identifier: Apache-2.0
// Device memory directly over the fabric: registered with the rails that take it as what it is. Which transfers can go so,
// and why others cannot. Called under the endpoint's lock; nothing here waits.
#pragma once

#include "core/op.h"
#include "core/reach.h"

#include <memory>
#include <string>

namespace pirn::core {

class Endpoint;
class RailSlot;
struct Path;

// What rails are told of memory of a device. Asks the device for a dma-buf of it, and to keep the order that NICs need; null
// if it refuses that.
std::shared_ptr<const fabric::DeviceMemory> describe_device_memory(const Home &home, void *address, uint64_t length);

class Direct {
 public:
  explicit Direct(Endpoint &endpoint) : endpoint_(endpoint) {}

  // Why the endpoint's rails are opened without; nullptr: they are to take device memory if they can.
  const char *not_wanted() const;
  // How a transfer with device memory at an end travels over the fabric: registered, if both ends are so with a path that
  // is in use; staged; unknown while the peer is asked for a key. An error: `direct` is demanded, and why it cannot be.
  Result<Route> route(const Op &op);

  // Before a read that went so is complete: work of the devices it has read into that runs already sees the bytes.
  Status flush(const Op &op) const;

  std::string explain(const Peer &peer) const;  // "direct where ...; else ", or why never
  std::string explain(RailSlot &rail) const;

 private:
  enum class Found : uint8_t { reached, asked, none };
  Found look(const Op &op, const Path &path, std::string *why);
  bool demanded() const;

  Endpoint &endpoint_;
};

}  // namespace pirn::core
