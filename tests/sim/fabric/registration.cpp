// SPDX-License-Identifier: Apache-2.0
#include "sim.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace pirn::sim_nic {
namespace {

// libfabric's layers say with this bit, which is in no public header, that a registration need not be cached.
constexpr uint64_t from_rxm = uint64_t{1} << 60;

bool remote(const Registration &r) { return (r.access & (FI_REMOTE_READ | FI_REMOTE_WRITE)) != 0; }

bool publish(Endpoint &endpoint, const Registration &r) {
  return endpoint.board->publish(
      r.key, {r.inner_key, reinterpret_cast<uint64_t>(r.base), static_cast<uint64_t>(r.length), r.access});
}

void withdraw(Registration &r) {
  if (!r.enabled || !remote(r)) return;
  for (Endpoint *endpoint : r.domain->endpoints)
    if (endpoint->board && (!r.endpoint || r.endpoint == endpoint)) endpoint->board->withdraw(r.key);
}

bool in_use(const Request *request, const Registration *r) {
  // ofi_rxm takes the memory from under receives that wait in a shared queue, and then closes the queue.
  if (request->endpoint->connection && request->kind == Kind::receive) return false;
  return std::find(request->descriptors, request->descriptors + request->parts, r) !=
         request->descriptors + request->parts;
}

bool in_flight(const Registration &r) {
  for (Endpoint *endpoint : r.domain->endpoints) {
    for (const Request *request : endpoint->waiting)
      if (in_use(request, &r)) return true;
    for (const Request *request : endpoint->launched)
      if (in_use(request, &r)) return true;
  }
  return false;
}

void unmap(Registration &r) {
  if (!r.device.map) return;
  munmap(r.device.map, r.device.mapped);
  r.domain->device_bytes -= r.length;
  r.device = {};
}

int close_registration(fid *object) {
  auto *r = reinterpret_cast<Registration *>(object);
  Domain *domain = r->domain;
  Guard guard(*domain);
  if (in_flight(*r)) rule_broken(*domain->persona, "fi_close of a registration that operations in flight use");
  withdraw(*r);
  if (r->endpoint) r->endpoint->bound--;
  if (r->inner) fi_close(&r->inner->fid);
  unmap(*r);
  domain->registrations.erase(r);
  domain->children--;
  delete r;
  return 0;
}

int bind_registration(fid *object, fid *other, uint64_t) {
  auto *r = reinterpret_cast<Registration *>(object);
  Guard guard(*r->domain);
  const Persona &persona = *r->domain->persona;
  if (other->fclass != FI_CLASS_EP) return -FI_EINVAL;
  auto *endpoint = reinterpret_cast<Endpoint *>(other);
  if (!(r->domain->mr_mode & FI_MR_ENDPOINT) || r->endpoint || endpoint->domain != r->domain) {
    rule_broken(persona, "fi_mr_bind: the registration cannot be bound, or is already");
    return -FI_EINVAL;
  }
  if (!endpoint->enabled) {
    rule_broken(persona, "fi_mr_bind to an endpoint that is not enabled");
    return -FI_EOPBADSTATE;
  }
  r->endpoint = endpoint;
  endpoint->bound++;
  return 0;
}

int enable(Registration &r) {
  Domain &domain = *r.domain;
  if (r.enabled) return -FI_EOPBADSTATE;
  if (domain.mr_mode & FI_MR_ENDPOINT) {
    if (!r.endpoint) {
      rule_broken(*domain.persona, "fi_mr_enable of a registration that is not bound to an endpoint");
      return -FI_EINVAL;
    }
    if (!publish(*r.endpoint, r)) {
      rule_broken(*domain.persona, "fi_mr_enable: key 0x%llx is taken at this endpoint",
                  static_cast<unsigned long long>(r.key));
      return -FI_ENOKEY;
    }
  } else {
    for (Endpoint *endpoint : domain.endpoints)
      if (endpoint->board && remote(r) && !publish(*endpoint, r)) return -FI_ENOKEY;
  }
  r.enabled = true;
  r.fid.key = r.key;
  return 0;
}

int control_registration(fid *object, int command, void *) {
  auto *r = reinterpret_cast<Registration *>(object);
  Guard guard(*r->domain);
  if (command != FI_ENABLE) return -FI_ENOSYS;
  return enable(*r);
}

int choose_key(Domain &domain, const fi_mr_attr &attr, Registration &r) {
  static std::atomic<uint64_t> inner_keys{1};
  r.inner_key = inner_keys.fetch_add(1);
  if (domain.mr_mode & FI_MR_PROV_KEY) {
    uint64_t mask = domain.persona->key_size >= 8 ? UINT64_MAX >> 2 : (uint64_t{1} << 8 * domain.persona->key_size) - 1;
    r.key = (domain.next_key++ * 0x9e3779b1) & mask;  // odd: a permutation, so no key comes twice
    return 0;
  }
  r.key = attr.requested_key;
  if (domain.persona->chosen_key_size >= 8 || r.key >> 8 * domain.persona->chosen_key_size == 0) return 0;
  rule_broken(*domain.persona, "requested key 0x%llx is wider than %zu bytes", static_cast<unsigned long long>(r.key),
              domain.persona->chosen_key_size);
  return -FI_EKEYREJECTED;
}

// What the attributes say of the memory, and a mapping of it if it is a device's.
int take_memory(const fi_mr_attr &attr, uint64_t flags, Registration &r) {
  Domain &domain = *r.domain;
  const auto *part = flags & flag_dma_buf ? reinterpret_cast<const DmaBufPart *>(attr.mr_iov) : nullptr;
  r.base = part ? part->address() : static_cast<char *>(attr.iov_count == 1 ? attr.mr_iov->iov_base : nullptr);
  r.length = part ? part->length : attr.iov_count == 1 ? attr.mr_iov->iov_len : 0;
  if (attr.iov_count != 1 || (flags & ~flag_dma_buf) || !attr.access || !r.length) {
    rule_broken(*domain.persona, "fi_mr_regattr with %zu parts, flags 0x%llx, access 0x%llx, %zu bytes", attr.iov_count,
                static_cast<unsigned long long>(flags), static_cast<unsigned long long>(attr.access), r.length);
    return -FI_EINVAL;
  }
  if (!part && attr.iface == FI_HMEM_SYSTEM && !is_device_memory(r.base)) return 0;
  // Whoever says SYSTEM of device memory hears of it below, whatever the domain is for.
  const bool taken = domain.device_memory && (part ? domain.ways.by_dma_buf : domain.ways.by_interface);
  if (attr.iface != FI_HMEM_SYSTEM && !taken)
    return part ? -FI_EOPNOTSUPP : -FI_ENOSYS;
  if (r.length > device_memory_limit() - domain.device_bytes) return -FI_ENOMEM;
  if (int rc = map_device_memory(*domain.persona, attr, r.base, r.length, part, r.device)) return rc;
  domain.device_bytes += r.length;
  return 0;
}

int register_attr(fid *object, const fi_mr_attr *attr, uint64_t flags, fid_mr **out) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_registration;
    o.bind = bind_registration;
    o.control = control_registration;
    return o;
  }();
  auto *domain = reinterpret_cast<Domain *>(object);
  Guard guard(*domain);
  if (domain->persona->connected) flags &= ~from_rxm;
  auto r = std::make_unique<Registration>();
  r->domain = domain;
  r->access = attr->access;
  if (int rc = take_memory(*attr, flags, *r)) return rc;
  int rc = choose_key(*domain, *attr, *r);
  if (!rc) rc = open_inner(*r);
  if (rc) {
    unmap(*r);
    return rc;
  }
  r->fid.fid = {FI_CLASS_MR, attr->context, &operations};
  r->fid.mem_desc = r.get();
  r->fid.key = FI_KEY_NOTAVAIL;
  if (!(domain->mr_mode & FI_MR_ENDPOINT)) {
    rc = enable(*r);
    if (rc) {
      if (r->inner) fi_close(&r->inner->fid);
      unmap(*r);
      return rc;
    }
  }
  domain->registrations.insert(r.get());
  domain->children++;
  *out = &r.release()->fid;
  return 0;
}

