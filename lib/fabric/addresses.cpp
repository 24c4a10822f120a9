// SPDX-License-Identifier: Apache-2.0
// The addresses of peers. Several of our peers, or strangers in mid-handshake, may have the same one. Some providers
// count how often an address was inserted, others forget it at the first removal, so the rail counts for all of them.
#include "fabric/rail_state.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace pirn::fabric {
namespace {

// Some providers trust what they are handed, and it comes from the network.
bool plausible_socket_address(const std::byte *bytes, size_t length) {
  sockaddr head;
  if (length < sizeof head) return false;
  memcpy(&head, bytes, sizeof head);
  if (head.sa_family == AF_INET) return length == sizeof(sockaddr_in);
  if (head.sa_family == AF_INET6) return length == sizeof(sockaddr_in6);
  return true;
}

bool plausible_address(uint32_t format, const std::byte *bytes, size_t length, size_t own_length) {
  if (format == FI_ADDR_STR)
    return length > 1 && length <= FI_NAME_MAX && bytes[length - 1] == std::byte{0};
  if (length != own_length) return false;
  if (format == FI_SOCKADDR || format == FI_SOCKADDR_IN || format == FI_SOCKADDR_IN6)
    return plausible_socket_address(bytes, length);
  return true;
}

}  // namespace

Result<FabricAddress> Rail::insert(std::span<const std::byte> address) {
  // A copy: aligned, and with a terminator behind a string that lacks one.
  alignas(16) std::byte copy[FI_NAME_MAX + 1] = {};
  if (!address.empty() && address.size() <= FI_NAME_MAX) memcpy(copy, address.data(), address.size());
  if (address.empty() || address.size() > FI_NAME_MAX ||
      !plausible_address(state_->info->addr_format, copy, address.size(), state_->address.size()))
    return fail(PIRN_ERR_INVALID, "%s: an address of %zu bytes is not one of this fabric's", state_->name.c_str(),
                address.size());
  std::string bytes(reinterpret_cast<const char *>(address.data()), address.size());
  if (auto known = state_->inserted.find(bytes); known != state_->inserted.end()) {
    ++state_->users[known->second].count;
    return FabricAddress{known->second};
  }
  fi_addr_t peer = FI_ADDR_UNSPEC;
  int rc = fi_av_insert(state_->av.get(), copy, 1, &peer, 0, nullptr);
  if (rc != 1 || peer == FI_ADDR_NOTAVAIL) return state_->step_failed("fi_av_insert", rc < 0 ? rc : -FI_EINVAL);
  // Addresses that differ in padding only may be one to the provider.
  AddressUsers &users = state_->users[peer];
  users.spellings.push_back(state_->inserted.emplace(std::move(bytes), peer).first);
  ++users.count;
  return FabricAddress{peer};
}

void Rail::remove(FabricAddress peer) {
  auto users = state_->users.find(peer);
  if (users == state_->users.end() || --users->second.count > 0) return;
  for (auto spelling : users->second.spellings) state_->inserted.erase(spelling);
  state_->users.erase(users);
  fi_addr_t address = peer;
  fi_av_remove(state_->av.get(), &address, 1, 0);
}

}  // namespace pirn::fabric
