// SPDX-License-Identifier: Apache-2.0
#include "handles.h"

#include "pattern.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
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
  pirn_endpoint *endpoint = nullptr;
  check(pirn_endpoint_open(context, &params, &endpoint), "opening an endpoint");
  return Endpoint(endpoint);
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

Memory::Memory(pirn_endpoint *endpoint, uint64_t bytes) : size_(bytes) {
  void *const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw Failure(fmt::format("{} of memory: {}", size_text(bytes), std::strerror(errno)));
  data_ = static_cast<unsigned char *>(mapped);
  std::memset(data_, background, bytes);
  pirn_region *region = nullptr;
  const pirn_status status = pirn_region_register(endpoint, data_, bytes, nullptr, &region);
  if (status != PIRN_OK) munmap(data_, bytes);
  check(status, "registering " + size_text(bytes));
  region_.reset(region);
  advertise();
}

void Memory::advertise() {
  std::vector<unsigned char> blob(4096);
  size_t length = blob.size();
  pirn_status status = PIRN_OK;
  const auto attempt = [&] {
    length = blob.size();
    return pirn_region_advertise(region_.get(), 0, size_, PIRN_ACCESS_READ | PIRN_ACCESS_WRITE, blob.data(), &length,
                                 &window_);
  };
  if ((status = attempt()) == PIRN_ERR_TOO_SMALL) {
    blob.resize(length);
    status = attempt();
  }
  check(status, "advertising a window");
  size_t text_length = 0;
  pirn_blob_to_text(blob.data(), length, nullptr, &text_length);
  std::vector<char> text(text_length + 1);
  text_length = text.size();
  check(pirn_blob_to_text(blob.data(), length, text.data(), &text_length), "encoding a window");
  blob_text_ = text.data();
}

Memory::~Memory() {
  constexpr uint64_t patience_ns = 2'000'000'000;
  if (window_ != 0) pirn_region_withdraw(region_.get(), window_, patience_ns);
  region_.reset();
  munmap(data_, size_);
}
