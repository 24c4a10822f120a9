// SPDX-License-Identifier: Apache-2.0
// What was asked for on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

enum class Mode { local, server, connect };

struct Options {
  Mode mode = Mode::local;
  std::string address;  // to listen on or to connect to
  std::vector<std::string> tests;
  std::string provider, nics;
  std::string memory = "host";  // of this side: "host", "shared" or a device ("cuda:0", "cuda:0/plain")
  std::string peer_memory;      // of the partner; "": whatever it has
  std::string path;             // demanded; "": as PIRN_PATH says
  uint32_t progress = 0;        // PIRN_PROGRESS_*
  std::vector<uint64_t> sizes;  // empty: each test's own default
  uint64_t iterations = 0;      // 0: by size
  uint64_t window = 16;
  uint64_t blocks = 256;
  uint64_t threads = 1;
  bool bidir = false, verify = false, csv = false;
  bool stream = false, graph = false;  // a GPU's stream posts, eagerly or by a replayed graph
  std::string json;  // file, "-" for standard output, "" for none
  uint64_t timeout_ns = 30'000'000'000;
  uint64_t seed = 0;

  // The provider or the path cannot leave the process: both endpoints live in this one.
  bool same_process() const { return mode == Mode::local && (provider == "shm" || path == "self"); }
  bool on_device() const { return memory != "host" && memory != "shared"; }
  bool plain() const { return memory.find('/') != std::string::npos; }  // of the runtime's own allocator
  std::string device() const { return memory.substr(0, memory.find('/')); }
};

// Returns true to go on; false to exit with *exit_code.
bool parse_options(int argc, char **argv, Options *options, int *exit_code);

// "64K..64M" (powers of two), "8,4K,1M" or one size. False if malformed.
bool parse_sizes(const std::string &text, std::vector<uint64_t> *sizes);
std::string size_text(uint64_t bytes);
