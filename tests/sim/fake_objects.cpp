// SPDX-License-Identifier: Apache-2.0
#include "fake_state.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>

namespace pirn::sim {
namespace {

using Guard = std::lock_guard<SpinLock>;

// Every close has the same shape: refused while in use, as the real ones do.
template <typename T>
int close_object(T *object, size_t users) {
  if (users) return -FI_EBUSY;
  current->live--;
  delete object;
  return 0;
}

int close_fabric(fid *object) {
  Guard guard(current->lock);
  auto *fabric = reinterpret_cast<Fabric *>(object);
  return close_object(fabric, fabric->children);
}

int close_domain(fid *object) {
  Guard guard(current->lock);
  auto *domain = reinterpret_cast<Domain *>(object);
  Fabric *parent = domain->fabric;
  int rc = close_object(domain, domain->children + domain->regions.size());
  if (!rc) parent->children--;
  return rc;
}

int close_queue(fid *object) {
  Guard guard(current->lock);
  auto *queue = reinterpret_cast<Queue *>(object);
  Domain *parent = queue->domain;
  int event_fd = queue->event_fd;
  int rc = close_object(queue, queue->users);
  if (rc) return rc;
  if (event_fd >= 0) close(event_fd);
  parent->children--;
  return 0;
}

int close_events(fid *object) {
  Guard guard(current->lock);
  auto *events = reinterpret_cast<Events *>(object);
  Fabric *parent = events->fabric;
  int rc = close_object(events, events->users);
  if (!rc) parent->children--;
  return rc;
}

int close_addresses(fid *object) {
  Guard guard(current->lock);
  auto *addresses = reinterpret_cast<Addresses *>(object);
  Domain *parent = addresses->domain;
  int rc = close_object(addresses, addresses->users);
  if (!rc) parent->children--;
  return rc;
}

int control_queue(fid *object, int command, void *out) {
  auto *queue = reinterpret_cast<Queue *>(object);
  if (command != FI_GETWAIT || queue->event_fd < 0) return -FI_ENOSYS;
  *static_cast<int *>(out) = queue->event_fd;
  return 0;
}

ssize_t read_events(fid_eq *, uint32_t *, void *, size_t, uint64_t) {
  Guard guard(current->lock);
  return current->event_error ? -FI_EAVAIL : -FI_EAGAIN;
}

ssize_t read_event_error(fid_eq *, fi_eq_err_entry *entry, uint64_t) {
  Guard guard(current->lock);
  if (!current->event_error) return -FI_EAGAIN;
  entry->err = current->event_error;
  entry->prov_errno = current->event_provider_error;
  current->event_error = 0;
  return sizeof *entry;
}

const char *event_text(fid_eq *, int, const void *, char *, size_t) { return "fake event"; }

fi_ops operations_of(int (*closer)(fid *), int (*control)(fid *, int, void *) = nullptr) {
  fi_ops operations = {};
  operations.size = sizeof operations;
  operations.close = closer;
  operations.control = control;
  return operations;
}

int open_queue(fid_domain *domain_fid, fi_cq_attr *attr, fid_cq **out, void *) {
  static fi_ops operations = operations_of(close_queue, control_queue);
  Guard guard(current->lock);
  auto *domain = reinterpret_cast<Domain *>(domain_fid);
  if (attr->size > domain->persona->largest_queue || attr->format != FI_CQ_FORMAT_MSG) return -FI_EINVAL;
  if (attr->wait_obj == FI_WAIT_FD && !domain->persona->wait_fd) return -FI_ENOSYS;
  auto *queue = new Queue;
  size_t size = 1;
  while (size < attr->size) size *= 2;
  queue->ring.resize(size);
  queue->domain = domain;
  if (attr->wait_obj == FI_WAIT_FD) queue->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  queue->fid.fid.fclass = FI_CLASS_CQ;
  queue->fid.fid.ops = &operations;
  queue->fid.ops = &queue_operations;
  domain->children++;
  current->live++;
  *out = &queue->fid;
  return 0;
}

int open_events(fid_fabric *fabric_fid, fi_eq_attr *, fid_eq **out, void *) {
  static fi_ops operations = operations_of(close_events);
  static fi_ops_eq event_operations = {};
  Guard guard(current->lock);
  event_operations.size = sizeof event_operations;
  event_operations.read = read_events;
  event_operations.readerr = read_event_error;
  event_operations.strerror = event_text;
  auto *events = new Events;
  events->fabric = reinterpret_cast<Fabric *>(fabric_fid);
  events->fabric->children++;
  events->fid.fid.fclass = FI_CLASS_EQ;
  events->fid.fid.ops = &operations;
  events->fid.ops = &event_operations;
  current->live++;
  *out = &events->fid;
  return 0;
}

int insert_addresses(fid_av *av_fid, const void *bytes, size_t count, fi_addr_t *out, uint64_t, void *) {
  Guard guard(current->lock);
  auto *addresses = reinterpret_cast<Addresses *>(av_fid);
  const Persona &persona = *addresses->domain->persona;
  uint32_t number = count == 1 ? number_in(persona, bytes, persona.address_length) : 0;
  if (!number) {
    *out = FI_ADDR_NOTAVAIL;
    return 0;
  }
  addresses->known.insert(number);
  auto place = std::find(addresses->numbers.begin(), addresses->numbers.end(), number);
  *out = static_cast<fi_addr_t>(place - addresses->numbers.begin());
  if (place == addresses->numbers.end()) addresses->numbers.push_back(number);
  return 1;
}

int remove_addresses(fid_av *av_fid, fi_addr_t *which, size_t count, uint64_t) {
  Guard guard(current->lock);
  auto *addresses = reinterpret_cast<Addresses *>(av_fid);
  for (size_t i = 0; i < count; i++) {
    if (which[i] >= addresses->numbers.size()) return -FI_EINVAL;
    addresses->known.erase(addresses->numbers[which[i]]);
    addresses->numbers[which[i]] = 0;
  }
  return 0;
}

int open_addresses(fid_domain *domain_fid, fi_av_attr *, fid_av **out, void *) {
  static fi_ops operations = operations_of(close_addresses);
  static fi_ops_av address_operations = {};
  Guard guard(current->lock);
  address_operations.size = sizeof address_operations;
  address_operations.insert = insert_addresses;
  address_operations.remove = remove_addresses;
  auto *addresses = new Addresses;
  addresses->domain = reinterpret_cast<Domain *>(domain_fid);
  addresses->domain->children++;
  addresses->fid.fid.fclass = FI_CLASS_AV;
  addresses->fid.fid.ops = &operations;
  addresses->fid.ops = &address_operations;
  current->live++;
  *out = &addresses->fid;
  return 0;
}

int open_domain(fid_fabric *fabric_fid, fi_info *info, fid_domain **out, void *) {
  static fi_ops operations = operations_of(close_domain);
  static fi_ops_domain domain_operations = {};
  static fi_ops_mr mr_operations = {};
  Guard guard(current->lock);
  domain_operations.size = sizeof domain_operations;
  domain_operations.av_open = open_addresses;
  domain_operations.cq_open = open_queue;
  domain_operations.endpoint = open_endpoint;
  mr_operations.size = sizeof mr_operations;
  mr_operations.regattr = register_attr;
  for (const Persona &persona : current->personas) {
    if (persona.provider != info->fabric_attr->prov_name) continue;
    auto *domain = new Domain;
    domain->fabric = reinterpret_cast<Fabric *>(fabric_fid);
    domain->fabric->children++;
    domain->persona = &persona;
    domain->fid.fid.ops = &operations;
    domain->fid.ops = &domain_operations;
    domain->fid.mr = &mr_operations;
    current->live++;
    *out = &domain->fid;
    return 0;
  }
  return -FI_ENODATA;
}

}  // namespace

int open_fabric(fi_fabric_attr *, fid_fabric **out, void *) {
  static fi_ops operations = operations_of(close_fabric);
  static fi_ops_fabric fabric_operations = {};
  Guard guard(current->lock);
  fabric_operations.size = sizeof fabric_operations;
  fabric_operations.domain = open_domain;
  fabric_operations.eq_open = open_events;
  fabric_operations.trywait = trywait;
  auto *fabric = new Fabric;
  fabric->fid.fid.ops = &operations;
  fabric->fid.ops = &fabric_operations;
  current->live++;
  *out = &fabric->fid;
  return 0;
}

}  // namespace pirn::sim
