// SPDX-License-Identifier: Apache-2.0
// Opening, closing, and one round of progress.
#include "core/endpoint.h"

#include "base/random.h"
#include "core/neighbours.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace pirn::core {

Endpoint::Endpoint(Context &context, const EndpointOptions &options, NicChoice choice)
    : context_(context),
      demand_(options),
      place_(choice.place),
      nics_(std::move(choice.nics)),
      far_(std::move(choice.far)),
      others_(nics_.size() - choice.spares),
      mode_(options.progress),
      demanded_(route_named(context.settings().path)),
      driver_(*this, options.progress, context.settings().spin_time),
      ops_(context.settings().max_transfers),
      engine_(*this),
      kernels_(context.log()),
      copies_(*this),
      triggers_(*this),
      staging_(*this),
      direct_(*this),
      control_(*this),
      health_(*this),
      paths_(*this),
      windows_(*this),
      members_(*this) {
  random_bytes(instance_.data(), instance_.size());
  ++context_.endpoints;
}

Result<std::unique_ptr<Endpoint>> Endpoint::open(Context &context, const EndpointOptions &options) {
  auto choice = choose(context, options);
  if (!choice.is_ok()) return choice.status();
  return open(context, options, choice.take());
}

Result<std::unique_ptr<Endpoint>> Endpoint::open(Context &context, const EndpointOptions &options, NicChoice choice) {
  std::unique_ptr<Endpoint> endpoint(new Endpoint(context, options, std::move(choice)));
  Status opened = endpoint->open_parts();
  if (!opened.is_ok()) return opened;
  return endpoint;
}

// A spare that cannot be opened is done without. The others are opened now, too: when they are needed it is too late to
// tell peers their addresses.
Status Endpoint::open_rails() {
  const char *without_devices = direct_.not_wanted();
  for (size_t index = 0; index < nics_.size();) {
    const auto role = index >= others_ ? RailSlot::Role::spare : far_[index] ? RailSlot::Role::far : RailSlot::Role::near;
    auto rail = RailSlot::open(static_cast<uint16_t>(index), nics_[index], role, context_.calls(), log(), settings(),
                               without_devices);
    if (!rail.is_ok()) {
      if (role != RailSlot::Role::spare) return rail.status();
      log().write(PIRN_LOG_WARN, "%s is no spare: %s", nics_[index].name.c_str(), rail.error().text.c_str());
      nics_.erase(nics_.begin() + static_cast<ptrdiff_t>(index));
      continue;
    }
    rails_.push_back(rail.take());
    int fd = rails_.back()->fabric().wait_fd();
    if (fd >= 0) driver_.add_fd(fd);
    else without_fd_ = true;
    ++index;
  }
  return Status::ok();
}

Status Endpoint::open_parts() {
  if (!driver_.open()) return fail(PIRN_ERR_NO_MEMORY, "no descriptors left: %s", strerror(errno));
  if (Status opened = open_rails(); !opened.is_ok()) return opened;
  memory_ = std::make_unique<Memory>(rails_, instance_, log());
  bootstrap_ = std::make_unique<bootstrap::Bootstrap>(members_, settings(), log());
  driver_.add_fd(bootstrap_->poll_fd());
  sharing_ = std::make_unique<Sharing>(*this);
  driver_.add_fd(sharing_->poll_fd());
  if (rails_.front()->fabric().profile().same_process_only) join_neighbours(*this);
  driver_.start();
  return Status::ok();
}

Endpoint::~Endpoint() {
  if (bootstrap_) {
    auto guard = driver_.lock();
    members_.each([this](Peer &peer) { members_.goodbye(peer, PIRN_ERR_CANCELLED, "the endpoint was closed"); });
    // Time for farewells and for pieces in flight; the reset of the rails ends what is left.
    auto quiet = [this] {
      bool all = !engine_.busy();
      members_.each([&](Peer &peer) { all = all && peer.control_in_flight == 0; });
      return all;
    };
    driver_.wait(guard, settings().quiet_time, quiet);
    guard.unlock();
    leave_neighbours(*this);
    driver_.relock(guard);
    if (!copies_.finish(ns_per_s)) {
      log().write(PIRN_LOG_ERROR, "a device does not finish copies of this endpoint: it may still touch their memory");
      sharing_->keep_mappings();
    }
    staging_.finish(ns_per_s);
    for (auto &rail : rails_)
      if (engine_.busy()) engine_.reset_rail(*rail);
    triggers_.close();
  }
  driver_.stop();
  bootstrap_.reset();
  memory_.reset();
  rails_.clear();
  if (event_fd_ >= 0) ::close(event_fd_);
  --context_.endpoints;
}

void Endpoint::neighbour_left(const wire::Instance &gone) {
  auto guard = driver_.lock();
  try {
    work_off_queues();
  } catch (const std::bad_alloc &) {
    log().write(PIRN_LOG_ERROR, "out of memory while a neighbour leaves");
  }
  members_.each([&](Peer &peer) {
    if (peer.instance != gone) return;
    health_.lose(peer, PIRN_PEER_CLOSED, PIRN_ERR_PEER_LOST, "the peer closed");
    paths_.close(peer);  // if it comes again, at the same address, it is to be looked up anew
  });
  poke();  // somebody may sleep for what ended here
}

