// SPDX-License-Identifier: Apache-2.0
// The event queue: only asynchronous errors of a NIC come through it.
#include "verbs.h"

#include <cstdio>
#include <cstring>

namespace pirn::sim_nic {
namespace {

int close_events(fid *object) {
  auto *events = reinterpret_cast<EventQueue *>(object);
  if (events->users) {
    rule_broken(*events->fabric->persona, "fi_close of an event queue that is bound to an endpoint");
    return -FI_EBUSY;
  }
  events->fabric->children--;
  delete events;
  return 0;
}

ssize_t read_event(fid_eq *object, uint32_t *, void *, size_t, uint64_t) {
  auto *events = reinterpret_cast<EventQueue *>(object);
  std::lock_guard<std::mutex> lock(events->mutex);
  return events->errors.empty() ? -FI_EAGAIN : -FI_EAVAIL;
}

ssize_t wait_event(fid_eq *object, uint32_t *event, void *buffer, size_t length, int, uint64_t flags) {
  return read_event(object, event, buffer, length, flags);
}

ssize_t read_error(fid_eq *object, fi_eq_err_entry *out, uint64_t) {
  auto *events = reinterpret_cast<EventQueue *>(object);
  std::lock_guard<std::mutex> lock(events->mutex);
  if (events->errors.empty()) return -FI_EAGAIN;
  *out = {};
  out->err = events->errors.front().error;
  out->prov_errno = events->errors.front().provider_error;
  events->errors.pop_front();
  return sizeof *out;
}

const char *error_text(fid_eq *, int provider_error, const void *, char *buffer, size_t size) {
  static thread_local char own[64];
  if (!buffer || !size) buffer = own, size = sizeof own;
  snprintf(buffer, size, "simulated NIC: device error %d", provider_error);
  return buffer;
}

}  // namespace

int open_events(fid_fabric *object, fi_eq_attr *attr, fid_eq **out, void *context) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_events;
    return o;
  }();
  static fi_ops_eq calls = [] {
    fi_ops_eq o = {};
    o.size = sizeof o;
    o.read = read_event;
    o.readerr = read_error;
    o.sread = wait_event;
    o.strerror = error_text;
    refuse(o.write);
    return o;
  }();
  if (reinterpret_cast<Fabric *>(object)->persona->connected) return open_connection_events(object, attr, out, context);
  if (attr && attr->wait_obj != FI_WAIT_NONE && attr->wait_obj != FI_WAIT_UNSPEC) return -FI_ENOSYS;
  auto *events = new EventQueue;
  events->fabric = reinterpret_cast<Fabric *>(object);
  events->fabric->children++;
  events->fid.fid = {FI_CLASS_EQ, context, &operations};
  events->fid.ops = &calls;
  *out = &events->fid;
  return 0;
}

}  // namespace pirn::sim_nic
