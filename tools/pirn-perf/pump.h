// SPDX-License-Identifier: Apache-2.0
// Keeps a window of operations in flight and records how long each took.
#pragma once

#include "handles.h"
#include "measure.h"

#include <functional>

struct Pump {
  pirn_endpoint *endpoint;
  uint64_t operations, window;
  pirn_transfer_params params;  // see transfer_params()
  // Starts operation `index`; with a null transfer it blocks until it is done.
  std::function<pirn_status(uint64_t index, const pirn_transfer_params *, pirn_transfer *)> post;
  ProgressLine *line = nullptr;
  uint64_t done_before = 0;  // operations of earlier batches, for the line
};

struct Pumped {
  std::vector<uint64_t> samples_ns;
  std::string path, rail;  // of the first and the last operation; "ipc+fabric" if they differ. Empty if blocking
};

// Adds to "ipc" what is not yet in it.
void add_path(std::string *paths, const std::string &path);

// Window of posted operations, the oldest waited for first.
Pumped pump(const Pump &job);
// One blocking call after the other; the shortest way through the library.
Pumped pump_blocking(const Pump &job);
