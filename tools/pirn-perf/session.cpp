// SPDX-License-Identifier: Apache-2.0
#include "session.h"

namespace {

Peer connect(pirn_endpoint *endpoint, const Options &options, const std::string &address) {
  pirn_peer *peer = nullptr;
  check(pirn_peer_connect(endpoint, address.c_str(), options.timeout_ns, &peer), "connecting to " + address);
  return Peer(peer);
}

}  // namespace

Session::Session(const Options &options, const std::string &address)
    : options_(options),
      address_(address),
      context_(open_context()),
      endpoint_(open_endpoint(context_.get(), options)),
      peer_(connect(endpoint_.get(), options, address)),
      channel_(endpoint_.get(), peer_.get(), options.timeout_ns),
      peer_memory_(channel_.call({{"do", "about"}}).at("memory").get<std::string>()) {
  const std::string &wanted = options.peer_memory;
  if (!wanted.empty() && wanted != peer_memory_)
    throw Failure("the partner's memory is \"" + peer_memory_ + "\", --peer-mem demands \"" + wanted +
                  "\": start it with --mem " + wanted);
}

Session::~Session() {
  try {
    window_.reset();
    channel_.call({{"do", options_.mode == Mode::local ? "quit" : "close"}});
  } catch (const Failure &) {
    // The partner may be gone already, and then that was reported.
  }
}

void Session::reserve(uint64_t bytes) {
  if (memory_ && memory_->size() >= bytes) return;
  window_.reset();
  memory_.reset();
  memory_ = std::make_unique<Memory>(context_.get(), endpoint_.get(), options_, bytes, options_.verify);
  window_blob_ =
      channel_.call({{"do", "open"}, {"bytes", bytes}, {"checked", options_.verify}, {"blob", memory_->blob_text()}}).at("blob").get<std::string>();
  window_ = import_window(peer_.get(), window_blob_);
}
