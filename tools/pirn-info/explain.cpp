// SPDX-License-Identifier: Apache-2.0
#include "explain.h"

#include <fmt/core.h>

#include <memory>
#include <stdexcept>

namespace {

int complain(pirn_status status, const std::string &what) {
  fmt::print(stderr, "pirn-info: {}: {}: {}\n", what, pirn_status_string(status), pirn_last_error());
  return status == PIRN_ERR_INVALID ? exit_usage : exit_not_reached;
}

// What `get(buffer, &length)` writes. It may grow between two calls. Throws std::runtime_error.
template <typename Get>
std::string text_of(Get get) {
  std::string text;
  size_t length = 0;
  pirn_status status = get(nullptr, &length);
  while (status == PIRN_ERR_TOO_SMALL) {
    text.resize(length);
    status = get(text.data(), &length);
  }
  if (status != PIRN_OK) throw std::runtime_error(pirn_last_error());
  text.resize(length - 1);
  return text;
}

int explain_provider(pirn_context *context, const std::string &name) {
  const char *provider = name == "all" ? nullptr : name.c_str();
  size_t length = 0;
  const pirn_status status = pirn_info_explain(context, provider, nullptr, &length);
  if (status == PIRN_ERR_INVALID) {
    complain(status, "--explain " + name);
    fmt::print(stderr, "pirn-info: expected a provider, \"all\" or HOST:PORT of a listening endpoint\n");
    return exit_usage;
  }
  fmt::print("{}", text_of([&](char *text, size_t *size) { return pirn_info_explain(context, provider, text, size); }));
  return 0;
}

int explain_peer(pirn_context *context, const std::string &address, double timeout_s) {
  pirn_endpoint *opened = nullptr;
  if (pirn_endpoint_open(context, nullptr, &opened) != PIRN_OK) throw std::runtime_error(pirn_last_error());
  const std::unique_ptr<pirn_endpoint, pirn_status (*)(pirn_endpoint *)> endpoint(opened, pirn_endpoint_close);
  fmt::print("{}", text_of([&](char *text, size_t *size) { return pirn_endpoint_explain(opened, text, size); }));
  pirn_peer *peer = nullptr;
  const pirn_status status = pirn_peer_connect(opened, address.c_str(), static_cast<uint64_t>(timeout_s * 1e9), &peer);
  std::fflush(stdout);
  if (status != PIRN_OK) return complain(status, "--explain " + address);
  fmt::print("\n{}", text_of([&](char *text, size_t *size) { return pirn_peer_explain(peer, text, size); }));
  pirn_peer_close(peer);
  return 0;
}

}  // namespace

int explain(pirn_context *context, const std::string &what, double timeout_s) {
  return what.find(':') == std::string::npos ? explain_provider(context, what)
                                             : explain_peer(context, what, timeout_s);
}
