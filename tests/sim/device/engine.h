// SPDX-License-Identifier: Apache-2.0
// The objects behind both faces. One lock guards them all; the pieces of stream work run without it, on one thread.
#pragma once

#include "chunk.h"
#include "code.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace pirn::fake_gpu {

struct Stream;
struct Capture;

struct Context {
  uint32_t ordinal = 0;
  uint32_t unit = 0;
  bool primary = true;
  uint32_t retained = 0;
  bool alive = false;
  Code sticky = ok;                // the first failure of its stream work; every later call answers with it
  std::set<uint32_t> peers;        // units whose memory it may reach
  std::shared_ptr<Stream> null_stream;
  std::map<std::thread::id, std::shared_ptr<Stream>> per_thread;
};

// -- Memory

enum class Kind : uint8_t { plain, chunk, pool, managed, pinned, registered, imported };
const char *kind_name(Kind kind);

struct Mapping {
  uint64_t base = 0;
  uint64_t length = 0;
  Kind kind = Kind::plain;
  Context *context = nullptr;
  uint64_t id = 0;
  std::shared_ptr<Chunk> chunk;          // null for host memory
  std::byte *bytes = nullptr;            // where the fake reaches the memory
  std::map<uint32_t, uint32_t> access;   // kind chunk: by unit, 1 read, 2 write
  void *pool = nullptr;
  bool ordered = false;                  // copies of it are synchronous where the manual says so, as NICs need it
  uint32_t opened = 0;                   // kind imported: opens that need a close
  ChunkName name{};
  bool on_device() const { return kind != Kind::pinned && kind != Kind::registered && kind != Kind::managed; }
};

struct Range {
  uint64_t base = 0;
  uint64_t length = 0;
};

// -- Stream work

enum class Step { done, again, wait };

// One piece of work. step() runs without the engine's lock, again until it is done; it may be copied into a graph and
// run many times.
struct Work {
  const char *name = "";
  std::function<Step(Context &, Code &)> step;
  std::vector<Range> uses;  // of device and page-locked memory
};

struct Mark {  // a place in a stream
  std::shared_ptr<Stream> stream;
  uint64_t sequence = 0;
  bool reached() const;
};

struct Item {
  Work work;
  uint64_t sequence = 0;
  std::vector<Mark> needs;
  std::chrono::steady_clock::time_point not_before;
};

struct Stream {
  Context *context = nullptr;
  uint64_t id = 0;
  bool blocking = true;  // keeps order with the null stream
  int priority = 0;
  std::deque<Item> queue;
  uint64_t submitted = 0;
  uint64_t completed = 0;
  std::vector<Mark> needs;  // of whatever is submitted next
  std::shared_ptr<Capture> capture;
  std::vector<size_t> frontier;  // nodes of the capture that the next one follows
  bool idle() const { return completed == submitted; }
};

struct Event {
  Context *context = nullptr;
  Mark mark;
  bool interprocess = false;
  std::weak_ptr<Capture> capture;  // recorded into it; `mark` is not of this recording
  bool captured = false;
  std::vector<size_t> frontier;
};

struct Node {
  Work work;
  std::vector<size_t> needs;
};

struct Capture {
  int mode = 0;
  uint64_t id = 0;
  std::thread::id thread;
  std::weak_ptr<Stream> origin;
  std::vector<std::weak_ptr<Stream>> joined;
  std::vector<Node> nodes;
  bool valid = true;
};

struct Graph {
  std::vector<Node> nodes;
};

// Live objects of one type, by the handle that the application has.
template <typename T>
class Table {
 public:
  void *add(std::shared_ptr<T> object) {
    void *handle = object.get();
    objects_[handle] = std::move(object);
    return handle;
  }
  std::shared_ptr<T> find(const void *handle) const {
    auto found = objects_.find(const_cast<void *>(handle));
    return found == objects_.end() ? nullptr : found->second;
  }
  std::shared_ptr<T> take(const void *handle) {
    std::shared_ptr<T> object = find(handle);
    objects_.erase(const_cast<void *>(handle));
    return object;
  }
  size_t size() const { return objects_.size(); }
  const std::map<void *, std::shared_ptr<T>> &all() const { return objects_; }

 private:
  std::map<void *, std::shared_ptr<T>> objects_;
};

struct Module {
  std::vector<std::unique_ptr<std::string>> functions;
};

struct Pool {
  uint32_t unit = 0;
  Context *context = nullptr;
  bool is_default = false;
  uint32_t handle_types = 0;
};

struct Engine {
  std::mutex lock;
  std::condition_variable changed;  // work was done
  std::condition_variable added;    // work came
  bool initialized = false;
  int pid = 0;
  uint64_t next_id = 1;
  std::mt19937_64 random;
  std::map<std::string, uint64_t> calls;

  std::vector<std::unique_ptr<Context>> primaries;  // by ordinal
  std::vector<std::unique_ptr<Context>> others;
  std::map<uint64_t, Mapping> mappings;        // by base
  std::map<uint64_t, uint64_t> reservations;   // base to length
  std::map<uint64_t, uint64_t> freed;          // addresses that were device memory and are not yet again
  std::map<uint64_t, std::shared_ptr<Chunk>> handles;  // of physical memory
  Table<Stream> streams;
  Table<Event> events;
  Table<Graph> graphs, executables;
  Table<Module> modules;
  Table<Pool> pools;
  std::vector<std::shared_ptr<Pool>> default_pools;
  std::vector<std::shared_ptr<Stream>> busy;   // with work left, destroyed ones too
  std::vector<std::weak_ptr<Capture>> captures;
  std::thread::id worker;
};

using Lock = std::unique_lock<std::mutex>;

Engine &engine();           // lives until the process ends
Code initialize();          // reads the environment and starts the worker; may be called again

}  // namespace pirn::fake_gpu
