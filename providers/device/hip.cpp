// SPDX-License-Identifier: Apache-2.0
#include "hip_chunks.h"
#include "hip_kernels.h"
#include "hip_table.h"
#include "tables.h"

#include <array>
#include <bit>
#include <cstring>

namespace pirn::device::hip {
namespace {

// Why a feature is missing, to be asked only if it is.
std::string files_missing() {
  if (runtime_version() < chunks_since) return "the HIP runtime exports no memory before version 6.1";
  return "the HIP runtime has no virtual memory management for it";
}

std::string words_missing() {
  if (runtime_version() < waits_on_host_words_since) return "the HIP runtime waits for no plain host memory before version 6.0";
  return "the HIP runtime has no stream memory operations for it";
}

std::string kernels_missing() {
  return copy_kernels().missing ? copy_kernels().missing : "the HIP runtime loads no modules";
}

void read_features(uint32_t device, Info &info) {
  const auto settle = [&](uint32_t bit, bool has, const std::string &why) {
    if (has) info.features |= bit;
    else info.lacking[static_cast<size_t>(std::countr_zero(bit))] = why;
  };
  settle(shares_files, can_share_files(device), files_missing());
  settle(shares_fabric, false, "the HIP runtime has no handles that cross hosts");
  settle(shares_legacy, can_share_legacy(), "the HIP runtime has no calls for it");
  settle(waits_on_words, can_wait_on_words(device), words_missing());
  settle(has_kernels, has_copy_kernels(), kernels_missing());
  // The slot works where it works; nothing tells beforehand.
  settle(exports_dma_buf, false,
         runtime().hipMemGetHandleForAddressRange ? "the HIP runtime tells only when it is asked for one"
                                                  : "the HIP runtime has no hipMemGetHandleForAddressRange");
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
  read_features(device, info);
  return info;
}

Operations make_table() {
  Operations table = unsupported("hip");
  table.fabric_interface = 2;  // FI_HMEM_ROCR
  table.load = load;
  table.devices = devices;
  table.version = version_text;
  table.link = link;
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
  table.order_with_nics = order_with_nics;
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
