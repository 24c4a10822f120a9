// SPDX-License-Identifier: Apache-2.0
// The endpoint: owns the parts, the lock and the life cycle. Public operations take
// the lock; everything the parts call back is called with it held.
#pragma once

#include "base/clock.h"
#include "base/text.h"
#include "bootstrap/bootstrap.h"
#include "core/context.h"
#include "core/control.h"
#include "core/copies.h"
#include "core/direct.h"
#include "core/driver.h"
#include "core/engine.h"
#include "core/health.h"
#include "core/members.h"
#include "core/memory.h"
#include "core/paths.h"
#include "core/selection.h"
#include "core/sharing.h"
#include "core/staging.h"
#include "core/triggers.h"
#include "core/windows.h"

#include <pirn/transfer.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace pirn::core {

const char *peer_state_name(uint32_t state);

struct EndpointOptions : NicDemand {
  ProgressMode progress = ProgressMode::thread;
};

// What a call that starts a transfer asks for.
struct TransferOptions {
  std::span<const std::byte> notify;
  uint64_t timeout = 0;
  uint64_t user_data = 0;
  bool queued = false;
  Route path = Route::unknown;  // a demand; unknown: as the settings say
};

// A list that is checked once and posted many times.
struct Prepared {
  Endpoint *endpoint = nullptr;
  OpKind kind = OpKind::write;
  Peer *peer = nullptr;
  std::vector<Segment> elements;
  uint64_t total = 0;
  uint64_t length = 0;                            // of every element; 0: they differ, or are empty
  Route route = Route::unknown;                   // of the whole list, under the demand below
  Route demand = Route::unknown;
  std::unique_ptr<PreparedBlocks> blocks;         // for kernels, once it was posted
  bool no_blocks = false;                         // it is none for them
  uint64_t posts = 0;                             // in flight
  uint32_t triggers = 0;                          // that streams post it by
  std::vector<std::unique_ptr<Selection>> spare;  // index arrays not in use
};

class Endpoint {
 public:
  static Result<std::unique_ptr<Endpoint>> open(Context &context, const EndpointOptions &options);
  // The same with NICs chosen already, at least one of them near.
  static Result<std::unique_ptr<Endpoint>> open(Context &context, const EndpointOptions &options, NicChoice choice);
  ~Endpoint();

  // -- Bring-up (endpoint_peers.cpp)
  Status listen(const std::string &address);
  Result<std::string> listen_address();
  Result<Peer *> accept(uint64_t timeout);
  void accept_background(bool on, pirn_accept_fn callback, void *arg);
  Result<Peer *> connect(const std::string &address, uint64_t timeout);
  Result<Peer *> add(std::span<const std::byte> blob);
  Status wait_up(Peer &peer, uint64_t timeout);
  void close(Peer &peer);
  void describe(Peer &peer, pirn_peer_info *info);
  std::vector<std::byte> metadata();

  // -- Text for people (endpoint_explain.cpp)
  std::string explain();            // its provider and NICs, how its rails fare, and why not others
  std::string explain(Peer &peer);  // its state and paths, and why not others

  // -- Memory (endpoint_memory.cpp)
  // `kind`: PIRN_MEMORY_*.
  Result<Region *> register_memory(void *address, uint64_t length, uint32_t kind = PIRN_MEMORY_AUTO);
  Status deregister(Region *region);
  // Makes a window whose blob fits `room` bytes; the blob's size is always stored.
  Status advertise(Region *region, uint64_t offset, uint64_t length, uint32_t access, std::span<std::byte> room,
                   size_t *blob_size, uint64_t *window);
  Status withdraw(Region *region, uint64_t window, uint64_t timeout);
  Result<Window *> import(Peer &peer, std::span<const std::byte> blob);
  Status close(Window *window);

