// SPDX-License-Identifier: Apache-2.0
// The GPUs of the made-up host. A unit is one of them, with the same number in every process; a process knows the units
// that it may see by ordinals.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace pirn::fake_gpu {

// What differs between the vendors; each face has one.
struct Persona {
  const char *visible;  // environment variable that chooses and orders devices
  const char *name;     // of a device
  uint8_t uuid_byte;    // so that one host can have both
  uint8_t pci_bus;      // of the first unit
};
extern const Persona persona;

const std::vector<uint32_t> &visible_units();  // by ordinal
int ordinal_of(uint32_t unit);                 // -2 if this process does not enumerate it
std::array<uint8_t, 16> uuid_of(uint32_t unit);
uint32_t pci_bus_of(uint32_t unit);
std::string pci_text(uint32_t unit);           // 0000:bb:00.0
bool are_peers(uint32_t one, uint32_t other);  // distinct, and able to reach each other's memory

}  // namespace pirn::fake_gpu
