// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pirn::sim_nic {
namespace {

constexpr size_t gib = size_t{1} << 30;

// The fields of the opaque addresses. The layouts are of the right length; what stands in them is ours.
struct EfaAddress {
  unsigned char gid[16];
  uint16_t queue_pair, pad;
  uint32_t key;
  uint64_t reserved;
};
static_assert(sizeof(EfaAddress) == 32);
constexpr unsigned char efa_prefix[8] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0};
constexpr uint32_t efa_mark = 0x51aefa;

constexpr uint32_t cxi_mark = 10;  // the default VNI

}  // namespace

std::string entry_of(const char *variable, size_t index) {
  const char *list = getenv(variable);
  std::string entry;
  if (!list) return entry;
  for (const char *at = list;; index--) {
    const char *end = strchr(at, ',');
    entry.assign(at, end ? static_cast<size_t>(end - at) : strlen(at));
    if (!end || index == 0) return entry;
    at = end + 1;
  }
}

const Persona efa_persona = {
    .provider = "efa",
    .fabric = "efa",
    .driver = "efa",
    .protocol = FI_PROTO_EFA,
    .address_format = FI_ADDR_EFA,
    .address_length = 32,
    .mode = 0,
    .mr_required = FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY,
    .mr_optional = FI_MR_LOCAL,
    .key_size = 4,
    .chosen_key_size = 4,
    .cq_data_size = 4,
    .max_message = UINT64_MAX,
    .local_parts = 4,
    .remote_parts = 1,
    .inject_size = 4096,
    .transmit_size = 256,
    .receive_size = 256,
    .order = FI_ORDER_SAS,
    .progress = FI_PROGRESS_MANUAL,
    .wait_fd = false,
    .remote_cq_data = true,
    .delivery_complete = true,
    .early_completion = true,
    .target_must_know_initiator = false,
    .keeps_address = false,
    .overruns_queue = true,
    .speed = 100000000000,
    .unreachable = {FI_ECONNABORTED, 13},
    .unknown_peer = {FI_ENOTCONN, 14},
    .bad_key = {FI_EINVAL, 7},
};

const Persona efa_direct_persona = [] {
  Persona p = efa_persona;
  p.fabric = "efa-direct";
  p.mode = FI_CONTEXT2;
  p.mr_required |= FI_MR_LOCAL;
  p.mr_optional = 0;
  p.max_message = gib;
  p.local_parts = 2;
  p.inject_size = 32;
  p.order = 0;
  p.progress = FI_PROGRESS_AUTO;
  p.early_completion = false;
  p.target_must_know_initiator = true;
  return p;
}();

const Persona cxi_persona = {
    .provider = "cxi",
    .fabric = "cxi",
    .driver = "cxi_ss1",
    .protocol = FI_PROTO_CXI,
    .address_format = FI_ADDR_CXI,
    .address_length = 8,
    .mode = 0,
    .mr_required = FI_MR_ENDPOINT | FI_MR_ALLOCATED,
    .mr_optional = FI_MR_PROV_KEY,
    .key_size = 8,
    .chosen_key_size = 4,
    .cq_data_size = 8,
    .max_message = UINT32_MAX,
    .local_parts = 1,
    .remote_parts = 1,
    .inject_size = 192,
    .transmit_size = 256,
    .receive_size = 512,
    .order = FI_ORDER_SAS | FI_ORDER_WAW | FI_ORDER_RMA_WAW | FI_ORDER_RMA_RAR,
    .progress = FI_PROGRESS_MANUAL,
    .wait_fd = true,
    .remote_cq_data = false,
    .delivery_complete = true,
    .early_completion = true,
    .target_must_know_initiator = false,
    .keeps_address = true,
    .overruns_queue = false,
    .speed = 200000000000,
    .unreachable = {FI_EHOSTUNREACH, 2},
    .unknown_peer = {FI_ENOTCONN, 3},
    .bad_key = {FI_EIO, 5},
};

size_t device_count() {
  const char *text = getenv("PIRN_SIM_NICS");
  long count = text ? strtol(text, nullptr, 10) : 2;
  return static_cast<size_t>(std::clamp(count, 0L, 32L));
}

void apply_lists(size_t index, Device &out) {
  std::string speed = entry_of("PIRN_SIM_SPEEDS", index);
  if (!speed.empty()) out.speed = static_cast<uint64_t>(strtod(speed.c_str(), nullptr) * 1e9);
  unsigned domain = 0, bus = 0, slot = 0, function = 0;
  std::string pci = entry_of("PIRN_SIM_PCI", index);
  if (sscanf(pci.c_str(), "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4) return;
  out.pci = {static_cast<uint16_t>(domain), static_cast<uint8_t>(bus), static_cast<uint8_t>(slot),
             static_cast<uint8_t>(function)};
}

void encode_address(const Persona &persona, size_t rail, uint16_t port, void *out) {
  if (persona.address_format == FI_SOCKADDR_IN) {
    sockaddr_in address = rail_address(rail, port);
    memcpy(out, &address, sizeof address);
    return;
  }
  if (persona.address_format == FI_ADDR_EFA) {
    EfaAddress address = {};
    memcpy(address.gid, efa_prefix, sizeof efa_prefix);
    address.gid[15] = static_cast<unsigned char>(rail + 1);
    address.queue_pair = port;
    address.key = efa_mark;
    memcpy(out, &address, sizeof address);
    return;
  }
  // 9 bits of endpoint number, 20 of NIC, 16 of network number, from the lowest.
  uint64_t nic = (rail << 7 | port >> 9) & 0xfffff;
  uint64_t address = (port & 0x1ff) | nic << 9 | uint64_t{cxi_mark} << 29;
  memcpy(out, &address, sizeof address);
}

bool decode_address(const Persona &persona, const void *in, uint16_t &port) {
  if (persona.address_format == FI_ADDR_EFA) {
    EfaAddress address;
    memcpy(&address, in, sizeof address);
    port = address.queue_pair;
    return port && address.key == efa_mark && memcmp(address.gid, efa_prefix, sizeof efa_prefix) == 0;
  }
  uint64_t address;
  memcpy(&address, in, sizeof address);
  port = static_cast<uint16_t>((address & 0x1ff) | ((address >> 9 & 0x7f) << 9));
  return port && address >> 29 == cxi_mark;
}

}  // namespace pirn::sim_nic
