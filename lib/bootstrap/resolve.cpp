// SPDX-License-Identifier: Apache-2.0
// "host:port" to socket addresses and back.
#include "bootstrap/bootstrap.h"

#include "base/text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

namespace pirn::bootstrap {

namespace {

struct HostPort {
  std::string host;
  std::string port;
};

using InfoList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Status malformed(const std::string &address, const char *what) {
  return fail(PIRN_ERR_INVALID, "address \"%s\": %s", address.c_str(), what);
}

Result<HostPort> split_bracketed(const std::string &address) {
  const size_t end = address.find(']');
  if (end == std::string::npos) return malformed(address, "the bracket is not closed");
  if (end == 1) return malformed(address, "nothing between the brackets");
  if (end + 1 >= address.size() || address[end + 1] != ':') return malformed(address, "no port: write [host]:port");
  return HostPort{address.substr(1, end - 1), address.substr(end + 2)};
}

Result<HostPort> split(const std::string &address) {
  if (address.find('\0') != std::string::npos) return malformed(address, "contains a zero byte");
  if (!address.empty() && address[0] == '[') return split_bracketed(address);
  const size_t colon = address.find(':');
  if (colon == std::string::npos) return malformed(address, "no port: write host:port");
  if (address.find(':', colon + 1) != std::string::npos)
    return malformed(address, "an IPv6 address goes in brackets: [host]:port");
  return HostPort{address.substr(0, colon), address.substr(colon + 1)};
}

Status check_port(const std::string &address, const std::string &port, bool passive) {
  if (port.empty()) return malformed(address, "no port: write host:port");
  if (port.find_first_not_of("0123456789") != std::string::npos)
    return malformed(address, text("port \"%s\" is not a number", port.c_str()).c_str());
  uint32_t value = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), value);
  if (parsed.ec != std::errc() || value > UINT16_MAX)
    return malformed(address, text("port %s is outside 0..65535", port.c_str()).c_str());
  if (value == 0 && !passive) return malformed(address, "port 0 is only for listening");
  return Status::ok();
}

int lookup(const HostPort &where, int flags, InfoList *out) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo *list = nullptr;
  const int error = getaddrinfo(where.host.empty() ? nullptr : where.host.c_str(), where.port.c_str(), &hints, &list);
  if (error == 0) out->reset(list);
  return error;
}

std::vector<SocketAddress> collect(const addrinfo *list) {
  std::vector<SocketAddress> addresses;
  for (; list != nullptr; list = list->ai_next) {
    if (list->ai_family != AF_INET && list->ai_family != AF_INET6) continue;
    SocketAddress address;
    std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
    address.length = list->ai_addrlen;
    // A hosts file may name one address twice; a listener can bind it but once.
    const auto same = [&](const SocketAddress &other) {
      return std::memcmp(&other.storage, &address.storage, sizeof address.storage) == 0;
    };
    if (std::none_of(addresses.begin(), addresses.end(), same)) addresses.push_back(address);
  }
  return addresses;
}

Status resolver_error(const std::string &address, int error) {
  pirn_status code = PIRN_ERR_INVALID;
  if (error == EAI_AGAIN) code = PIRN_ERR_AGAIN;
  if (error == EAI_MEMORY) code = PIRN_ERR_NO_MEMORY;
  if (error == EAI_SYSTEM) code = PIRN_ERR_IO;
  const char *why = error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error);
  return fail(code, "cannot resolve \"%s\": %s", address.c_str(), why);
}

}  // namespace

Result<std::vector<SocketAddress>> resolve(const std::string &address, bool passive) {
  auto where = split(address);
  if (!where.is_ok()) return where.status();
  const HostPort &parts = where.value();
  Status port = check_port(address, parts.port, passive);
  if (!port.is_ok()) return port;
  if (parts.host.empty() && !passive) return malformed(address, "no host to connect to");

  InfoList list(nullptr, &freeaddrinfo);
  const int role = passive ? AI_PASSIVE : 0;
  int error = lookup(parts, role | AI_NUMERICHOST, &list);
  // No name has a colon: spare the resolver, and its timeouts, the question.
  if (error == EAI_NONAME && parts.host.find(':') != std::string::npos)
    return malformed(address, "not an IPv6 address");
  if (error == EAI_NONAME) error = lookup(parts, role, &list);
  if (error != 0) return resolver_error(address, error);
  auto addresses = collect(list.get());
  if (addresses.empty()) return fail(PIRN_ERR_INVALID, "\"%s\" has no IPv4 or IPv6 address", address.c_str());
  return addresses;
}

std::string printable(const SocketAddress &address) {
  char host[INET6_ADDRSTRLEN] = "?";
  if (address.storage.ss_family == AF_INET) {
    const auto *v4 = reinterpret_cast<const sockaddr_in *>(&address.storage);
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    return text("%s:%u", host, ntohs(v4->sin_port));
  }
  if (address.storage.ss_family != AF_INET6) return "?";
  const auto *v6 = reinterpret_cast<const sockaddr_in6 *>(&address.storage);
  inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
  // A link-local address without its interface leads nowhere.
  char name[IF_NAMESIZE];
  if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) && if_indextoname(v6->sin6_scope_id, name) != nullptr)
    return text("[%s%%%s]:%u", host, name, ntohs(v6->sin6_port));
  return text("[%s]:%u", host, ntohs(v6->sin6_port));
}

}  // namespace pirn::bootstrap
