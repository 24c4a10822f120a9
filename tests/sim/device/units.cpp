// SPDX-License-Identifier: Apache-2.0
#include "units.h"

#include "settings.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace pirn::fake_gpu {

namespace {

std::string uuid_text(uint32_t unit) {
  std::string text = "GPU-";
  std::array<uint8_t, 16> uuid = uuid_of(unit);
  for (size_t i = 0; i < uuid.size(); i++) {
    char two[3];
    snprintf(two, sizeof two, "%02x", uuid[i]);
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += two;
  }
  return text;
}

// As the runtimes do: the first entry that names no device ends the list, and one that is named twice empties it.
std::vector<uint32_t> choose(const std::vector<uint32_t> &nodes, const std::string &list) {
  std::vector<uint32_t> chosen;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) {
    auto found = nodes.end();
    if (part.rfind("GPU-", 0) == 0) {
      found = std::find_if(nodes.begin(), nodes.end(), [&](uint32_t unit) { return uuid_text(unit).rfind(part, 0) == 0; });
    } else {
      char *end = nullptr;
      uint64_t index = strtoull(part.c_str(), &end, 10);
      if (end != part.c_str() && index < nodes.size()) found = nodes.begin() + static_cast<std::ptrdiff_t>(index);
    }
    if (found == nodes.end()) break;
    if (std::find(chosen.begin(), chosen.end(), *found) != chosen.end()) return {};
    chosen.push_back(*found);
  }
  return chosen;
}

std::vector<uint32_t> find_visible() {
  std::vector<uint32_t> nodes;
  for (uint32_t unit = 0; unit < settings().gpus; unit++)
    if (settings().has_node(unit)) nodes.push_back(unit);
  const char *list = getenv(persona.visible);
  return list ? choose(nodes, list) : nodes;
}

}  // namespace

const std::vector<uint32_t> &visible_units() {
  static const std::vector<uint32_t> units = find_visible();
  return units;
}

int ordinal_of(uint32_t unit) {
  const std::vector<uint32_t> &units = visible_units();
  auto found = std::find(units.begin(), units.end(), unit);
  return found == units.end() ? -2 : static_cast<int>(found - units.begin());
}

std::array<uint8_t, 16> uuid_of(uint32_t unit) {
  return {0xfa, 0xce, persona.uuid_byte, 0x00, 0x51, 0x3a, 0x4f, 0x0d, 0x9b, 0x11, 0x70, 0x69, 0x72, 0x6e, 0x00,
          static_cast<uint8_t>(unit)};
}

uint32_t pci_bus_of(uint32_t unit) { return persona.pci_bus + unit * 4; }

std::string pci_text(uint32_t unit) {
  char text[16];
  snprintf(text, sizeof text, "0000:%02X:00.0", pci_bus_of(unit) & 0xffu);
  return text;
}

bool are_peers(uint32_t one, uint32_t other) {
  const auto &strangers = settings().strangers;
  return one != other && std::find(strangers.begin(), strangers.end(), std::pair(one, other)) == strangers.end();
}

}  // namespace pirn::fake_gpu
