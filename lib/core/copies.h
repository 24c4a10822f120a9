// SPDX-License-Identifier: Apache-2.0
// Transfers whose bytes this process moves itself, because it reaches both ends: by a device's copy engines and kernels,
// or by the processor. Called under the endpoint's lock; nothing here waits for a device, and the processor copies a
// bounded slice per round of progress.
#pragma once

#include "core/block_lists.h"
#include "core/contest.h"
#include "core/op.h"
#include "core/reach.h"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pirn::core {

class Endpoint;
struct LocalMemory;

class Copies {
 public:
  explicit Copies(Endpoint &endpoint) : endpoint_(endpoint) {}
  ~Copies();  // nothing may be in flight

  // How the op travels: unknown while a window of it is still opening. Of no use to a demand that cannot be met: an
  // error that says why.
  Result<Route> route(const Op &op) const;
  // Hands over as much as there is room for. True: nothing is left, or the op has ended.
  bool issue(Op &op);
  // Makes all that a post of this list will need of devices but the copies.
  Status make_ready(Op &op);
  size_t progress();  // how much has completed
  std::string explain() const;  // a line for each device that has copied to several peers at once
  size_t slices() { return std::exchange(slices_, 0); }  // that the processor copied since the last call
  bool busy() const { return in_flight_ > 0; }
  // Waits until no copy is in flight, at most `timeout` ns. For closing.
  bool finish(uint64_t timeout);

 private:
  // In flight on a stream: enough to keep any link at work between two rounds of progress, little enough that a transfer
  // that is cancelled is quiet within milliseconds. Lists have two, and those of several peers at once one each.
  static constexpr uint64_t lane_bytes = 256 << 20;
  static constexpr uint32_t list_lanes = 2;
  static constexpr uint64_t concurrent_bytes = lane_bytes / 4;  // a launch

  // What goes by a lane. Small transfers never wait behind large ones. Large ones of several peers at once go beside each
  // other (copies_concurrent.cpp).
  enum class Purpose : uint8_t { small, large, concurrent };

  // Copies in order, on a stream of one device.
  struct Batch {
    Op *op = nullptr;
    uint64_t bytes = 0;
    void *event = nullptr;
    std::shared_ptr<Lease> lease;  // entered
    device::Block *room = nullptr;  // the list that its kernel reads
    PreparedBlocks *list = nullptr;  // a prepared list that it reads
    bool counts = false;             // among the large_copies_
    bool contested = false;          // of those whose speed decides by what copies to several peers are made
  };
  struct Lane {
    Home home;
    Purpose purpose = Purpose::large;
    uint32_t turn = 0;           // large lists have list_lanes of them
    Contest::Way way() const { return purpose == Purpose::concurrent ? Contest::kernels : Contest::engine; }
    const Peer *peer = nullptr;  // concurrent: whose batches it has, if it has any
    uint64_t overtaken = 0;      // concurrent: bytes that other lanes ended while its front batch waited
    void *stream = nullptr;
    std::unique_ptr<BlockRooms> rooms;  // if it had kernels when it was made
    std::map<uint32_t, bool> peers;     // devices whose plain memory the kernels reach, or not
    std::deque<Batch> batches;
    uint64_t backlog = 0;  // bytes
    std::vector<void *> events;
  };
  // Contiguous bytes at both ends.
  struct Run {
    std::byte *local = nullptr;
    std::byte *remote = nullptr;
    uint64_t length = 0;
    Home home;
    bool on_devices = false;                        // both ends are device memory
    uint32_t remote_device = 0;                     // whose that at the remote end is, or that it is mapped for
    LocalMemory *near = nullptr;
    Window *far = nullptr;
    const Reach *reach = nullptr;                   // of it
    const Extent *extent = nullptr;                 // of the window, that `remote` is in
    const std::shared_ptr<Lease> *lease = nullptr;  // of the remote end
  };
  enum class Sliced : uint8_t { copied, restarted, ended };

  Route reach(const Op &op, Window &window, const Home &near, std::string *why) const;
  Result<Run> next_run(const Op &op, const Cursor &cursor) const {
    return run_of(op.element(cursor.element), cursor.offset);
  }
  Result<Run> run_of(const Segment &segment, uint64_t offset) const;
  static void advance(const Op &op, Cursor *cursor, uint64_t length);
  static Status enter(const std::shared_ptr<Lease> &lease);
  bool for_kernel(const Op &op, Lane &lane, const Run &first) const;
  Result<Lane *> lane_of(const Op &op, const Run &first);
  Lane *list_lane(Lane &first, const PreparedBlocks *list);
  Result<Lane *> lane_for(const Home &home, bool small, uint32_t turn = 0);
  Result<Lane *> make_lane(const Home &home, Purpose purpose, uint32_t turn);
  bool several_peers(const Op &op, const Run &first);
  bool by_kernels(const Home &home);
  Lane *concurrent_lane(Lane &large, const Op &op, const Run &first);
  Lane *make_concurrent_lane(const Home &home, uint32_t number);
  bool ahead(const Lane &lane) const;  // of another concurrent one
  void started(const Batch &batch, Lane &lane);
  void ended(const Batch &batch, Lane &lane);
  void close(Lane &lane);
  bool issue_by_processor(Op &op);
  Sliced copy_slice(Op &op, const Run &piece);
  Sliced read_failed(Op &op, const Run &piece, const Status &why);
  bool issue_prepared(Op &op);
  Status fill(Op &op, Lane &lane, const Run &first);
  Status finish_batch(Op &op, Lane &lane, Batch &&batch);
  Status by_engines_instead(Lane &lane, Batch *batch, const Status &why) const;
  Status submit_copies(Op &op, Lane &lane, Batch *batch);
  Status submit_blocks(Op &op, Lane &lane, Batch *batch);
  Status submit_selected(Op &op, Lane &lane, PreparedBlocks &list, Batch *batch);
  Cursor write_blocks(const Op &op, Lane &lane, Batch *batch, size_t *count) const;
  static Cursor write_selected(const Op &op, const PreparedBlocks &list, Batch *batch, size_t *count);
  PreparedBlocks *blocks_of(Op &op);
  bool has_room(const Lane &lane) const;
  bool asynchronous(const Lane &lane, const Run &run) const;
  static bool reaches(Lane &lane, const Run &run);
  uint32_t ctas(const Lane &lane, OpKind kind);
  uint64_t engine_piece() const;
  void drop(Lane &lane, const Batch &batch);
  static Status stock(Lane &lane);
  Status submit(Op &op, Lane &lane, const Run &run);
  void *event_of(Lane &lane, Status *status);
  size_t reap(Lane &lane);

  Endpoint &endpoint_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  size_t in_flight_ = 0;     // batches
  std::map<Home, std::map<const Peer *, uint32_t>> large_copies_;  // batches in flight between devices, but lists
  std::map<Home, Contest> contests_;
  std::map<Home, std::string> without_lanes_;  // why concurrent ones could not be made
  size_t slices_ = 0;  // that the processor copied since slices()
};

}  // namespace pirn::core
