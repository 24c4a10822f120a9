// SPDX-License-Identifier: Apache-2.0
// Regions, the windows we advertise, and the windows we import. Guarded by the
// endpoint's lock.
//
// Memory is registered at once on the rails that are near to it, and on a far one when that is to carry it.
#pragma once

#include "base/result.h"
#include "core/rails.h"
#include "core/reach.h"
#include "local/guard.h"
#include "wire/metadata.h"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace pirn::core {

class Endpoint;
struct Peer;

struct OnRail {
  fabric::Registration *registration = nullptr;  // nullptr: not yet, or refused
  uint64_t retry_at = 0;                         // refused: not tried again before
  std::string why;                               // device memory was refused
};

// Registrations for local use, shared by the regions of the same range. Device memory has them on those rails that take it
// as what it is.
struct LocalMemory {
  std::byte *address = nullptr;
  uint64_t length = 0;
  Home home;
  std::shared_ptr<const fabric::DeviceMemory> device;  // what rails are told of it, if one takes device memory
  device::RemoteWrites writes = device::RemoteWrites::seen;  // of NICs, into device memory
  std::string unseen;                                        // why NICs may not write into it
  std::vector<OnRail> rails;
  uint32_t regions = 0;
  bool pin_tried = false;
  bool pinned = false;                             // page-locked: devices copy it while nobody waits
  const device::Operations *pinned_by = nullptr;  // by us
};

struct Region {
  Endpoint *endpoint = nullptr;
  LocalMemory *memory = nullptr;
  uint64_t users = 0;    // elements of transfers and prepared lists
  uint64_t windows = 0;  // advertised and not withdrawn

  std::byte *address() const { return memory->address; }
  uint64_t length() const { return memory->length; }
};

// Memory of ours that is open to peers, with a registration of its own that carries exactly the window's rights.
struct Advertised {
  Region *region = nullptr;
  std::byte *address = nullptr;
  wire::WindowBlob blob;  // as advertised: importers prove themselves by it
  std::vector<OnRail> rails;
  std::vector<wire::WindowBlob::RailKey> keys;  // per rail, of today
  std::set<Peer *> importers;
  local::Guard guard;  // open: peers of this host were told where it lies
  bool withdrawing = false;
  bool flushes = false;  // NICs write into it, and its device must be told
};

enum class WindowState : uint8_t { opening, open, gone };

// How an imported window is reached by one rail of its owner.
struct WindowKey : wire::WindowBlob::RailKey {
  uint64_t ask_at = 0;  // without a key: the owner is asked for it, but not before

  bool known() const { return key != wire::no_key; }
  void forget() { *this = {{0, wire::no_key}, 0}; }
};

// Memory of a peer's that we imported.
struct Window {
  Peer *peer = nullptr;
  wire::WindowBlob blob;        // as imported
  std::vector<WindowKey> keys;  // per rail of the peer, of today as far as we were told
  WindowState state = WindowState::opening;
  Reach reach;                     // set when it opens; ipc: see `shared`
  std::array<uint8_t, 16> secret{};  // by which its owner gives us the memory; zero: it does not
  bool plain = false;              // but not to be mapped
  std::deque<SharedReach> shared;  // core/sharing: as many as there are devices in use
  uint64_t handles = 0;
  pirn_status gone_status = PIRN_ERR_WINDOW_GONE;
  uint64_t users = 0;
  bool quiescing = false;  // the owner waits for our word that nothing is in flight
};

// How copies of memory at `near` reach the window; nullptr: nobody has asked yet (Sharing::seek).
const Reach *reach_of(const Window &window, const Home &near);

class Memory {
 public:
  Memory(Rails &rails, const wire::Instance &instance, const Log &log)
      : rails_(rails), instance_(instance), log_(log) {}
  ~Memory();

  Result<Region *> add(Endpoint *endpoint, void *address, uint64_t length, const Home &home);
  Status remove(Region *region);
  // Registers on that rail now unless it is done; false: refused, perhaps a moment ago.
  bool reach(LocalMemory &memory, size_t rail) {
    return memory.rails[rail].registration || reach(memory.rails[rail], rail, memory.address, memory.length, 0, memory);
  }
  bool reach(Advertised &window, size_t rail);
  // Page-locks host memory for a device, once; false: that cannot be done, and copies of it hold up their caller.
  static bool pin(LocalMemory &memory, const device::Operations &table);
  // After a reset of the rail, whose registrations may have other keys now; false: this one's is as it was.
  bool rekeyed(Advertised &window, size_t rail);

  Result<Advertised *> advertise(Region *region, uint64_t offset, uint64_t length, uint32_t access);
  Advertised *find(uint64_t window);
  void erase(Advertised *window);  // closes the registrations: remote access ends here
  // Work of devices that runs already sees afterwards what NICs have written into windows. An error: it may not.
  Status flush_remote_writes() const;
  template <typename F>
  void each_advertised(F &&visit) {
    for (auto &entry : advertised_) visit(*entry.second);
  }

 private:
  using Range = std::pair<void *, uint64_t>;
  Status register_near(void *address, uint64_t length, uint32_t access, const LocalMemory &memory,
                       std::vector<OnRail> *out);
  bool reach(OnRail &there, size_t rail, void *address, uint64_t length, uint32_t access, const LocalMemory &memory);
  void describe(LocalMemory &memory);
  void count_flushes(Advertised &window);
  wire::WindowBlob::RailKey key_of(const Advertised &window, size_t rail) const;
  void drop(LocalMemory &memory);
  void take_back(Advertised &window);  // from everyone who could reach it
  void deregister_all(const std::vector<OnRail> &registrations);

  Rails &rails_;
  wire::Instance instance_;
  const Log &log_;
  std::map<Range, std::unique_ptr<LocalMemory>> local_;
  std::set<Region *> regions_;
  std::unordered_map<uint64_t, std::unique_ptr<Advertised>> advertised_;
  uint64_t next_window_ = 1;
  std::map<Home, size_t> flushes_;  // devices, and their windows of which Advertised::flushes holds
};

}  // namespace pirn::core