// What lies there refers to the memory of those who sent it. A poll without an event may have ended at an operation
// that was refused, so there is one for each that a queue holds.
void Endpoint::work_off_queues() {
  for (auto &rail : rails_)
    for (uint64_t polls = rail->fabric().limits().receive_depth + 1; polls > 0; --polls) poll(*rail);
}

void Endpoint::handle(RailSlot &rail, const fabric::Completion &completion) {
  auto *tracked = static_cast<Tracked *>(completion.work);
  if (!tracked) {
    log().write(PIRN_LOG_WARN, "%s: an error without an operation: %s %s", rail.fabric().name().c_str(),
                fabric::Rail::error_text(completion.error).c_str(), completion.text);
    return;
  }
  switch (tracked->kind) {
    case Tracked::Kind::piece: {
      auto *piece = static_cast<Piece *>(tracked);
      if (piece->in_flight) engine_.completed(piece, completion);
      return;
    }
    case Tracked::Kind::send: {
      auto *buffer = static_cast<ControlBuffer *>(tracked);
      if (buffer->posted) control_.send_completed(rail, buffer, completion);
      return;
    }
    case Tracked::Kind::receive:
      control_.received(rail, static_cast<ControlBuffer *>(tracked), completion);
      return;
  }
}

size_t Endpoint::poll(RailSlot &rail) {
  if (!rail.open() || parted_) return 0;
  fabric::Completion batch[32];
  Status failure;
  const size_t count = rail.fabric().poll(batch, std::size(batch), &failure);
  for (size_t i = 0; i < count; ++i) handle(rail, batch[i]);
  if (!failure.is_ok()) rail_broke(rail, failure);
  if (rail.starved()) rail.post_receives();
  return count;
}

// A spare says something only once a peer or we try it: until then it is looked at when the clock ticks, or after a
// sleep, which its descriptor ends.
size_t Endpoint::poll_spares(uint64_t now) {
  constexpr uint64_t attention = 10 * ns_per_s;
  size_t events = 0;
  for (size_t i = others_; i < rails_.size(); ++i) events += poll(*rails_[i]);
  if (events > 0) spares_polled_until_ = now + attention;
  return events;
}

size_t Endpoint::progress() {
  size_t events = 0;
  for (size_t i = 0; i < others_; ++i) events += poll(*rails_[i]);
  if (uint32_t pokes = pokes_.load(); pokes != seen_pokes_) {
    seen_pokes_ = pokes;
    ++events;
  }
  uint64_t now = coarse_ns();
  bool due = now != last_tick_;
  if (others_ < rails_.size() && (due || sockets_ready_ || now < spares_polled_until_)) events += poll_spares(now);
  // While somebody shakes hands the sockets are looked at in every round, else when the clock ticks or a sleep saw
  // them.
  if (sockets_ready_ || due || next_deadline() != UINT64_MAX) {
    sockets_ready_ = false;
    events += bootstrap_->progress(now_ns());
    events += sharing_->progress(now_ns());
  }
  if (due) {
    last_tick_ = now;
    tick();
  }
  events += copies_.progress();
  // What room has come up is for those who wait, before anybody can post more.
  if (engine_.waiting()) engine_.pump();
  events += copies_.slices();
  if (triggers_.any()) events += triggers_.progress();
  if (staging_.active()) events += staging_.progress();
  if (control_.talking()) control_.flush();
  if (events > 0) last_event_ = last_tick_;
  return events;
}

void Endpoint::tick() {
  for (auto &rail : rails_) {
    if (rail->retry_due(last_tick_)) shares_memory_with_peers() ? request_reset() : engine_.reset_rail(*rail);
    rail->drop_retired();
  }
  engine_.tick(last_tick_);
  health_.tick(last_tick_);
  members_.tick(last_tick_);
}

uint64_t Endpoint::longest_sleep() const {
  constexpr uint64_t retry_sleep =
      ns_per_ms;  // the provider refused something and raises no descriptor when it would take it
  constexpr uint64_t longest_blind_sleep = 20 * ns_per_ms;
  // Streams that post raise no descriptor: polled without a pause for as long as a model's step may take, then often.
  constexpr uint64_t trigger_spin = 20 * ns_per_ms, trigger_sleep = 50 * ns_per_us;
  // A device raises no descriptor, and without descriptors own transfers are found by never looking away.
  if (copies_.busy() || staging_.copying() || (without_fd_ && engine_.busy())) return 0;
  if (triggers_.any()) return last_tick_ - triggers_.last_event() < trigger_spin ? 0 : trigger_sleep;
  // Without descriptors neighbours poke us. Peers elsewhere cannot: who heard something a moment ago looks often, for more
  // may be coming.
  if (idle() && without_fd_) return std::clamp((last_tick_ - last_event_) / 8, retry_sleep, longest_blind_sleep);
  if (idle()) return ns_per_s;
  return without_fd_ || engine_.waiting() || control_.talking() ? retry_sleep : busy_sleep;
}

