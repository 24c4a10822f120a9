// SPDX-License-Identifier: Apache-2.0
// Registration of device memory, as what it is: libfabric's software, and NICs' small writes, touch what they take for
// host memory with the processor.
#include "base/text.h"
#include "fabric/rail_state.h"

#include <unistd.h>

namespace pirn::fabric {
namespace {

// What headers before 1.20 do not have.
constexpr uint64_t flag_dma_buf = uint64_t{1} << 40;  // FI_MR_DMABUF
struct DmaBufPart {                                   // struct fi_mr_dmabuf, in the place of the parts
  int fd;
  uint64_t offset;
  size_t length;
  void *base;  // address of the dma-buf's first byte
};
static_assert(sizeof(DmaBufPart) == 32);

// Whether libfabric (1.18 and later) may copy device memory with the vendor's own calls, which wait for kernels that wait for
// us.
constexpr int option_may_copy = 10;

}  // namespace

DeviceMemory::~DeviceMemory() {
  if (dma_buf >= 0) close(dma_buf);
}

// A refusal other than "not here" comes from providers that do not know the option.
Status Rail::State::refuse_copies(fid_ep *endpoint) {
  int peer_to_peer = FI_HMEM_P2P_REQUIRED;
  int rc = fi_setopt(&endpoint->fid, FI_OPT_ENDPOINT, FI_OPT_FI_HMEM_P2P, &peer_to_peer, sizeof peer_to_peer);
  if (rc != -FI_EOPNOTSUPP && FI_VERSION_GE(calls.version(), FI_VERSION(1, 18))) {
    bool may_copy = false;
    rc = fi_setopt(&endpoint->fid, FI_OPT_ENDPOINT, option_may_copy, &may_copy, sizeof may_copy);
  }
  if (rc != -FI_EOPNOTSUPP) return Status::ok();
  return fail(PIRN_ERR_UNAVAILABLE, "%s: this NIC does not reach device memory by itself (fi_setopt: %s)", name.c_str(),
              error_text(-rc).c_str());
}

Status Rail::State::attach_device(Registration &registration, fi_mr_attr &attr) {
  const DeviceMemory &memory = *registration.device;
  attr.iface = static_cast<fi_hmem_iface>(memory.interface);
  const int ordinal = static_cast<int>(memory.device);  // of every kind in the same place
  memcpy(&attr.device, &ordinal, sizeof ordinal);
  const iovec *const parts = attr.mr_iov;
  const auto place = static_cast<uint64_t>(static_cast<const char *>(registration.address) -
                                           static_cast<const char *>(memory.base));
  DmaBufPart part = {memory.dma_buf, memory.offset + place, registration.length, nullptr};
  part.base = static_cast<char *>(registration.address) - part.offset;
  const bool first = nic.profile->device_memory == DeviceMemoryWay::dma_buf;
  std::string refusals;
  int rc = 0;
  for (const bool by_dma_buf : {first, !first}) {
    std::string why;
    if (by_dma_buf && memory.dma_buf < 0) {
      why = memory.no_dma_buf;
    } else if (by_dma_buf && FI_VERSION_LT(version_to_request(calls), FI_VERSION(1, 20))) {
      why = "libfabric is older than 1.20";
    } else {
      attr.mr_iov = by_dma_buf ? reinterpret_cast<const iovec *>(&part) : parts;
      rc = attach(registration, attr, by_dma_buf ? flag_dma_buf : 0);
      if (rc == 0) return Status::ok();
      why = "fi_mr_regattr: " + error_text(-rc);
    }
    refusals += (refusals.empty() ? "" : "; ") + std::string(by_dma_buf ? "by dma-buf: " : "by address: ") + why;
  }
  return fail(rc == -FI_ENOMEM ? PIRN_ERR_NO_MEMORY : PIRN_ERR_UNAVAILABLE, "%s: device memory is not registered: %s",
              name.c_str(), refusals.c_str());
}

}  // namespace pirn::fabric
