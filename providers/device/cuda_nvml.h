// SPDX-License-Identifier: Apache-2.0
// What pirn knows of the binary interface of NVIDIA's management library, libnvidia-ml.so.1. No header of it comes with
// CUDA, so nothing compares this page; the fake of the tests is made from it, and the real one is asked on H200s.
#pragma once

#include "runtime.h"

#include <cstdint>

namespace pirn::device::cuda::nvml {

using Device = struct DeviceState *;  // nvmlDevice_t

constexpr int success = 0;
constexpr int capability_links = 2;   // NVML_P2P_CAPS_INDEX_NVLINK
constexpr int status_ok = 0;          // NVML_P2P_STATUS_OK
constexpr unsigned field_speed = 90;  // NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON: 10^6 bytes per second, of one link
constexpr int value_unsigned = 1;     // NVML_VALUE_TYPE_UNSIGNED_INT
constexpr unsigned most_links = 32;   // more than any device has
enum Remote : int { remote_device = 0, remote_switch = 2 };  // nvmlIntNvLinkDeviceType_t

struct FieldValue {  // nvmlFieldValue_t
  unsigned field;
  unsigned scope;
  long long timestamp;
  long long latency;
  int type;
  int error;
  union {
    unsigned number;
    unsigned long long widest;
  };
};
static_assert(sizeof(FieldValue) == 40);

struct PciInfo {  // nvmlPciInfo_t
  char text_short[16];
  unsigned domain;
  unsigned bus;
  unsigned device;
  unsigned device_id;
  unsigned subsystem_id;
  char text[32];
};
static_assert(sizeof(PciInfo) == 68);

struct Library {
  Entry<> nvmlInit_v2{{"nvmlInit_v2", true}};
  Entry<const char *, Device *> nvmlDeviceGetHandleByPciBusId_v2{{"nvmlDeviceGetHandleByPciBusId_v2", true}};
  Entry<Device, Device, int, int *> nvmlDeviceGetP2PStatus{{"nvmlDeviceGetP2PStatus", true}};
  Entry<Device, unsigned, unsigned *> nvmlDeviceGetNvLinkState{{"nvmlDeviceGetNvLinkState", true}};
  Entry<Device, unsigned, PciInfo *> nvmlDeviceGetNvLinkRemotePciInfo_v2{{"nvmlDeviceGetNvLinkRemotePciInfo_v2", true}};
  Entry<Device, unsigned, int *> nvmlDeviceGetNvLinkRemoteDeviceType{{"nvmlDeviceGetNvLinkRemoteDeviceType", false}};
  Entry<Device, int, FieldValue *> nvmlDeviceGetFieldValues{{"nvmlDeviceGetFieldValues", true}};
  Symbol nvmlErrorString{"nvmlErrorString", true};
};

}  // namespace pirn::device::cuda::nvml
