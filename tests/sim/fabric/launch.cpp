// SPDX-License-Identifier: Apache-2.0
// What happens to an operation between its post and the inner provider: faults, time on the wire, and the checks that
// the target's NIC would make.
#include "trace.h"
#include "verbs.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace pirn::sim_nic {
namespace {

constexpr uint64_t patience_ns = 20 * 1000000;  // with a full inner queue, before the target's life is asked after

enum class Launched : uint8_t { yes, later, refused };

// The checks at the target. What is refused ends with `fault`.
bool check_target(const Request &request, BoardView *board, Remote &remote, Fault &fault) {
  const Endpoint &endpoint = *request.endpoint;
  const Persona &persona = *endpoint.domain->persona;
  if (!board || board->dead()) {
    fault = persona.unreachable;
    return false;
  }
  if (request.kind == Kind::send) return true;
  if (persona.target_must_know_initiator && !board->knows(endpoint.port)) {
    // One that is still on its way when the target forgets its initiator fails as well, and breaks no rule.
    if (!board->forgot(endpoint.port))
      rule_broken(persona, "a one-sided operation before the target has inserted the initiator's address");
    fault = persona.unknown_peer;
    return false;
  }
  uint64_t right = request.kind == Kind::write ? FI_REMOTE_WRITE : FI_REMOTE_READ;
  if (!board->find(request.remote.key, remote) || !(remote.access & right)) {
    fault = persona.bad_key;
    return false;
  }
  uint64_t offset = request.remote.addr;
  if (endpoint.domain->mr_mode & FI_MR_VIRT_ADDR) offset -= remote.base;
  fault = persona.bad_key;
  remote.base = offset;
  return offset <= remote.length && request.length <= remote.length - offset;
}

fi_addr_t inner_peer(const Request &request) {
  if (request.endpoint->connection) return request.peer;
  return request.endpoint->addresses->peers.at(request.peer).inner;
}

ssize_t launch_rma(Request &request, const Remote &remote) {
  const Endpoint &endpoint = *request.endpoint;
  fi_rma_iov part = {remote.base, request.length, remote.inner_key};
  fi_msg_rma message = {};
  message.msg_iov = request.local;
  message.iov_count = request.parts;
  message.addr = inner_peer(request);
  message.rma_iov = &part;
  message.rma_iov_count = 1;
  message.context = context_of(request);
  message.data = request.data;
  if (endpoint.connection && (request.flags & FI_REMOTE_CQ_DATA)) return launch_write_with_data(request, message);
  if (request.kind == Kind::read) return fi_readmsg(endpoint.inner, &message, FI_COMPLETION);
  bool early = endpoint.domain->persona->early_completion && !(request.flags & FI_DELIVERY_COMPLETE);
  uint64_t flags = FI_COMPLETION | (early ? 0 : FI_DELIVERY_COMPLETE) | (request.flags & FI_REMOTE_CQ_DATA);
  return fi_writemsg(endpoint.inner, &message, flags);
}

ssize_t launch_send(Request &request) {
  fi_msg message = {};
  message.msg_iov = request.local;
  message.iov_count = request.parts;
  message.addr = inner_peer(request);
  message.context = context_of(request);
  message.data = request.data;
  uint64_t flags = FI_COMPLETION | (request.flags & FI_REMOTE_CQ_DATA);
  if (request.endpoint->connection) flags |= FI_DELIVERY_COMPLETE;  // acknowledged by the target's NIC
  return fi_sendmsg(request.endpoint->inner, &message, flags);
}

// The inner provider has no room, or tries for ever to reach somebody who was killed.
Launched no_room(Request &request, const BoardView &board, Fault &fault) {
  uint64_t now = now_ns();
  if (!request.first_refusal) request.first_refusal = now;
  if (now - request.first_refusal < patience_ns) return Launched::later;
  request.first_refusal = now;
  if (board.owner_lives() && !board.closed()) return Launched::later;
  fault = request.endpoint->domain->persona->unreachable;
  return Launched::refused;
}

BoardView *target_of(const Request &request) {
  Endpoint &endpoint = *request.endpoint;
  if (endpoint.connection) return board_of(endpoint.connection->peer);
  auto found = endpoint.addresses->peers.find(request.peer);
  return found == endpoint.addresses->peers.end() ? nullptr : board_of(found->second);
}

Launched launch(Request &request, Fault &fault) {
  BoardView *board = target_of(request);
  Remote remote = {};
  if (request.doomed.error) {
    fault = request.doomed;
    return Launched::refused;
  }
  if (!check_target(request, board, remote, fault)) return Launched::refused;
  ssize_t rc = request.kind == Kind::send ? launch_send(request) : launch_rma(request, remote);
  if (rc == 0) return Launched::yes;
  if (rc == -FI_EAGAIN) return no_room(request, *board, fault);
  fault = request.endpoint->domain->persona->unreachable;
  return Launched::refused;
}

// When the first byte leaves: after those of the operations before it.
uint64_t begin_at(const FaultState &faults) { return std::max(now_ns(), faults.wire_free_at); }

// When the last byte would have left: one operation after another at the rail's rate, then the latency.
uint64_t due_at(FaultState &faults, uint64_t begin, uint64_t bytes) {
  if (faults.bytes_per_ns > 0) {
    faults.wire_free_at = begin + static_cast<uint64_t>(static_cast<double>(bytes) / faults.bytes_per_ns);
    begin = faults.wire_free_at;
  }
  if (faults.bytes_per_ns <= 0 && !faults.latency_ns) return 0;
  return begin + faults.latency_ns;
}

void apply_schedule(Endpoint &endpoint) {
  FaultState &faults = faults_of(endpoint);
  if (faults.posts > faults.die_after) kill_nic(endpoint);
  if (faults.posts > faults.stall_after && !faults.stalled_until) {
    faults.stalled_until = faults.stall_ns == UINT64_MAX ? UINT64_MAX : now_ns() + faults.stall_ns;
    trace_fault(endpoint.domain->rail, "stalls");
  }
}

size_t pick(Endpoint &endpoint) {
  size_t window = endpoint.connection ? 0 : std::min(faults().out_of_order, endpoint.waiting.size());
  return window ? endpoint.faults.random() % window : 0;
}

}  // namespace

