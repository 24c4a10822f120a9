// SPDX-License-Identifier: Apache-2.0
#include "fabric/nic.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstring>

namespace pirn::fabric {
namespace {

std::string hexadecimal(const void *address, size_t length) {
  std::string out;
  for (size_t i = 0; i < length; i++) out += text("%02x", static_cast<const unsigned char *>(address)[i]);
  return out;
}

std::string socket_address_text(const void *address, size_t length) {
  sockaddr_storage storage = {};
  if (length > sizeof storage) return hexadecimal(address, length);
  memcpy(&storage, address, length);
  char buffer[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET)
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in *>(&storage)->sin_addr, buffer, sizeof buffer);
  else if (storage.ss_family == AF_INET6)
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6 *>(&storage)->sin6_addr, buffer, sizeof buffer);
  else
    return hexadecimal(address, length);
  return buffer;
}

std::string pci_text(const fi_info &info) {
  if (!info.nic || !info.nic->bus_attr || info.nic->bus_attr->bus_type != FI_BUS_PCI) return "";
  const fi_pci_attr &pci = info.nic->bus_attr->attr.pci;
  return text("%04x:%02x:%02x.%x", pci.domain_id, pci.bus_id, pci.device_id, pci.function_id);
}

double read_number(const std::string &path) {
  double value = 0;
  if (FILE *file = fopen(path.c_str(), "re")) {
    if (fscanf(file, "%lf", &value) != 1) value = 0;
    fclose(file);
  }
  return value > 0 ? value : 0;
}

// libfabric 1.17 knows no speed beyond EDR, and none at all for plain interfaces; the kernel does.
uint64_t speed_of(const fi_info &info) {
  if (info.nic && info.nic->link_attr && info.nic->link_attr->speed) return info.nic->link_attr->speed;
  const char *name = info.domain_attr->name;
  if (info.nic && info.nic->device_attr && info.nic->device_attr->name) name = info.nic->device_attr->name;
  if (!name || !*name || strchr(name, '/')) return 0;
  double gigabits = read_number(text("/sys/class/infiniband/%s/ports/1/rate", name));
  if (gigabits > 0) return static_cast<uint64_t>(gigabits * 1e9);
  return static_cast<uint64_t>(read_number(text("/sys/class/net/%s/speed", name)) * 1e6);
}

// InfiniBand and Ethernet have the same default subnet, so that libfabric gives both the same name.
std::string fabric_text(const fi_info &info) {
  std::string name = info.fabric_attr->name ? info.fabric_attr->name : "";
  if (info.nic && info.nic->link_attr && info.nic->link_attr->network_type)
    name += std::string(" ") + info.nic->link_attr->network_type;
  return name;
}

int ipv4_class(const in_addr &address) {
  uint32_t value = ntohl(address.s_addr);
  if (value >> 24 == 127) return 2;
  return value >> 16 == 0xa9fe ? 4 : 0;
}

int ipv6_class(const in6_addr &address) {
  if (IN6_IS_ADDR_LOOPBACK(&address)) return 3;
  return IN6_IS_ADDR_LINKLOCAL(&address) ? 4 : 1;
}

}  // namespace

std::string address_text(uint32_t format, const void *address, size_t length) {
  if (!address || !length) return "";
  switch (format) {
    case FI_SOCKADDR:
    case FI_SOCKADDR_IN:
    case FI_SOCKADDR_IN6:
      return length < sizeof(sa_family_t) ? "" : socket_address_text(address, length);
    case FI_ADDR_STR:
      return std::string(static_cast<const char *>(address), strnlen(static_cast<const char *>(address), length));
    default:
      return hexadecimal(address, length);
  }
}

int address_class(const std::string &address) {
  in_addr v4;
  in6_addr v6;
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return ipv4_class(v4);
  if (inet_pton(AF_INET6, address.c_str(), &v6) == 1) return ipv6_class(v6);
  return 5;
}

const char *address_kind(const std::string &address) {
  static const char *const kinds[] = {"IPv4", "IPv6", "IPv4 loopback", "IPv6 loopback", "link-local", "no IP address"};
  return kinds[address_class(address)];
}

Nic describe_nic(const Profile &profile, const fi_info &info, const Calls &calls) {
  Nic nic;
  nic.profile = &profile;
  nic.fabric_provider = info.fabric_attr->prov_name;
  nic.fabric = fabric_text(info);
  nic.name = info.domain_attr->name ? info.domain_attr->name : "";
  nic.address = address_text(info.addr_format, info.src_addr, info.src_addrlen);
  nic.pci_address = pci_text(info);
  nic.link_speed = speed_of(info);
  nic.max_message = info.ep_attr->max_msg_size;
  nic.info = std::shared_ptr<fi_info>(calls.dupinfo(&info), calls.freeinfo);
  return nic;
}

}  // namespace pirn::fabric
