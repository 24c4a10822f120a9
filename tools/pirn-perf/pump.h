// SPDX-License-Identifier: Apache-2.0
// Keeps a window of operations in flight and records how long each took.
#pragma once

#include "handles.h"
#include "measure.h"

#include <functional>

struct Pump {
  pirn_endpoint *endpoint;
  uint64_t operations, window;
  uint64_t timeout_ns;
  // Starts operation `index`; with a null transfer it blocks until it is done.
  std::function<pirn_status(uint64_t index, const pirn_transfer_params *, pirn_transfer *)> post;
  ProgressLine *line = nullptr;
  uint64_t done_before = 0;  // operations of earlier batches, for the line
};

struct Pumped {
  std::vector<uint64_t> samples_ns;
  std::string path, rail;
};

// Window of posted operations, the oldest waited for first.
Pumped pump(const Pump &job);
// One blocking call after the other; the shortest way through the library.
Pumped pump_blocking(const Pump &job);
