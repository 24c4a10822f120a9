// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include "report.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace pirn::fake_gpu {

namespace {

uint64_t number(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  if (!text || !*text) return otherwise;
  char *end = nullptr;
  uint64_t value = strtoull(text, &end, 10);
  if (!*end) return value;
  report("misuse", "%s=%s is no number", name, text);
  return otherwise;
}

std::vector<std::string> split(const std::string &text, char by) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, by);) parts.push_back(part);
  return parts;
}

std::string text_of(const char *name) {
  const char *text = getenv(name);
  return text ? text : "";
}

std::vector<Rule> rules(const char *name) {
  std::vector<Rule> found;
  for (const std::string &text : split(text_of(name), ',')) {
    std::vector<std::string> parts = split(text, ':');
    if (parts.empty() || parts[0].empty()) continue;
    Rule rule{parts[0]};
    if (parts.size() > 1) {
      rule.nth = strtoull(parts[1].c_str(), nullptr, 10);
      rule.onwards = parts[1].find('+') != std::string::npos;
    }
    if (parts.size() > 2) rule.number = strtoll(parts[2].c_str(), nullptr, 10);
    if (rule.nth == 0 || parts.size() > 3) report("misuse", "%s=%s is not NAME:NTH[+][:NUMBER]", name, text.c_str());
    found.push_back(rule);
  }
  return found;
}

Settings read() {
  Settings found;
  found.gpus = static_cast<uint32_t>(std::min<uint64_t>(number("PIRN_FAKE_GPUS", found.gpus), 32));
  found.memory = number("PIRN_FAKE_GPU_MEMORY_MB", found.memory >> 20) << 20;
  found.delay_us = number("PIRN_FAKE_GPU_DELAY_US", 0);
  found.seed = number("PIRN_FAKE_GPU_SEED", 1);
  if (!text_of("PIRN_FAKE_GPU_DIR").empty()) found.dir = text_of("PIRN_FAKE_GPU_DIR");
  found.links = static_cast<uint32_t>(number("PIRN_FAKE_GPU_NVLINKS", found.links));
  found.imex = number("PIRN_FAKE_GPU_IMEX", 0) != 0;
  found.dma_buf = number("PIRN_FAKE_GPU_DMA_BUF", 0) != 0;
  found.ordering = static_cast<int>(number("PIRN_FAKE_GPU_RDMA_ORDERING", 100));
  found.flush = static_cast<int>(number("PIRN_FAKE_GPU_RDMA_FLUSH", 1));
  found.leaks = number("PIRN_FAKE_GPU_LEAKS", 1) != 0;
  if (getenv("PIRN_FAKE_GPU_NODES")) {
    for (const std::string &text : split(text_of("PIRN_FAKE_GPU_NODES"), ','))
      found.nodes.push_back(static_cast<uint32_t>(strtoul(text.c_str(), nullptr, 10)));
  } else {
    for (uint32_t unit = 0; unit < found.gpus; unit++) found.nodes.push_back(unit);
  }
  for (const std::string &text : split(text_of("PIRN_FAKE_GPU_NOPEER"), ',')) {
    char *end = nullptr;
    auto one = static_cast<uint32_t>(strtoul(text.c_str(), &end, 10));
    auto other = static_cast<uint32_t>(strtoul(*end ? end + 1 : end, nullptr, 10));
    found.strangers.emplace_back(one, other);
    found.strangers.emplace_back(other, one);
  }
  found.fail = rules("PIRN_FAKE_GPU_FAIL");
  found.broken = rules("PIRN_FAKE_GPU_BREAK");
  found.hang = rules("PIRN_FAKE_GPU_HANG");
  return found;
}

// "cuMemAlloc" names cuMemAlloc_v2, too.
bool names(const std::string &rule, const std::string &call) {
  if (call.compare(0, rule.size(), rule) != 0) return false;
  return call.size() == rule.size() || (call.compare(rule.size(), 2, "_v") == 0 && call.size() == rule.size() + 3);
}

}  // namespace

bool Settings::has_node(uint32_t unit) const {
  return unit < gpus && std::find(nodes.begin(), nodes.end(), unit) != nodes.end();
}

const Settings &settings() {
  static const Settings found = read();
  return found;
}

const Rule *match(const std::vector<Rule> &rules, const std::string &name, uint64_t count) {
  for (const Rule &rule : rules)
    if (names(rule.name, name) && (count == rule.nth || (rule.onwards && count > rule.nth))) return &rule;
  return nullptr;
}

}  // namespace pirn::fake_gpu
