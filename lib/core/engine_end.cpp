// SPDX-License-Identifier: Apache-2.0
// How a transfer ends other than well: errors, deadlines, cancel, lost peers,
// withdrawn windows. Memory becomes quiet before an op becomes terminal.
#include "base/clock.h"
#include "core/endpoint.h"
#include "core/engine.h"

#include <algorithm>
#include <cerrno>

namespace pirn::core {

// Errors that say something about the connection, not about this operation: worth another try while the peer lives.
static bool is_transport(int error) {
  switch (error) {
    case ECANCELED:
    case ENOTCONN:
    case ECONNRESET:
    case ECONNABORTED:
    case ECONNREFUSED:
    case EPIPE:
    case ESHUTDOWN:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case EIO:
    case ENOENT:  // what a provider was seen to return for a peer that is gone
      return true;
    default:
      return false;
  }
}

static pirn_status status_of(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return PIRN_ERR_ACCESS;
    case ENOMEM:
      return PIRN_ERR_NO_MEMORY;
    default:
      return PIRN_ERR_IO;
  }
}

void Engine::piece_failed(Op &op, const Range &range, size_t path, int error, int provider_error, const char *text) {
  Peer &peer = *op.peer;
  RailSlot &rail = *endpoint_.rails()[peer.paths[path].local];
  std::string words = pirn::text("%s: %s%s%s", rail.name().c_str(), fabric::Rail::error_text(error).c_str(),
                                 *text ? ": " : "", text);
  op.provider_error = provider_error ? provider_error : error;
  op.rail = rail.index();
  bool transport = is_transport(error);
  // Losing the peer ends its ops, this one included.
  if (transport && !endpoint_.paths().failed(peer, path, words))
    endpoint_.health().suspect(peer, words + Paths::troubles(peer), true);
  if (op.phase != OpPhase::moving) return;
  if (transport) endpoint_.windows().doubt(op, range, rail, peer.paths[path].remote);
  if (!transport) {
    end(op, status_of(error), words);
    return;
  }
  if (op.retries == 0 || op.retry_episode != peer.episode) {
    if (op.moved > op.retry_moved) op.retries = 0;
    op.retry_moved = op.moved;
    op.retry_episode = peer.episode;
    ++op.retries;
  }
  if (op.retries > endpoint_.settings().transfer_retries + Paths::pairs(peer) - 1) {
    end(op, PIRN_ERR_IO,
        pirn::text("failed %u times in a row while the peer was alive, after %llu of %llu bytes; last: %s%s",
                   op.retries, static_cast<unsigned long long>(op.moved), static_cast<unsigned long long>(op.total),
                   words.c_str(), Paths::troubles(peer).c_str()));
    return;
  }
  op.again.push_back(range);
  drop_exclusive(op);
  enqueue(op);
}

void Engine::drop_exclusive(Op &op) {
  if (op.peer->exclusive == &op) op.peer->exclusive = nullptr;
}

void Engine::end(Op &op, pirn_status status, const std::string &text) {
  if (op.phase == OpPhase::done || op.phase == OpPhase::free) return;
  if (op.phase == OpPhase::draining) return;  // the first outcome stands
  if (op.phase == OpPhase::notifying) op.peer->mailbox.disown(&op);
  op.phase = OpPhase::draining;
  // Never on the wire: said of the rail that it would have begun with.
  if (op.rail == UINT16_MAX && op.kind != OpKind::notify && !op.within_host()) op.rail = op.peer->paths.front().local;
  op.status = status;
  op.text = text;
  op.again.clear();
  drop_exclusive(op);
  op.pending_link.unlink();
  if (by_parts(op.route)) endpoint_.staging().ended(op);
  // A dead peer's provider reports its pieces by itself within this time; a hung one's never will.
  uint64_t patience = endpoint_.settings().quiet_time * (status == PIRN_ERR_PEER_LOST ? 4 : 1);
  op.drain_deadline = coarse_ns() + patience;
  draining_.push_back(op);
  settle(op);
}

void Engine::settle(Op &op) {
  if (op.outstanding == 0) finish(op);
}