bool Endpoint::may_sleep() {
  for (auto &rail : rails_)
    if (!rail->fabric().may_sleep()) {
      sockets_ready_ = true;  // and spares: it may be one of them
      return false;
    }
  return true;
}

void Endpoint::poke_neighbours() {
  members_.each([](Peer &peer) {
    if (peer.neighbour && peer.outstanding > 0) peer.neighbour->poke();
  });
}

void Endpoint::part(const char *why) {
  auto guard = driver_.lock();
  members_.each([&](Peer &peer) {
    health_.lose(peer, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST, why);
    paths_.close(peer);
  });
  // A reset opens the endpoint anew, which looks at the memory of everybody it knows, and they may go meanwhile.
  for (auto &rail : rails_) rail->forget_retired();
  parted_ = true;
}

void Endpoint::reset_now() {
  auto guard = driver_.lock();
  reset_requested_ = false;  // the clock may have asked again in between
  for (auto &rail : rails_) engine_.reset_rail(*rail);
  parted_ = false;
}

void Endpoint::run_callbacks(Driver::Guard &guard) {
  if (std::exchange(reset_requested_, false)) {
    guard.unlock();
    reset_among_neighbours(*this);
    driver_.relock(guard);
  }
  if (!members_.has_callbacks()) return;
  std::vector<Peer *> peers = members_.take_callbacks();
  pirn_accept_fn callback = accept_callback_;
  void *arg = accept_arg_;
  guard.unlock();
  for (Peer *peer : peers) callback(arg, reinterpret_cast<pirn_peer *>(peer));
  driver_.relock(guard);
}

// Its queue reports nothing any more, so whatever is in flight there must be let go.
void Endpoint::rail_broke(RailSlot &rail, const Status &why) {
  if (rails_.size() == 1) {
    rail_was_reset(rail, why, false);
    return;
  }
  paths_.rail_failed(rail, "the local rail is out of order: " + why.text, false);
  engine_.reset_rail(rail);
}

void Endpoint::rail_was_reset(RailSlot &rail, const Status &status, bool address_changed) {
  if (!status.is_ok()) {
    log().write(PIRN_LOG_ERROR, "%s is out of order: %s", rail.fabric().name().c_str(), status.text.c_str());
    rail.close_for_now(status.text, coarse_ns());
    paths_.rail_failed(rail, "the local rail is out of order: " + status.text, true);
    return;
  }
  if (int fd = rail.fabric().wait_fd(); fd >= 0) driver_.add_fd(fd);  // a reset may have opened another one
  if (!rail.open()) {
    log().write(PIRN_LOG_INFO, "%s is open again", rail.fabric().name().c_str());
    rail.set_open();
    paths_.rail_opened(rail);
  }
  // Before the address: a key of the old endpoint is never used at the new one.
  windows_.rail_was_reset(rail);
  if (!address_changed) return;
  auto address = rail.fabric().address();
  members_.each([&](Peer &peer) {
    if (!peer.live()) return;
    paths_.announcing(peer, rail.index());
    auto message = std::make_shared<Message>();
    message->kind = wire::Kind::address;
    message->body = wire::AddressChange{rail.index(), {address.begin(), address.end()}};
    control_.post(peer, std::move(message));
  });
}

void Endpoint::signal() {
  if (event_fd_ < 0 || event_set_) return;
  uint64_t one = 1;
  event_set_ = write(event_fd_, &one, sizeof(one)) == sizeof(one);
}

void Endpoint::calm() {
  if (!event_set_ || !engine_.completions.empty() || control_.has_notification()) return;
  uint64_t count;
  (void)!read(event_fd_, &count, sizeof(count));
  event_set_ = false;
}

Result<int> Endpoint::event_fd() {
  auto guard = driver_.lock();
  if (mode_ == ProgressMode::manual && without_fd_)
    return fail(PIRN_ERR_UNAVAILABLE, "provider %s has no descriptor to sleep on: call pirn_endpoint_progress",
                rails_.front()->fabric().profile().name);
  if (event_fd_ < 0) {
    event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd_ < 0) return fail(PIRN_ERR_NO_MEMORY, "no descriptors left: %s", strerror(errno));
    if (!engine_.completions.empty() || control_.has_notification()) signal();
    if (mode_ == ProgressMode::manual) driver_.add_fd(event_fd_);
  }
  return mode_ == ProgressMode::manual ? driver_.poll_fd() : event_fd_;
}

uint64_t Endpoint::progress_manually() {
  auto guard = driver_.lock();
  bool may_be_polled = event_fd_ >= 0;
  if (may_be_polled) sockets_ready_ = true;
  size_t events = progress();
  run_callbacks(guard);
  // Sleeping is safe only once the provider has agreed to raise its descriptor; a caller that only polls need not pay
  // for it.
  if (events == 0 && may_be_polled && (longest_sleep() < busy_sleep || !may_sleep())) events = 1;
  return events;
}

}  // namespace pirn::core
