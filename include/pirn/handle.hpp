/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/handle.hpp: what the classes of pirn/pirn.hpp are made of: errors, options, owned handles.
 * Include pirn/pirn.hpp; names in pirn::detail may change at any time. */
#ifndef PIRN_HANDLE_HPP
#define PIRN_HANDLE_HPP

#include <pirn/pirn.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pirn {
inline namespace cpp0 {

/* What a call came to: its status and the text of pirn_last_error, or of the transfer's result. */
class Error : public std::runtime_error {
 public:
  Error(pirn_status status, const std::string &text)
      : std::runtime_error(text.empty() ? pirn_status_string(status) : text), status_(status) {}
  pirn_status status() const noexcept { return status_; }

 private:
  pirn_status status_;
};

/* Throws if status is an error; hands PIRN_OK and PIRN_IN_PROGRESS through. */
inline pirn_status check(pirn_status status) {
  if (status < 0) throw Error(status, pirn_last_error());
  return status;
}

using Timeout = std::chrono::nanoseconds;

/* How to open an endpoint; empty strings and zero mean "as set". */
struct EndpointOptions {
  std::string device;
  std::string provider; /* a demand: fails rather than falls back */
  std::string nics;
  uint32_t progress = PIRN_PROGRESS_DEFAULT;
};

/* What goes with a transfer. */
struct TransferOptions {
  std::string_view notify{}; /* message for the target once the data is visible; empty: none */
  Timeout timeout{};
  uint64_t user_data = 0;
  bool queued = false; /* only for start_*: the result goes to Endpoint::poll, which also releases the id */
  const char *path = nullptr; /* demand a path: "self", "ipc" or "fabric" */
};

struct Advertisement {
  std::string blob;
  uint64_t window_id; /* for Region::withdraw */
};

struct Notification {
  pirn_peer *sender; /* valid while a handle of that peer is held */
  std::string message;
};

namespace detail {

inline uint64_t to_ns(Timeout timeout) {
  return timeout.count() < 0 ? 1 : static_cast<uint64_t>(timeout.count());
}

inline const char *or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

template <typename T>
T sized() {
  T value{};
  value.struct_size = sizeof(T);
  return value;
}

/* Calls fill(buffer, &length) with room enough. The size may grow between two calls, hence the loop. */
template <typename Fill>
std::string read_bytes(Fill fill) {
  std::string bytes;
  size_t length = 0;
  pirn_status status = fill(nullptr, &length);
  while (status == PIRN_ERR_TOO_SMALL) {
    bytes.resize(length);
    status = fill(&bytes[0], &length);
  }
  check(status);
  bytes.resize(length);
  return bytes;
}

template <typename Fill>
std::string read_text(Fill fill) {
  std::string text =
      read_bytes([&](void *buffer, size_t *length) { return fill(static_cast<char *>(buffer), length); });
  if (!text.empty()) text.pop_back(); /* the terminating zero */
  return text;
}

/* Entries 0, 1, ... of a list of the context. */
template <typename T, typename Get>
std::vector<T> read_list(Get get) {
  std::vector<T> list;
  for (;;) {
    T entry = sized<T>();
    const pirn_status status = get(list.size(), &entry);
    if (status == PIRN_ERR_RANGE) return list;
    check(status);
    list.push_back(entry);
  }
}

struct OpenContext {
  pirn_context *handle = nullptr;
  OpenContext() = default;
  OpenContext(const OpenContext &) = delete;
  OpenContext &operator=(const OpenContext &) = delete;
  ~OpenContext() { pirn_context_close(handle); }
};

/* Shared by an endpoint and all that was made from it; handle is NULL once it is closed. */
struct OpenEndpoint {
  std::shared_ptr<OpenContext> context;
  pirn_endpoint *handle = nullptr;
};

/* A handle made from an endpoint. */
template <typename T, pirn_status (*Close)(T *)>
class Child {
 public:
  Child() noexcept = default;
  Child(std::shared_ptr<OpenEndpoint> endpoint, T *handle) noexcept : endpoint_(std::move(endpoint)), handle_(handle) {}
  Child(Child &&other) noexcept
      : endpoint_(std::move(other.endpoint_)), handle_(std::exchange(other.handle_, nullptr)) {}
  Child &operator=(Child &&other) noexcept {
    if (this != &other) {
      close();
      endpoint_ = std::move(other.endpoint_);
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Child() { close(); }

  /* NULL if empty or if the endpoint was closed. */
  T *get() const noexcept { return endpoint_ && endpoint_->handle ? handle_ : nullptr; }
  explicit operator bool() const noexcept { return get() != nullptr; }

  /* Gives the handle back now. With PIRN_ERR_BUSY it stays, and its endpoint closes it in the end. */
  pirn_status close() noexcept {
    const pirn_status status = get() ? Close(handle_) : PIRN_OK;
    if (status == PIRN_OK) handle_ = nullptr;
    return status;
  }

 protected:
  const std::shared_ptr<OpenEndpoint> &endpoint() const noexcept { return endpoint_; }

 private:
  std::shared_ptr<OpenEndpoint> endpoint_;
  T *handle_ = nullptr;
};

inline pirn_transfer_params to_params(const TransferOptions &options) {
  pirn_transfer_params params = sized<pirn_transfer_params>();
  params.notify = options.notify.empty() ? nullptr : options.notify.data();
  params.notify_length = options.notify.size();
  params.timeout_ns = to_ns(options.timeout);
  params.user_data = options.user_data;
  params.flags = options.queued ? PIRN_TRANSFER_QUEUED : 0;
  params.path = options.path;
  return params;
}

} /* namespace detail */

} /* inline namespace cpp0 */
} /* namespace pirn */

#endif
