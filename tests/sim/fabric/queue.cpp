// SPDX-License-Identifier: Apache-2.0
// Completions: from the inner provider's queue into ours, and from there to the user.
#include "trace.h"
#include "verbs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace pirn::sim_nic {
namespace {

constexpr unsigned char owned_byte = 0xc5;  // what start() leaves in a context that belongs to the provider

void push(Queue &queue, const Entry &entry) {
  size_t window = queue.domain->persona->connected ? 0 : std::min(faults().reorder, queue.entries.size());
  auto at = queue.entries.end();
  static std::minstd_rand random(static_cast<unsigned>(faults().seed));
  if (window) at -= static_cast<std::ptrdiff_t>(random() % (window + 1));
  queue.entries.insert(at, entry);
}

void check_context(const Request &request) {
  auto *bytes = static_cast<const unsigned char *>(request.context);
  bool intact = std::all_of(bytes, bytes + sizeof(fi_context2), [](unsigned char b) { return b == owned_byte; });
  if (!intact)
    rule_broken(*request.endpoint->domain->persona,
                "a context (64 bytes, FI_CONTEXT2) was written to before its operation completed");
}

Fault error_of(const Request &request, const fi_cq_err_entry &entry) {
  if (request.endpoint && request.endpoint->connection) return error_of_connection(request, entry.err);
  if (request.kind == Kind::receive || entry.err == FI_ECANCELED || entry.err == FI_ETRUNC)
    return {entry.err, entry.prov_errno};
  return request.endpoint ? request.endpoint->domain->persona->unreachable : Fault{FI_EIO, 0};
}

// A shared receive belongs to a queue only from its completion on.
void assign(Request &request, Queue &queue) {
  if (!request.endpoint || request.queue == &queue) return;
  request.queue->committed--;
  request.queue = &queue;
  queue.committed++;
}

// Null: it was handed back before. The inner provider (net of libfabric 1.17) reports some twice when a connection ends.
Request *request_of(const Domain &domain, const void *context) {
  auto found = domain.live.find(reinterpret_cast<uint64_t>(context));
  return found == domain.live.end() ? nullptr : found->second;
}

void take_error(Queue &queue) {
  struct {
    fi_cq_err_entry entry;
    char grown[128];  // newer libfabrics write more
  } error = {};
  if (fi_cq_readerr(queue.inner, &error.entry, 0) < 0 || !error.entry.op_context) return;
  Request *request = request_of(*queue.domain, error.entry.op_context);
  if (!request) return;
  assign(*request, queue);
  finish(request, error_of(*request, error.entry), error.entry.len);
}

void take(Queue &queue, const fi_cq_data_entry &entry) {
  if (!entry.op_context) {  // data that came with a peer's write
    push(queue, {nullptr, entry.flags & ~FI_COMPLETION, entry.len, entry.data, {}});
    queue.committed++;
    return;
  }
  Request *request = request_of(*queue.domain, entry.op_context);
  if (!request) return;
  uint64_t length = entry.len;
  assign(*request, queue);
  if (request->kind == Kind::receive && (entry.flags & FI_REMOTE_CQ_DATA)) {
    request->flags |= FI_REMOTE_CQ_DATA;
    request->data = entry.data;
    if (queue.domain->persona->connected) length = take_data(*request, length);
  }
  finish(request, {}, length);
}

size_t entry_size(fi_cq_format format) {
  switch (format) {
    case FI_CQ_FORMAT_MSG: return sizeof(fi_cq_msg_entry);
    case FI_CQ_FORMAT_DATA: return sizeof(fi_cq_data_entry);
    case FI_CQ_FORMAT_TAGGED: return sizeof(fi_cq_tagged_entry);
    default: return sizeof(fi_cq_entry);
  }
}

ssize_t hand_out(Queue &queue, void *out, size_t count) {
  if (queue.entries.empty()) return -FI_EAGAIN;
  if (queue.entries.front().fault.error) return -FI_EAVAIL;
  size_t taken = 0, size = entry_size(queue.format);
  for (; taken < count && !queue.entries.empty() && !queue.entries.front().fault.error; taken++) {
    const Entry &entry = queue.entries.front();
    fi_cq_tagged_entry whole = {entry.context, entry.flags, entry.length, nullptr, entry.data, 0};
    memcpy(static_cast<char *>(out) + taken * size, &whole, size);  // the formats are prefixes of each other
    queue.entries.pop_front();
    queue.committed--;
  }
  return static_cast<ssize_t>(taken);
}

ssize_t read_queue(fid_cq *object, void *out, size_t count) {
  auto *queue = reinterpret_cast<Queue *>(object);
  Guard guard(*queue->domain);
  drain(*queue);
  return hand_out(*queue, out, count);
}

ssize_t read_from(fid_cq *object, void *out, size_t count, fi_addr_t *sources) {
  ssize_t taken = read_queue(object, out, count);
  for (ssize_t i = 0; sources && i < taken; i++) sources[i] = FI_ADDR_NOTAVAIL;
  return taken;
}

ssize_t wait_queue(fid_cq *object, void *out, size_t count, const void *condition, int timeout) {
  auto *queue = reinterpret_cast<Queue *>(object);
  Guard guard(*queue->domain);
  if (!queue->wait_fd) return -FI_ENOSYS;
  drain(*queue);
  if (queue->entries.empty() && !pending_work(*queue)) {
    fi_cq_data_entry entry;
    ssize_t rc = fi_cq_sread(queue->inner, &entry, count ? 1 : 0, condition, timeout);
    if (rc > 0) take(*queue, entry);
    if (rc == -FI_EAVAIL) take_error(*queue);
  }
  return hand_out(*queue, out, count);
}

ssize_t wait_from(fid_cq *object, void *out, size_t count, fi_addr_t *sources, const void *condition, int timeout) {
  ssize_t taken = wait_queue(object, out, count, condition, timeout);
  for (ssize_t i = 0; sources && i < taken; i++) sources[i] = FI_ADDR_NOTAVAIL;
  return taken;
}

ssize_t read_error(fid_cq *object, fi_cq_err_entry *out, uint64_t) {
  auto *queue = reinterpret_cast<Queue *>(object);
  Guard guard(*queue->domain);
  if (queue->entries.empty() || !queue->entries.front().fault.error) return -FI_EAGAIN;
  const Entry &entry = queue->entries.front();
  out->op_context = entry.context;
  out->flags = entry.flags;
  out->len = entry.length;
  out->buf = nullptr;
  out->data = entry.data;
  out->tag = 0;
  out->olen = 0;
  out->err = entry.fault.error;
  out->prov_errno = entry.fault.provider_error;
  queue->entries.pop_front();
  queue->committed--;
  return 1;
}

const char *error_text(fid_cq *object, int provider_error, const void *, char *buffer, size_t size) {
  static thread_local char own[64];
  if (!buffer || !size) buffer = own, size = sizeof own;
  if (reinterpret_cast<Queue *>(object)->domain->persona->connected)
    snprintf(buffer, size, "%s", work_completion_text(provider_error));
  else
    snprintf(buffer, size, "simulated NIC: status %d", provider_error);
  return buffer;
}

int close_queue(fid *object) {
  auto *queue = reinterpret_cast<Queue *>(object);
  Domain *domain = queue->domain;
  Guard guard(*domain);
  if (queue->users) {
    rule_broken(*domain->persona, "fi_close of a completion queue that is bound to an endpoint");
    return -FI_EBUSY;
  }
  fi_close(&queue->inner->fid);
  if (queue->handed_out >= 0) close(queue->handed_out);
  domain->queues.erase(queue);
  domain->children--;
  delete queue;
  return 0;
}

int control_queue(fid *object, int command, void *argument) {
  auto *queue = reinterpret_cast<Queue *>(object);
  if ((command != FI_GETWAIT && command != FI_GETWAITOBJ) || !queue->wait_fd) return -FI_ENOSYS;
  if (command != FI_GETWAIT) return fi_control(&queue->inner->fid, command, argument);
  Guard guard(*queue->domain);
  int inner = -1;
  if (int rc = queue->handed_out < 0 ? fi_control(&queue->inner->fid, FI_GETWAIT, &inner) : 0) return rc;
  if (queue->handed_out < 0) queue->handed_out = fcntl(inner, F_DUPFD_CLOEXEC, 0);
  *static_cast<int *>(argument) = queue->handed_out;
  return queue->handed_out < 0 ? -errno : 0;
}

int signal_queue(fid_cq *object) { return fi_cq_signal(reinterpret_cast<Queue *>(object)->inner); }

fi_ops_cq *queue_calls() {
  static fi_ops_cq calls = [] {
    fi_ops_cq o = {};
    o.size = sizeof o;
    o.read = read_queue;
    o.readfrom = read_from;
    o.readerr = read_error;
    o.sread = wait_queue;
    o.sreadfrom = wait_from;
    o.signal = signal_queue;
    o.strerror = error_text;
    return o;
  }();
  return &calls;
}

}  // namespace

