// SPDX-License-Identifier: Apache-2.0
// Endpoints: opening, binding, enabling, naming, closing, and what each order of these is refused for.
#include "verbs.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace pirn::sim_nic {

// What the NIC had in hand is gone without a word; the inner provider may still hand back what it was given.
void abandon(Endpoint &endpoint) {
  for (Request *request : endpoint.waiting) {
    request->queue->committed--;
    drop(*endpoint.domain, request);
  }
  for (Request *request : endpoint.launched) {
    request->queue->committed--;
    request->endpoint = nullptr;
    endpoint.domain->orphans.insert(request);
  }
}

void unbind(Endpoint &endpoint) {
  if (endpoint.addresses) std::erase(endpoint.addresses->users, &endpoint);
  for (Queue *queue : {endpoint.transmit_queue, endpoint.receive_queue}) {
    if (!queue) continue;
    queue->users--;
    queue->endpoints.erase(&endpoint);
  }
  if (endpoint.events) endpoint.events->users--;
}

int bind_queue(Endpoint &endpoint, Queue &queue, uint64_t flags) {
  if (!(flags & (FI_TRANSMIT | FI_RECV))) return -FI_EINVAL;
  if (flags & FI_TRANSMIT) {
    endpoint.transmit_queue = &queue;
    endpoint.selective = (flags & FI_SELECTIVE_COMPLETION) != 0;
    queue.users++;
  }
  if (flags & FI_RECV) {
    endpoint.receive_queue = &queue;
    queue.users++;
  }
  return 0;
}

