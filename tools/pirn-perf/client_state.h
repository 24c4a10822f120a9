// SPDX-License-Identifier: Apache-2.0
// What the partner holds and does for one client. The client is a stranger: every number it sends is checked.
#pragma once

#include "channel.h"
#include "memory.h"
#include "pattern.h"

class ClientState {
 public:
  ClientState(pirn_context *context, pirn_endpoint *endpoint, Peer peer, const Options &options);

  pirn_peer *peer() { return peer_.get(); }
  bool gone() { return peer_info(peer_.get()).state >= PIRN_PEER_CLOSED; }

  // Does what a request asks and returns the reply. Throws Failure and json::exception.
  nlohmann::json perform(const std::string &what, const nlohmann::json &request);
  // Takes in one message of the notify test.
  void count(const std::string &message);

 private:
  nlohmann::json open(const nlohmann::json &request);
  nlohmann::json fill(const nlohmann::json &request);
  nlohmann::json check_items(const nlohmann::json &request);
  nlohmann::json check_clean(const nlohmann::json &request);
  nlohmann::json stream(const nlohmann::json &request);
  nlohmann::json counted();
  Memory &memory();

  pirn_context *context_;
  pirn_endpoint *endpoint_;
  Peer peer_;
  const Options &options_;
  std::unique_ptr<Memory> memory_;
  Window window_;
  uint64_t received_ = 0, sequence_sum_ = 0, wrong_ = 0;
};

nlohmann::json wrong_to_json(const std::optional<Wrong> &wrong);
