// SPDX-License-Identifier: Apache-2.0
// The entry point, and what fi_getinfo answers.
#include "verbs.h"

#include <rdma/providers/fi_prov.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace pirn::sim_nic {
namespace {

constexpr uint64_t caps_offered = FI_MSG | FI_RMA | FI_READ | FI_WRITE | FI_RECV | FI_SEND | FI_REMOTE_READ |
                                  FI_REMOTE_WRITE | FI_LOCAL_COMM | FI_REMOTE_COMM;

char *copy_text(const char *text) { return text ? strdup(text) : nullptr; }

void free_nic(fid_nic *nic) {
  free(nic->device_attr->name);
  free(nic->device_attr->vendor_id);
  free(nic->device_attr->driver);
  free(nic->link_attr->network_type);
  free(nic->device_attr);
  free(nic->bus_attr);
  free(nic->link_attr);
  free(nic);
}

int close_nic(fid *object) {
  free_nic(reinterpret_cast<fid_nic *>(object));
  return 0;
}

int control_nic(fid *object, int command, void *argument);

fi_ops *nic_operations() {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_nic;
    o.control = control_nic;
    return o;
  }();
  return &operations;
}

template <typename T>
T *allocate() {
  return static_cast<T *>(calloc(1, sizeof(T)));
}

fid_nic *new_nic(const char *name, const char *vendor, const char *driver, const fi_bus_attr &bus,
                 const fi_link_attr &link) {
  auto *nic = allocate<fid_nic>();
  if (!nic) return nullptr;
  nic->fid.fclass = FI_CLASS_NIC;
  nic->fid.ops = nic_operations();
  nic->device_attr = allocate<fi_device_attr>();
  nic->bus_attr = allocate<fi_bus_attr>();
  nic->link_attr = allocate<fi_link_attr>();
  if (!nic->device_attr || !nic->bus_attr || !nic->link_attr) abort();  // a stand-in out of memory has nothing to say
  nic->device_attr->name = copy_text(name);
  nic->device_attr->vendor_id = copy_text(vendor);
  nic->device_attr->driver = copy_text(driver);
  *nic->bus_attr = bus;
  *nic->link_attr = link;
  nic->link_attr->address = nullptr;
  nic->link_attr->network_type = copy_text(link.network_type);
  return nic;
}

int control_nic(fid *object, int command, void *argument) {
  if (command != FI_DUP) return -FI_ENOSYS;
  auto *nic = reinterpret_cast<fid_nic *>(object);
  *static_cast<fid_nic **>(argument) = new_nic(nic->device_attr->name, nic->device_attr->vendor_id,
                                               nic->device_attr->driver, *nic->bus_attr, *nic->link_attr);
  return *static_cast<fid_nic **>(argument) ? 0 : -FI_ENOMEM;
}

bool differs(const char *wanted, const char *have) { return wanted && strcmp(wanted, have) != 0; }

bool attributes_agree(const Persona &persona, const fi_info &hints) {
  int offered = hints.domain_attr ? hints.domain_attr->mr_mode : persona.mr_required;
  if (offered == FI_MR_BASIC_BIT) offered = FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
  if ((offered & persona.mr_required) != persona.mr_required) return false;
  if (hints.tx_attr && ((hints.tx_attr->msg_order & ~persona.order) ||
                        hints.tx_attr->iov_limit > persona.local_parts ||
                        hints.tx_attr->rma_iov_limit > persona.remote_parts ||
                        hints.tx_attr->inject_size > persona.inject_size ||
                        hints.tx_attr->size > 16384 ||
                        ((hints.tx_attr->op_flags & FI_DELIVERY_COMPLETE) && !persona.delivery_complete)))
    return false;
  if (hints.rx_attr && (hints.rx_attr->msg_order & ~persona.order)) return false;
  if (hints.ep_attr && hints.ep_attr->max_msg_size > persona.max_message) return false;
  return !(hints.domain_attr && hints.domain_attr->cq_data_size > (persona.remote_cq_data ? persona.cq_data_size : 0));
}

// PIRN_SIM_FABRICS names those that this machine has; without it, all of them.
bool has_fabric(const Persona &persona) {
  const char *list = getenv("PIRN_SIM_FABRICS");
  if (!list || !*list) return true;
  return (std::string(",") + list + ",").find(std::string(",") + persona.fabric + ",") != std::string::npos;
}

// Device memory wants descriptors; who asks for it must be ready to give them.
bool device_memory_agrees(size_t rail, const fi_info &hints) {
  if (!(hints.caps & FI_HMEM)) return true;
  return ways_of(rail).any() && hints.domain_attr && (hints.domain_attr->mr_mode & FI_MR_HMEM);
}

bool agrees(const Persona &persona, const Device &dev, size_t rail, const fi_info *hints) {
  if (!hints) return true;
  if (hints->ep_attr && hints->ep_attr->type != FI_EP_UNSPEC &&
      hints->ep_attr->type != (persona.connected ? FI_EP_MSG : FI_EP_RDM))
    return false;
  if (hints->addr_format != FI_FORMAT_UNSPEC && hints->addr_format != persona.address_format) return false;
  if ((hints->caps & ~(caps_offered | FI_HMEM)) || !device_memory_agrees(rail, *hints)) return false;
  if ((hints->mode & persona.mode) != persona.mode) return false;
  if (hints->fabric_attr && differs(hints->fabric_attr->name, persona.fabric)) return false;
  if (hints->domain_attr && differs(hints->domain_attr->name, dev.domain.c_str())) return false;
  return attributes_agree(persona, *hints);
}

