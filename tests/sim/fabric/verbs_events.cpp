// SPDX-License-Identifier: Apache-2.0
// Event queues of the connection manager: the inner provider's events with our objects in them.
//
// Threads: any; the domain's lock is taken where a connection changes. Whoever closes an endpoint sees to it that no
// other thread reads its events meanwhile, as with the real provider.
#include "verbs.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pirn::sim_nic {
namespace {

constexpr size_t longest_event = 1024;

struct Incoming {
  uint32_t event = 0;
  alignas(fi_eq_cm_entry) unsigned char bytes[longest_event];
  size_t size = 0;

  fi_eq_cm_entry &entry() { return *reinterpret_cast<fi_eq_cm_entry *>(bytes); }
};

// Takes our greeting out of the connection data.
bool take_greeting(Incoming &in, Greeting &out) {
  constexpr size_t head = sizeof(fi_eq_cm_entry);
  if (in.size < head + sizeof out) return false;
  memcpy(&out, in.bytes + head, sizeof out);
  if (out.magic != Greeting::mark) return false;
  in.size -= sizeof out;
  memmove(in.bytes + head, in.bytes + head + sizeof out, in.size - head);
  return true;
}

void copy_address(void *&to, size_t &to_length, const void *from, size_t length) {
  free(to);
  to = from ? malloc(length) : nullptr;
  to_length = to ? length : 0;
  if (to) memcpy(to, from, length);
}

// False: nobody is called. A dead NIC would be silent; the caller is told so by the greeting.
bool take_call(Incoming &in) {
  auto *passive = static_cast<Passive *>(in.entry().fid->context);
  auto caller = std::make_unique<Caller>();
  caller->inner_info = in.entry().info;
  Greeting theirs;
  bool greeted = take_greeting(in, theirs);
  if (!greeted || ((passive->fabric->dead_rails.load() >> passive->rail) & 1)) {
    Greeting answer;
    answer.dead = 1;
    fi_reject(passive->inner, caller->inner_info->handle, &answer, sizeof answer);
    return false;
  }
  caller->board = theirs.board;
  fi_info *info = fi_dupinfo(passive->info);
  copy_address(info->dest_addr, info->dest_addrlen, caller->inner_info->dest_addr, caller->inner_info->dest_addrlen);
  info->handle = &caller.release()->handle;
  in.entry().fid = &passive->fid.fid;
  in.entry().info = info;
  return true;
}

void take_connection(Incoming &in) {
  auto *endpoint = static_cast<Endpoint *>(in.entry().fid->context);
  Guard guard(*endpoint->domain);
  Greeting theirs;
  if (take_greeting(in, theirs)) endpoint->connection->peer.port = theirs.board;
  endpoint->connection->state = Connection::State::connected;
  in.entry().fid = &endpoint->fid.fid;
}

void take_shutdown(Incoming &in) {
  auto *endpoint = static_cast<Endpoint *>(in.entry().fid->context);
  Guard guard(*endpoint->domain);
  hear_of_shutdown(*endpoint);
  in.entry().fid = &endpoint->fid.fid;
}

bool translate(Incoming &in) {
  switch (in.event) {
    case FI_CONNREQ: return take_call(in);
    case FI_CONNECTED: take_connection(in); return true;
    case FI_SHUTDOWN: take_shutdown(in); return true;
    default: return true;  // written by the user
  }
}

ssize_t hand_over(EventQueue &events, uint32_t *event, void *out, size_t length, int timeout, bool wait) {
  {
    std::lock_guard<std::mutex> lock(events.mutex);
    if (!events.errors.empty()) return -FI_EAVAIL;
  }
  for (;;) {
    Incoming in;
    ssize_t got = wait ? fi_eq_sread(events.inner, &in.event, in.bytes, sizeof in.bytes, timeout, 0)
                       : fi_eq_read(events.inner, &in.event, in.bytes, sizeof in.bytes, 0);
    if (got < 0) return got;
    in.size = static_cast<size_t>(got);
    if (!translate(in)) continue;
    *event = in.event;
    size_t size = std::min(in.size, length);
    memcpy(out, in.bytes, size);
    return static_cast<ssize_t>(size);
  }
}

EventQueue &of(fid_eq *object) { return *reinterpret_cast<EventQueue *>(object); }

ssize_t read_event(fid_eq *object, uint32_t *event, void *out, size_t length, uint64_t flags) {
  return flags ? -FI_ENOSYS : hand_over(of(object), event, out, length, 0, false);
}

ssize_t wait_event(fid_eq *object, uint32_t *event, void *out, size_t length, int timeout, uint64_t flags) {
  return flags ? -FI_ENOSYS : hand_over(of(object), event, out, length, timeout, true);
}

ssize_t own_error(EventQueue &events, fi_eq_err_entry &out) {
  std::lock_guard<std::mutex> lock(events.mutex);
  if (events.errors.empty()) return 0;
  Event event = events.errors.front();
  events.errors.pop_front();
  out.fid = event.object;
  out.context = event.object->context;
  out.err = event.error;
  out.prov_errno = event.provider_error;
  out.err_data_size = 0;
  return sizeof out;
}

ssize_t read_error(fid_eq *object, fi_eq_err_entry *out, uint64_t flags) {
  EventQueue &events = of(object);
  if (ssize_t size = own_error(events, *out)) return size;
  struct {
    fi_eq_err_entry entry;
    char grown[64];  // newer libfabrics may write more
  } error = {};
  if (ssize_t rc = fi_eq_readerr(events.inner, &error.entry, flags); rc < 0) return rc;
  fi_eq_err_entry &in = error.entry;
  Greeting theirs;
  if (in.err_data_size >= sizeof theirs) {
    memcpy(&theirs, in.err_data, sizeof theirs);
    in.err_data = static_cast<char *>(in.err_data) + sizeof theirs;
    in.err_data_size -= sizeof theirs;
    if (theirs.dead) in.err = in.prov_errno = ETIMEDOUT;
  }
  if (in.fid && in.fid->fclass == FI_CLASS_EP) in.fid = &static_cast<Endpoint *>(in.fid->context)->fid.fid;
  in.context = in.fid ? in.fid->context : nullptr;
  if (out->err_data_size) {
    in.err_data_size = std::min(in.err_data_size, out->err_data_size);
    memcpy(out->err_data, in.err_data, in.err_data_size);
    in.err_data = out->err_data;
  }
  *out = in;
  return sizeof *out;
}

ssize_t write_event(fid_eq *object, uint32_t event, const void *bytes, size_t length, uint64_t flags) {
  return fi_eq_write(of(object).inner, event, bytes, length, flags);
}

const char *error_text(fid_eq *, int provider_error, const void *, char *buffer, size_t size) {
  static thread_local char own[64];
  if (!buffer || !size) buffer = own, size = sizeof own;
  snprintf(buffer, size, "%s", strerror(abs(provider_error)));
  return buffer;
}

int close_events(fid *object) {
  auto *events = reinterpret_cast<EventQueue *>(object);
  if (events->users) {
    rule_broken(*events->fabric->persona, "fi_close of an event queue that is bound to an endpoint");
    return -FI_EBUSY;
  }
  fi_close(&events->inner->fid);
  events->fabric->children--;
  delete events;
  return 0;
}

int control_events(fid *object, int command, void *argument) {
  return fi_control(&reinterpret_cast<EventQueue *>(object)->inner->fid, command, argument);
}

}  // namespace

