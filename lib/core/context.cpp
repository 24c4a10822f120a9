// SPDX-License-Identifier: Apache-2.0
#include "core/context.h"

#include "base/random.h"
#include "bootstrap/handshake.h"

#include <sodium.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace pirn::core {

static uint32_t log_level(const std::string &name) {
  if (name == "error") return PIRN_LOG_ERROR;
  if (name == "info") return PIRN_LOG_INFO;
  if (name == "debug") return PIRN_LOG_DEBUG;
  return PIRN_LOG_WARN;
}

static device::Link link_between(const device::Device &device, const device::Device &peer) {
  device::Link link;
  if (&device == &peer) return link;
  if (device.operations != peer.operations) {
    link.reason = "devices of different kinds";
    return link;
  }
  Result<device::Link> found = device.operations->link(device.info.ordinal, peer.info.ordinal);
  if (found.is_ok()) return found.take();
  link.reason = found.error().text;
  return link;
}

static Result<std::vector<uint8_t>> load_key(const Settings &settings) {
  std::string secret = settings.key;
  if (!settings.key_file.empty()) {
    std::ifstream file(settings.key_file, std::ios::binary);
    secret.assign(std::istreambuf_iterator<char>(file), {});
    if (!file && !file.eof())
      return fail(PIRN_ERR_INVALID, "PIRN_KEY_FILE=%s cannot be read: %s", settings.key_file.c_str(), strerror(errno));
    while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
    if (secret.empty())
      return fail(PIRN_ERR_INVALID, "PIRN_KEY_FILE=%s is empty or cannot be read", settings.key_file.c_str());
  }
  if (secret.empty()) return std::vector<uint8_t>{};
  return bootstrap::derive_key({reinterpret_cast<const uint8_t *>(secret.data()), secret.size()});
}

Context::Context(LoadedSettings settings, pirn_log_fn sink, void *sink_arg, std::vector<uint8_t> key,
                 const fabric::Calls &calls)
    : settings_(std::move(settings)),
      log_(log_level(settings_.values.log_level), sink, sink_arg),
      key_(std::move(key)),
      calls_(calls) {}

Result<std::unique_ptr<Context>> Context::open(const std::vector<std::string> &settings, pirn_log_fn sink,
                                               void *sink_arg, const fabric::Calls &calls) {
  if (sodium_init() < 0) return fail(PIRN_ERR_UNAVAILABLE, "libsodium cannot be initialised");
  auto loaded = load_settings(environ, settings);
  if (!loaded.is_ok()) return loaded.status();
  auto key = load_key(loaded.value().values);
  if (!key.is_ok()) return key.status();
  auto context = std::make_unique<Context>(loaded.take(), sink, sink_arg, key.take(), calls);
  for (const std::string &warning : context->settings_.warnings)
    context->log_.write(PIRN_LOG_WARN, "%s", warning.c_str());
  return context;
}

const std::vector<fabric::ProviderFound> &Context::providers() {
  std::call_once(discovered_, [this] { providers_ = fabric::discover(calls_, log_); });
  return providers_;
}

const Result<topo::Machine> &Context::machine() {
  std::call_once(looked_, [this] {
    machine_ = topo::load_machine();
    if (!machine_.is_ok()) log_.write(PIRN_LOG_WARN, "all NICs count as equally near: %s", machine_.error().text.c_str());
  });
  return machine_;
}

const device::Registry &Context::devices() {
  std::call_once(listed_, [this] {
    devices_ = std::make_unique<device::Registry>();
    for (const device::Device &device : devices_->devices())
      device_list_.push_back({device.info, device.name(), pci_text(device.info.pci)});
  });
  return *devices_;
}

const std::vector<ListedDevice> &Context::device_list() {
  devices();
  return device_list_;
}

const std::vector<device::Link> &Context::device_links() {
  std::call_once(linked_, [this] {
    for (const device::Device &device : devices().devices())
      for (const device::Device &peer : devices().devices()) device_links_.push_back(link_between(device, peer));
  });
  return device_links_;
}

const wire::Instance &process_identity() {
  static const wire::Instance identity = [] {
    wire::Instance made;
    random_bytes(made.data(), made.size());
    return made;
  }();
  return identity;
}

const wire::Instance &host_identity() {
  static const wire::Instance identity = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string boot_id;
    std::getline(file, boot_id);
    wire::Instance made;
    crypto_generichash(made.data(), made.size(), reinterpret_cast<const unsigned char *>(boot_id.data()),
                       boot_id.size(), nullptr, 0);
    return made;
  }();
  return identity;
}

}  // namespace pirn::core
