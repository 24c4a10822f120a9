// SPDX-License-Identifier: Apache-2.0
// Lists of blocks that a device's kernels read. Called under the endpoint's lock.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "core/reach.h"
#include "device/operations.h"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pirn::core {

// Which devices copy lists of blocks by kernels: those that have them, until a launch is refused. Copy engines take any list,
// so that costs speed and nothing else.
class Kernels {
 public:
  explicit Kernels(const Log &log) : log_(log) {}
  bool work(const Home &home);
  // Of a list that was not launched, or only in part. Waits for that part: it reads the list, and the engines are to copy the
  // same bytes. An error: it is still under way, or the device is broken, and nothing of the list may be used again.
  Status refused(const Home &home, void *stream, const Status &why);
  std::string explain() const;  // a line for each device that has refused; "" if none has

 private:
  const Log &log_;
  std::map<Home, bool> known_;
  std::map<Home, std::string> refusals_;
};

// A copy engine takes about 2.5 us for each piece, a launch of the kernel 12 to 17 us (H200, tests/device/bench_copy): fewer
// pieces than this are the engine's.
constexpr size_t kernel_pieces = 8;

// Room for lists that are written for one launch; page-locked, used again and again.
class BlockRooms {
 public:
  static constexpr size_t blocks = 8192;  // per room
  static constexpr size_t most = 8;       // in use and idle

  explicit BlockRooms(const device::Operations &table) : table_(table) {}
  BlockRooms(const BlockRooms &) = delete;
  BlockRooms &operator=(const BlockRooms &) = delete;
  ~BlockRooms();  // all have been given back

  // nullptr: all are in use.
  Result<device::Block *> take();
  void give_back(device::Block *room) { idle_.push_back(room); }
  Status make_all();  // so that take() asks for no memory

 private:
  Status make();

  const device::Operations &table_;
  std::vector<device::Block *> idle_;
  size_t made_ = 0;
};

// A prepared list, written once: in memory of the device that copies, so that a launch costs the host nothing per block.
class PreparedBlocks {
 public:
  // Copies the list there by the stream, in the order of which launches may follow at once.
  static Result<std::unique_ptr<PreparedBlocks>> make(const Home &home, void *stream,
                                                      std::span<const device::Block> blocks,
                                                      std::shared_ptr<Lease> lease);
  PreparedBlocks(const PreparedBlocks &) = delete;
  PreparedBlocks &operator=(const PreparedBlocks &) = delete;
  ~PreparedBlocks();  // nothing is in flight

  const Home home;
  const std::shared_ptr<Lease> lease;  // of all the remote memory; nullptr: none is needed
  bool settled = false;                // it is at the device: any stream may read it
  uint32_t size() const { return count_; }
  const device::Block &block(uint32_t i) const { return here_[i]; }
  const device::Block *at_device(uint32_t i) const { return there_ + i; }
  uint64_t length() const { return length_; }  // of every block; 0: they differ
  uint64_t bytes(uint32_t first, uint32_t end) const { return before(end) - before(first); }
  // The end of the longest part from `first` on that has at most `bytes`, and at least one block.
  uint32_t end_within(uint32_t first, uint64_t bytes) const;

 private:
  PreparedBlocks(const Home &home_in, std::shared_ptr<Lease> lease_in) : home(home_in), lease(std::move(lease_in)) {}
  uint64_t before(uint32_t i) const { return i < count_ ? here_[i].before : total_; }

  device::Block *here_ = nullptr;  // page-locked
  const device::Block *there_ = nullptr;
  device::Allocation allocation_;
  uint32_t count_ = 0;
  uint64_t total_ = 0;
  uint64_t length_ = 0;
};

}  // namespace pirn::core
