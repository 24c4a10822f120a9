// SPDX-License-Identifier: Apache-2.0
// The asker's side of the channel: attempts by path and by abstract name, the proof, and questions.
#include "local/channel_state.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"

#include <algorithm>

namespace pirn::local {

namespace {

constexpr uint64_t first_pause = 5 * ns_per_ms;
constexpr uint64_t longest_pause = 200 * ns_per_ms;

Status out_of_turn(uint8_t kind) {
  return fail(PIRN_ERR_INVALID, "the owner sent a message of kind %u, which has no place here", unsigned{kind});
}

bool covers(const wire::ShareAnswer &answer, uint64_t offset) {
  return answer.chunks.front().offset <= offset && offset - answer.chunks.front().offset < answer.chunks.front().length;
}

}  // namespace

// A round of attempts: by path, then by abstract name.
void Channel::State::attempt(Connection &connection, uint64_t now) {
  if (connection.failed) return give_up(connection.id);
  connection.reasons.clear();
  connection.retry = false;
  greet(connection, Way::path, now);
}

Status Channel::State::open_way(Connection &connection, Way way) {
  if (way == Way::path && directory.empty()) return fail(PIRN_ERR_UNAVAILABLE, "PIRN_LOCAL_DIR is empty");
  Result<Fd> socket = meet(way, directory, socket_name(host, connection.credentials.other));
  if (!socket.is_ok()) return socket.status();
  const Result<Holder> holder = holder_of(socket.value().get());
  if (!holder.is_ok()) return holder.status();
  connection.peer.holder = holder.value();
  connection.socket = socket.take();
  return check_user(holder.value());
}

void Channel::State::greet(Connection &connection, Way way, uint64_t now) {
  connection.way = way;
  connection.broken = {};
  const Status status = open_way(connection, way);
  if (!status.is_ok()) return attempt_failed(connection, status, now);
  wire::ShareHello hello{self, connection.credentials.other, {}};
  random_bytes(hello.nonce.data(), hello.nonce.size());
  connection.hello = wire::encode_share_hello(hello);
  connection.phase = Phase::greeting;
  // Whoever sits silently at the path shall leave time for the other way.
  const uint64_t left = connection.connect_deadline > now ? connection.connect_deadline - now : 0;
  connection.deadline = way == Way::path ? now + left / 2 : connection.connect_deadline;
  send(connection, connection.hello, {}, now);
}

void Channel::State::attempt_failed(Connection &connection, const Status &why, uint64_t now) {
  watch(connection, 0);
  connection.socket.close();
  connection.unsent.clear();
  connection.unsent_deadline = UINT64_MAX;
  connection.reasons += text("%s%s: %s", connection.reasons.empty() ? "" : "; ", way_name(connection.way),
                             why.text.c_str());
  if (connection.way == Way::path || why.code != PIRN_ERR_UNAVAILABLE) connection.code = why.code;
  connection.retry = connection.retry || why.code == PIRN_ERR_AGAIN;
  if (connection.way == Way::path) return greet(connection, Way::abstract, now);
  connection.phase = Phase::waiting;
  connection.retry_pause = connection.retry_pause == 0 ? first_pause
                                                       : std::min(2 * connection.retry_pause, longest_pause);
  connection.deadline = deadline_after(now, connection.retry_pause);
  if (connection.retry && connection.deadline < connection.connect_deadline) return refresh(connection);
  connection.failed = true;
  look_soon(connection);
}

void Channel::State::give_up(ConnectionId id) {
  const Connection &connection = *find(id);
  const Status why = fail(connection.code, "%s", connection.reasons.c_str());
  remove(id);
  events.connect_failed(id, why);
}

void Channel::State::asker_message(Connection &connection, const wire::ShareMessage &message, Received &received,
                                   uint64_t now) {
  const auto kind = static_cast<wire::ShareKind>(message.kind);
  const ConnectionId id = connection.id;
  if (connection.phase == Phase::greeting && kind == wire::ShareKind::challenge)
    return take_challenge(connection, message, received.bytes, now);
  if (connection.phase != Phase::asker && kind == wire::ShareKind::welcome)
    return take_welcome(connection, message, now);
  if (connection.phase != Phase::asker) return fell(id, out_of_turn(message.kind), &counters.malformed, now);
  if (kind == wire::ShareKind::answer) return take_answer(connection, message, received);
  if (kind == wire::ShareKind::bye)
    return fell(id, fail(PIRN_ERR_PEER_LOST, "closed by the other end"), &counters.abandoned, now);
  if (kind == wire::ShareKind::gone) {
    const Result<wire::ShareGone> gone = wire::decode_share_gone(message.body);
    if (!gone.is_ok()) return fell(id, gone.status(), &counters.malformed, now);
    return events.gone(id, gone.value().allocation);
  }
  // Kinds that only a newer peer knows are skipped.
  if (message.kind <= static_cast<uint8_t>(wire::ShareKind::released))
    fell(id, out_of_turn(message.kind), &counters.malformed, now);
}

void Channel::State::take_challenge(Connection &connection, const wire::ShareMessage &message,
                                    std::span<const std::byte> raw, uint64_t now) {
  const Result<wire::ShareChallenge> challenge = wire::decode_share_challenge(message.body);
  if (!challenge.is_ok()) return attempt_failed(connection, challenge.status(), now);
  const Secret &secret = connection.credentials.secret;
  if (!same_proof(challenge.value().proof, owner_proof(secret, connection.hello, raw)))
    return attempt_failed(
        connection, fail(PIRN_ERR_REFUSED, "who listens there does not hold the secret of the handshake"), now);
  wire::ShareProof proof;
  proof.word = {reinterpret_cast<uint64_t>(word.get()), *word};
  proof.proof = asker_proof(secret, connection.hello, raw, wire::encode_share_proof(proof));
  connection.phase = Phase::proving;
  send(connection, wire::encode_share_proof(proof), {}, now);
}

void Channel::State::take_welcome(Connection &connection, const wire::ShareMessage &message, uint64_t now) {
  const Result<wire::ShareWelcome> welcome = wire::decode_share_welcome(message.body);
  if (!welcome.is_ok()) return attempt_failed(connection, welcome.status(), now);
  if (welcome.value().status != PIRN_OK) {
    const pirn_status code = welcome.value().status == PIRN_ERR_AGAIN ? PIRN_ERR_AGAIN : PIRN_ERR_REFUSED;
    return attempt_failed(connection, fail(code, "refused: %s", welcome.value().reason.c_str()), now);
  }
  if (connection.phase != Phase::proving) return attempt_failed(connection, out_of_turn(message.kind), now);
  connection.phase = Phase::asker;
  connection.deadline = UINT64_MAX;
  connection.hello.clear();
  connection.peer.word = welcome.value().word;
  refresh(connection);
  const Peer peer = connection.peer;
  events.connected(connection.id, peer);
}

void Channel::State::take_answer(Connection &connection, const wire::ShareMessage &message, Received &received) {
  const auto asked = connection.asked.find(message.request);
  if (asked == connection.asked.end()) return;  // it came too late
  const uint64_t offset = asked->second.offset;
  connection.asked.erase(asked);
  refresh(connection);
  const ConnectionId id = connection.id;
  const uint32_t request = message.request;
  if (received.lost_files)
    return events.answered(id, request,
                           fail(PIRN_ERR_NO_MEMORY, "descriptors of the answer were lost: this process has too many open"));
  Result<wire::ShareAnswer> answer = wire::decode_share_answer(message.body, received.files.size());
  if (!answer.is_ok()) return events.answered(id, request, answer.status());
  if (answer.value().status != PIRN_OK)
    return events.answered(id, request, fail(answer.value().status, "%s", answer.value().reason.c_str()));
  if (!covers(answer.value(), offset))
    return events.answered(id, request, fail(PIRN_ERR_INVALID, "the answer does not begin at %llu, which was asked for",
                                             static_cast<unsigned long long>(offset)));
  events.answered(id, request, Offer{answer.take(), std::move(received.files)});
}

void Channel::State::expire_asks(ConnectionId id, uint64_t now) {
  std::vector<uint32_t> expired;
  Connection &connection = *find(id);
  for (const auto &[request, question] : connection.asked)
    if (question.deadline <= now) expired.push_back(request);
  for (const uint32_t request : expired) connection.asked.erase(request);
  refresh(connection);
  for (const uint32_t request : expired) {
    if (find(id) == nullptr) return;  // closed by the callback for an earlier one
    events.answered(id, request, fail(PIRN_ERR_TIMEOUT, "the owner did not answer in time"));
  }
}

}  // namespace pirn::local
