// SPDX-License-Identifier: Apache-2.0
#include "base/pci_address.h"

#include "base/text.h"

namespace pirn {
namespace {

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Takes all hexadecimal digits at `at`; false unless there are `least` to `most` of them.
bool take_hex(const std::string &text, size_t &at, size_t least, size_t most, uint32_t &value) {
  size_t digits = 0;
  for (value = 0; at < text.size() && digit_value(text[at]) >= 0 && digits < most; at++, digits++)
    value = value << 4 | static_cast<uint32_t>(digit_value(text[at]));
  return digits >= least;
}

bool take(const std::string &text, size_t &at, char c) { return at < text.size() && text[at++] == c; }

}  // namespace

std::optional<PciAddress> parse_pci_address(const std::string &text) {
  size_t at = 0;
  uint32_t domain = 0, bus = 0, device = 0, function = 0;
  if (text.find(':') != text.rfind(':') && !(take_hex(text, at, 4, 8, domain) && take(text, at, ':'))) return {};
  if (!take_hex(text, at, 2, 2, bus) || !take(text, at, ':')) return {};
  if (!take_hex(text, at, 2, 2, device) || !take(text, at, '.')) return {};
  if (!take_hex(text, at, 1, 1, function) || at != text.size() || device > 31 || function > 7) return {};
  return PciAddress{domain, static_cast<uint8_t>(bus), static_cast<uint8_t>(device), static_cast<uint8_t>(function)};
}

std::string pci_text(const PciAddress &address) {
  return pirn::text("%04x:%02x:%02x.%x", address.domain, address.bus, address.device, address.function);
}

}  // namespace pirn
