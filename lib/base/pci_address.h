// SPDX-License-Identifier: Apache-2.0
// Where a device sits on PCI: the one name of a device that every source agrees on. Plain values, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace pirn {

struct PciAddress {
  uint32_t domain = 0;
  uint8_t bus = 0;
  uint8_t device = 0;    // 0..31
  uint8_t function = 0;  // 0..7

  auto operator<=>(const PciAddress &) const = default;
};

// "0000:21:00.0", or "21:00.0" for domain 0, in hexadecimal of either case; nothing if `text` is anything else.
std::optional<PciAddress> parse_pci_address(const std::string &text);

std::string pci_text(const PciAddress &address);  // "0000:21:00.0"

}  // namespace pirn