namespace {

int close_endpoint(fid *object) {
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  Domain *domain = endpoint->domain;
  Guard guard(*domain);
  if (endpoint->bound) {
    rule_broken(*domain->persona, "fi_close of an endpoint with %zu registrations bound to it", endpoint->bound);
    return -FI_EBUSY;
  }
  abandon(*endpoint);
  unbind(*endpoint);
  endpoint->board.reset();
  if (endpoint->inner) fi_close(&endpoint->inner->fid);
  fi_freeinfo(endpoint->info);
  domain->endpoints.erase(endpoint);
  domain->children--;
  delete endpoint;
  renew_inner(*domain);
  return 0;
}

int bind_endpoint(fid *object, fid *other, uint64_t flags) {
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  Guard guard(*endpoint->domain);
  if (endpoint->enabled) {
    rule_broken(*endpoint->domain->persona, "fi_ep_bind to an endpoint that is enabled");
    return -FI_EOPBADSTATE;
  }
  switch (other->fclass) {
    case FI_CLASS_AV:
      endpoint->addresses = reinterpret_cast<AddressVector *>(other);
      endpoint->addresses->users.push_back(endpoint);
      return 0;
    case FI_CLASS_CQ:
      return bind_queue(*endpoint, *reinterpret_cast<Queue *>(other), flags);
    case FI_CLASS_EQ:
      endpoint->events = reinterpret_cast<EventQueue *>(other);
      endpoint->events->users++;
      return 0;
    default:
      return -FI_EINVAL;
  }
}

// The inner endpoint exists from here on: its port is the address.
int open_inner(Endpoint &endpoint) {
  Domain &domain = *endpoint.domain;
  fi_info *info = fi_dupinfo(domain.fabric->inner_info);
  if (!info) return -FI_ENOMEM;
  auto *source = static_cast<sockaddr_in *>(info->src_addr);
  if (source) source->sin_port = htons(endpoint.port);
  int rc = fi_endpoint(domain.inner, info, &endpoint.inner, nullptr);
  fi_freeinfo(info);
  if (rc) return rc;
  fid_ep *inner = endpoint.inner;
  if ((rc = fi_ep_bind(inner, &endpoint.addresses->inner->fid, 0))) return rc;
  if (endpoint.transmit_queue == endpoint.receive_queue)
    rc = fi_ep_bind(inner, &endpoint.transmit_queue->inner->fid, FI_TRANSMIT | FI_RECV);
  else if ((rc = fi_ep_bind(inner, &endpoint.transmit_queue->inner->fid, FI_TRANSMIT)) == 0)
    rc = fi_ep_bind(inner, &endpoint.receive_queue->inner->fid, FI_RECV);
  if (rc || (rc = fi_enable(inner))) return rc;
  sockaddr_in name = {};
  size_t length = sizeof name;
  if ((rc = fi_getname(&inner->fid, &name, &length))) return rc;
  uint16_t port = ntohs(name.sin_port);
  if (endpoint.port && port != endpoint.port) return -FI_EADDRINUSE;
  endpoint.port = port;
  return 0;
}

int enable_endpoint(Endpoint &endpoint) {
  Domain &domain = *endpoint.domain;
  if (endpoint.enabled || !endpoint.addresses || !endpoint.transmit_queue || !endpoint.receive_queue) {
    rule_broken(*domain.persona, "fi_enable of an endpoint that is enabled, or has no address vector or queue");
    return endpoint.enabled ? -FI_EOPBADSTATE : -FI_ENOCQ;
  }
  int rc = open_inner(endpoint);
  if (!rc && !(endpoint.board = BoardView::create(endpoint.port))) rc = -errno;
  if (rc) {
    if (endpoint.inner) fi_close(&endpoint.inner->fid);
    endpoint.inner = nullptr;
    return rc;
  }
  for (const auto &[address, peer] : endpoint.addresses->peers) endpoint.board->set_known(peer.port, true);
  publish_all(endpoint);
  endpoint.transmit_queue->endpoints.insert(&endpoint);
  endpoint.receive_queue->endpoints.insert(&endpoint);
  endpoint.enabled = true;
  return 0;
}

int control_endpoint(fid *object, int command, void *) {
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  Guard guard(*endpoint->domain);
  return command == FI_ENABLE ? enable_endpoint(*endpoint) : -FI_ENOSYS;
}

int get_name(fid *object, void *out, size_t *length) {
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  Guard guard(*endpoint->domain);
  const Persona &persona = *endpoint->domain->persona;
  if (!endpoint->enabled) return -FI_EOPBADSTATE;
  unsigned char address[64];
  encode_address(persona, endpoint->domain->rail, endpoint->port, address);
  size_t room = *length;
  *length = persona.address_length;
  memcpy(out, address, std::min(room, *length));
  return room < *length ? -FI_ETOOSMALL : 0;
}

int set_name(fid *object, void *address, size_t length) {
  auto *endpoint = reinterpret_cast<Endpoint *>(object);
  Guard guard(*endpoint->domain);
  const Persona &persona = *endpoint->domain->persona;
  if (!persona.keeps_address) return -FI_ENOSYS;
  if (endpoint->enabled || length != persona.address_length) return -FI_EINVAL;
  return decode_address(persona, address, endpoint->port) ? 0 : -FI_EINVAL;
}

// Operations of these devices cannot be called back; receives go with their endpoint.
ssize_t cancel(fid *, void *) { return -FI_ENOSYS; }

int get_option(fid *, int, int, void *, size_t *) { return -FI_ENOPROTOOPT; }
int set_option(fid *, int, int, const void *, size_t) { return -FI_ENOPROTOOPT; }

fi_ops_ep *endpoint_calls() {
  static fi_ops_ep calls = [] {
    fi_ops_ep o = no_options();
    o.cancel = cancel;
    o.getopt = get_option;
    o.setopt = set_option;
    return o;
  }();
  return &calls;
}

fi_ops_cm *name_calls() {
  static fi_ops_cm calls = [] {
    fi_ops_cm o = no_connections();
    o.getname = get_name;
    o.setname = set_name;
    return o;
  }();
  return &calls;
}

}  // namespace

int open_endpoint(fid_domain *object, fi_info *info, fid_ep **out, void *context) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_endpoint;
    o.bind = bind_endpoint;
    o.control = control_endpoint;
    return o;
  }();
  auto *domain = reinterpret_cast<Domain *>(object);
  if (domain->persona->connected) return open_connected(*domain, *info, out, context);
  Guard guard(*domain);
  auto endpoint = std::make_unique<Endpoint>();
  endpoint->info = fi_dupinfo(info);
  if (!endpoint->info) return -FI_ENOMEM;
  endpoint->domain = domain;
  endpoint->faults = faults_of_rail(domain->rail);
  const Persona &persona = *domain->persona;
  if (persona.keeps_address && info->src_addr && info->src_addrlen == persona.address_length &&
      !decode_address(persona, info->src_addr, endpoint->port))
    endpoint->port = 0;
  domain->children++;
  domain->endpoints.insert(endpoint.get());
  endpoint->fid.fid = {FI_CLASS_EP, context, &operations};
  endpoint->fid.ops = endpoint_calls();
  endpoint->fid.cm = name_calls();
  endpoint->fid.msg = message_calls();
  endpoint->fid.rma = rma_calls();
  *out = &endpoint.release()->fid;
  return 0;
}

}  // namespace pirn::sim_nic
