// SPDX-License-Identifier: Apache-2.0
#include "handles.h"

#include <fmt/core.h>

#include <vector>

void check(pirn_status status, const std::string &what) {
  if (status == PIRN_OK) return;
  throw Failure(fmt::format("{}: {}: {}", what, pirn_status_string(status), pirn_last_error()));
}

Context open_context() {
  pirn_context *context = nullptr;
  check(pirn_context_open(nullptr, &context), "opening a context");
  return Context(context);
}

Endpoint open_endpoint(pirn_context *context, const Options &options) {
  pirn_endpoint_params params{};
  params.struct_size = sizeof params;
  params.provider = options.provider.empty() ? nullptr : options.provider.c_str();
  params.nics = options.nics.empty() ? nullptr : options.nics.c_str();
  params.progress = options.progress;
  const std::string device = options.device();
  if (options.on_device()) params.device = device.c_str();
  pirn_endpoint *endpoint = nullptr;
  check(pirn_endpoint_open(context, &params, &endpoint), options.on_device() ? "opening an endpoint for " + options.memory : "opening an endpoint");
  return Endpoint(endpoint);
}

pirn_transfer_params transfer_params(const Options &options) {
  pirn_transfer_params params{};
  params.struct_size = sizeof params;
  params.timeout_ns = options.timeout_ns;
  params.path = options.path.empty() ? nullptr : options.path.c_str();
  return params;
}

std::string listener_address(pirn_endpoint *endpoint) {
  char text[256];
  size_t length = sizeof text;
  check(pirn_endpoint_address(endpoint, text, &length), "asking for the listener's address");
  return text;
}

pirn_peer_info peer_info(pirn_peer *peer) {
  pirn_peer_info info{};
  info.struct_size = sizeof info;
  check(pirn_peer_get_info(peer, &info), "asking about the peer");
  return info;
}

std::string explain(pirn_peer *peer) {
  size_t length = 0;
  pirn_peer_explain(peer, nullptr, &length);
  std::vector<char> text(length + 1);
  length = text.size();
  check(pirn_peer_explain(peer, text.data(), &length), "asking for the path");
  return text.data();
}

Window import_window(pirn_peer *peer, const std::string &blob_text) {
  pirn_window *window = nullptr;
  check(pirn_window_import(peer, blob_text.data(), blob_text.size(), &window), "importing a window");
  return Window(window);
}
