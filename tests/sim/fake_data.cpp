// SPDX-License-Identifier: Apache-2.0
// Posting, running and completing operations.
#include "fake_state.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

namespace pirn::sim {
namespace {

using Guard = std::lock_guard<SpinLock>;

Endpoint *live_endpoint(uint32_t number) {
  return number < current->endpoints.size() ? current->endpoints[number] : nullptr;
}

Region *find_region(Domain &domain, uint64_t key) {
  if (domain.last_region && domain.last_region->key == key) return domain.last_region;
  auto found = domain.regions.find(key);
  if (found == domain.regions.end()) return nullptr;
  return domain.last_region = found->second;
}

// The memory that one remote part names, or null if the target's registration does not grant it.
char *resolve(Endpoint &target, const Target &part, uint64_t right) {
  Region *region = find_region(*target.domain, part.key);
  int mode = target.domain->persona->mr_mode;
  if (!region || !region->enabled || !(region->access & right)) return nullptr;
  if ((mode & FI_MR_ENDPOINT) && region->endpoint != &target) return nullptr;
  uint64_t offset = part.address - ((mode & FI_MR_VIRT_ADDR) ? reinterpret_cast<uint64_t>(region->base) : 0);
  if (offset > region->length || part.length > region->length - offset) return nullptr;
  return region->base + offset;
}

// Copies between two lists of parts of the same total length.
void move_bytes(const Part *local, size_t local_count, char *const *remote, const Target *parts, size_t remote_count,
                bool to_remote) {
  if (local_count == 1 && remote_count == 1) {
    memcpy(to_remote ? remote[0] : local[0].base, to_remote ? local[0].base : remote[0], local[0].length);
    current->counters.bytes_moved += local[0].length;
    return;
  }
  size_t l = 0, r = 0, local_done = 0, remote_done = 0;
  while (l < local_count && r < remote_count) {
    size_t length = std::min(local[l].length - local_done, parts[r].length - remote_done);
    char *here = local[l].base + local_done, *there = remote[r] + remote_done;
    if (length) memcpy(to_remote ? there : here, to_remote ? here : there, length);
    current->counters.bytes_moved += length;
    local_done += length;
    remote_done += length;
    if (local_done == local[l].length) l++, local_done = 0;
    if (remote_done == parts[r].length) r++, remote_done = 0;
  }
}

// 0 or the errno of the completion.
int run_rma(Endpoint &from, Endpoint &target, Kind kind, const Part *local, size_t local_count, const Target *remote,
            size_t remote_count) {
  const Persona &persona = *from.domain->persona;
  if (persona.target_must_know_initiator && !target.addresses->known.count(from.number)) return FI_ENOTCONN;
  char *memory[fabric::max_parts];
  for (size_t i = 0; i < remote_count; i++) {
    memory[i] = resolve(target, remote[i], kind == Kind::write ? FI_REMOTE_WRITE : FI_REMOTE_READ);
    if (!memory[i]) return persona.refused_errno;
  }
  move_bytes(local, local_count, memory, remote, remote_count, kind == Kind::write);
  return 0;
}

void fill_receive(Endpoint &target, const Receive &receive, const char *data, size_t length) {
  size_t kept = std::min(length, receive.length);
  if (kept) memcpy(receive.buffer, data, kept);
  push(*target.queue, {receive.context, FI_MSG | FI_RECV, kept, length > kept ? FI_ETRUNC : 0, 0});
}

void run_send(Endpoint &target, const Part &data) {
  current->counters.bytes_moved += data.length;
  if (target.receives.empty()) {
    target.unexpected.emplace_back(data.base, data.base + data.length);
    return;
  }
  Receive receive = target.receives.front();
  target.receives.pop_front();
  fill_receive(target, receive, data.base, data.length);
}

bool concerns(const std::set<uint32_t> &endpoints, const Operation &operation) {
  return endpoints.count(0) || endpoints.count(operation.to) ||
         (current->both_ways && endpoints.count(operation.from->number));
}

void run(Operation &operation) {
  Endpoint *target = live_endpoint(operation.to);
  bool severed = concerns(current->cut, operation);
  int error = operation.error, provider_error = operation.provider_error;
  if (!error && (!target || severed)) error = FI_ENOTCONN;
  if (!error && operation.kind == Kind::send)
    run_send(*target, operation.local[0]);
  else if (!error)
    error = run_rma(*operation.from, *target, operation.kind, operation.local.data(), operation.local.size(),
                    operation.remote.data(), operation.remote.size());
  operation.from->outstanding--;
  push(*operation.from->queue,
       {operation.context, operation.flags, 0, error, provider_error ? provider_error : error});
}

bool may_run(const Operation &operation, const Queue &queue) {
  if (operation.from->queue != &queue || queue.full()) return false;
  if (concerns(current->cut, operation)) return true;
  if (concerns(current->hung, operation)) return false;
  return !current->holding || operation.released;
}

void run_pending(Queue &queue) {
  std::vector<Operation> ready;
  auto &pending = current->pending;
  for (auto at = pending.begin(); at != pending.end();) {
    if (!may_run(*at, queue)) {
      ++at;
      continue;
    }
    ready.push_back(std::move(*at));
    at = pending.erase(at);
  }
  if (current->reordering) std::shuffle(ready.begin(), ready.end(), current->reorder_random);
  for (Operation &operation : ready) run(operation);
  current->update_mode();
}

// Writes that completed before they were placed: now they are, unless the registration has gone.
void place_lazily(Endpoint &target) {
  std::vector<Operation> writes;
  writes.swap(target.lazy);
  current->lazy_writes -= writes.size();
  for (Operation &operation : writes) {
    char *memory[fabric::max_parts];
    bool granted = true;
    for (size_t i = 0; i < operation.remote.size(); i++)
      granted &= (memory[i] = resolve(target, operation.remote[i], FI_REMOTE_WRITE)) != nullptr;
    if (granted)
      move_bytes(operation.local.data(), operation.local.size(), memory, operation.remote.data(),
                 operation.remote.size(), true);
  }
}

bool scripted_again() {
  if (current->again_left) {
    current->again_left--;
    return true;
  }
  return current->again_period && current->posts % current->again_period < current->again_burst;
}

// What every transmit passes first: 0, or the error to return. Counts the post.
ssize_t admit(Endpoint &endpoint, size_t *number) {
  if (!endpoint.enabled) return -FI_EOPBADSTATE;
  Queue &queue = *endpoint.queue;
  bool full = endpoint.outstanding >= endpoint.domain->persona->transmit_size ||
              queue.tail - queue.head + endpoint.outstanding >= queue.ring.size();
  *number = ++current->posts;
  if (full || (current->slow && scripted_again())) {
    current->counters.eagain++;
    if (current->slow) current->update_mode();
    return -FI_EAGAIN;
  }
  if (!current->slow) return 0;
  auto failing = current->failing_posts.find(*number);
  if (failing == current->failing_posts.end()) return 0;
  ssize_t rc = -failing->second;
  current->failing_posts.erase(failing);
  return rc;
}

// Copies the local parts, checking descriptors where the persona wants them.
ssize_t check_local(Endpoint &endpoint, const iovec *parts, void **descriptors, size_t count, Part *out,
                    uint64_t *total) {
  const Persona &persona = *endpoint.domain->persona;
  if (count > persona.local_parts || count > fabric::max_parts) return -FI_EINVAL;
  *total = 0;
  for (size_t i = 0; i < count; i++) {
    out[i] = {static_cast<char *>(parts[i].iov_base), parts[i].iov_len};
    *total += parts[i].iov_len;
    if (!(persona.mr_mode & FI_MR_LOCAL)) continue;
    auto *region = descriptors ? static_cast<Region *>(descriptors[i]) : nullptr;
    if (!region || region->magic != Region::alive || region->domain != endpoint.domain || out[i].base < region->base ||
        out[i].base + out[i].length > region->base + region->length)
      return -FI_EINVAL;
  }
  return *total > persona.max_message ? -FI_EMSGSIZE : 0;
}

void record(Endpoint &from, Kind kind, uint32_t to, void *context, uint64_t flags, size_t number, const Part *local,
            size_t local_count, const Target *remote, size_t remote_count) {
  Operation operation = {};
  operation.kind = kind;
  operation.from = &from;
  operation.to = to;
  operation.context = context;
  operation.flags = flags;
  operation.local.assign(local, local + local_count);
  operation.remote.assign(remote, remote + remote_count);
  auto failing = current->failing_operations.find(number);
  if (failing != current->failing_operations.end()) {
    operation.error = failing->second.first;
    operation.provider_error = failing->second.second;
    current->failing_operations.erase(failing);
  }
  from.outstanding++;
  current->pending.push_back(std::move(operation));
}

bool placed_later(const Endpoint &from, Kind kind, uint64_t flags) {
  return kind == Kind::write && from.domain->persona->lazy_placement && !(flags & FI_DELIVERY_COMPLETE);
}

ssize_t post_rma(Endpoint &from, Kind kind, const fi_msg_rma &message, uint64_t flags) {
  const Persona &persona = *from.domain->persona;
  Part local[fabric::max_parts];
  Target remote[fabric::max_parts];
  uint64_t local_total = 0, remote_total = 0;
  size_t number = 0;
  if (message.rma_iov_count > persona.remote_parts || message.rma_iov_count > fabric::max_parts) return -FI_EINVAL;
  if ((flags & FI_DELIVERY_COMPLETE) && !persona.delivery_complete) return -FI_EOPNOTSUPP;
  if (ssize_t rc = check_local(from, message.msg_iov, message.desc, message.iov_count, local, &local_total)) return rc;
  for (size_t i = 0; i < message.rma_iov_count; i++) {
    remote[i] = {message.rma_iov[i].addr, message.rma_iov[i].key, message.rma_iov[i].len};
    remote_total += remote[i].length;
  }
  if (local_total != remote_total || message.addr >= from.addresses->numbers.size()) return -FI_EINVAL;
  if (ssize_t rc = admit(from, &number)) return rc;
  uint32_t to = from.addresses->numbers[message.addr];
  Endpoint *target = live_endpoint(to);
  if (!target && current->dead_again) {
    current->counters.eagain++;
    return -FI_EAGAIN;
  }
  (kind == Kind::write ? current->counters.writes : current->counters.reads)++;
  current->counters.strays += to == 0;
  uint64_t done = FI_RMA | (kind == Kind::write ? FI_WRITE : FI_READ);
  if (target && placed_later(from, kind, flags)) {
    Operation later = {};
    later.local.assign(local, local + message.iov_count);
    later.remote.assign(remote, remote + message.rma_iov_count);
    target->lazy.push_back(std::move(later));
    current->lazy_writes++;
    push(*from.queue, {message.context, done, 0, 0, 0});
  } else if (current->slow) {
    record(from, kind, to, message.context, done, number, local, message.iov_count, remote, message.rma_iov_count);
    wake(*from.queue);
  } else {
    int error = target ? run_rma(from, *target, kind, local, message.iov_count, remote, message.rma_iov_count)
                       : FI_ENOTCONN;
    push(*from.queue, {message.context, done, 0, error, error});
  }
  return 0;
}

ssize_t write_message(fid_ep *ep, const fi_msg_rma *message, uint64_t flags) {
  Guard guard(current->lock);
  return post_rma(*reinterpret_cast<Endpoint *>(ep), Kind::write, *message, flags);
}

ssize_t read_message(fid_ep *ep, const fi_msg_rma *message, uint64_t flags) {
  Guard guard(current->lock);
  return post_rma(*reinterpret_cast<Endpoint *>(ep), Kind::read, *message, flags);
}

ssize_t send_message(fid_ep *ep, const void *data, size_t length, void *descriptor, fi_addr_t to, void *context) {
  Guard guard(current->lock);
  auto &from = *reinterpret_cast<Endpoint *>(ep);
  iovec part = {const_cast<void *>(data), length};
  Part local = {};
  uint64_t total = 0;
  size_t number = 0;
  if (ssize_t rc = check_local(from, &part, &descriptor, 1, &local, &total)) return rc;
  if (to >= from.addresses->numbers.size()) return -FI_EINVAL;
  if (ssize_t rc = admit(from, &number)) return rc;
  uint32_t peer = from.addresses->numbers[to];
  Endpoint *target = live_endpoint(peer);
  if (!target && current->dead_again) {
    current->counters.eagain++;
    return -FI_EAGAIN;
  }
  current->counters.sends++;
  current->counters.strays += peer == 0;
  if (current->slow) {
    record(from, Kind::send, peer, context, FI_MSG | FI_SEND, number, &local, 1, nullptr, 0);
    wake(*from.queue);
    return 0;
  }
  if (target) run_send(*target, local);
  int error = target ? 0 : FI_ENOTCONN;
  push(*from.queue, {context, FI_MSG | FI_SEND, 0, error, error});
  return 0;
}

ssize_t receive_message(fid_ep *ep, void *buffer, size_t length, void *descriptor, fi_addr_t, void *context) {
  Guard guard(current->lock);
  auto &endpoint = *reinterpret_cast<Endpoint *>(ep);
  iovec part = {buffer, length};
  Part local = {};
  uint64_t total = 0;
  if (ssize_t rc = check_local(endpoint, &part, &descriptor, 1, &local, &total)) return rc;
  if (endpoint.receives.size() >= endpoint.domain->persona->receive_size) return -FI_EAGAIN;
  current->counters.receives++;
  Receive receive = {context, local.base, local.length};
  if (endpoint.unexpected.empty()) {
    endpoint.receives.push_back(receive);
  } else {
    std::vector<char> message = std::move(endpoint.unexpected.front());
    endpoint.unexpected.pop_front();
    fill_receive(endpoint, receive, message.data(), message.size());
  }
  return 0;
}

ssize_t read_queue(fid_cq *cq, void *out, size_t count) {
  Guard guard(current->lock);
  auto &queue = *reinterpret_cast<Queue *>(cq);
  if (current->slow) {
    if (int error = current->queue_error) {
      current->queue_error = 0;
      current->update_mode();
      return -error;
    }
    run_pending(queue);
  }
  if (current->lazy_writes)
    for (Endpoint *endpoint : current->endpoints)
      if (endpoint && endpoint->queue == &queue && !endpoint->lazy.empty()) place_lazily(*endpoint);
  auto *entries = static_cast<fi_cq_msg_entry *>(out);
  size_t taken = 0;
  for (; taken < count && queue.head != queue.tail; taken++, queue.head++) {
    const Entry &entry = queue.ring[queue.head & (queue.ring.size() - 1)];
    if (entry.error) break;
    entries[taken] = {entry.context, entry.flags, entry.length};
  }
  current->counters.completions += taken;
  if (taken) return static_cast<ssize_t>(taken);
  return queue.head == queue.tail ? -FI_EAGAIN : -FI_EAVAIL;
}

ssize_t read_queue_error(fid_cq *cq, fi_cq_err_entry *out, uint64_t) {
  Guard guard(current->lock);
  auto &queue = *reinterpret_cast<Queue *>(cq);
  if (queue.head == queue.tail) return -FI_EAGAIN;
  const Entry &entry = queue.ring[queue.head & (queue.ring.size() - 1)];
  if (!entry.error) return -FI_EAGAIN;
  out->op_context = entry.context;
  out->flags = entry.flags;
  out->len = entry.length;
  out->err = entry.error;
  out->prov_errno = entry.provider_error;
  queue.head++;
  current->counters.error_completions++;
  return 1;
}

const char *queue_error_text(fid_cq *, int provider_error, const void *, char *buffer, size_t size) {
  snprintf(buffer, size, "fake provider error %d", provider_error);
  return buffer;
}

}  // namespace

fi_ops_rma rma_operations = [] {
  fi_ops_rma o = {};
  o.size = sizeof o;
  o.writemsg = write_message;
  o.readmsg = read_message;
  return o;
}();

fi_ops_msg message_operations = [] {
  fi_ops_msg o = {};
  o.size = sizeof o;
  o.send = send_message;
  o.recv = receive_message;
  return o;
}();

fi_ops_cq queue_operations = [] {
  fi_ops_cq o = {};
  o.size = sizeof o;
  o.read = read_queue;
  o.readerr = read_queue_error;
  o.strerror = queue_error_text;
  return o;
}();

void wake(Queue &queue) {
  if (!queue.armed) return;
  queue.armed = false;
  uint64_t one = 1;
  if (write(queue.event_fd, &one, sizeof one) < 0) perror("fake fabric: eventfd");
}

// Receives may overfill a queue that transmits never do; the real ones grow, too.
void grow(Queue &queue) {
  std::vector<Entry> larger(queue.ring.size() * 2);
  for (uint64_t i = queue.head; i != queue.tail; i++)
    larger[i & (larger.size() - 1)] = queue.ring[i & (queue.ring.size() - 1)];
  queue.ring.swap(larger);
}

void drop_operations(Endpoint &endpoint) {
  current->lazy_writes -= endpoint.lazy.size();
  auto &pending = current->pending;
  for (auto at = pending.begin(); at != pending.end();) {
    if (at->from != &endpoint) {
      ++at;
      continue;
    }
    push(*endpoint.queue, {at->context, at->flags, 0, FI_ECANCELED, FI_ECANCELED});
    at = pending.erase(at);
  }
  for (const Receive &receive : endpoint.receives)
    push(*endpoint.queue, {receive.context, FI_MSG | FI_RECV, 0, FI_ECANCELED, FI_ECANCELED});
  current->update_mode();
}

int trywait(fid_fabric *, fid **fids, int count) {
  Guard guard(current->lock);
  for (int i = 0; i < count; i++) {
    auto *queue = reinterpret_cast<Queue *>(fids[i]);
    if (queue->head != queue->tail) return -FI_EAGAIN;
    for (const Operation &operation : current->pending)
      if (may_run(operation, *queue)) return -FI_EAGAIN;
    uint64_t count_read;
    while (read(queue->event_fd, &count_read, sizeof count_read) > 0) continue;
    queue->armed = true;
  }
  return 0;
}

}  // namespace pirn::sim
