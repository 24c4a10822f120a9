// SPDX-License-Identifier: Apache-2.0
// What the two processes of the sharing scenarios tell each other over a socket pair.
#pragma once

#include "device/operations.h"

#include <optional>
#include <string>

#include <sys/types.h>

namespace rig {

// Map the handle, find pattern(expected) at `offset`, leave pattern(leave) there unless it is 0, unmap.
struct Order {
  pirn::device::HandleKind kind;
  uint8_t writable;
  uint32_t device;  // of the importer
  uint64_t length;  // to map
  uint64_t offset;
  uint64_t bytes;  // to look at
  uint64_t expected;
  uint64_t leave;
  std::byte handle[pirn::device::handle_bytes];
};

struct Outcome {
  int32_t status;
  char text[300];
};

// False if the other side is gone. A descriptor that came is the caller's; -1: none.
bool send_order(int socket, const Order &order, int file);
bool receive_order(int socket, Order &order, int &file);

// A process of its own, started anew: it shares nothing with this one but the socket.
class Importer {
 public:
  Importer();
  ~Importer();
  Importer(const Importer &) = delete;
  pirn::Status map(const pirn::device::Handle &handle, Order order);

 private:
  int socket_ = -1;
  pid_t process_ = -1;
};

}  // namespace rig
