// SPDX-License-Identifier: Apache-2.0
// Endpoints and registrations: opening, binding, enabling, closing, and what each order of these is refused for.
#include "fake_state.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <mutex>

namespace pirn::sim {
namespace {

using Guard = std::lock_guard<SpinLock>;

bool is_ip(const Persona &persona) {
  return persona.address_format == FI_SOCKADDR_IN || persona.address_format == FI_SOCKADDR_IN6;
}

// The number is the port of an IP address, and the last four bytes of any other. (Both kinds of sockaddr have the port
// at the same place.)
void put_number(const Persona &persona, std::byte *address, uint32_t number) {
  if (is_ip(persona)) {
    uint16_t port = htons(static_cast<uint16_t>(number));
    memcpy(address + offsetof(sockaddr_in, sin_port), &port, sizeof port);
  } else {
    memcpy(address + persona.address_length - sizeof number, &number, sizeof number);
  }
}

uint32_t get_number(const Persona &persona, const std::byte *address) {
  if (is_ip(persona)) {
    uint16_t port;
    memcpy(&port, address + offsetof(sockaddr_in, sin_port), sizeof port);
    return ntohs(port);
  }
  uint32_t number;
  memcpy(&number, address + persona.address_length - sizeof number, sizeof number);
  return number;
}

int close_endpoint(fid *object) {
  Guard guard(current->lock);
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  if (endpoint->bound_regions) return -FI_EBUSY;
  drop_operations(*endpoint);
  if (endpoint->addresses) endpoint->addresses->users--;
  if (endpoint->queue) endpoint->queue->users--;
  if (endpoint->events) endpoint->events->users--;
  endpoint->domain->children--;
  if (endpoint->number) current->endpoints[endpoint->number] = nullptr;
  current->counters.endpoints_closed++;
  current->live--;
  delete endpoint;
  return 0;
}

int bind_endpoint(fid *object, fid *other, uint64_t) {
  Guard guard(current->lock);
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  if (endpoint->enabled) return -FI_EOPBADSTATE;
  switch (other->fclass) {
    case FI_CLASS_AV:
      endpoint->addresses = reinterpret_cast<Addresses *>(other);
      endpoint->addresses->users++;
      return 0;
    case FI_CLASS_CQ:
      endpoint->queue = reinterpret_cast<Queue *>(other);
      endpoint->queue->users++;
      return 0;
    case FI_CLASS_EQ:
      endpoint->events = reinterpret_cast<Events *>(other);
      endpoint->events->users++;
      return 0;
    default:
      return -FI_EINVAL;
  }
}

int enable_endpoint(Endpoint &endpoint) {
  const Persona &persona = *endpoint.domain->persona;
  if (!endpoint.addresses || !endpoint.queue || (persona.needs_event_queue && !endpoint.events)) return -FI_EOPBADSTATE;
  uint32_t wanted = persona.keeps_address ? get_number(persona, endpoint.address.data()) : 0;
  if (current->address_lost) wanted = 0;
  current->address_lost = false;
  if (wanted >= current->endpoints.size()) return -FI_EADDRNOTAVAIL;
  if (wanted && current->endpoints[wanted]) return -FI_EADDRINUSE;
  if (!wanted) {
    wanted = static_cast<uint32_t>(current->endpoints.size());
    if (is_ip(persona) && wanted > UINT16_MAX) return -FI_EADDRNOTAVAIL;
    current->endpoints.push_back(nullptr);
    put_number(persona, endpoint.address.data(), wanted);
  }
  endpoint.number = wanted;
  endpoint.enabled = true;
  current->endpoints[wanted] = &endpoint;
  current->counters.endpoints_opened++;
  return 0;
}

int control_endpoint(fid *object, int command, void *) {
  Guard guard(current->lock);
  return command == FI_ENABLE ? enable_endpoint(*reinterpret_cast<Endpoint *>(object)) : -FI_ENOSYS;
}

int get_name(fid *object, void *out, size_t *length) {
  Guard guard(current->lock);
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  size_t room = *length;
  *length = endpoint->address.size();
  if (room < *length) return -FI_ETOOSMALL;
  memcpy(out, endpoint->address.data(), *length);
  return 0;
}

int set_name(fid *object, void *address, size_t length) {
  Guard guard(current->lock);
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  if (endpoint->enabled || length != endpoint->address.size()) return -FI_EINVAL;
  memcpy(endpoint->address.data(), address, length);
  return 0;
}

int close_region(fid *object) {
  Guard guard(current->lock);
  auto *region = reinterpret_cast<Region *>(object);
  Domain *domain = region->domain;
  domain->regions.erase(region->key);
  domain->last_region = nullptr;
  if (region->endpoint) region->endpoint->bound_regions--;
  region->magic = 0;
  current->live--;
  current->regions--;
  delete region;
  return 0;
}

int bind_region(fid *object, fid *other, uint64_t) {
  Guard guard(current->lock);
  auto *region = reinterpret_cast<Region *>(object);
  auto *endpoint = reinterpret_cast<Endpoint *>(other);
  if (other->fclass != FI_CLASS_EP || region->endpoint || !endpoint->enabled) return -FI_EINVAL;
  region->endpoint = endpoint;
  endpoint->bound_regions++;
  return 0;
}

int control_region(fid *object, int command, void *) {
  Guard guard(current->lock);
  auto *region = reinterpret_cast<Region *>(object);
  if (command != FI_ENABLE || !region->endpoint) return -FI_EINVAL;
  region->enabled = true;
  region->fid.key = region->key;
  return 0;
}

uint64_t key_mask(const Persona &persona) {
  return persona.key_size >= 8 ? UINT64_MAX : (uint64_t{1} << (8 * persona.key_size)) - 1;
}

int choose_key(const Domain &domain, uint64_t requested, uint64_t *key) {
  uint64_t mask = key_mask(*domain.persona);
  if (domain.persona->mr_mode & FI_MR_PROV_KEY) {
    do *key = current->random() & mask & ~(uint64_t{1} << 63);
    while (domain.regions.count(*key));
    return 0;
  }
  *key = requested;
  if (requested & ~mask) return -FI_EKEYREJECTED;
  return domain.regions.count(requested) ? -FI_ENOKEY : 0;
}

}  // namespace

uint32_t number_in(const Persona &persona, const void *address, size_t length) {
  if (length != persona.address_length) return 0;
  uint32_t number = get_number(persona, static_cast<const std::byte *>(address));
  return number < current->endpoints.size() ? number : 0;
}

namespace {

constexpr uint64_t flag_dma_buf = uint64_t{1} << 40;
struct DmaBufPart {
  int fd;
  uint64_t offset;
  size_t length;
  char *base;
};

// What is registered, whatever it is; 0 or a negative error.
int take_memory(const Persona &persona, const fi_mr_attr &attr, uint64_t flags, Region *region) {
  const auto *part = flags & flag_dma_buf ? reinterpret_cast<const DmaBufPart *>(attr.mr_iov) : nullptr;
  region->base = part ? part->base + part->offset : static_cast<char *>(attr.mr_iov->iov_base);
  region->length = part ? part->length : attr.mr_iov->iov_len;
  if (attr.iface == FI_HMEM_SYSTEM) return part ? -FI_EINVAL : 0;
  if (!persona.device_memory) return -FI_ENOSYS;
  if (const int refused = part ? persona.refuses_dma_buf : persona.refuses_address) return -refused;
  current->device_registrations.push_back({static_cast<uint32_t>(attr.iface), attr.device.cuda, part ? part->fd : -1,
                                           part ? part->offset : 0, region->base, region->length});
  return 0;
}

int set_option(fid *object, int level, int option, const void *, size_t) {
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  if (level != FI_OPT_ENDPOINT || option != FI_OPT_FI_HMEM_P2P) return -FI_ENOPROTOOPT;
  return endpoint->domain->persona->peer_to_peer ? 0 : -FI_EOPNOTSUPP;
}

}  // namespace

int register_attr(fid *domain_fid, const fi_mr_attr *attr, uint64_t flags, fid_mr **out) {
  static fi_ops operations = [] {
    fi_ops o = {};
    o.size = sizeof o;
    o.close = close_region;
    o.bind = bind_region;
    o.control = control_region;
    return o;
  }();
  Guard guard(current->lock);
  auto *domain = reinterpret_cast<Domain *>(domain_fid);
  if (attr->iov_count != 1 || !attr->access || attr->offset) return -FI_EINVAL;
  if (current->registration_error) return -current->registration_error;
  uint64_t key = 0;
  if (int rc = choose_key(*domain, attr->requested_key, &key)) return rc;
  Region memory;
  if (int rc = take_memory(*domain->persona, *attr, flags, &memory)) return rc;
  auto *region = new Region(memory);
  region->domain = domain;
  region->access = attr->access;
  region->enabled = !(domain->persona->mr_mode & FI_MR_ENDPOINT);
  region->fid.fid.fclass = FI_CLASS_MR;
  region->fid.fid.ops = &operations;
  region->fid.mem_desc = region;
  region->key = key;
  region->fid.key = region->enabled ? key : FI_KEY_NOTAVAIL;
  domain->regions[key] = region;
  domain->last_region = nullptr;
  current->counters.registrations++;
  current->regions++;
  current->live++;
  *out = &region->fid;
  return 0;
}

int open_endpoint(fid_domain *domain_fid, fi_info *info, fid_ep **out, void *) {
  static fi_ops operations = [] {
    fi_ops o = {};
    o.size = sizeof o;
    o.close = close_endpoint;
    o.bind = bind_endpoint;
    o.control = control_endpoint;
    return o;
  }();
  static fi_ops_cm name_operations = [] {
    fi_ops_cm o = {};
    o.size = sizeof o;
    o.setname = set_name;
    o.getname = get_name;
    return o;
  }();
  static fi_ops_ep option_operations = [] {
    fi_ops_ep o = {};
    o.size = sizeof o;
    o.setopt = set_option;
    return o;
  }();
  Guard guard(current->lock);
  auto *domain = reinterpret_cast<Domain *>(domain_fid);
  if (info->src_addrlen != domain->persona->address_length) return -FI_EINVAL;
  auto *endpoint = new Endpoint;
  endpoint->domain = domain;
  domain->children++;
  auto *source = static_cast<const std::byte *>(info->src_addr);
  endpoint->address.assign(source, source + info->src_addrlen);
  endpoint->fid.fid.fclass = FI_CLASS_EP;
  endpoint->fid.fid.ops = &operations;
  endpoint->fid.ops = &option_operations;
  endpoint->fid.cm = &name_operations;
  endpoint->fid.rma = &rma_operations;
  endpoint->fid.msg = &message_operations;
  current->live++;
  *out = &endpoint->fid;
  return 0;
}

}  // namespace pirn::sim
