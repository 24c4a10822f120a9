// SPDX-License-Identifier: Apache-2.0
#include "api/copy_out.h"
#include "api/error.h"
#include "api/handles.h"
#include "api/params.h"

using namespace pirn;
using namespace pirn::api;

static Status hand_out(Result<core::Peer *> found, pirn_peer **peer) {
  if (!found.is_ok()) return found.status();
  *peer = wrap(found.value());
  return Status::ok();
}

extern "C" {

pirn_status pirn_peer_connect(pirn_endpoint *endpoint, const char *address, uint64_t timeout_ns, pirn_peer **peer) {
  return guard([&]() -> Status {
    if (!peer) return missing("peer");
    *peer = nullptr;
    if (!endpoint) return missing("endpoint");
    if (!address) return missing("address");
    return hand_out(unwrap(endpoint)->connect(address, timeout_ns), peer);
  });
}

pirn_status pirn_peer_add(pirn_endpoint *endpoint, const void *blob, size_t length, pirn_peer **peer) {
  return guard([&]() -> Status {
    if (!peer) return missing("peer");
    *peer = nullptr;
    if (!endpoint) return missing("endpoint");
    if (!blob) return missing("blob");
    return hand_out(unwrap(endpoint)->add({static_cast<const std::byte *>(blob), length}), peer);
  });
}

pirn_status pirn_peer_wait(pirn_peer *peer, uint64_t timeout_ns) {
  return guard([&]() -> Status {
    if (!peer) return missing("peer");
    return unwrap(peer)->endpoint->wait_up(*unwrap(peer), timeout_ns);
  });
}

pirn_status pirn_peer_close(pirn_peer *peer) {
  return guard([&]() -> Status {
    if (peer) unwrap(peer)->endpoint->close(*unwrap(peer));
    return Status::ok();
  });
}

pirn_status pirn_peer_get_info(pirn_peer *peer, pirn_peer_info *info) {
  return guard([&]() -> Status {
    if (Status bad = clear_output(info); !bad.is_ok()) return bad;
    if (!peer) return missing("peer");
    pirn_peer_info out{};
    out.struct_size = sizeof(out);
    unwrap(peer)->endpoint->describe(*unwrap(peer), &out);
    export_result(out, info);
    return Status::ok();
  });
}

pirn_status pirn_peer_explain(pirn_peer *peer, char *buffer, size_t *length) {
  return guard([&]() -> Status {
    if (!length) return missing("length");
    if (!peer) return missing("peer");
    return copy_out(unwrap(peer)->endpoint->explain(*unwrap(peer)), buffer, length);
  });
}

}  // extern "C"
