// SPDX-License-Identifier: Apache-2.0
// Active endpoints of connections, and shared receive queues.
#include "verbs.h"

#include <cstring>

namespace pirn::sim_nic {
namespace {

Endpoint &of(fid *object) { return *reinterpret_cast<Endpoint *>(object); }

int close_connected(fid *object) {
  Endpoint &endpoint = of(object);
  Domain *domain = endpoint.domain;
  Guard guard(*domain);
  if (endpoint.connection->users) {
    rule_broken(*domain->persona, "fi_close of a shared receive queue that %zu endpoints use", endpoint.connection->users);
    return -FI_EBUSY;
  }
  abandon(endpoint);
  unbind(endpoint);
  if (endpoint.connection->shared) endpoint.connection->shared->connection->users--;
  fi_close(&endpoint.inner->fid);
  fi_freeinfo(endpoint.info);
  domain->endpoints.erase(&endpoint);
  domain->children--;
  delete &endpoint;
  return 0;
}

int bind_to_queue(Endpoint &endpoint, Queue &queue, uint64_t flags) {
  if (int rc = bind_queue(endpoint, queue, flags)) return rc;
  fid *inner = &queue.inner->fid;
  // One by one: shared receives are reported or not as their endpoint's queue was bound.
  if (flags & FI_TRANSMIT)
    if (int rc = fi_ep_bind(endpoint.inner, inner, FI_TRANSMIT | FI_SELECTIVE_COMPLETION)) return rc;
  return (flags & FI_RECV) ? fi_ep_bind(endpoint.inner, inner, FI_RECV) : 0;
}

int bind_to_shared(Endpoint &endpoint, Endpoint &shared) {
  if (int rc = fi_ep_bind(endpoint.inner, &shared.inner->fid, 0)) return rc;
  endpoint.connection->shared = &shared;
  shared.connection->users++;
  return 0;
}

int bind_connected(fid *object, fid *other, uint64_t flags) {
  Endpoint &endpoint = of(object);
  Guard guard(*endpoint.domain);
  switch (other->fclass) {
    case FI_CLASS_CQ: return bind_to_queue(endpoint, *reinterpret_cast<Queue *>(other), flags);
    case FI_CLASS_SRX_CTX: return bind_to_shared(endpoint, of(other));
    case FI_CLASS_EQ:
      endpoint.events = reinterpret_cast<EventQueue *>(other);
      endpoint.events->users++;
      return fi_ep_bind(endpoint.inner, &endpoint.events->inner->fid, flags);
    default: return -FI_EINVAL;
  }
}

int enable(Endpoint &endpoint) {
  if (endpoint.enabled || !endpoint.events || !endpoint.transmit_queue || !endpoint.receive_queue) {
    rule_broken(*endpoint.domain->persona, "fi_enable of an endpoint that is enabled, or lacks an event or completion queue");
    return endpoint.enabled ? -FI_EOPBADSTATE : -FI_ENOCQ;
  }
  if (int rc = fi_enable(endpoint.inner)) return rc;
  endpoint.transmit_queue->endpoints.insert(&endpoint);
  endpoint.receive_queue->endpoints.insert(&endpoint);
  endpoint.enabled = true;
  return 0;
}

int control_connected(fid *object, int command, void *) {
  Endpoint &endpoint = of(object);
  Guard guard(*endpoint.domain);
  return command == FI_ENABLE ? enable(endpoint) : -FI_ENOSYS;
}

int get_name(fid *object, void *out, size_t *length) { return fi_getname(&of(object).inner->fid, out, length); }
int get_peer(fid_ep *object, void *out, size_t *length) { return fi_getpeer(of(&object->fid).inner, out, length); }

// Connection data with our greeting before it.
struct Letter {
  unsigned char bytes[sizeof(Greeting) + connection_data_limit];
  size_t size = sizeof(Greeting);