  // -- Transfers (endpoint_transfers.cpp)
  // `id` == nullptr: waits, and returns what the transfer came to.
  Status transfer(OpKind kind, const Segment &segment, const TransferOptions &options, pirn_transfer *id);
  Status transfer(OpKind kind, std::unique_ptr<Segment[]> segments, uint32_t count, const TransferOptions &options,
                  pirn_transfer *id);
  Result<Prepared *> prepare(OpKind kind, std::vector<Segment> segments);
  Status post(Prepared &prepared, const uint32_t *local, const uint32_t *remote, uint32_t count,
              const TransferOptions &options, pirn_transfer *id);
  Status release(Prepared *prepared);
  Status notify(Peer &peer, const TransferOptions &options, pirn_transfer *id);
  Status test(pirn_transfer id, pirn_result *result);
  Status wait(pirn_transfer id, uint64_t timeout, pirn_result *result);
  Status cancel(pirn_transfer id);
  Status release(pirn_transfer id);
  // Takes up to `capacity` results; `take` is called under the lock for each.
  template <typename Take>
  size_t poll(uint64_t timeout, size_t capacity, Take &&take);
  Status take_notification(uint64_t timeout, std::span<std::byte> room, size_t *length, Peer **peer);
  Result<int> event_fd();
  uint64_t progress_manually();

  // -- In the order of a device's stream (endpoint_streams.cpp)
  Result<Trigger *> make_trigger(Prepared &prepared, const TransferOptions &options);
  void describe(const Trigger &trigger, pirn_trigger_info *info);
  Status cancel(Trigger &trigger);
  void release(Trigger *trigger);
  Status wait_on_stream(pirn_transfer id, void *stream);

  // -- For the parts (lock held)
  const Settings &settings() const { return context_.settings(); }
  const Log &log() const { return context_.log(); }
  const std::vector<uint8_t> &key() const { return context_.key(); }
  const wire::Instance &instance() const { return instance_; }
  const wire::Instance &process() const { return process_identity(); }
  const std::vector<fabric::Nic> &nics() const { return nics_; }
  std::vector<std::byte> metadata_blob();
  Rails &rails() { return rails_; }
  Memory &memory() { return *memory_; }
  Engine &engine() { return engine_; }
  Copies &copies() { return copies_; }
  const Triggers &triggers() const { return triggers_; }
  Kernels &kernels() { return kernels_; }
  Sharing &sharing() { return *sharing_; }
  Staging &staging() { return staging_; }
  Direct &direct() { return direct_; }
  Context &context() { return context_; }
  const device::Device *device() const { return demand_.device; }  // nullptr: host memory
  Control &control() { return control_; }
  Health &health() { return health_; }
  Paths &paths() { return paths_; }
  Windows &windows() { return windows_; }
  Membership &members() { return members_; }
  bootstrap::Bootstrap &bootstrap() { return *bootstrap_; }
  // Starts the whole list; whoever asked gives the op back once it is terminal.
  Result<Op *> post_now(Prepared &prepared, const TransferOptions &options);
  void give_back(Op &op);
  uint64_t deadline_of(const TransferOptions &options) const;  // coarse clock
  void op_finished(Op &op);
  void prepared_done(Op &op);
  void window_gone(const Window &window);  // prepared lists must look again how they travel
  void rail_broke(RailSlot &rail, const Status &why);
  void rail_was_reset(RailSlot &rail, const Status &status, bool address_changed);
  void signal();  // a completion or a notification can be taken

  // The provider maps its peers' memory: rails are reset only with the neighbours told (neighbours.h).
  bool shares_memory_with_peers() const { return rails_.front()->fabric().profile().same_process_only; }
  // A neighbour has posted to us, and no descriptor will tell: any thread, no lock.
  void poke() {
    pokes_.fetch_add(1);
    if (driver_.asleep()) driver_.wake();
  }
  void poke_neighbours();
  void request_reset() { reset_requested_ = true; }
  // Both take the lock. Between them the endpoint has no peer, posts nothing and polls nothing.
  void part(const char *why);
  void reset_now();
  uint64_t last_tick() const { return last_tick_; }     // coarse clock of this round of progress
  void neighbour_left(const wire::Instance &instance);  // takes the lock (neighbours.h)

  size_t spares() const { return rails_.size() - others_; }
  bool polls_spares() const { return last_tick_ < spares_polled_until_; }  // in every round

  // -- For the driver (lock held)
  size_t progress();
  static constexpr uint64_t busy_sleep = 10 * ns_per_ms;  // deadlines and pings are looked at this often
  uint64_t longest_sleep() const;
  bool may_sleep();
  bool watches() const { return triggers_.any(); }  // something that raises no descriptor, also while nothing is in flight
  uint64_t next_deadline() const { return std::min(bootstrap_->next_deadline(), sharing_->next_deadline()); }  // ns, now_ns() clock
  void fds_ready() { sockets_ready_ = true; }
  void run_callbacks(Driver::Guard &guard);

