// SPDX-License-Identifier: Apache-2.0
// What pirn knows about one libfabric provider before it asks the provider itself.
// One const Profile per file in providers/fabric; nothing else names a provider.
#pragma once

#include <cstdint>
#include <span>

namespace pirn::fabric {

// How a write's completion becomes visibility at the target.
enum class Visibility : uint8_t {
  delivery_complete,  // ask for FI_DELIVERY_COMPLETE on every write
  transmit_complete,  // the provider's acknowledgement is sent after the bytes were placed
};

// How device memory is registered, what is tried first; the other way is tried after it.
enum class DeviceMemoryWay : uint8_t { none, dma_buf, address };

struct Profile {
  const char *name;                      // pirn's name for it
  const char *const *fabric_providers;   // libfabric provider names, best first, NULL-terminated
  const char *const *fabric_names;       // fabric_attr names to prefer, best first, NULL-terminated; or NULL
  Visibility visibility;
  int rank;                              // auto choice: higher first; < 0: only on demand
  bool same_process_only;                // must not cross process borders
  bool needs_event_queue;                // open and bind an EQ to every endpoint
  bool checks_offsets_only;              // checks keys and rights only with offset addressing: never offer virtual
  bool queue_goes_with_endpoint;         // a queue that outlives its endpoint still refers to it: reset opens both anew
  // An endpoint closed in the midst of its work may spoil what others of its domain share: reset opens the domain anew.
  bool domain_goes_with_endpoint;
  DeviceMemoryWay device_memory;
  uint16_t most_in_flight;               // of operations, whatever depth the provider reports; 0: that depth
  bool ip_addressed;                     // a NIC is an interface with one IP address; loopback and link-local rank last
  // Environment that must hold before libfabric opens the provider, applied only when unset; name and value in turn,
  // NULL-terminated; or NULL.
  const char *const *environment;
  // Never opened with a libfabric of this major version or a later one, and why; 0 and nullptr: no such limit.
  uint32_t unfit_from;
  const char *unfit_because;
  const char *missing_hint;              // what to install or load when libfabric does not offer it
};

// All profiles, best rank first.
std::span<const Profile *const> profiles();
const Profile *find_profile(const char *name);  // nullptr if unknown

}  // namespace pirn::fabric
