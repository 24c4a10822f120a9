// SPDX-License-Identifier: Apache-2.0
// A reliable connection: operations complete in the order of their posts; the first that fails ends the connection,
// and what stands behind it is flushed.
#include "verbs.h"

namespace pirn::sim_nic {
namespace {

// A write with data is two operations of the inner provider: the write, and an empty message that takes a receive as
// the hardware would. Its 64 bits of data are the user's 32, the length of the write, and a bit that says so.
constexpr uint64_t by_write_bit = uint64_t{1} << 63;
constexpr int length_shift = 32;

void end(Endpoint &endpoint) {
  Connection &connection = *endpoint.connection;
  if (connection.state != Connection::State::connected) return;
  connection.state = Connection::State::failed;
  // A dead NIC sends no farewell.
  if (endpoint.domain->faults.dead)
    report_shutdown(endpoint);
  else
    fi_shutdown(endpoint.inner, 0);
}

void flush(Endpoint &endpoint) {
  for (Request *request : endpoint.waiting) {
    request->done = true;
    request->result = flushed;
    endpoint.launched.insert(request);
  }
  endpoint.waiting.clear();
}

}  // namespace

int check_connection(const Endpoint &endpoint, Kind kind) {
  const Connection &connection = *endpoint.connection;
  if (kind == Kind::receive && connection.shared) {
    rule_broken(*endpoint.domain->persona, "a receive posted to a connection that has a shared receive queue");
    return -FI_EINVAL;
  }
  if (kind == Kind::receive || connection.state != Connection::State::fresh) return 0;
  rule_broken(*endpoint.domain->persona, "an operation on an endpoint that is not connected");
  return -FI_EINVAL;
}

// Local reading is always allowed; all that lets somebody write locally allows local writing.
uint64_t rights_of_connection(Kind kind) {
  bool writes_here = kind == Kind::read || kind == Kind::receive;
  return writes_here ? FI_READ | FI_WRITE | FI_RECV | FI_REMOTE_WRITE : UINT64_MAX;
}

bool admit(Request *request) {
  Endpoint &endpoint = *request->endpoint;
  endpoint.connection->order.push_back(request);
  if (endpoint.connection->state == Connection::State::connected && !endpoint.connection->broken) return true;
  endpoint.launched.insert(request);
  finish(request, flushed, 0);
  return false;
}

ssize_t launch_write_with_data(Request &request, fi_msg_rma &message) {
  Endpoint &endpoint = *request.endpoint;
  if (!request.half_way && request.length) {
    message.context = nullptr;
    if (ssize_t rc = fi_writemsg(endpoint.inner, &message, 0)) return rc;
  }
  request.half_way = true;
  fi_msg note = {};
  note.context = context_of(request);
  note.data = (request.data & UINT32_MAX) | request.length << length_shift | by_write_bit;
  return fi_sendmsg(endpoint.inner, &note, FI_COMPLETION | FI_DELIVERY_COMPLETE | FI_REMOTE_CQ_DATA);
}

uint64_t take_data(Request &receive, uint64_t length) {
  receive.by_write = (receive.data & by_write_bit) != 0;
  if (receive.by_write) length = (receive.data & ~by_write_bit) >> length_shift;
  receive.data &= UINT32_MAX;
  return length;
}

void finish_in_order(Request *request, const Fault &fault, uint64_t length) {
  Endpoint &endpoint = *request->endpoint;
  Connection &connection = *endpoint.connection;
  bool later = connection.broken || connection.state == Connection::State::failed;
  request->done = true;
  request->result = fault.error && later && !request->doomed.error ? flushed : fault;
  request->result_length = length;
  if (fault.error) {
    connection.broken = true;
    flush(endpoint);
  }
  while (!connection.order.empty() && connection.order.front()->done) {
    Request *first = connection.order.front();
    connection.order.pop_front();
    if (first->result.error) end(endpoint);
    deliver(first, first->result, first->result_length);
  }
}

Fault error_of_connection(const Request &request, int error) {
  const Endpoint &endpoint = *request.endpoint;
  if (request.doomed.error) return request.doomed;
  if (request.kind == Kind::receive)
    return error == FI_ETRUNC ? Fault{FI_EIO, wc_local_length} : flushed;
  if (endpoint.connection->state == Connection::State::failed) return flushed;
  const BoardView *board = board_of(request.endpoint->connection->peer);
  return board && board->owner_lives() ? flushed : endpoint.domain->persona->unreachable;
}

void watch_receiver(Endpoint &endpoint) {
  Connection &connection = *endpoint.connection;
  if (!faults().rnr_ns || connection.order.empty()) return;
  Request *oldest = connection.order.front();
  bool needs_receive = oldest->kind == Kind::send || (oldest->flags & FI_REMOTE_CQ_DATA);
  if (!needs_receive || !endpoint.launched.count(oldest) || connection.state != Connection::State::connected) return;
  uint64_t now = now_ns();
  if (connection.watched != oldest) {
    connection.watched = oldest;
    connection.watched_since = now;
  }
  if (now - connection.watched_since < faults().rnr_ns) return;
  oldest->doomed = {FI_EIO, wc_receiver_not_ready};
  connection.broken = true;
  end(endpoint);  // the inner provider hands the operation back
}

void hear_of_shutdown(Endpoint &endpoint) {
  endpoint.connection->state = Connection::State::failed;
  endpoint.connection->broken = true;
  if (endpoint.waiting.empty()) return;
  Request *first = endpoint.waiting.front();
  endpoint.waiting.pop_front();
  endpoint.launched.insert(first);
  finish(first, flushed, 0);
}

const char *work_completion_text(int status) {
  switch (status) {
    case wc_local_length: return "local length error";
    case wc_local_protection: return "local protection error";
    case wc_flushed: return "Work Request Flushed Error";
    case wc_remote_access: return "remote access error";
    case wc_retries_exceeded: return "transport retry counter exceeded";
    case wc_receiver_not_ready: return "RNR retry counter exceeded";
    default: return "unknown";
  }
}

}  // namespace pirn::sim_nic