void fill_queues(const Persona &persona, const fi_info *hints, fi_info &info) {
  fi_tx_attr &tx = *info.tx_attr;
  tx.caps = FI_MSG | FI_RMA | FI_READ | FI_WRITE | FI_SEND;
  tx.mode = persona.mode;
  tx.msg_order = persona.order;
  tx.inject_size = persona.inject_size;
  tx.size = hints && hints->tx_attr && hints->tx_attr->size ? hints->tx_attr->size : persona.transmit_size;
  if (size_t limit = faults().queue_size) tx.size = limit;
  tx.iov_limit = persona.local_parts;
  tx.rma_iov_limit = persona.remote_parts;
  tx.op_flags = hints && hints->tx_attr ? hints->tx_attr->op_flags : 0;
  fi_rx_attr &rx = *info.rx_attr;
  rx.caps = FI_MSG | FI_RMA | FI_RECV | FI_REMOTE_READ | FI_REMOTE_WRITE;
  rx.msg_order = persona.order;
  rx.size = persona.receive_size;
  if (size_t limit = faults().queue_size) rx.size = limit;
  rx.iov_limit = persona.local_parts;
}

void fill_domain(const Persona &persona, const Device &dev, const fi_info *hints, fi_domain_attr &domain) {
  domain.name = copy_text(dev.domain.c_str());
  domain.threading = hints && hints->domain_attr ? hints->domain_attr->threading : FI_THREAD_SAFE;
  if (domain.threading == FI_THREAD_UNSPEC) domain.threading = FI_THREAD_SAFE;
  domain.control_progress = domain.data_progress = persona.progress;
  domain.resource_mgmt = FI_RM_ENABLED;
  domain.av_type = FI_AV_TABLE;
  int offered = hints && hints->domain_attr ? hints->domain_attr->mr_mode : persona.mr_required | persona.mr_optional;
  if (offered == FI_MR_BASIC_BIT) offered = 0;
  domain.mr_mode = persona.mr_required | (persona.mr_optional & offered);
  if (hints && (hints->caps & FI_HMEM)) domain.mr_mode |= FI_MR_HMEM;
  domain.mr_key_size = (domain.mr_mode & FI_MR_PROV_KEY) ? persona.key_size : persona.chosen_key_size;
  domain.cq_data_size = persona.cq_data_size;
  domain.cq_cnt = domain.ep_cnt = 256;
  domain.tx_ctx_cnt = domain.rx_ctx_cnt = 256;
  domain.max_ep_tx_ctx = domain.max_ep_rx_ctx = 1;
  domain.mr_iov_limit = 1;
  domain.mr_cnt = Board::slots;
  domain.caps = FI_LOCAL_COMM | FI_REMOTE_COMM;
}

fi_info *new_info(const Persona &persona, size_t rail, const Device &dev, const fi_info *hints) {
  fi_info *info = fi_allocinfo();
  if (!info) return nullptr;
  info->caps = hints && hints->caps ? hints->caps : caps_offered;
  info->mode = persona.mode;
  info->addr_format = persona.address_format;
  // A real NIC knows its own half of the address before an endpoint is opened.
  info->src_addr = calloc(1, persona.address_length);
  info->src_addrlen = persona.address_length;
  if (info->src_addr) encode_address(persona, rail, 0, info->src_addr);
  fill_queues(persona, hints, *info);
  info->ep_attr->type = persona.connected ? FI_EP_MSG : FI_EP_RDM;
  info->ep_attr->protocol = persona.protocol;
  info->ep_attr->protocol_version = 1;
  info->ep_attr->max_msg_size = persona.max_message;
  info->ep_attr->tx_ctx_cnt = info->ep_attr->rx_ctx_cnt = 1;
  fill_domain(persona, dev, hints, *info->domain_attr);
  info->fabric_attr->name = copy_text(persona.fabric);
  info->fabric_attr->prov_version = provider_version;
  fi_bus_attr bus = {};
  bus.bus_type = FI_BUS_PCI;
  bus.attr.pci = dev.pci;
  fi_link_attr link = {};
  link.mtu = 8928;
  link.speed = dev.speed;
  link.state = FI_LINK_UP;
  static char network[] = "simulated";
  link.network_type = network;
  info->nic = new_nic(dev.name.c_str(), "pirn", persona.driver, bus, link);
  return info;
}

int get_info(uint32_t, const char *node, const char *service, uint64_t flags, const fi_info *hints, fi_info **out) {
  fi_info *first = nullptr, **end = &first;
  for (const Persona &persona : personas()) {
    if (!has_fabric(persona)) continue;
    for (size_t rail = 0; rail < device_count(); rail++) {
      Device dev = device(rail);
      if (!agrees(persona, dev, rail, hints)) continue;
      fi_info *info = new_info(persona, rail, dev, hints);
      if (!info) {
        fi_freeinfo(first);
        return -FI_ENOMEM;
      }
      if (persona.connected && !complete_connected({node, service, flags, hints}, *info)) {
        fi_freeinfo(info);
        continue;
      }
      *end = info;
      end = &info->next;
    }
  }
  *out = first;
  return first ? 0 : -FI_ENODATA;
}

void clean_up() {}

fi_provider provider;

}  // namespace
}  // namespace pirn::sim_nic

extern "C" __attribute__((visibility("default"))) fi_provider *fi_prov_ini(void) {
  using namespace pirn::sim_nic;
  provider.version = provider_version;
  provider.fi_version = fi_version();
  provider.name = personas()[0].provider;
  provider.getinfo = get_info;
  provider.fabric = open_fabric;
  provider.cleanup = clean_up;
  return &provider;
}
