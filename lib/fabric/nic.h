// SPDX-License-Identifier: Apache-2.0
// From one fi_info to one Nic: names, printable address, PCI address, speed.
#pragma once

#include "fabric/calls.h"
#include "fabric/discovery.h"

namespace pirn::fabric {

// Takes a copy of `info`.
Nic describe_nic(const Profile &profile, const fi_info &info, const Calls &calls);

// What the NIC offers to who asks for device memory, too; null with the reason if that is nothing.
std::shared_ptr<fi_info> info_for_devices(const Nic &nic, const Calls &calls, std::string *why);

// "192.0.2.2", "fd00::2", "fi_shm://17", or hexadecimal digits for formats without a text form; "" for no address.
std::string address_text(uint32_t format, const void *address, size_t length);

// How good an IP address is for a peer on another host, 0 the best: IPv4, IPv6, IPv4 loopback, IPv6 loopback,
// link-local, not an IP address.
int address_class(const std::string &address);

}  // namespace pirn::fabric