void Engine::end_all(Peer &peer, pirn_status status, const std::string &text) {
  active_.each([&](Op &op) {
    if (op.peer == &peer) end(op, status, text);
  });
}

bool Engine::uses(const Op &op, const Window &window) const {
  if (op.kind == OpKind::notify) return false;
  for (uint32_t i = 0; i < op.count; ++i)
    if (op.element(i).window == &window) return true;
  return false;
}

bool Engine::in_use(const Window &window) {
  return active_.any([&](const Op &op) { return op.peer == window.peer && uses(op, window); });
}

void Engine::end_using(const Window &window, pirn_status status, const std::string &text) {
  active_.each([&](Op &op) {
    if (op.phase == OpPhase::moving && op.peer == window.peer && uses(op, window)) end(op, status, text);
  });
}

void Engine::tick(uint64_t now) {
  if (now >= earliest_) {
    earliest_ = UINT64_MAX;
    active_.each([&](Op &op) {
      if (op.phase == OpPhase::draining) return;
      if (now < op.deadline) {
        earliest_ = std::min(earliest_, op.deadline);
        return;
      }
      Peer &peer = *op.peer;
      std::string why = pirn::text("deadline passed after %llu of %llu bytes; peer is %s%s%s",
                                   static_cast<unsigned long long>(op.moved), static_cast<unsigned long long>(op.total),
                                   peer_state_name(peer.state), peer.why.empty() ? "" : ": ", peer.why.c_str());
      end(op, PIRN_ERR_TIMEOUT, why);
    });
  }
  bool any = false;
  draining_.each([&](Op &op) {
    if (now < op.drain_deadline || op.direct()) return;  // what a device copies ends by itself
    if (by_parts(op.route)) {  // its parts drain for themselves
      endpoint_.staging().let_go(op);
      settle(op);
      return;
    }
    any = true;
    if (op.peer->live()) endpoint_.health().suspect(*op.peer, "a transfer to it could not be stopped", false);
  });
  if (!any) return;
  for (auto &rail : endpoint_.rails()) {
    bool stuck = false;
    rail->each_in_flight([&](Piece &piece) {
      stuck = stuck || (piece.op->phase == OpPhase::draining && now >= piece.op->drain_deadline);
    });
    if (stuck && endpoint_.shares_memory_with_peers()) endpoint_.request_reset();
    else if (stuck) reset_rail(*rail);
  }
}

void Engine::reset_rail(RailSlot &rail) {
  endpoint_.log().write(PIRN_LOG_INFO, "%s: resetting the rail to make memory quiet", rail.fabric().name().c_str());
  bool address_changed = false;
  Status status = rail.reset(
      &address_changed,
      [&](Piece *piece) {
        Op &op = *piece->op;
        Range range{piece->start, piece->bytes};
        retire(piece);
        if (op.phase == OpPhase::draining) {
          settle(op);
        } else {
          op.again.push_back(range);
          enqueue(op);
        }
      },
      [&](ControlBuffer &buffer) {
        if (!buffer.peer) return;
        --buffer.peer->control_in_flight;
        buffer.peer->paths[buffer.path].probing = false;
        buffer.peer->mailbox.resend(coarse_ns());
        endpoint_.control().talk(*buffer.peer);
      });
  endpoint_.rail_was_reset(rail, status, address_changed);
}

void Engine::release_uses(Op &op) {
  if (op.kind == OpKind::notify) return;
  if (op.prepared) {
    endpoint_.prepared_done(op);
    return;
  }
  for (uint32_t i = 0; i < op.count; ++i) {
    --op.elements[i].region->users;
    --op.elements[i].window->users;
  }
}

void Engine::finish(Op &op) {
  Peer &peer = *op.peer;
  op.phase = OpPhase::done;
  op.active_link.unlink();
  op.draining_link.unlink();
  op.pending_link.unlink();
  --peer.active_ops;
  release_uses(op);
  if (op.part) {
    endpoint_.staging().landed(op);
    return;
  }
  if (op.status == PIRN_OK) (op.kind == OpKind::read ? peer.bytes_read : peer.bytes_written) += op.moved;
  endpoint_.op_finished(op);
}

}  // namespace pirn::core
