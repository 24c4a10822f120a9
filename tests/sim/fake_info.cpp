// SPDX-License-Identifier: Apache-2.0
#include "fake_state.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdio>
#include <cstdlib>

namespace pirn::sim {
namespace {

// fi_info shares its fid_nic with copies here, and may outlive the fabric.
struct NicStorage {
  fid_nic nic = {};
  fi_device_attr device = {};
  fi_bus_attr bus = {};
  fi_link_attr link = {};
  std::string name;
};

int close_nic(fid *) { return 0; }

int control_nic(fid *object, int command, void *out) {
  if (command != FI_DUP) return -FI_ENOSYS;
  *static_cast<fid_nic **>(out) = reinterpret_cast<fid_nic *>(object);
  return 0;
}

fid_nic *make_nic(const FakeNic &description) {
  static fi_ops operations = {sizeof(fi_ops), close_nic, nullptr, control_nic, nullptr, nullptr, nullptr};
  static std::deque<NicStorage> all;
  if (description.pci.empty()) return nullptr;
  NicStorage &nic = all.emplace_back();
  nic.name = description.name;
  nic.device.name = nic.name.data();
  unsigned domain = 0, bus = 0, device = 0, function = 0;
  sscanf(description.pci.c_str(), "%x:%x:%x.%x", &domain, &bus, &device, &function);
  nic.bus.bus_type = FI_BUS_PCI;
  nic.bus.attr.pci = {static_cast<uint16_t>(domain), static_cast<uint8_t>(bus), static_cast<uint8_t>(device),
                      static_cast<uint8_t>(function)};
  nic.link.speed = description.speed;
  nic.link.state = description.link_up ? FI_LINK_UP : FI_LINK_DOWN;
  nic.nic.fid.ops = &operations;
  nic.nic.device_attr = &nic.device;
  nic.nic.bus_attr = &nic.bus;
  nic.nic.link_attr = &nic.link;
  return &nic.nic;
}

void set_source(fi_info &info, const Persona &persona, const FakeNic &nic) {
  auto *bytes = static_cast<char *>(calloc(1, persona.address_length));
  info.addr_format = persona.address_format;
  info.src_addr = bytes;
  info.src_addrlen = persona.address_length;
  if (persona.address_format == FI_SOCKADDR_IN) {
    auto *address = reinterpret_cast<sockaddr_in *>(bytes);
    address->sin_family = AF_INET;
    inet_pton(AF_INET, nic.address.c_str(), &address->sin_addr);
  } else if (persona.address_format == FI_SOCKADDR_IN6) {
    auto *address = reinterpret_cast<sockaddr_in6 *>(bytes);
    address->sin6_family = AF_INET6;
    inet_pton(AF_INET6, nic.address.c_str(), &address->sin6_addr);
  } else if (persona.address_format == FI_ADDR_STR) {
    snprintf(bytes, persona.address_length, "fake://%s", nic.name.c_str());
  }
}

fi_info *describe(const Persona &persona, const FakeNic &nic, const fi_info &hints) {
  fi_info *info = fi_allocinfo();
  info->caps = hints.caps | FI_SEND | FI_RECV;
  info->mode = persona.extra_mode;
  info->ep_attr->type = FI_EP_RDM;
  info->ep_attr->max_msg_size = persona.max_message;
  info->tx_attr->size = persona.transmit_size;
  info->tx_attr->iov_limit = persona.local_parts;
  info->tx_attr->rma_iov_limit = persona.remote_parts;
  info->rx_attr->size = persona.receive_size;
  info->rx_attr->iov_limit = persona.local_parts;
  info->domain_attr->name = strdup(nic.name.c_str());
  info->domain_attr->mr_mode = persona.mr_mode;
  info->domain_attr->mr_key_size = persona.key_size;
  info->domain_attr->threading = hints.domain_attr->threading;
  info->domain_attr->av_type = FI_AV_TABLE;
  info->fabric_attr->name = strdup(nic.fabric.c_str());
  info->fabric_attr->prov_name = strdup(persona.provider.c_str());
  info->fabric_attr->api_version = current->requested_version;
  info->nic = make_nic(nic);
  set_source(*info, persona, nic);
  return info;
}

// A provider that needs a mode the user did not offer does not answer.
bool answers(const Persona &persona, const fi_info &hints) {
  if (persona.mr_mode & ~hints.domain_attr->mr_mode) return false;
  if ((hints.caps & FI_HMEM) && !persona.device_memory) return false;
  if (current->names_ignored) return true;
  return hints.fabric_attr->prov_name && persona.provider == hints.fabric_attr->prov_name;
}

int get_info(uint32_t version, const char *, const char *, uint64_t, const fi_info *hints, fi_info **out) {
  *out = nullptr;
  current->requested_version = version;
  current->offered_mr_mode = hints->domain_attr->mr_mode;
  if (FI_VERSION_LT(current->version, version)) return -FI_ENOSYS;
  if (current->getinfo_error) return -current->getinfo_error;
  fi_info **tail = out;
  for (const Persona &persona : current->personas) {
    if (!answers(persona, *hints)) continue;
    for (const FakeNic &nic : persona.nics) {
      *tail = describe(persona, nic, *hints);
      tail = &(*tail)->next;
    }
  }
  return *out ? 0 : -FI_ENODATA;
}

fi_info *allocate_info() { return fi_allocinfo(); }
uint32_t version() { return current->version; }

}  // namespace

fabric::Calls fake_calls() {
  return {get_info, fi_freeinfo, fi_dupinfo, allocate_info, open_fabric, version, fi_strerror};
}

Persona plain_persona() {
  Persona persona;
  persona.provider = "net";
  persona.nics = {{.name = "eth0"}};
  persona.lazy_placement = true;
  persona.refused_errno = FI_ENOTCONN;
  return persona;
}

Persona verbs_persona() {
  Persona persona;
  persona.provider = "verbs;ofi_rxm";
  persona.nics = {{.name = "mlx5_0", .fabric = "IB-0xfe80000000000000", .pci = "0000:21:00.0", .speed = 200000000000},
                  {.name = "mlx5_1", .address = "192.0.2.2", .fabric = "IB-0xfe80000000000000", .pci = "0000:41:00.0",
                   .speed = 200000000000}};
  persona.mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
  persona.key_size = 4;
  persona.remote_parts = 1;
  persona.max_message = 1 << 30;
  persona.transmit_size = 384;
  persona.receive_size = 384;
  persona.delivery_complete = false;
  return persona;
}

Persona efa_persona() {
  Persona persona = verbs_persona();
  persona.provider = "efa";
  persona.nics = {{.name = "rdmap79s0-rdm", .fabric = "efa-direct", .pci = "0000:4f:00.0", .speed = 100000000000},
                  {.name = "rdmap80s0-rdm", .fabric = "efa-direct", .pci = "0000:50:00.0", .speed = 100000000000}};
  persona.address_format = FI_ADDR_EFA;
  persona.address_length = 32;
  persona.local_parts = 2;
  persona.wait_fd = false;
  persona.delivery_complete = true;
  persona.needs_event_queue = true;
  persona.target_must_know_initiator = true;
  persona.refused_errno = FI_EINVAL;
  return persona;
}

Persona cxi_persona() {
  Persona persona;
  persona.provider = "cxi";
  persona.nics = {{.name = "cxi0", .pci = "0000:c1:00.0", .speed = 200000000000},
                  {.name = "cxi1", .pci = "0000:c5:00.0", .speed = 200000000000}};
  persona.address_format = FI_ADDR_CXI;
  persona.address_length = 8;
  persona.mr_mode = FI_MR_ENDPOINT | FI_MR_ALLOCATED;
  persona.key_size = 4;
  persona.local_parts = 1;
  persona.remote_parts = 1;
  persona.max_message = UINT32_MAX;
  persona.transmit_size = 512;
  persona.receive_size = 512;
  persona.lazy_placement = true;
  return persona;
}

}  // namespace pirn::sim
