// SPDX-License-Identifier: Apache-2.0
// Posting: what the initiator's side refuses.
#include "verbs.h"

#include <cstring>

namespace pirn::sim_nic {
namespace {

Endpoint &of(fid_ep *object) { return *reinterpret_cast<Endpoint *>(object); }

struct Post {
  Kind kind;
  const iovec *parts;
  void **descriptors;
  size_t count;
  fi_addr_t peer;
  const fi_rma_iov *remote;
  size_t remote_count;
  void *context;
  uint64_t data;
  uint64_t flags;
  bool injected;  // by one of the inject calls: no descriptor, no completion
};

uint64_t default_flags(const Endpoint &endpoint, uint64_t more) {
  return endpoint.info->tx_attr->op_flags | (endpoint.selective ? 0 : FI_COMPLETION) | more;
}

int check_descriptor(const Endpoint &endpoint, Kind kind, const iovec &part, void *descriptor) {
  const Domain &domain = *endpoint.domain;
  auto *r = static_cast<Registration *>(descriptor);
  constexpr uint64_t rights[] = {FI_WRITE, FI_READ, FI_SEND, FI_RECV};
  uint64_t needed = rights[static_cast<size_t>(kind)];
  if (endpoint.connection) needed = rights_of_connection(kind);
  if (!r) {
    if (is_device_memory(part.iov_base)) {
      rule_broken(*domain.persona, "FI_MR_HMEM: device memory without descriptor");
      return -FI_EINVAL;
    }
    if (!(domain.mr_mode & FI_MR_LOCAL)) return 0;
    rule_broken(*domain.persona, "FI_MR_LOCAL: a local buffer without descriptor");
    return -FI_EINVAL;
  }
  if (!domain.registrations.count(r)) {
    rule_broken(*domain.persona, "a descriptor that is none of this domain's, or was closed");
    return -FI_EINVAL;
  }
  auto *begin = static_cast<char *>(part.iov_base);
  if (begin < r->base || begin + part.iov_len > r->base + r->length) {
    rule_broken(*domain.persona, "a local buffer outside the registration its descriptor names");
    return -FI_EINVAL;
  }
  if (r->access & needed) return 0;
  rule_broken(*domain.persona, "a descriptor whose registration (access 0x%llx) does not allow this operation",
              static_cast<unsigned long long>(r->access));
  return -FI_EINVAL;
}

// What the NIC of a connection finds out only when it comes to the operation.
int later(const Endpoint &endpoint, int rc, int status, Fault &doomed) {
  if (!endpoint.connection) return rc;
  doomed = {FI_EIO, status};
  return 0;
}

int check_local(const Endpoint &endpoint, const Post &post, uint64_t &length, Fault &doomed) {
  const Persona &persona = *endpoint.domain->persona;
  if (post.count > persona.local_parts || post.count > most_parts) {
    rule_broken(persona, "%zu local parts; %zu are allowed", post.count, persona.local_parts);
    return -FI_EINVAL;
  }
  length = 0;
  bool inlined = post.injected || (post.flags & FI_INJECT);
  for (size_t i = 0; i < post.count; i++) {
    length += post.parts[i].iov_len;
    if (!post.parts[i].iov_len) continue;
    if (inlined && is_device_memory(post.parts[i].iov_base)) {
      rule_broken(persona, "device memory injected: the processor would read it");
      return -FI_EINVAL;
    }
    if (inlined) continue;
    int rc = check_descriptor(endpoint, post.kind, post.parts[i], post.descriptors ? post.descriptors[i] : nullptr);
    if (rc && (rc = later(endpoint, rc, wc_local_protection, doomed))) return rc;
  }
  if (length > persona.max_message) {
    rule_broken(persona, "a message of %llu bytes; %zu are the limit", static_cast<unsigned long long>(length),
                persona.max_message);
    return later(endpoint, -FI_EMSGSIZE, wc_local_length, doomed);
  }
  if (inlined && length > persona.inject_size) {
    rule_broken(persona, "%llu bytes injected; %zu are the limit", static_cast<unsigned long long>(length),
                persona.inject_size);
    return -FI_EINVAL;
  }
  return 0;
}

int check_remote(const Endpoint &endpoint, const Post &post, uint64_t length) {
  const Persona &persona = *endpoint.domain->persona;
  if (post.remote_count != 1) {
    rule_broken(persona, "%zu remote parts; 1 is allowed", post.remote_count);
    return -FI_EINVAL;
  }
  if (post.remote->len != length) {
    rule_broken(persona, "%llu local bytes for %zu remote ones", static_cast<unsigned long long>(length),
                post.remote->len);
    return -FI_EINVAL;
  }
  return 0;
}

int check_flags(const Endpoint &endpoint, const Post &post) {
  const Persona &persona = *endpoint.domain->persona;
  if ((post.flags & FI_DELIVERY_COMPLETE) && !persona.delivery_complete) return -FI_EOPNOTSUPP;
  if ((post.flags & FI_REMOTE_CQ_DATA) && post.kind == Kind::write && !persona.remote_cq_data) {
    rule_broken(persona, "a write with remote completion data");
    return -FI_ENOSYS;
  }
  if ((persona.mode & FI_CONTEXT2) && !post.context && !post.injected) {
    rule_broken(persona, "an operation without context; FI_CONTEXT2 wants 64 bytes of the provider's own");
    return -FI_EINVAL;
  }
  if (endpoint.connection) return check_connection(endpoint, post.kind);
  if (post.kind != Kind::receive && !endpoint.addresses->peers.count(post.peer)) {
    rule_broken(persona, "an operation to an address that is not in the address vector");
    return -FI_EINVAL;
  }
  return 0;
}

// Room in the queues. What overruns a completion queue that does not hold posts back is lost on the hardware.
int check_room(Endpoint &endpoint, const Post &post, Queue &queue) {
  const Persona &persona = *endpoint.domain->persona;
  bool receive = post.kind == Kind::receive;
  if (!receive && faults().again_every && ++faults_of(endpoint).again_count % faults().again_every == 0) return -FI_EAGAIN;
  if (receive ? endpoint.receives >= endpoint.info->rx_attr->size
              : endpoint.outstanding >= endpoint.info->tx_attr->size) {
    return -FI_EAGAIN;
  }
  if (queue.committed < queue.size) return 0;
  if (!persona.overruns_queue) return -FI_EAGAIN;
  rule_broken(persona, "%zu operations may complete to a queue of %zu: it can overrun", queue.committed + 1, queue.size);
  return -FI_ENOSPC;
}

void take_copy(Request &request) {
  if (!request.length) return;
  request.copy.resize(request.length);
  size_t done = 0;
  for (size_t i = 0; i < request.parts; i++) {
    if (request.local[i].iov_len) memcpy(&request.copy[done], request.local[i].iov_base, request.local[i].iov_len);
    done += request.local[i].iov_len;
  }
  request.local[0] = {request.copy.data(), request.copy.size()};
  request.parts = 1;
  request.descriptors[0] = nullptr;
}

Request *new_request(Endpoint &endpoint, const Post &post, Queue &queue, uint64_t length) {
  auto *request = new Request();
  request->number = ++endpoint.domain->last_number;
  endpoint.domain->live[request->number] = request;
  request->kind = post.kind;
  request->endpoint = &endpoint;
  request->queue = &queue;
  request->context = post.context;
  request->flags = post.flags;
  request->report = !post.injected && (post.flags & FI_COMPLETION);
  request->length = length;
  request->parts = post.count;
  for (size_t i = 0; i < post.count; i++) {
    auto *registration = post.descriptors ? static_cast<Registration *>(post.descriptors[i]) : nullptr;
    request->local[i] = post.parts[i];
    // One that was closed is not asked: the NIC of a connection finds out later.
    if (registration && endpoint.domain->registrations.count(registration))
      request->local[i].iov_base = registration->reached(post.parts[i].iov_base);
    request->descriptors[i] = registration;
  }
  request->peer = post.peer;
  if (post.remote) request->remote = *post.remote;
  request->data = post.data;
  if (post.injected || (post.flags & FI_INJECT)) take_copy(*request);
  return request;
}

// The provider keeps its own state in the context: nothing of the user's survives there.
void own_context(Request &request) {
  if (!(request.endpoint->domain->persona->mode & FI_CONTEXT2) || !request.context) return;
  memset(request.context, 0xc5, sizeof(fi_context2));
  request.owns_context = true;
}

ssize_t post_receive(Endpoint &endpoint, Request *request) {
  fi_msg message = {};
  message.msg_iov = request->local;
  message.iov_count = request->parts;
  message.addr = FI_ADDR_UNSPEC;
  message.context = context_of(*request);
  if (ssize_t rc = fi_recvmsg(endpoint.inner, &message, FI_COMPLETION)) {
    drop(*endpoint.domain, request);
    return rc;
  }
  endpoint.receives++;
  request->queue->committed++;
  endpoint.launched.insert(request);
  own_context(*request);
  return 0;
}

ssize_t submit(Endpoint &endpoint, const Post &post) {
  Guard guard(*endpoint.domain);
  if (!endpoint.enabled) {
    rule_broken(*endpoint.domain->persona, "an operation on an endpoint that is not enabled");
    return -FI_EOPBADSTATE;
  }
  Queue &queue = post.kind == Kind::receive ? *endpoint.receive_queue : *endpoint.transmit_queue;
  uint64_t length = 0;
  if (int rc = check_flags(endpoint, post)) return rc;
  Fault doomed = {};
  if (int rc = check_local(endpoint, post, length, doomed)) return rc;
  if (post.kind == Kind::write || post.kind == Kind::read)
    if (int rc = check_remote(endpoint, post, length)) return rc;
  if (int rc = check_room(endpoint, post, queue)) return rc;
  Request *request = new_request(endpoint, post, queue, length);
  request->doomed = doomed;
  if (post.kind == Kind::receive) return post_receive(endpoint, request);
  endpoint.outstanding++;
  queue.committed++;
  own_context(*request);
  start(request);
  return 0;
}

ssize_t send(fid_ep *ep, const void *buffer, size_t length, void *descriptor, fi_addr_t to, void *context) {
  iovec part = {const_cast<void *>(buffer), length};
  return submit(of(ep), {Kind::send, &part, &descriptor, 1, to, nullptr, 0, context, 0, default_flags(of(ep), 0), false});
}

ssize_t send_parts(fid_ep *ep, const iovec *parts, void **descriptors, size_t count, fi_addr_t to, void *context) {
  return submit(of(ep),
                {Kind::send, parts, descriptors, count, to, nullptr, 0, context, 0, default_flags(of(ep), 0), false});
}

ssize_t send_message(fid_ep *ep, const fi_msg *m, uint64_t flags) {
  if (!of(ep).selective) flags |= FI_COMPLETION;
  return submit(of(ep),
                {Kind::send, m->msg_iov, m->desc, m->iov_count, m->addr, nullptr, 0, m->context, m->data, flags, false});
}

ssize_t send_data(fid_ep *ep, const void *buffer, size_t length, void *descriptor, uint64_t data, fi_addr_t to,
                  void *context) {
  iovec part = {const_cast<void *>(buffer), length};
  return submit(of(ep), {Kind::send, &part, &descriptor, 1, to, nullptr, 0, context, data,
                         default_flags(of(ep), FI_REMOTE_CQ_DATA), false});
}

ssize_t inject(fid_ep *ep, const void *buffer, size_t length, fi_addr_t to) {
  iovec part = {const_cast<void *>(buffer), length};
  return submit(of(ep), {Kind::send, &part, nullptr, 1, to, nullptr, 0, nullptr, 0, 0, true});
}

ssize_t inject_data(fid_ep *ep, const void *buffer, size_t length, uint64_t data, fi_addr_t to) {
  iovec part = {const_cast<void *>(buffer), length};
  return submit(of(ep), {Kind::send, &part, nullptr, 1, to, nullptr, 0, nullptr, data, FI_REMOTE_CQ_DATA, true});
}

ssize_t receive(fid_ep *ep, void *buffer, size_t length, void *descriptor, fi_addr_t, void *context) {
  iovec part = {buffer, length};
  return submit(of(ep), {Kind::receive, &part, &descriptor, 1, FI_ADDR_UNSPEC, nullptr, 0, context, 0, FI_COMPLETION,
                         false});
}

ssize_t receive_parts(fid_ep *ep, const iovec *parts, void **descriptors, size_t count, fi_addr_t, void *context) {
  return submit(of(ep), {Kind::receive, parts, descriptors, count, FI_ADDR_UNSPEC, nullptr, 0, context, 0,
                         FI_COMPLETION, false});
}

ssize_t receive_message(fid_ep *ep, const fi_msg *m, uint64_t) {
  return receive_parts(ep, m->msg_iov, m->desc, m->iov_count, m->addr, m->context);
}

ssize_t rma(fid_ep *ep, Kind kind, const iovec *parts, void **descriptors, size_t count, fi_addr_t to, uint64_t address,
            uint64_t key, void *context, uint64_t data, uint64_t more, bool injected) {
  size_t length = 0;
  for (size_t i = 0; i < count; i++) length += parts[i].iov_len;
  fi_rma_iov remote = {address, length, key};
  uint64_t flags = injected ? more : default_flags(of(ep), more);
  return submit(of(ep), {kind, parts, descriptors, count, to, &remote, 1, context, data, flags, injected});
}

template <Kind kind>
ssize_t rma_one(fid_ep *ep, iovec part, void *descriptor, fi_addr_t to, uint64_t address, uint64_t key, void *context) {
  return rma(ep, kind, &part, &descriptor, 1, to, address, key, context, 0, 0, false);
}

template <Kind kind>
ssize_t rma_parts(fid_ep *ep, const iovec *parts, void **descriptors, size_t count, fi_addr_t to, uint64_t address,
                  uint64_t key, void *context) {
  return rma(ep, kind, parts, descriptors, count, to, address, key, context, 0, 0, false);
}

template <Kind kind>
ssize_t rma_message(fid_ep *ep, const fi_msg_rma *m, uint64_t flags) {
  if (!of(ep).selective) flags |= FI_COMPLETION;
  return submit(of(ep), {kind, m->msg_iov, m->desc, m->iov_count, m->addr, m->rma_iov, m->rma_iov_count, m->context,
                         m->data, flags, false});
}

ssize_t write_one(fid_ep *ep, const void *buffer, size_t length, void *descriptor, fi_addr_t to, uint64_t address,
                  uint64_t key, void *context) {
  return rma_one<Kind::write>(ep, {const_cast<void *>(buffer), length}, descriptor, to, address, key, context);
}

ssize_t read_one(fid_ep *ep, void *buffer, size_t length, void *descriptor, fi_addr_t from, uint64_t address,
                 uint64_t key, void *context) {
  return rma_one<Kind::read>(ep, {buffer, length}, descriptor, from, address, key, context);
}

ssize_t inject_write(fid_ep *ep, const void *buffer, size_t length, fi_addr_t to, uint64_t address, uint64_t key) {
  iovec part = {const_cast<void *>(buffer), length};
  return rma(ep, Kind::write, &part, nullptr, 1, to, address, key, nullptr, 0, 0, true);
}

ssize_t write_data(fid_ep *ep, const void *buffer, size_t length, void *descriptor, uint64_t data, fi_addr_t to,
                   uint64_t address, uint64_t key, void *context) {
  iovec part = {const_cast<void *>(buffer), length};
  return rma(ep, Kind::write, &part, &descriptor, 1, to, address, key, context, data, FI_REMOTE_CQ_DATA, false);
}

ssize_t inject_write_data(fid_ep *ep, const void *buffer, size_t length, uint64_t data, fi_addr_t to, uint64_t address,
                          uint64_t key) {
  iovec part = {const_cast<void *>(buffer), length};
  return rma(ep, Kind::write, &part, nullptr, 1, to, address, key, nullptr, data, FI_REMOTE_CQ_DATA, true);
}

}  // namespace

fi_ops_msg *message_calls() {
  static fi_ops_msg calls = {sizeof(fi_ops_msg), receive, receive_parts, receive_message, send,       send_parts,
                             send_message,       inject,  send_data,     inject_data};
  return &calls;
}

fi_ops_rma *rma_calls() {
  static fi_ops_rma calls = {sizeof(fi_ops_rma),
                             read_one,
                             rma_parts<Kind::read>,
                             rma_message<Kind::read>,
                             write_one,
                             rma_parts<Kind::write>,
                             rma_message<Kind::write>,
                             inject_write,
                             write_data,
                             inject_write_data};
  return &calls;
}

}  // namespace pirn::sim_nic
