// SPDX-License-Identifier: Apache-2.0
// Bring-up: listen, connect, accept, add, describe.
#include "core/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <algorithm>
#include <cstring>

namespace pirn::core {

std::vector<std::byte> Endpoint::metadata_blob() {
  wire::Metadata metadata;
  metadata.instance = instance_;
  metadata.host = host_identity();
  metadata.process = process();
  metadata.bootstrap = bootstrap_address_;
  metadata.features = wire::feature_window_update | wire::feature_spares | wire::feature_staging | wire::feature_rings |
                      wire::feature_plain_host | wire::feature_several;
  for (size_t i = 0; i < rails_.size(); ++i) {
    fabric::Rail &rail = rails_[i]->fabric();
    auto address = rail.address();
    metadata.rails.push_back(
        {rail.profile().name, nics_[i].fabric_provider, {address.begin(), address.end()}, nics_[i].link_speed, rails_[i]->spare()});
  }
  return wire::encode_metadata(metadata);
}

std::vector<std::byte> Endpoint::metadata() {
  auto guard = driver_.lock();
  return metadata_blob();
}

static bool is_any(const bootstrap::SocketAddress &address) {
  if (address.storage.ss_family == AF_INET)
    return reinterpret_cast<const sockaddr_in &>(address.storage).sin_addr.s_addr == INADDR_ANY;
  return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6 &>(address.storage).sin6_addr);
}

static uint16_t port_of(const bootstrap::SocketAddress &address) {
  return ntohs(address.storage.ss_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in &>(address.storage).sin_port
                   : reinterpret_cast<const sockaddr_in6 &>(address.storage).sin6_port);
}

Status Endpoint::listen(const std::string &address) {
  auto resolved = bootstrap::resolve(address, true);
  if (!resolved.is_ok()) return resolved.status();
  auto guard = driver_.lock();
  if (bootstrap_->listening()) return fail(PIRN_ERR_BUSY, "already listening on %s", bootstrap_address_.c_str());
  Status status = bootstrap_->listen(resolved.value());
  if (!status.is_ok()) return status;
  bootstrap::SocketAddress bound = bootstrap_->listen_address();
  bootstrap_address_ = bootstrap::printable(bound);
  // "All addresses" is no address to publish: name the one that the first rail uses.
  if (is_any(bound)) {
    std::string host = nics_.front().address;
    in_addr v4;
    in6_addr v6;
    bool is_v4 = inet_pton(AF_INET, host.c_str(), &v4) == 1;
    bool is_v6 = inet_pton(AF_INET6, host.c_str(), &v6) == 1;
    if (!is_v4 && !is_v6) host = "127.0.0.1";
    bootstrap_address_ = text(is_v6 ? "[%s]:%u" : "%s:%u", host.c_str(), port_of(bound));
  }
  sockets_ready_ = true;
  driver_.posted();
  return Status::ok();
}

Result<std::string> Endpoint::listen_address() {
  auto guard = driver_.lock();
  if (!bootstrap_->listening())
    return fail(PIRN_ERR_BUSY, "the endpoint is not listening: call pirn_endpoint_listen first");
  return bootstrap_address_;
}

Result<Peer *> Endpoint::accept(uint64_t timeout) {
  auto guard = driver_.lock();
  Peer *peer = nullptr;
  driver_.wait(guard, timeout_or(timeout, settings().connect_timeout),
               [&] { return (peer = members_.next_accepted()) != nullptr; });
  if (!peer) return fail(PIRN_ERR_TIMEOUT, "no peer connected in time");
  return peer;
}

void Endpoint::accept_background(bool on, pirn_accept_fn callback, void *arg) {
  auto guard = driver_.lock();
  accept_callback_ = callback;
  accept_arg_ = arg;
  members_.background(on, callback != nullptr);
}

Result<Peer *> Endpoint::connect(const std::string &address, uint64_t timeout) {
  timeout = timeout_or(timeout, settings().connect_timeout);
  auto resolved = bootstrap::resolve(address, false);
  if (!resolved.is_ok()) return resolved.status();
  auto guard = driver_.lock();
  bootstrap::ConnectionId id = members_.connect(resolved.value(), deadline_after(now_ns(), timeout));
  driver_.wait(guard, timeout, [&] { return members_.attempt(id)->done; });
  Membership::Attempt attempt = *members_.attempt(id);
  members_.abandon(id);
  if (!attempt.done) return fail(PIRN_ERR_TIMEOUT, "%s did not complete the handshake in time", address.c_str());
  if (!attempt.status.is_ok()) return attempt.status;
  return attempt.peer;
}

Result<Peer *> Endpoint::add(std::span<const std::byte> blob) {
  auto bytes = wire::blob_from_any(blob);
  if (!bytes.is_ok()) return bytes.status();
  auto decoded = wire::decode_metadata(bytes.value());
  if (!decoded.is_ok()) return decoded.status();
  auto guard = driver_.lock();
  auto peer = members_.add(decoded.value());
  driver_.posted();
  return peer;
}

static Status ended_status(const Peer &peer) {
  return fail(peer.end_status, "peer %s is %s: %s", peer.address.c_str(), peer_state_name(peer.state),
              peer.why.c_str());
}

Status Endpoint::wait_up(Peer &peer, uint64_t timeout) {
  auto guard = driver_.lock();
  driver_.wait(guard, timeout_or(timeout, settings().connect_timeout),
               [&] { return peer.state == PIRN_PEER_UP || !peer.live(); });
  if (peer.state == PIRN_PEER_UP) return Status::ok();
  if (!peer.live()) return ended_status(peer);
  return fail(PIRN_ERR_TIMEOUT, "peer %s is still %s", peer.address.c_str(), peer_state_name(peer.state));
}

void Endpoint::close(Peer &peer) {
  auto guard = driver_.lock();
  members_.release(peer);
  driver_.posted();
}

void Endpoint::describe(Peer &peer, pirn_peer_info *info) {
  auto guard = driver_.lock();
  std::memcpy(info->instance, peer.instance.data(), peer.instance.size());
  info->state = peer.state;
  info->rails = paths_.count_in_use(peer);
  info->spare_rails = paths_.count_spares_in_use(peer);
  copy_text(info->provider, sizeof(info->provider), rails_.front()->fabric().profile().name);
  copy_text(info->path, sizeof(info->path), route_name(peer.route));
  copy_text(info->address, sizeof(info->address), peer.address);
  info->in_flight = peer.active_ops;
  info->bytes_written = peer.bytes_written;
  info->bytes_read = peer.bytes_read;
}

}  // namespace pirn::core
