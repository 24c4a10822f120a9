// SPDX-License-Identifier: Apache-2.0
// The measuring side: one endpoint, one partner, memory on both sides.
#pragma once

#include "channel.h"
#include "memory.h"

class Session {
 public:
  Session(const Options &options, const std::string &address);
  ~Session();

  // At least this much memory here and at the partner, all background.
  void reserve(uint64_t bytes);

  const Options &options() const { return options_; }
  pirn_context *context() { return context_.get(); }
  pirn_endpoint *endpoint() { return endpoint_.get(); }
  pirn_peer *peer() { return peer_.get(); }
  pirn_window *window() { return window_.get(); }
  const std::string &window_blob() const { return window_blob_; }
  Memory &memory() { return *memory_; }
  Channel &channel() { return channel_; }
  const std::string &peer_memory() const { return peer_memory_; }  // where the partner's lies
  const std::string &address() const { return address_; }
  double remote_cpu_us() { return channel_.call({{"do", "cpu"}}).at("cpu_us").get<double>(); }

 private:
  const Options &options_;
  std::string address_;
  Context context_;
  Endpoint endpoint_;
  Peer peer_;
  Channel channel_;
  std::string peer_memory_;
  std::unique_ptr<Memory> memory_;
  std::string window_blob_;
  Window window_;
};
