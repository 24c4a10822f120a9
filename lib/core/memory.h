// SPDX-License-Identifier: Apache-2.0
// Regions, the windows we advertise, and the windows we import. Guarded by the
// endpoint's lock.
#pragma once

#include "base/result.h"
#include "core/rails.h"
#include "wire/metadata.h"

#include <cstdint>
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

// One registration on every rail for local use, shared by the regions of the same range.
struct LocalMemory {
  std::byte *address = nullptr;
  uint64_t length = 0;
  std::vector<fabric::Registration *> registrations;  // per rail
  uint32_t regions = 0;
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
  wire::WindowBlob blob;
  std::vector<fabric::Registration *> registrations;  // per rail
  std::set<Peer *> importers;
  bool withdrawing = false;
};

enum class WindowState : uint8_t { opening, open, gone };

// Memory of a peer's that we imported.
struct Window {
  Peer *peer = nullptr;
  wire::WindowBlob blob;
  WindowState state = WindowState::opening;
  uint64_t handles = 0;
  pirn_status gone_status = PIRN_ERR_WINDOW_GONE;
  uint64_t users = 0;
  bool quiescing = false;  // the owner waits for our word that nothing is in flight
};

class Memory {
 public:
  Memory(Rails &rails, const wire::Instance &instance) : rails_(rails), instance_(instance) {}
  ~Memory();

  Result<Region *> add(Endpoint *endpoint, void *address, uint64_t length);
  Status remove(Region *region);

  Result<Advertised *> advertise(Region *region, uint64_t offset, uint64_t length, uint32_t access);
  Advertised *find(uint64_t window);
  void erase(Advertised *window);  // closes the registrations: remote access ends here
  template <typename F>
  void each_advertised(F &&visit) {
    for (auto &entry : advertised_) visit(*entry.second);
  }

 private:
  using Range = std::pair<void *, uint64_t>;
  Status register_range(void *address, uint64_t length, uint32_t access, std::vector<fabric::Registration *> *out);
  void deregister_all(const std::vector<fabric::Registration *> &registrations);

  Rails &rails_;
  wire::Instance instance_;
  std::map<Range, std::unique_ptr<LocalMemory>> local_;
  std::set<Region *> regions_;
  std::unordered_map<uint64_t, std::unique_ptr<Advertised>> advertised_;
  uint64_t next_window_ = 1;
};

}  // namespace pirn::core