 private:
  Endpoint(Context &context, const EndpointOptions &options, NicChoice choice);
  Status open_parts();
  Status open_rails();
  size_t poll(RailSlot &rail);
  void work_off_queues();
  size_t poll_spares(uint64_t now);
  void handle(RailSlot &rail, const fabric::Completion &completion);
  void tick();
  bool idle() const { return !engine_.busy() && !health_.busy() && !control_.talking() && !members_.handshaking(); }
  Status check(const Segment &segment, OpKind kind, const Peer *peer) const;
  Status admit(const Peer &peer, const TransferOptions &options) const;
  Op *begin(OpKind kind, Peer &peer, const TransferOptions &options);
  Status launch(Driver::Guard &guard, Op &op, pirn_transfer *id);
  void fill(const Op &op, pirn_result *result) const;
  Status outcome(const Op &op) const;
  Result<Op *> find(pirn_transfer id);
  Result<Op *> begin_post(Prepared &prepared, const TransferOptions &options);
  Status make_ready(Driver::Guard &guard, Prepared &prepared, const TransferOptions &options);
  Status cancel(Driver::Guard &guard, Trigger &trigger);
  void calm();  // lowers the application's descriptor when nothing is left to take
  std::string explain_rail(RailSlot &rail, uint64_t now);
  std::string explain_state(const Peer &peer, uint64_t now) const;
  std::string explain_path(const Peer &peer, size_t index, uint64_t now) const;
  std::string explain_unpaired(const Peer &peer) const;
  uint64_t timeout_or(uint64_t timeout, uint64_t fallback) const { return timeout ? timeout : fallback; }

  Context &context_;
  NicDemand demand_;
  std::optional<topo::Place> place_;  // what its NICs were to be near to
  std::vector<fabric::Nic> nics_;
  std::vector<bool> far_;  // of them
  size_t others_;          // rails that are no spares: the first ones
  wire::Instance instance_{};
  ProgressMode mode_;
  Route demanded_;  // by the settings; unknown: none
  Driver driver_;
  OpPool ops_;
  Rails rails_;
  std::unique_ptr<Memory> memory_;
  Engine engine_;
  std::unique_ptr<Sharing> sharing_;  // after what uses its mappings is gone
  Kernels kernels_;
  Copies copies_;
  Triggers triggers_;
  Staging staging_;
  Direct direct_;
  Control control_;
  Health health_;
  Paths paths_;
  Windows windows_;
  Membership members_;
  std::unique_ptr<bootstrap::Bootstrap> bootstrap_;
  std::string bootstrap_address_;  // as published in metadata
  std::unordered_map<Prepared *, std::unique_ptr<Prepared>> prepared_;
  pirn_accept_fn accept_callback_ = nullptr;
  void *accept_arg_ = nullptr;
  uint64_t last_tick_ = 0;
  uint64_t last_event_ = 0;  // coarse clock of the last round of progress that found something
  bool sockets_ready_ = true;
  bool reset_requested_ = false;
  bool parted_ = false;  // from its neighbours, whose last look at what it sent is on or done
  std::atomic<uint32_t> pokes_{0};
  uint32_t seen_pokes_ = 0;
  uint64_t spares_polled_until_ = 0;  // coarse clock; they are looked at in every round until then
  bool without_fd_ = false;  // some rail has no descriptor to sleep on
  int event_fd_ = -1;        // for the application, made when asked for
  bool event_set_ = false;
};

template <typename Take>
size_t Endpoint::poll(uint64_t timeout, size_t capacity, Take &&take) {
  auto guard = driver_.lock();
  if (engine_.completions.empty()) driver_.drive_once(guard);
  if (engine_.completions.empty() && timeout != PIRN_POLL_NOW)
    driver_.wait(guard, timeout_or(timeout, settings().transfer_timeout),
                 [this] { return !engine_.completions.empty(); });
  size_t taken = 0;
  while (taken < capacity && !engine_.completions.empty()) {
    Op *op = engine_.completions.pop_front();
    pirn_result result{};
    fill(*op, &result);
    take(taken++, result);
    give_back(*op);
  }
  calm();
  return taken;
}

}  // namespace pirn::core