void finish(Request *request, const Fault &fault, uint64_t length) {
  if (request->endpoint && request->endpoint->connection && request->kind != Kind::receive)
    finish_in_order(request, fault, length);
  else
    deliver(request, fault, length);
}

void drop(Domain &domain, Request *request) {
  domain.live.erase(request->number);
  domain.orphans.erase(request);
  delete request;
}

void deliver(Request *request, const Fault &fault, uint64_t length) {
  constexpr uint64_t kinds[] = {FI_RMA | FI_WRITE, FI_RMA | FI_READ, FI_MSG | FI_SEND, FI_MSG | FI_RECV};
  Queue *queue = request->queue;
  if (Endpoint *endpoint = request->endpoint) {
    endpoint->launched.erase(request);
    if (request->kind == Kind::write || request->kind == Kind::read)
      trace_ended(endpoint->domain->rail, fault.error, request->remote.addr, request->length);
    (request->kind == Kind::receive ? endpoint->receives : endpoint->outstanding)--;
    if (request->owns_context) check_context(*request);
    uint64_t flags = kinds[static_cast<size_t>(request->kind)] | (request->flags & FI_REMOTE_CQ_DATA);
    if (request->kind != Kind::receive) flags &= ~FI_REMOTE_CQ_DATA;
    if (request->by_write) flags = FI_RMA | FI_REMOTE_WRITE | FI_REMOTE_CQ_DATA;
    if (request->report || fault.error)
      push(*queue, {request->context, flags, length, request->data, fault});
    else
      queue->committed--;
  }
  drop(*queue->domain, request);
}

