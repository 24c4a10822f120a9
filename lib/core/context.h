// SPDX-License-Identifier: Apache-2.0
// Settings, log and what discovery found. Immutable after opening, apart from the
// count of endpoints and what is looked up once, when it is first asked for: discovery and topology.
#pragma once

#include "base/log.h"
#include "base/settings.h"
#include "device/registry.h"
#include "fabric/discovery.h"
#include "topo/machine.h"
#include "wire/metadata.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace pirn::core {

// A device with the texts that outlive a query.
struct ListedDevice {
  device::Info info;
  std::string name;
  std::string pci_address;
};

class Context {
 public:
  Context(LoadedSettings settings, pirn_log_fn sink, void *sink_arg, std::vector<uint8_t> key,
          const fabric::Calls &calls);

  // Loads settings and the key file.
  static Result<std::unique_ptr<Context>> open(const std::vector<std::string> &settings, pirn_log_fn sink,
                                               void *sink_arg, const fabric::Calls &calls);

  const Settings &settings() const { return settings_.values; }
  const std::vector<SettingReport> &setting_report() const { return settings_.report; }
  const Log &log() const { return log_; }
  const fabric::Calls &calls() const { return calls_; }
  const std::vector<uint8_t> &key() const { return key_; }
  const std::vector<fabric::ProviderFound> &providers();
  const Result<topo::Machine> &machine();
  const device::Registry &devices();  // loads every device runtime there is
  const std::vector<ListedDevice> &device_list();
  // From one of the list to another one: device * size of the list + peer. What failed is in its reason.
  const std::vector<device::Link> &device_links();

  std::atomic<uint64_t> endpoints{0};

 private:
  LoadedSettings settings_;
  Log log_;
  std::vector<uint8_t> key_;
  const fabric::Calls &calls_;
  std::once_flag discovered_;
  std::vector<fabric::ProviderFound> providers_;
  std::once_flag listed_;
  std::unique_ptr<device::Registry> devices_;
  std::vector<ListedDevice> device_list_;
  std::once_flag linked_;
  std::vector<device::Link> device_links_;
  std::once_flag looked_;
  Result<topo::Machine> machine_ = topo::Machine{};
};

// Random identity of this process, made once.
const wire::Instance &process_identity();
// Digest of the boot id: tells "perhaps the same host".
const wire::Instance &host_identity();

}  // namespace pirn::core
