// SPDX-License-Identifier: Apache-2.0
// Rows of results, as a table, CSV or JSON (README.md documents the keys).
#pragma once

#include "measure.h"
#include "options.h"

#include <nlohmann/json.hpp>

#include <optional>

struct Row {
  std::string test;
  uint64_t size = 0;    // bytes of one block, message or transfer
  uint64_t blocks = 1;  // blocks of one operation
  uint64_t operations = 0, window = 1, threads = 1;
  bool bidir = false, verified = false;
  uint64_t bytes = 0;  // moved in all, both directions
  double seconds = 0;
  Percentiles latency;  // of one operation, posted to complete
  double cpu_us_local = 0;                // per operation
  std::optional<double> cpu_us_remote;    // per operation; none if both sides share a process
  std::string path, provider, rail;
  std::string memory, peer_memory;  // where the two ends lie; empty if no memory took part

  double gb_per_s() const { return seconds > 0 ? static_cast<double>(bytes) / seconds * 1e-9 : 0; }
  double operations_per_s() const { return seconds > 0 ? static_cast<double>(operations) / seconds : 0; }
};

// What the rows were measured with.
struct Setting {
  std::string mode;  // "local", "same-process" or "connect"
  std::string provider, path, address, explanation, peer_memory;
};

class Report {
 public:
  explicit Report(const Options &options) : options_(options) {}
  void begin(const Setting &setting);
  void add(const Row &row);
  // Writes the JSON report if one was asked for. `error`: what ended the run early, or "".
  void finish(const std::string &error);

 private:
  bool quiet() const { return options_.json == "-"; }

  const Options &options_;
  Setting setting_;
  nlohmann::json rows_ = nlohmann::json::array();
};