void drain(Queue &queue) {
  if (queue.domain->persona->connected) revive_port(*queue.domain);
  for (Endpoint *endpoint : queue.endpoints) move_on(*endpoint);
  for (;;) {
    fi_cq_data_entry entries[16];
    ssize_t got = fi_cq_read(queue.inner, entries, 16);
    if (got == -FI_EAVAIL) {
      take_error(queue);
      continue;
    }
    for (ssize_t i = 0; i < got; i++) take(queue, entries[i]);
    if (got < 16) break;
  }
}

int open_inner(Queue &queue) {
  fi_cq_attr attr = {};
  attr.format = FI_CQ_FORMAT_DATA;
  attr.wait_obj = queue.wait_fd ? FI_WAIT_FD : FI_WAIT_NONE;
  attr.size = queue.size;
  if (int rc = fi_cq_open(queue.domain->inner, &attr, &queue.inner, nullptr)) return rc;
  if (queue.handed_out < 0) return 0;
  int inner = -1;
  if (int rc = fi_control(&queue.inner->fid, FI_GETWAIT, &inner)) return rc;
  return dup3(inner, queue.handed_out, O_CLOEXEC) < 0 ? -errno : 0;
}

bool pending_work(const Queue &queue) {
  return std::any_of(queue.endpoints.begin(), queue.endpoints.end(), [](const Endpoint *e) {
    return !e->waiting.empty() || (faults().rnr_ns && e->connection && !e->connection->order.empty());
  });
}

int open_queue(fid_domain *object, fi_cq_attr *attr, fid_cq **out, void *context) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_queue;
    o.control = control_queue;
    return o;
  }();
  constexpr size_t default_size = 1024, largest = 1 << 17;
  auto *domain = reinterpret_cast<Domain *>(object);
  Guard guard(*domain);
  bool wait = attr->wait_obj == FI_WAIT_FD || attr->wait_obj == FI_WAIT_UNSPEC;
  if (attr->wait_obj != FI_WAIT_NONE && !wait) return -FI_ENOSYS;
  if (wait && !domain->persona->wait_fd) return -FI_ENOSYS;
  if (attr->size > largest) return -FI_EINVAL;
  auto queue = std::make_unique<Queue>();
  queue->domain = domain;
  queue->size = attr->size ? attr->size : default_size;
  queue->wait_fd = wait;
  if (int rc = open_inner(*queue)) return rc;
  queue->format = attr->format == FI_CQ_FORMAT_UNSPEC ? FI_CQ_FORMAT_CONTEXT : attr->format;
  domain->queues.insert(queue.get());
  domain->children++;
  queue->fid.fid = {FI_CLASS_CQ, context, &operations};
  queue->fid.ops = queue_calls();
  *out = &queue.release()->fid;
  return 0;
}

}  // namespace pirn::sim_nic
