// SPDX-License-Identifier: Apache-2.0
#include "cuda_kernels.h"
#include "cuda_table.h"

#include <array>
#include <bit>
#include <cstring>
#include <filesystem>

namespace pirn::device::cuda {
namespace {

// Why a device lacks what the driver says it has not, where the driver says no more.
struct Feature {
  uint32_t bit;
  int attribute;
  const char *obstacle;  // what keeps it from working whatever the device can; nullptr if nothing
  const char *without;   // why the device may not have it
};

std::array<Feature, 5> all_features() {
  const Driver &all = driver();
  const bool words = all.cuStreamWaitValue64_v2 && all.cuStreamWriteValue64_v2;
  return {{
      {shares_files, attribute_chunk_files, nullptr, "the driver maps no memory that has a file descriptor"},
      {shares_fabric, attribute_chunk_fabric,
       has_fabric_channel() ? nullptr : "no channel in /dev/nvidia-caps-imex-channels was given to this process",
       "the driver has no such handles for it"},
      {shares_legacy, attribute_unified_addressing, nullptr, "it has no unified addressing"},
      {waits_on_words, attribute_stream_words, words ? nullptr : "libcuda.so.1 has no 64-bit stream memory operations",
       "the driver has no 64-bit stream memory operations for it"},
      {exports_dma_buf, attribute_dma_buf,
       all.cuMemGetHandleForAddressRange ? nullptr : "libcuda.so.1 is older than CUDA 11.7",
       "the driver exports none: the open kernel modules and Linux 5.12 are needed"},
  }};
}

void settle(Info &info, uint32_t bit, const char *missing) {
  const auto position = static_cast<size_t>(std::countr_zero(bit));
  if (missing == nullptr) info.features |= bit;
  else if (position < info.lacking.size()) info.lacking[position] = missing;
}

Status read_features(uint32_t device, Info &info) {
  for (const Feature &feature : all_features()) {
    const Result<bool> has = feature.obstacle ? Result<bool>(false) : has_attribute(device, feature.attribute);
    if (!has.is_ok()) return has.status();
    settle(info, feature.bit, feature.obstacle ? feature.obstacle : has.value() ? nullptr : feature.without);
  }
  const Result<bool> kernels = runs_kernels(device);
  if (!kernels.is_ok()) return kernels.status();
  const char *const none = copy_kernels().missing ? copy_kernels().missing : "its architecture is older than those compiled for";
  settle(info, has_kernels, kernels.value() ? nullptr : none);
  return Status::ok();
}

Result<Info> describe(uint32_t device) {
  const Device ordinal = static_cast<Device>(device);
  Info info;
  info.ordinal = device;
  std::array<char, 256> name{};
  Uuid16 uuid{};
  size_t memory = 0;
  int processors = 0;
  Status status = call(driver().cuDeviceGetName, name.data(), static_cast<int>(name.size()) - 1, ordinal);
  if (status.is_ok()) status = call(driver().cuDeviceGetUuid_v2, &uuid, ordinal);
  if (status.is_ok()) status = call(driver().cuDeviceTotalMem_v2, &memory, ordinal);
  if (status.is_ok()) status = call(driver().cuDeviceGetAttribute, &processors, attribute_processors, ordinal);
  if (status.is_ok()) status = read_features(device, info);
  if (!status.is_ok()) return status;
  const Result<PciAddress> pci = pci_of(device);
  if (!pci.is_ok()) return pci.status();
  info.pci = pci.value();
  info.name = name.data();
  std::memcpy(info.uuid.data(), uuid.bytes, info.uuid.size());
  info.memory = memory;
  info.processors = static_cast<uint32_t>(processors);
  return info;
}

}  // namespace

Result<PciAddress> pci_of(uint32_t device) {
  const Result<int> domain = attribute_of(device, attribute_pci_domain);
  const Result<int> bus = attribute_of(device, attribute_pci_bus);
  const Result<int> slot = attribute_of(device, attribute_pci_device);
  for (const Result<int> *part : {&domain, &bus, &slot})
    if (!part->is_ok()) return part->status();
  PciAddress pci;
  pci.domain = static_cast<uint32_t>(domain.value());
  pci.bus = static_cast<uint8_t>(bus.value());
  pci.device = static_cast<uint8_t>(slot.value());
  return pci;
}

Result<int> attribute_of(uint32_t device, int attribute) {
  int value = 0;
  const Status status = call(driver().cuDeviceGetAttribute, &value, attribute, static_cast<Device>(device));
  if (!status.is_ok()) return status;
  return value;
}

// A feature that a driver does not know of is one that it does not have.
Result<bool> has_attribute(uint32_t device, int attribute) {
  int value = 0;
  const int error = driver().cuDeviceGetAttribute(&value, attribute, static_cast<Device>(device));
  if (error == error_invalid_value) return false;
  const Status status = status_of(driver().cuDeviceGetAttribute, error);
  if (!status.is_ok()) return status;
  return value != 0;
}

bool has_fabric_channel() {
  std::error_code error;
  const std::filesystem::directory_iterator channels("/dev/nvidia-caps-imex-channels", error);
  return !error && channels != std::filesystem::directory_iterator();
}

Result<std::vector<Info>> devices() {
  std::vector<Info> all;
  for (uint32_t device = 0; device < device_count(); ++device) {
    Result<Info> info = describe(device);
    if (!info.is_ok()) return info.error();
    all.push_back(info.take());
  }
  return all;
}

Result<std::string> version() {
  int number = 0;
  const Status status = call(driver().cuDriverGetVersion, &number);
  if (!status.is_ok()) return status;
  return "driver for CUDA " + std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

}  // namespace pirn::device::cuda
