// SPDX-License-Identifier: Apache-2.0
// Links between devices, as the runtime tells: their kind, not their speed.
#include "hip_table.h"

namespace pirn::device::hip {
namespace {

void read_kind(int device, int peer, Link &found) {
  uint32_t type = 0, hops = 0;
  const Status asked = call(runtime().hipExtGetLinkTypeAndHopCount, device, peer, &type, &hops);
  if (asked.is_ok() && type == link_xgmi) found.kind = "xGMI";
  else if (asked.is_ok() && type == link_pcie) found.kind = "PCIe";
  if (!found.kind.empty()) return;
  const std::string why = asked.is_ok() ? "the HIP runtime calls it type " + std::to_string(type) : asked.text;
  found.reason += (found.reason.empty() ? "" : "; ") + ("the link is unknown: " + why);
}

}  // namespace

Result<Link> link(uint32_t device, uint32_t peer) {
  for (const uint32_t one : {device, peer})
    if (const Status there = check_device(one); !there.is_ok()) return there;
  const Unnoticed unnoticed;
  const int from = static_cast<int>(device), to = static_cast<int>(peer);
  int direct = 0, atomics = 0;
  const Status asked = call(runtime().hipDeviceCanAccessPeer, &direct, from, to);
  if (!asked.is_ok()) return asked;
  Link found;
  found.direct = direct != 0;
  if (!found.direct) found.reason = "the HIP runtime allows no direct access between them";
  else if (call(runtime().hipDeviceGetP2PAttribute, &atomics, pair_atomics, from, to).is_ok()) found.atomics = atomics != 0;
  read_kind(from, to, found);
  return found;
}

}  // namespace pirn::device::hip
