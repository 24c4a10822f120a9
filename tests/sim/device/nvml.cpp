// SPDX-License-Identifier: Apache-2.0
// NVIDIA's management library as far as links between devices go. It shows all GPUs of the host, whichever of them this
// process may use.
#include "settings.h"
#include "units.h"

#include <cstdio>
#include <cstring>

namespace pirn::fake_gpu {
const Persona persona{"CUDA_VISIBLE_DEVICES", "pirn fake GPU (CUDA)", 0xc0, 0x18};
}

namespace {

using namespace pirn::fake_gpu;

enum Answer : int { ok = 0, uninitialized = 1, invalid_argument = 2, not_found = 6 };
constexpr unsigned lane_mbytes = 26562;  // as an H200 answers

struct FieldValue {
  unsigned field, scope;
  long long timestamp, latency;
  int type, error;
  unsigned long long value;
};

bool initialized = false;

// Handles are units counted from 1.
void *handle_of(uint32_t unit) { return reinterpret_cast<void *>(uintptr_t{unit} + 1); }
bool is_handle(const void *device) {
  const auto number = reinterpret_cast<uintptr_t>(device);
  return initialized && number >= 1 && number <= settings().gpus;
}
uint32_t unit_of(const void *device) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(device) - 1); }

}  // namespace

#define FAKE extern "C" __attribute__((visibility("default")))

FAKE int nvmlInit_v2() {
  initialized = true;
  return ok;
}

FAKE const char *nvmlErrorString(int error) { return error == not_found ? "Not Found" : "Some Error"; }

FAKE int nvmlDeviceGetHandleByPciBusId_v2(const char *text, void **device) {
  unsigned domain, bus, slot;
  if (!initialized) return uninitialized;
  if (!text || sscanf(text, "%x:%x:%x", &domain, &bus, &slot) != 3) return invalid_argument;
  for (uint32_t unit = 0; unit < settings().gpus; unit++) {
    if (domain != 0 || slot != 0 || pci_bus_of(unit) != bus) continue;
    *device = handle_of(unit);
    return ok;
  }
  return not_found;
}

FAKE int nvmlDeviceGetP2PStatus(void *one, void *other, int capability, int *status) {
  constexpr int by_links = 2, no = 5;
  if (!is_handle(one) || !is_handle(other) || capability != by_links) return invalid_argument;
  *status = settings().links > 0 && are_peers(unit_of(one), unit_of(other)) ? 0 : no;
  return ok;
}

FAKE int nvmlDeviceGetNvLinkState(void *device, unsigned link, unsigned *active) {
  if (!is_handle(device) || link >= settings().links) return invalid_argument;
  *active = 1;
  return ok;
}

FAKE int nvmlDeviceGetNvLinkRemoteDeviceType(void *device, unsigned link, int *type) {
  if (!is_handle(device) || link >= settings().links) return invalid_argument;
  *type = 2;  // a switch
  return ok;
}

FAKE int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *device, unsigned link, void *) {
  return is_handle(device) && link < settings().links ? not_found : invalid_argument;
}

FAKE int nvmlDeviceGetFieldValues(void *device, int count, FieldValue *values) {
  constexpr unsigned common_speed = 90;
  if (!is_handle(device)) return invalid_argument;
  for (int i = 0; i < count; i++) {
    values[i].type = 1;
    values[i].error = values[i].field == common_speed ? ok : invalid_argument;
    values[i].value = lane_mbytes;
  }
  return ok;
}
