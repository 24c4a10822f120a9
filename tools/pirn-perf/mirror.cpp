// SPDX-License-Identifier: Apache-2.0
#include "mirror.h"

#include <algorithm>
#include <cstring>

namespace {

constexpr size_t ranges_per_call = 65536;
constexpr unsigned char unread = 0x5A;  // a byte that did not arrive is not taken for an earlier one

Options options_for(Options options) {
  options.memory = "host";
  options.path = "self";
  options.progress = PIRN_PROGRESS_THREAD;
  return options;
}

Region register_copy(pirn_endpoint *endpoint, void *address, uint64_t bytes) {
  pirn_region *region = nullptr;
  check(pirn_region_register(endpoint, address, bytes, nullptr, &region), "registering a copy of device memory");
  return Region(region);
}

Peer meet(pirn_endpoint *endpoint, pirn_endpoint *other, uint64_t timeout_ns) {
  size_t length = 0;
  pirn_endpoint_metadata(other, nullptr, &length);
  std::vector<unsigned char> blob(length);
  check(pirn_endpoint_metadata(other, blob.data(), &length), "asking for metadata");
  pirn_peer *peer = nullptr;
  check(pirn_peer_add(endpoint, blob.data(), length, &peer), "adding an endpoint of this process");
  Peer added(peer);
  check(pirn_peer_wait(peer, timeout_ns), "waiting for an endpoint of this process");
  return added;
}

}  // namespace

Mirror::Mirror(pirn_context *context, const Options &options, void *memory, uint64_t bytes)
    : options_(options_for(options)),
      copy_(context, "host", bytes),
      owner_(open_endpoint(context, options_)),
      visitor_(open_endpoint(context, options_)),
      memory_(owner_.get(), memory, bytes),
      region_(register_copy(visitor_.get(), copy_.address(), bytes)),
      peer_(meet(visitor_.get(), owner_.get(), options.timeout_ns)),
      window_(import_window(peer_.get(), memory_.blob_text())) {}

void Mirror::pull(const std::vector<Range> &ranges) {
  for (const Range &range : ranges) std::memset(data() + range.offset, unread, range.length);
  move(ranges, pirn_readv);
}

void Mirror::move(const std::vector<Range> &ranges, Call call) {
  const pirn_transfer_params params = transfer_params(options_);
  std::vector<pirn_segment> list;
  for (size_t first = 0; first < ranges.size(); first += ranges_per_call) {
    list.clear();
    for (size_t i = first; i < std::min(ranges.size(), first + ranges_per_call); ++i)
      list.push_back({region_.get(), ranges[i].offset, window_.get(), ranges[i].offset, ranges[i].length});
    check(call(list.data(), list.size(), &params, nullptr), "copying device memory to check it");
  }
}