int open_connection_events(fid_fabric *object, fi_eq_attr *attr, fid_eq **out, void *context) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_events;
    o.control = control_events;
    return o;
  }();
  static fi_ops_eq calls = {sizeof(fi_ops_eq), read_event, read_error, write_event, wait_event, error_text};
  auto events = std::make_unique<EventQueue>();
  events->fabric = reinterpret_cast<Fabric *>(object);
  fi_eq_attr inner = {};
  if (attr) inner = *attr;
  if (int rc = fi_eq_open(events->fabric->inner, &inner, &events->inner, nullptr)) return rc;
  events->fabric->children++;
  events->fid.fid = {FI_CLASS_EQ, context, &operations};
  events->fid.ops = &calls;
  *out = &events.release()->fid;
  return 0;
}

int events_trywait(Fabric &fabric, EventQueue &events) {
  {
    std::lock_guard<std::mutex> lock(events.mutex);
    if (!events.errors.empty()) return -FI_EAGAIN;
  }
  fid *inner = &events.inner->fid;
  return fi_trywait(fabric.inner, &inner, 1);
}

void report_error(EventQueue &events, fid &object, int error) {
  std::lock_guard<std::mutex> lock(events.mutex);
  events.errors.push_back({error, error, &object});
}

void report_shutdown(Endpoint &endpoint) {
  if (!endpoint.events) return;
  fi_eq_cm_entry entry = {&endpoint.inner->fid, nullptr};
  fi_eq_write(endpoint.events->inner, FI_SHUTDOWN, &entry, sizeof entry, 0);
}

}  // namespace pirn::sim_nic
