// SPDX-License-Identifier: Apache-2.0
#include "device/registry.h"

#include <charconv>

namespace pirn::device {
namespace {

Kind ask(const Operations &table, std::vector<Device> &devices) {
  Kind kind;
  kind.operations = &table;
  const Status loaded = table.load(false);
  kind.loaded = loaded.is_ok();
  if (!kind.loaded) {
    kind.reason = loaded.text;
    return kind;
  }
  Result<std::string> version = table.version();
  kind.version = version.is_ok() ? version.take() : "version unknown: " + version.error().text;
  const Result<std::vector<Info>> found = table.devices();
  if (!found.is_ok()) {
    kind.reason = found.status().text;
    return kind;
  }
  for (const Info &info : found.value()) devices.push_back({&table, info});
  kind.devices = found.value().size();
  if (kind.devices == 0) kind.reason = "the runtime shows this process no device";
  return kind;
}

std::optional<uint32_t> ordinal_in(const std::string &name, size_t begin) {
  uint32_t ordinal = 0;
  const char *const end = name.data() + name.size();
  const auto [stopped, error] = std::from_chars(name.data() + begin, end, ordinal);
  if (error != std::errc() || stopped != end || begin == name.size()) return std::nullopt;
  return ordinal;
}

std::string listed(const std::vector<std::string> &names) {
  std::string all;
  for (const std::string &name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

Status no_such_kind(const std::string &name, const std::vector<Kind> &kinds) {
  std::vector<std::string> names;
  for (const Kind &kind : kinds) names.push_back(kind.operations->name);
  return fail(PIRN_ERR_INVALID, "device \"%s\": KIND:NUMBER is allowed, with KIND one of: %s", name.c_str(),
              listed(names).c_str());
}

}  // namespace

Registry::Registry(std::span<const Operations *const> all) {
  for (const Operations *table : all) kinds_.push_back(ask(*table, devices_));
}

Result<const Device *> Registry::find(const std::string &name) const {
  const size_t colon = name.find(':');
  const std::optional<uint32_t> ordinal = colon == name.npos ? std::nullopt : ordinal_in(name, colon + 1);
  const Kind *wanted = nullptr;
  for (const Kind &kind : kinds_)
    if (name.substr(0, colon) == kind.operations->name) wanted = &kind;
  if (wanted == nullptr || !ordinal) return no_such_kind(name, kinds_);
  if (!wanted->usable()) return fail(PIRN_ERR_UNAVAILABLE, "device %s: %s", name.c_str(), wanted->reason.c_str());
  std::vector<std::string> names;
  for (const Device &device : devices_) {
    if (device.operations != wanted->operations) continue;
    if (device.info.ordinal == *ordinal) return &device;
    names.push_back(device.name());
  }
  return fail(PIRN_ERR_UNAVAILABLE, "device %s is not there: this process sees %s", name.c_str(),
              listed(names).c_str());
}

const Device *Registry::find(const Uuid &uuid) const {
  for (const Device &device : devices_)
    if (device.info.uuid == uuid) return &device;
  return nullptr;
}

const Device *Registry::find(const PciAddress &pci) const {
  for (const Device &device : devices_)
    if (device.info.pci == pci) return &device;
  return nullptr;
}

Result<std::optional<Memory>> identify(const void *address, std::span<const Operations *const> all) {
  for (const Operations *table : all) {
    if (!table->load(true).is_ok()) continue;
    const Result<std::optional<Allocation>> found = table->identify(address);
    if (!found.is_ok()) return found.status();
    if (found.value().has_value()) return std::optional<Memory>(Memory{table, *found.value()});
  }
  return std::optional<Memory>();
}

}  // namespace pirn::device
