/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/pirn.hpp: the C interface for C++17, header only.
 *
 * Each class owns one handle: it can be moved, not copied, and gives the handle back when it dies.
 * get() lends the C handle, so everything of pirn/pirn.h stays within reach. A failed call throws
 * pirn::Error; where failing is everyday business there is also a call that returns a pirn_status
 * and never throws: Transfer::status, Transfer::result, Transfer::cancel, and close() of every class.
 *
 * Closing an Endpoint ends its transfers and closes everything made from it; peers, regions, windows,
 * prepared lists and transfers that outlive it are then empty shells, safe to destroy. A Context stays
 * open until its last endpoint is closed.
 *
 * Timeouts: zero means the default from the settings; a negative one (a deadline already passed) is the
 * shortest possible. Threads: as the C functions; one object may not be moved, closed or destroyed
 * while another thread uses it. Blobs and messages are bytes in a std::string. */
#ifndef PIRN_PIRN_HPP
#define PIRN_PIRN_HPP

#include <pirn/handle.hpp>
#include <pirn/pirn.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pirn {
/* Versioned, so that programs built against different releases of this header can be linked together. */
inline namespace cpp0 {

/* Settings as "NAME=VALUE"; see pirn/context.h. */
class Context {
 public:
  explicit Context(const std::vector<std::string> &settings = {}, pirn_log_fn log = nullptr, void *log_arg = nullptr)
      : open_(std::make_shared<detail::OpenContext>()) {
    std::vector<const char *> list;
    for (const std::string &setting : settings) list.push_back(setting.c_str());
    pirn_context_params params = detail::sized<pirn_context_params>();
    params.settings = list.data();
    params.settings_count = list.size();
    params.log = log;
    params.log_arg = log_arg;
    check(pirn_context_open(&params, &open_->handle));
  }

  Context(Context &&other) noexcept = default;
  Context &operator=(Context &&other) noexcept = default;

  pirn_context *get() const noexcept { return open_ ? open_->handle : nullptr; }
  const std::shared_ptr<detail::OpenContext> &shared() const noexcept { return open_; }

  /* The strings in the entries live as long as the context. */
  std::vector<pirn_setting_info> settings() const { return list(pirn_info_setting); }
  std::vector<pirn_provider_info> providers() const { return list(pirn_info_provider); }
  std::vector<pirn_nic_info> nics() const { return list(pirn_info_nic); }
  /* How far each of nics() is from a place, in the same order; "": memory of the CPUs that this thread is bound to. */
  std::vector<pirn_affinity_info> affinity(const std::string &place = {}) const {
    return detail::read_list<pirn_affinity_info>([&](uint64_t index, pirn_affinity_info *info) {
      return pirn_info_affinity(get(), detail::or_null(place), index, info);
    });
  }
  /* Why a provider ("": all) and its NICs would or would not be chosen. */
  std::string explain(const std::string &provider = {}) const {
    return detail::read_text([&](char *text, size_t *length) {
      return pirn_info_explain(get(), detail::or_null(provider), text, length);
    });
  }

 private:
  template <typename T>
  std::vector<T> list(pirn_status (*get_entry)(pirn_context *, uint64_t, T *)) const {
    return detail::read_list<T>([&](uint64_t index, T *info) { return get_entry(get(), index, info); });
  }

  std::shared_ptr<detail::OpenContext> open_;
};

/* A transfer in flight. Destroying it cancels it and waits until nothing touches its memory any more. */
class Transfer {
 public:
  Transfer() noexcept = default;
  Transfer(std::shared_ptr<detail::OpenEndpoint> endpoint, pirn_transfer id, bool queued) noexcept
      : endpoint_(std::move(endpoint)), id_(id), queued_(queued) {}
  Transfer(Transfer &&other) noexcept
      : endpoint_(std::move(other.endpoint_)), id_(std::exchange(other.id_, 0)), queued_(other.queued_) {}
  Transfer &operator=(Transfer &&other) noexcept {
    if (this != &other) {
      close();
      endpoint_ = std::move(other.endpoint_);
      id_ = std::exchange(other.id_, 0);
      queued_ = other.queued_;
    }
    return *this;
  }
  ~Transfer() { close(); }

  /* 0 if empty. */
  pirn_transfer id() const noexcept { return id_; }

  /* True once it succeeded, false while it is running; throws Error if it failed. wait returns false
   * if the timeout passed first (the transfer goes on). Not for queued transfers. */
  bool test() { return succeeded(result()); }
  bool wait(Timeout timeout = {}) { return succeeded(wait_result(timeout)); }

  /* Never throw: PIRN_IN_PROGRESS or the terminal status, alone or with all that is known. */
  pirn_status status() noexcept {
    return alive() ? pirn_transfer_test(endpoint_->handle, id_, nullptr) : PIRN_ERR_INVALID;
  }
  pirn_result result() noexcept {
    return fetch([this](pirn_result *result) { return pirn_transfer_test(endpoint_->handle, id_, result); });
  }
  pirn_result wait_result(Timeout timeout = {}) noexcept {
    return fetch([&](pirn_result *result) {
      return pirn_transfer_wait(endpoint_->handle, id_, detail::to_ns(timeout), result);
    });
  }

  /* Stops it and waits until its memory is quiet; returns the terminal status. */
  pirn_status cancel() noexcept { return alive() ? pirn_transfer_cancel(endpoint_->handle, id_) : PIRN_ERR_INVALID; }

  /* Cancels it if it still runs, and gives the id back. A queued transfer is left to Endpoint::poll. */
  pirn_status close() noexcept {
    pirn_status status = PIRN_OK;
    if (alive() && !queued_) {
      if (pirn_transfer_release(endpoint_->handle, id_) == PIRN_ERR_BUSY) {
        status = pirn_transfer_cancel(endpoint_->handle, id_);
        pirn_transfer_release(endpoint_->handle, id_);
      }
    }
    id_ = 0;
    return status;
  }

 private:
  bool alive() const noexcept { return id_ != 0 && endpoint_ && endpoint_->handle; }

  template <typename Get>
  pirn_result fetch(Get get) noexcept {
    pirn_result result = detail::sized<pirn_result>();
    const pirn_status status = alive() ? get(&result) : PIRN_ERR_INVALID;
    result.status = status; /* also when the call itself was refused */
    return result;
  }

  static bool succeeded(const pirn_result &result) {
    if (result.status < 0) throw Error(result.status, result.text);
    return result.status == PIRN_OK;
  }

  std::shared_ptr<detail::OpenEndpoint> endpoint_;
  pirn_transfer id_ = 0;
  bool queued_ = false;
};

namespace detail {

/* Runs a C call that starts work: blocking, or with its id in a Transfer. */
template <typename Call, typename... Arguments>
void run(const TransferOptions &options, Call call, Arguments... arguments) {
  const pirn_transfer_params params = to_params(options);
  check(call(arguments..., &params, nullptr));
}

template <typename Call, typename... Arguments>
Transfer start(const std::shared_ptr<OpenEndpoint> &endpoint, const TransferOptions &options, Call call,
               Arguments... arguments) {
  const pirn_transfer_params params = to_params(options);
  pirn_transfer id = 0;
  check(call(arguments..., &params, &id));
  return Transfer(endpoint, id, options.queued);
}

} /* namespace detail */

/* Remote memory that a peer advertised. */
class Window : public detail::Child<pirn_window, pirn_window_close> {
 public:
  using Child::Child;

  uint64_t length() const {
    uint64_t length = 0;
    check(pirn_window_get(get(), &length, nullptr));
    return length;
  }
  uint32_t access() const {
    uint32_t access = 0;
    check(pirn_window_get(get(), nullptr, &access));
    return access;
  }
};

/* Registered local memory, which must stay mapped as long as the region lives. Closing it withdraws its windows. */
class Region : public detail::Child<pirn_region, pirn_region_deregister> {
 public:
  using Child::Child;
  Region(Region &&other) noexcept = default;
  Region &operator=(Region &&other) noexcept {
    if (this != &other) {
      close();
      Child::operator=(std::move(other));
      windows_ = std::move(other.windows_);
    }
    return *this;
  }
  ~Region() { close(); }

  pirn_status close() noexcept {
    if (get() != nullptr) {
      for (const uint64_t window : windows_) pirn_region_withdraw(get(), window, 0);
    }
    windows_.clear();
    return Child::close();
  }

  /* Opens [offset, offset + length) to every peer that holds the blob. access: PIRN_ACCESS_* bits. */
  Advertisement advertise(uint64_t offset, uint64_t length, uint32_t access) {
    Advertisement window{};
    windows_.reserve(windows_.size() + 1); /* now: a window that cannot be remembered would never be withdrawn */
    window.blob = detail::read_bytes([&](void *blob, size_t *size) {
      return pirn_region_advertise(get(), offset, length, access, blob, size, &window.window_id);
    });
    windows_.push_back(window.window_id);
    return window;
  }

  /* When it returns nothing remote touches the memory any more. */
  void withdraw(uint64_t window_id, Timeout timeout = {}) {
    check(pirn_region_withdraw(get(), window_id, detail::to_ns(timeout)));
    windows_.erase(std::remove(windows_.begin(), windows_.end(), window_id), windows_.end());
  }

  /* Blocking: between this region and a window. */
  void write(uint64_t local_offset, const Window &window, uint64_t remote_offset, uint64_t length,
             const TransferOptions &options = {}) {
    detail::run(options, pirn_write, get(), local_offset, window.get(), remote_offset, length);
  }
  void read(uint64_t local_offset, const Window &window, uint64_t remote_offset, uint64_t length,
            const TransferOptions &options = {}) {
    detail::run(options, pirn_read, get(), local_offset, window.get(), remote_offset, length);
  }

  /* Return at once. */
  Transfer start_write(uint64_t local_offset, const Window &window, uint64_t remote_offset, uint64_t length,
                       const TransferOptions &options = {}) {
    return detail::start(endpoint(), options, pirn_write, get(), local_offset, window.get(), remote_offset, length);
  }
  Transfer start_read(uint64_t local_offset, const Window &window, uint64_t remote_offset, uint64_t length,
                      const TransferOptions &options = {}) {
    return detail::start(endpoint(), options, pirn_read, get(), local_offset, window.get(), remote_offset, length);
  }

 private:
  std::vector<uint64_t> windows_;
};

/* One piece of a vector or prepared list. */
inline pirn_segment segment(const Region &region, uint64_t local_offset, const Window &window, uint64_t remote_offset,
                            uint64_t length) {
  return pirn_segment{region.get(), local_offset, window.get(), remote_offset, length};
}

class Trigger;

/* A checked list of segments, posted many times. Its regions and windows stay in use until it is closed. */
class Prepared : public detail::Child<pirn_prepared, pirn_prepared_release> {
 public:
  using Child::Child;

  void post(const TransferOptions &options = {}) {
    detail::run(options, pirn_prepared_post, get());
  }
  Transfer start(const TransferOptions &options = {}) {
    return detail::start(endpoint(), options, pirn_prepared_post, get());
  }

  /* Local side of element local_index[i] with the remote side of remote_index[i]; remote_index NULL: the same. */
  Transfer start_select(const uint32_t *local_index, const uint32_t *remote_index, uint64_t count,
                        const TransferOptions &options = {}) {
    return detail::start(endpoint(), options, pirn_prepared_post_select, get(), local_index, remote_index, count);
  }

  /* What a GPU's streams post it by; of options: notify, timeout, path. */
  Trigger trigger(const TransferOptions &options = {});
};

/* A prepared list that a GPU's streams post (pirn/stream.h). `stream`: cudaStream_t, hipStream_t. Keep the list until it
 * is closed. */
class Trigger : public detail::Child<pirn_trigger, pirn_trigger_release> {
 public:
  using Child::Child;

  void post(void *stream) { check(pirn_stream_post(get(), stream)); }
  void wait(void *stream) { check(pirn_stream_wait(get(), stream)); }
  pirn_status cancel() { return pirn_trigger_cancel(get()); }
  pirn_trigger_info info() const {
    pirn_trigger_info info{};
    info.struct_size = sizeof info;
    check(pirn_trigger_get_info(get(), &info));
    return info;
  }
};

inline Trigger Prepared::trigger(const TransferOptions &options) {
  const pirn_transfer_params params = detail::to_params(options);
  pirn_trigger *made = nullptr;
  check(pirn_trigger_create(get(), &params, &made));
  return Trigger(endpoint(), made);
}

/* A remote endpoint. */
class Peer : public detail::Child<pirn_peer, pirn_peer_close> {
 public:
  using Child::Child;

  /* Waits until the peer is up. */
  void wait(Timeout timeout = {}) { check(pirn_peer_wait(get(), detail::to_ns(timeout))); }

  /* Imports a window blob (binary or text) of this peer. */
  Window import(std::string_view blob) {
    pirn_window *window = nullptr;
    check(pirn_window_import(get(), blob.data(), blob.size(), &window));
    return Window(endpoint(), window);
  }

  void notify(std::string_view message, const TransferOptions &options = {}) {
    detail::run(options, pirn_notify, get(), message.data(), message.size());
  }
  Transfer start_notify(std::string_view message, const TransferOptions &options = {}) {
    return detail::start(endpoint(), options, pirn_notify, get(), message.data(), message.size());
  }

  pirn_peer_info info() const {
    pirn_peer_info info = detail::sized<pirn_peer_info>();
    check(pirn_peer_get_info(get(), &info));
    return info;
  }

  /* Which path traffic takes, and why not another. */
  std::string explain() const {
    return detail::read_text([&](char *text, size_t *length) { return pirn_peer_explain(get(), text, length); });
  }
};

/* One device's address on the network. */
class Endpoint {
 public:
  explicit Endpoint(const Context &context, const EndpointOptions &options = {})
      : open_(std::make_shared<detail::OpenEndpoint>()) {
    pirn_endpoint_params params = detail::sized<pirn_endpoint_params>();
    params.device = detail::or_null(options.device);
    params.provider = detail::or_null(options.provider);
    params.nics = detail::or_null(options.nics);
    params.progress = options.progress;
    open_->context = context.shared();
    check(pirn_endpoint_open(context.get(), &params, &open_->handle));
  }
  Endpoint(Endpoint &&other) noexcept = default;
  Endpoint &operator=(Endpoint &&other) noexcept {
    if (this != &other) {
      close();
      open_ = std::move(other.open_);
    }
    return *this;
  }
  ~Endpoint() { close(); }

  /* NULL once closed. */
  pirn_endpoint *get() const noexcept { return open_ ? open_->handle : nullptr; }

  /* When it returns nothing touches registered memory any more. */
  pirn_status close() noexcept {
    if (get() == nullptr) return PIRN_OK;
    const pirn_status status = pirn_endpoint_close(open_->handle);
    open_->handle = nullptr;
    open_->context.reset();
    return status;
  }

  /* The blob that lets another process add() this endpoint. */
  std::string metadata() const {
    return detail::read_bytes([&](void *blob, size_t *length) { return pirn_endpoint_metadata(get(), blob, length); });
  }

  /* Which provider and NICs it opened, how they fare, and why not others. */
  std::string explain() const {
    return detail::read_text([&](char *text, size_t *length) { return pirn_endpoint_explain(get(), text, length); });
  }

  /* "host:port", "[v6]:port", ":port"; port 0 takes a free one, which address() tells. */
  void listen(const std::string &address) { check(pirn_endpoint_listen(get(), address.c_str())); }
  std::string address() const {
    return detail::read_text([&](char *text, size_t *length) { return pirn_endpoint_address(get(), text, length); });
  }

  Peer accept(Timeout timeout = {}) {
    pirn_peer *peer = nullptr;
    check(pirn_endpoint_accept(get(), detail::to_ns(timeout), &peer));
    return adopt(peer);
  }
  /* Background accept. callback (may be NULL) runs on pirn's thread and must not throw; adopt() what it gets. */
  void start_accept(pirn_accept_fn callback = nullptr, void *arg = nullptr) {
    check(pirn_endpoint_accept_start(get(), callback, arg));
  }
  void stop_accept() { check(pirn_endpoint_accept_stop(get())); }

  /* Connects and waits until traffic can flow. */
  Peer connect(const std::string &address, Timeout timeout = {}) {
    pirn_peer *peer = nullptr;
    check(pirn_peer_connect(get(), address.c_str(), detail::to_ns(timeout), &peer));
    return adopt(peer);
  }
  /* From a metadata blob (binary or text); returns at once. */
  Peer add(std::string_view blob) {
    pirn_peer *peer = nullptr;
    check(pirn_peer_add(get(), blob.data(), blob.size(), &peer));
    return adopt(peer);
  }
  /* Takes over a handle of this endpoint that the C interface returned. */
  Peer adopt(pirn_peer *peer) noexcept { return Peer(open_, peer); }

  Region register_memory(void *address, uint64_t length) {
    pirn_region *region = nullptr;
    check(pirn_region_register(get(), address, length, nullptr, &region));
    return Region(open_, region);
  }

  /* All or none. */
  std::vector<Region> register_memory(const std::vector<pirn_memory> &ranges) {
    std::vector<pirn_region *> handles(ranges.size());
    std::vector<Region> regions;
    regions.reserve(ranges.size()); /* now: nothing may throw once the handles are open */
    check(pirn_region_register_many(get(), ranges.data(), ranges.size(), nullptr, handles.data()));
    for (pirn_region *handle : handles) regions.emplace_back(open_, handle);
    return regions;
  }

  /* All windows of one peer, all regions of this endpoint; segments are copied. */
  void write(const std::vector<pirn_segment> &segments, const TransferOptions &options = {}) {
    detail::run(options, pirn_writev, segments.data(), segments.size());
  }
  void read(const std::vector<pirn_segment> &segments, const TransferOptions &options = {}) {
    detail::run(options, pirn_readv, segments.data(), segments.size());
  }
  Transfer start_write(const std::vector<pirn_segment> &segments, const TransferOptions &options = {}) {
    return detail::start(open_, options, pirn_writev, segments.data(), segments.size());
  }
  Transfer start_read(const std::vector<pirn_segment> &segments, const TransferOptions &options = {}) {
    return detail::start(open_, options, pirn_readv, segments.data(), segments.size());
  }
  /* operation: PIRN_WRITE or PIRN_READ. */
  Prepared prepare(uint32_t operation, const std::vector<pirn_segment> &segments) {
    pirn_prepared *prepared = nullptr;
    check(pirn_transfer_prepare(operation, segments.data(), segments.size(), &prepared));
    return Prepared(open_, prepared);
  }

  /* Makes progress once; returns how much happened. */
  uint64_t progress() {
    uint64_t events = 0;
    check(pirn_endpoint_progress(get(), &events));
    return events;
  }
  int fd() const {
    int32_t fd = -1;
    check(pirn_endpoint_fd(get(), &fd));
    return fd;
  }

  /* Results of queued transfers, at most capacity; waits for the first. poll_now does not wait. */
  std::vector<pirn_result> poll(size_t capacity, Timeout timeout = {}) {
    return poll_ns(capacity, detail::to_ns(timeout));
  }
  std::vector<pirn_result> poll_now(size_t capacity) { return poll_ns(capacity, PIRN_POLL_NOW); }

  /* The next notification of any peer; nothing if none came in time. take_now does not wait. */
  std::optional<Notification> take_notification(Timeout timeout = {}) { return take_ns(detail::to_ns(timeout)); }
  std::optional<Notification> take_notification_now() { return take_ns(PIRN_POLL_NOW); }

 private:
  std::vector<pirn_result> poll_ns(size_t capacity, uint64_t timeout_ns) {
    std::vector<pirn_result> results(capacity, detail::sized<pirn_result>());
    uint64_t count = 0;
    check(pirn_endpoint_poll(get(), timeout_ns, results.data(), sizeof(pirn_result), capacity, &count));
    results.resize(static_cast<size_t>(count));
    return results;
  }

  std::optional<Notification> take_ns(uint64_t timeout_ns) {
    pirn_notification notification = detail::sized<pirn_notification>();
    std::string message(256, '\0');
    pirn_status status;
    do { /* once more with room enough; another thread may have taken that one meanwhile */
      size_t length = message.size();
      status = pirn_notification_take(get(), timeout_ns, &notification, &message[0], &length);
      message.resize(length);
    } while (status == PIRN_ERR_TOO_SMALL);
    if (check(status) == PIRN_IN_PROGRESS) return std::nullopt;
    return Notification{notification.peer, std::move(message)};
  }

  std::shared_ptr<detail::OpenEndpoint> open_;
};

/* The printable form of a metadata or window blob, and back. */
inline std::string blob_to_text(std::string_view blob) {
  return detail::read_text(
      [&](char *text, size_t *length) { return pirn_blob_to_text(blob.data(), blob.size(), text, length); });
}
inline std::string blob_from_text(const std::string &text) {
  return detail::read_bytes(
      [&](void *blob, size_t *length) { return pirn_blob_from_text(text.c_str(), blob, length); });
}

} /* inline namespace cpp0 */
} /* namespace pirn */

#endif