int register_parts(fid *object, const iovec *parts, size_t count, uint64_t access, uint64_t offset, uint64_t key,
                   uint64_t flags, fid_mr **out, void *context) {
  fi_mr_attr attr = {};
  attr.mr_iov = parts;
  attr.iov_count = count;
  attr.access = access;
  attr.offset = offset;
  attr.requested_key = key;
  attr.context = context;
  return register_attr(object, &attr, flags, out);
}

int register_one(fid *object, const void *buffer, size_t length, uint64_t access, uint64_t offset, uint64_t key,
                 uint64_t flags, fid_mr **out, void *context) {
  iovec part = {const_cast<void *>(buffer), length};
  return register_parts(object, &part, 1, access, offset, key, flags, out, context);
}

}  // namespace

// A registration that only serves this side exists for its descriptor.
int open_inner(Registration &r) {
  if (!remote(r)) return 0;
  iovec part = {r.reached(r.base), r.length};
  fi_mr_attr attr = {};
  attr.mr_iov = &part;
  attr.iov_count = 1;
  attr.access = r.access & (FI_REMOTE_READ | FI_REMOTE_WRITE);
  attr.requested_key = r.inner_key;
  return fi_mr_regattr(r.domain->inner, &attr, 0, &r.inner);
}

fi_ops_mr *registration_calls() {
  static fi_ops_mr calls = [] {
    fi_ops_mr o = {};
    o.size = sizeof o;
    o.reg = register_one;
    o.regv = register_parts;
    o.regattr = register_attr;
    return o;
  }();
  return &calls;
}

void publish_all(Endpoint &endpoint) {
  for (Registration *r : endpoint.domain->registrations)
    if (r->enabled && !r->endpoint && remote(*r)) publish(endpoint, *r);
}

}  // namespace pirn::sim_nic
