// SPDX-License-Identifier: Apache-2.0
#include "cuda_face.h"

#include <cstdio>
#include <cstring>

namespace pirn::fake_gpu {
const Persona persona{"CUDA_VISIBLE_DEVICES", "pirn fake GPU (CUDA)", 0xc0, 0x18};
}

namespace pirn::fake_gpu::cuda {

namespace {

int driver_version() { return 13000; }

int attribute_of(int attribute, uint32_t unit, int &value) {
  switch (attribute) {
    case 1: value = 1024; return ok;    // threads of a block
    case 10: value = 32; return ok;     // threads of a warp
    case 16: value = 16; return ok;     // multiprocessors
    case 33: value = static_cast<int>(pci_bus_of(unit)); return ok;
    case 34: case 50: value = 0; return ok;  // PCI device and domain
    case 40: value = 2; return ok;      // copy engines
    case 41: value = 1; return ok;      // unified addressing
    case 75: value = 9; return ok;      // compute capability
    case 76: value = 0; return ok;
    case 83: value = 1; return ok;      // managed memory
    case 91: case 99: value = 1; return ok;  // registered host memory, under its own address
    case 92: case 93: case 94: case 122: case 123: value = 1; return ok;  // stream memory operations
    case 102: case 103: value = 1; return ok;  // mapped memory, as files
    case 115: value = 1; return ok;     // pools
    case 119: value = 0; return ok;     // what pools can be shared by
    case 110: case 116: value = 0; return ok;  // direct access by NICs
    case 117: value = settings().flush; return ok;
    case 118: value = settings().ordering; return ok;
    case 124: value = settings().dma_buf; return ok;
    case 128: value = settings().imex; return ok;
    default: value = 0; return attribute > 0 && attribute < 150 ? ok : invalid_value;
  }
}

template <typename Body>
Result on_device(const char *name, Device device, Body body) {
  return run_call(name, needs_init, [&](Call &) -> Code { return is_device(device) ? body() : invalid_device; });
}

}  // namespace

Result cuInit(unsigned flags) {
  return run_call(__func__, needs_nothing, [&](Call &) { return flags ? invalid_value : initialize(); });
}

Result cuDriverGetVersion(int *version) {
  return run_call(__func__, needs_nothing, [&](Call &) {
    if (!version) return invalid_value;
    *version = driver_version();
    return ok;
  });
}

Result cuDeviceGetCount(int *count) {
  return run_call(__func__, needs_init, [&](Call &) {
    *count = static_cast<int>(visible_units().size());
    return ok;
  });
}

Result cuDeviceGet(Device *device, int ordinal) {
  return on_device(__func__, ordinal, [&] {
    *device = ordinal;
    return ok;
  });
}

Result cuDeviceGetName(char *name, int length, Device device) {
  return on_device(__func__, device, [&] {
    if (!name || length <= 0) return invalid_value;
    snprintf(name, static_cast<size_t>(length), "%s", persona.name);
    return ok;
  });
}

Result cuDeviceGetUuid(Uuid *uuid, Device device) {
  return on_device(__func__, device, [&] {
    memcpy(uuid->bytes, uuid_of(unit_of(device)).data(), sizeof uuid->bytes);
    return ok;
  });
}

Result cuDeviceGetUuid_v2(Uuid *uuid, Device device) { return cuDeviceGetUuid(uuid, device); }

Result cuDeviceTotalMem_v2(size_t *bytes, Device device) {
  return on_device(__func__, device, [&] {
    *bytes = settings().memory;
    return ok;
  });
}

Result cuDeviceGetAttribute(int *value, int attribute, Device device) {
  return on_device(__func__, device, [&] { return static_cast<Code>(attribute_of(attribute, unit_of(device), *value)); });
}

Result cuDeviceGetPCIBusId(char *text, int length, Device device) {
  return on_device(__func__, device, [&] {
    std::string found = pci_text(unit_of(device));
    if (!text || length <= static_cast<int>(found.size())) return invalid_value;
    strcpy(text, found.c_str());
    return ok;
  });
}

Result cuDeviceGetByPCIBusId(Device *device, const char *text) {
  return run_call(__func__, needs_init, [&](Call &) {
    for (uint32_t unit : visible_units())
      if (strcasecmp(pci_text(unit).c_str(), text) == 0) {
        *device = ordinal_of(unit);
        return ok;
      }
    return invalid_value;
  });
}

Result cuDeviceCanAccessPeer(int *can, Device device, Device peer) {
  return on_device(__func__, device, [&] {
    if (!is_device(peer)) return invalid_device;
    *can = are_peers(unit_of(device), unit_of(peer));
    return ok;
  });
}

Result cuDeviceGetP2PAttribute(int *value, int attribute, Device device, Device peer) {
  return on_device(__func__, device, [&] {
    if (!is_device(peer) || device == peer) return invalid_device;
    if (attribute < 1 || attribute > 4) return invalid_value;
    *value = attribute == 1 ? 0 : are_peers(unit_of(device), unit_of(peer));  // 1: the rank of the link, best first
    return ok;
  });
}

}  // namespace pirn::fake_gpu::cuda