// Errors of the device itself have no operation to be reported with; the real efa calls abort() if nobody listens.
void kill_nic(Endpoint &endpoint) {
  if (faults_of(endpoint).dead) return;
  trace_fault(endpoint.domain->rail, "dies");
  if (endpoint.connection) {
    kill_port(*endpoint.domain);
    return;
  }
  const Persona &persona = *endpoint.domain->persona;
  endpoint.faults.dead = true;
  endpoint.board->set_dead();
  if (endpoint.events) {
    std::lock_guard<std::mutex> lock(endpoint.events->mutex);
    endpoint.events->errors.push_back({FI_EIO, persona.unreachable.provider_error});
  } else if (persona.address_format == FI_ADDR_EFA) {
    rule_broken(persona, "the device failed, and no event queue is bound to hear of it");
    abort();
  }
  for (Request *request : std::exchange(endpoint.waiting, {})) finish(request, persona.unreachable, 0);
}

void move_on(Endpoint &endpoint) {
  if (endpoint.connection) watch_receiver(endpoint);
  const uint64_t now = endpoint.waiting.empty() ? 0 : now_ns();
  std::vector<fi_addr_t> full;  // a target that takes nothing now does not hold up the others
  size_t passed = 0;
  while (passed < endpoint.waiting.size()) {
    if (faults_of(endpoint).stalled_until > now) return;
    auto at = endpoint.waiting.begin() + static_cast<std::ptrdiff_t>(passed + (passed ? 0 : pick(endpoint)));
    Request *request = *at;
    if (request->due > now) return;
    if (std::find(full.begin(), full.end(), request->peer) != full.end()) {
      passed++;
      continue;
    }
    Fault fault = {};
    endpoint.launched.insert(request);
    Launched result = launch(*request, fault);
    if (result == Launched::later) {
      endpoint.launched.erase(request);
      if (endpoint.connection || faults().out_of_order) return;
      full.push_back(request->peer);
      passed++;
      continue;
    }
    endpoint.waiting.erase(at);
    if (result == Launched::refused) finish(request, fault, 0);
  }
}

void start(Request *request) {
  Endpoint &endpoint = *request->endpoint;
  FaultState &state = faults_of(endpoint);
  const Persona &persona = *endpoint.domain->persona;
  if (endpoint.connection && !admit(request)) return;
  state.posts++;
  apply_schedule(endpoint);
  const bool error = state.fail_nth && state.posts == state.fail_nth;
  if (error && !state.dead) trace_fault(endpoint.domain->rail, "error");
  if (state.dead || error) {
    if (endpoint.connection) endpoint.launched.insert(request);  // it may have to wait for those before it
    finish(request, persona.unreachable, 0);
    return;
  }
  const uint64_t begin = begin_at(state);
  request->due = due_at(state, begin, request->length);
  if (request->kind == Kind::write || request->kind == Kind::read)
    trace_posted(endpoint.domain->rail, begin, request->remote.addr, request->length);
  endpoint.waiting.push_back(request);
  // What is to run out of order is gathered first; whoever reads the queue sets the rest in motion.
  if (endpoint.connection || endpoint.waiting.size() >= faults().out_of_order) move_on(endpoint);
}

}  // namespace pirn::sim_nic
