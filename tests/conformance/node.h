// SPDX-License-Identifier: Apache-2.0
// One endpoint that does what it is told. The same commands run in this process or
// in another one (target.h); between two commands a node makes no call of pirn at all.
#pragma once

#include "bytes.h"
#include "place.h"

#include <pirn/pirn.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace pirn_test {

constexpr uint64_t ms = 1000000;
constexpr uint64_t second = 1000 * ms;
constexpr uint32_t read_write = PIRN_ACCESS_READ | PIRN_ACCESS_WRITE;

enum class Op : uint32_t {
  open,          // args: progress; payload: provider, nics, memory, settings, one a line
  close,
  listen,        // payload: address -> payload: real address
  metadata,      // -> payload: blob
  connect,       // args: timeout; payload: address -> peer
  add,           // payload: blob -> peer
  accept,        // args: timeout -> peer
  accept_start,
  peer_wait,     // args: peer, timeout
  peer_state,    // args: peer -> state, bytes written, bytes read
  peer_close,    // args: peer
  alloc,         // args: size, seed of its first content -> buffer
  fill,          // args: buffer, offset, length, seed
  check,         // args: buffer, offset, length, seed, pattern start -> first mismatch or all_match
  digest,        // args: buffer -> hash of all bytes
  canaries,      // -> 1 if all are intact
  advertise,     // args: buffer, offset, length, access -> window id; payload: blob
  withdraw,      // args: buffer, window id, timeout
  deregister,    // args: buffer
  import_window, // args: peer; payload: blob -> window
  write,         // args: buffer, offset, window, remote offset, length, timeout
  read,
  storm,         // args: buffer, window, length, duration ms -> writes done, last status
  notify,        // args: peer, timeout; payload: message
  notify_many,   // args: peer, count, seed, largest
  take,          // args: timeout -> peer known; payload: message
  take_many,     // args: count, seed, largest, timeout for each -> received, bad, repeated
  take_checked,  // args: buffer, count, timeout for each -> received, bad
  explain,       // -> payload: pirn_endpoint_explain, and pirn_peer_explain of each peer
  cpu,           // -> ns of CPU time of the process so far
  quit,
};

struct Request {
  Op op = Op::quit;
  std::array<uint64_t, 6> args{};
  std::string payload;
};

struct Reply {
  pirn_status status = PIRN_OK;
  std::array<uint64_t, 3> values{};
  std::string text;  // pirn_last_error() of a failure
  std::string payload;
};

struct OpenOptions {
  std::string provider;  // filled from the environment when empty
  std::string nics;
  std::string memory;    // where allocate() finds it (place.h); filled from the environment when empty
  uint32_t progress = PIRN_PROGRESS_DEFAULT;
  std::vector<std::string> settings;
};

// Registered memory with canaries around it. Where it lies elsewhere than in the buffer, that is a copy of it, which
// push() and pull() renew.
struct Memory {
  explicit Memory(uint64_t size, bool sparse = false) : buffer(size, sparse) {}
  void push(uint64_t offset, uint64_t length) const {
    if (place) place->put(offset, buffer.at(offset), length);
  }
  void pull(uint64_t offset, uint64_t length) const {
    if (place) place->get(offset, buffer.at(offset), length);
  }
  bool canaries_intact() const { return buffer.canaries_intact() && (!place || place->guards_intact()); }

  Buffer buffer;
  std::unique_ptr<Place> place;
  pirn_region *region = nullptr;
};

// What a notification says about the data that came before it.
struct DataNote {
  uint64_t offset;
  uint64_t length;
  uint64_t seed;
};

// Message `index` of a stream: its index, then a pattern; both sides know its size.
std::string stream_message(uint64_t seed, uint64_t index, uint64_t largest);

// Takes `count` messages of a stream and checks that each came once, whole.
struct StreamCheck {
  uint64_t received = 0;
  uint64_t bad = 0;
  uint64_t repeated = 0;
};
StreamCheck take_stream(pirn_endpoint *endpoint, uint64_t count, uint64_t seed, uint64_t largest, uint64_t timeout);

uint64_t process_cpu_ns();
std::string explain(pirn_endpoint *endpoint);
std::string explain(pirn_peer *peer);

class Node {
 public:
  Node() = default;
  ~Node() { close(); }
  Node(const Node &) = delete;
  Node &operator=(const Node &) = delete;

  pirn_status open(const OpenOptions &options);
  void close();  // the endpoint first, then its memory
  pirn_endpoint *endpoint() const { return endpoint_; }
  pirn_context *context() const { return context_; }
  // Memory owned by the node, registered, filled with the pattern of `seed`. nullptr: registration failed.
  Memory *allocate(uint64_t size, uint64_t seed, bool sparse = false);
  bool canaries_intact() const;

  Reply handle(const Request &request);

 private:
  Reply run_open(const Request &request);
  Reply run_bringup(const Request &request);
  Reply run_peer(const Request &request);
  Reply run_memory(const Request &request);
  Reply run_window(const Request &request);
  Reply run_transfer(const Request &request);
  Reply run_storm(const Request &request);
  Reply run_notify(const Request &request);
  Reply run_take(const Request &request);
  Reply run_take_checked(const Request &request);
  Reply run_explain();
  uint64_t keep(pirn_peer *peer);

  std::string memory_kind_;
  pirn_context *context_ = nullptr;
  pirn_endpoint *endpoint_ = nullptr;
  std::vector<pirn_peer *> peers_;
  std::vector<std::unique_ptr<Memory>> memories_;
  std::vector<pirn_window *> windows_;
};

}  // namespace pirn_test
