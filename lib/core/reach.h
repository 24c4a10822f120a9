// SPDX-License-Identifier: Apache-2.0
// Memory that this process reaches without the network: where a window of a peer lies in its own address space, and
// what it offers to endpoints of its own.
#pragma once

#include "device/operations.h"
#include "local/cross_memory.h"
#include "local/imports.h"
#include "wire/metadata.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pirn::core {

// How the bytes of a transfer travel.
enum class Route : uint8_t {
  unknown,  // not decided yet
  fabric,
  registered,  // over the fabric from or into device memory, by rails that both ends are registered with
  staged,  // over the fabric, through host memory of the library's own at each end that is on a device
  self,  // the peer is in this process
  ipc,   // the peer is in another process of this host, which shares its memory
  device_ring,  // as ipc, in parts through slots on the window's device that its owner lends
  host_ring,    // the same through slots in host memory that both processes map
};
const char *route_name(Route route);  // registered and staged are "fabric", too, and rings are "ipc"
Route route_named(const std::string &name);  // unknown: none of them
// core/staging moves it, in parts.
inline bool by_parts(Route route) {
  return route == Route::staged || route == Route::device_ring || route == Route::host_ring;
}

// Whose copy engine moves the bytes at an address. Host memory has none: the processor does.
struct Home {
  const device::Operations *table = nullptr;  // nullptr: host memory
  uint32_t device = 0;
  auto operator<=>(const Home &) const = default;
};

// Lets the owner of memory wait for those who are copying it: an endpoint may be closed, and its memory freed, while a peer
// in the same process knows nothing of it yet.
class Lease {
 public:
  bool enter();  // false: ended. Otherwise the memory stays until leave()
  void leave() { inside_.fetch_sub(1); }
  // Nobody enters from now on; waits at most `timeout` ns for those inside. False: some still are.
  bool end(uint64_t timeout);

 private:
  std::atomic<uint32_t> inside_{0};
  std::atomic<bool> ended_{false};
};

using local::Extent;

// Memory of another process that is not mapped here: the kernel reads it. Extents of such a reach are addresses there.
struct InOwner {
  std::shared_ptr<const local::CrossMemory> memory;
  wire::ShareWord guard;  // of the window
};

// How a window can be reached.
struct Reach {
  Route route = Route::fabric;  // unknown: that is being found out
  std::vector<Extent> extents;  // of the whole window, ascending; empty over the fabric
  Home home;
  std::shared_ptr<Lease> lease;  // self only
  std::optional<InOwner> in_owner;  // ipc, and for reads only
  std::string why;               // why no nearer way was taken, or by what it is mapped; for people
  // Host memory of another process: whether it is page-locked here, so that devices copy it while nobody waits.
  enum class Pages : uint8_t { untried, locked, not_locked } pages = Pages::untried;
};

// A window of another process, as copies of memory at `near` reach it.
struct SharedReach {
  Home near;
  Reach reach;
};

// Where memory lies, by asking the runtimes that this process has loaded. `kind`: PIRN_MEMORY_*. INVALID: it is of another
// kind than was said, or of several allocations of unlike devices.
Result<Home> home_of(void *address, uint64_t length, uint32_t kind);

// Windows that endpoints of this process have advertised. Thread-safe; takes no other lock.
struct Offer {
  std::byte *address = nullptr;
  uint64_t length = 0;
  Home home;
  std::shared_ptr<Lease> lease = std::make_shared<Lease>();
};
void offer(const wire::WindowBlob &window, const Offer &offer);
// Afterwards nobody copies the memory. False: somebody who neither progresses nor closes still may.
bool end_offer(const wire::WindowBlob &window);
// Only whoever has the blob finds it: it holds a random word.
std::optional<Offer> find_offer(const wire::WindowBlob &window);

}  // namespace pirn::core
