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

Result<fi_addr_t> Rail::State::insert(const std::string &bytes) {
  // A copy: aligned, and with a terminator behind a string that lacks one.
  alignas(16) std::byte copy[FI_NAME_MAX + 1] = {};
  memcpy(copy, bytes.data(), bytes.size());
  fi_addr_t out = FI_ADDR_UNSPEC;
  int rc = fi_av_insert(av.get(), copy, 1, &out, 0, nullptr);
  if (rc != 1 || out == FI_ADDR_NOTAVAIL) return step_failed("fi_av_insert", rc < 0 ? rc : -FI_EINVAL);
  return out;
}

Status Rail::State::insert_again() {
  numbers.clear();
  for (const auto &[bytes, number] : inserted) {
    auto out = insert(bytes);
    if (!out.is_ok()) return out.status();
    addresses[number].provider = out.value();
    numbers[out.value()] = number;
  }
  return Status::ok();
}

Result<FabricAddress> Rail::insert(std::span<const std::byte> address) {
  State &s = *state_;
  if (address.empty() || address.size() > FI_NAME_MAX ||
      !plausible_address(s.info->addr_format, address.data(), address.size(), s.address.size()))
    return fail(PIRN_ERR_INVALID, "%s: an address of %zu bytes is not one of this fabric's", s.name.c_str(),
                address.size());
  std::string bytes(reinterpret_cast<const char *>(address.data()), address.size());
  if (auto known = s.inserted.find(bytes); known != s.inserted.end()) {
    ++s.addresses[known->second].users;
    return FabricAddress{known->second};
  }
  auto out = s.insert(bytes);
  if (!out.is_ok()) return out.status();
  // Addresses that differ in padding only may be one to the provider.
  auto known = s.numbers.find(out.value());
  if (known == s.numbers.end()) {
    if (s.unused.empty()) {
      s.unused.push_back(s.addresses.size());
      s.addresses.emplace_back();
    }
    known = s.numbers.emplace(out.value(), s.unused.back()).first;
    s.addresses[s.unused.back()].provider = out.value();
    s.unused.pop_back();
  }
  const FabricAddress number = known->second;
  s.addresses[number].spellings.push_back(s.inserted.emplace(std::move(bytes), number).first);
  ++s.addresses[number].users;
  return FabricAddress{number};
}

void Rail::remove(FabricAddress peer) {
  State &s = *state_;
  if (peer >= s.addresses.size() || s.addresses[peer].users == 0 || --s.addresses[peer].users > 0) return;
  Address &address = s.addresses[peer];
  for (auto spelling : address.spellings) s.inserted.erase(spelling);
  address.spellings.clear();
  fi_addr_t out = address.provider;
  s.numbers.erase(out);
  s.unused.push_back(peer);
  fi_av_remove(s.av.get(), &out, 1, 0);
}

}  // namespace pirn::fabric