  int write(const Endpoint &endpoint, const void *data, size_t length) {
    if (length > connection_data_limit) {
      rule_broken(*endpoint.domain->persona, "%zu bytes of connection data; %zu are carried", length, connection_data_limit);
      return -FI_EINVAL;
    }
    Greeting greeting;
    greeting.board = endpoint.domain->registry->port;
    memcpy(bytes, &greeting, sizeof greeting);
    if (length) memcpy(bytes + sizeof greeting, data, length);
    size += length;
    return 0;
  }
};

int connect(fid_ep *object, const void *address, const void *data, size_t length) {
  Endpoint &endpoint = of(&object->fid);
  Guard guard(*endpoint.domain);
  Letter letter;
  if (int rc = letter.write(endpoint, data, length)) return rc;
  if (!endpoint.domain->faults.dead) return fi_connect(endpoint.inner, address, letter.bytes, letter.size);
  report_error(*endpoint.events, endpoint.fid.fid, ETIMEDOUT);
  return 0;
}

int accept(fid_ep *object, const void *data, size_t length) {
  Endpoint &endpoint = of(&object->fid);
  Guard guard(*endpoint.domain);
  Letter letter;
  if (int rc = letter.write(endpoint, data, length)) return rc;
  return fi_accept(endpoint.inner, letter.bytes, letter.size);
}

int shut_down(fid_ep *object, uint64_t flags) {
  Endpoint &endpoint = of(&object->fid);
  Guard guard(*endpoint.domain);
  return fi_shutdown(endpoint.inner, flags);
}

ssize_t cancel(fid *, void *) { return -FI_ENOSYS; }

int get_option(fid *, int level, int name, void *value, size_t *length) {
  if (level != FI_OPT_ENDPOINT || name != FI_OPT_CM_DATA_SIZE) return -FI_ENOPROTOOPT;
  if (*length < sizeof(size_t)) return -FI_ETOOSMALL;
  memcpy(value, &connection_data_limit, sizeof(size_t));
  *length = sizeof(size_t);
  return 0;
}

fi_ops_ep *option_calls() {
  static fi_ops_ep calls = [] {
    fi_ops_ep o = no_options();
    o.cancel = cancel;
    o.getopt = get_option;
    return o;
  }();
  return &calls;
}

fi_ops_cm *connection_calls() {
  static fi_ops_cm calls = [] {
    fi_ops_cm o = no_connections();
    o.getname = get_name;
    o.getpeer = get_peer;
    o.connect = connect;
    o.accept = accept;
    o.shutdown = shut_down;
    return o;
  }();
  return &calls;
}

fi_ops *operations() {
  static fi_ops all = [] {
    fi_ops o = no_operations();
    o.close = close_connected;
    o.bind = bind_connected;
    o.control = control_connected;
    return o;
  }();
  return &all;
}

int open_inner(Endpoint &endpoint, const fi_info &info, Caller *caller) {
  Domain &domain = *endpoint.domain;
  if (caller) return fi_endpoint(domain.inner, caller->inner_info, &endpoint.inner, &endpoint);
  fi_info *inner = fi_dupinfo(domain.fabric->inner_info);
  if (!inner) return -FI_ENOMEM;
  sockaddr_in source = rail_address(domain.rail, 0);
  memcpy(inner->src_addr, &source, sizeof source);
  if (info.dest_addr && (inner->dest_addr = malloc(info.dest_addrlen))) {
    memcpy(inner->dest_addr, info.dest_addr, info.dest_addrlen);
    inner->dest_addrlen = info.dest_addrlen;
  }
  int rc = fi_endpoint(domain.inner, inner, &endpoint.inner, &endpoint);
  fi_freeinfo(inner);
  return rc;
}

// Both kinds are endpoints of the domain from here on.
fid_ep *publish(std::unique_ptr<Endpoint> endpoint, size_t fid_class, void *context) {
  Domain &domain = *endpoint->domain;
  domain.children++;
  domain.endpoints.insert(endpoint.get());
  endpoint->fid.fid = {fid_class, context, operations()};
  endpoint->fid.ops = option_calls();
  endpoint->fid.cm = connection_calls();
  endpoint->fid.msg = message_calls();
  endpoint->fid.rma = rma_calls();
  return &endpoint.release()->fid;
}

}  // namespace

int open_connected(Domain &domain, const fi_info &info, fid_ep **out, void *context) {
  Guard guard(domain);
  auto endpoint = std::make_unique<Endpoint>();
  endpoint->domain = &domain;
  endpoint->connection = std::make_unique<Connection>();
  std::unique_ptr<Caller> caller(reinterpret_cast<Caller *>(info.handle));
  if (caller) endpoint->connection->peer.port = caller->board;
  if (int rc = open_inner(*endpoint, info, caller.get())) {
    caller.release();  // it may still be refused
    return rc;
  }
  endpoint->info = fi_dupinfo(&info);
  *out = publish(std::move(endpoint), FI_CLASS_EP, context);
  return 0;
}

int open_shared_receives(fid_domain *object, fi_rx_attr *attr, fid_ep **out, void *context) {
  auto *domain = reinterpret_cast<Domain *>(object);
  if (!domain->persona->connected) return -FI_ENOSYS;
  Guard guard(*domain);
  auto endpoint = std::make_unique<Endpoint>();
  endpoint->domain = domain;
  endpoint->connection = std::make_unique<Connection>();
  fi_rx_attr inner = *domain->fabric->inner_info->rx_attr;
  if (attr) inner.size = attr->size;
  if (int rc = fi_srx_context(domain->inner, &inner, &endpoint->inner, endpoint.get())) return rc;
  endpoint->connection->nobody = std::make_unique<Queue>();
  endpoint->connection->nobody->domain = domain;
  endpoint->connection->nobody->size = SIZE_MAX;
  endpoint->connection->nobody->users = 2;
  endpoint->receive_queue = endpoint->transmit_queue = endpoint->connection->nobody.get();
  endpoint->info = fi_dupinfo(domain->fabric->inner_info);
  if (attr) endpoint->info->rx_attr->size = attr->size;
  endpoint->enabled = true;
  *out = publish(std::move(endpoint), FI_CLASS_SRX_CTX, context);
  return 0;
}

}  // namespace pirn::sim_nic
