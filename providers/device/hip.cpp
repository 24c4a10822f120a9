// SPDX-License-Identifier: Apache-2.0
#include "hip_chunks.h"
#include "hip_kernels.h"
#include "hip_table.h"
#include "tables.h"

#include <array>
#include <cstring>

namespace pirn::device::hip {
namespace {

uint32_t features_of(uint32_t device) {
  uint32_t features = 0;
  if (can_share_files(device)) features |= shares_files;
  if (can_share_legacy()) features |= shares_legacy;
  if (can_wait_on_words(device)) features |= waits_on_words;
  if (runtime().hipMemGetHandleForAddressRange) features |= exports_dma_buf;
  if (has_copy_kernels()) features |= has_kernels;
  return features;
}

Result<Info> describe(uint32_t device) {
  const int ordinal = static_cast<int>(device);
  Info info;
  info.ordinal = device;
  std::array<char, 32> pci{};
  std::array<char, 256> name{};
  Uuid uuid{};
  size_t memory = 0;
  int processors = 0;
  Status status = call(runtime().hipDeviceGetPCIBusId, pci.data(), static_cast<int>(pci.size()), ordinal);
  if (status.is_ok()) status = call(runtime().hipDeviceGetName, name.data(), static_cast<int>(name.size()) - 1, ordinal);
  if (status.is_ok()) status = call(runtime().hipDeviceGetUuid, &uuid, ordinal);
  if (status.is_ok()) status = call(runtime().hipDeviceTotalMem, &memory, ordinal);
  if (status.is_ok()) {
    status = call(runtime().hipDeviceGetAttribute, &processors, attribute_processors, ordinal);
  }
  if (!status.is_ok()) return status;
  const std::optional<PciAddress> address = parse_pci_address(pci.data());
  if (!address) return fail(PIRN_ERR_IO, "hipDeviceGetPCIBusId: \"%s\" is no PCI address", pci.data());
  info.pci = *address;
  info.name = name.data();
  std::memcpy(info.uuid.data(), uuid.bytes, info.uuid.size());
  info.memory = memory;
  info.processors = static_cast<uint32_t>(processors);
  info.features = features_of(device);
  return info;
}

Operations make_table() {
  Operations table = unsupported("hip");
  table.load = load;
  table.devices = devices;
  table.version = version_text;
  table.identify = identify;
  table.allocate = allocate;
  table.release = release;
  table.allocate_host = allocate_host;
  table.release_host = release_host;
  table.pin = pin;
  table.unpin = unpin;
  table.share = share;
  table.map = map;
  table.unmap = unmap;
  table.enable_peer = enable_peer;
  table.dma_buf = dma_buf;
  table.make_stream = make_stream;
  table.drop_stream = drop_stream;
  table.make_event = make_event;
  table.drop_event = drop_event;
  table.record = record;
  table.reached = reached;
  table.copy = copy;
  table.copy_blocks = copy_blocks;
  table.copy_selected = copy_selected;
  table.finish = finish;
  table.device_of = device_of;
  table.capturing = capturing;
  table.wait_word = wait_word;
  table.write_word = write_word;
  return table;
}

}  // namespace

Result<std::vector<Info>> devices() {
  const Unnoticed unnoticed;
  std::vector<Info> all;
  for (uint32_t device = 0; device < device_count(); device++) {
    Result<Info> info = describe(device);
    if (!info.is_ok()) return info.error();
    all.push_back(info.take());
  }
  return all;
}

Result<std::string> version_text() {
  const Unnoticed unnoticed;
  int driver = 0;
  const Status status = call(runtime().hipDriverGetVersion, &driver);
  if (!status.is_ok()) return status;
  const auto text = [](int number) {
    return std::to_string(number / version(1, 0)) + "." + std::to_string(number % version(1, 0) / version(0, 1)) + "." +
           std::to_string(number % version(0, 1));
  };
  return "HIP runtime " + text(runtime_version()) + ", driver " + text(driver);
}

}  // namespace pirn::device::hip

namespace pirn::device {

const Operations &hip_table() {
  static const Operations table = hip::make_table();
  return table;
}

}  // namespace pirn::device
