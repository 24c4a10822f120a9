// SPDX-License-Identifier: Apache-2.0
// Device memory, as a NIC reaches it: by a mapping of its own. Only of CUDA's driver and the HIP runtime, and they must be the
// fake ones (tests/sim/device), whose memory lies in files; they are asked only if the process has them loaded.
#pragma once

#include "persona.h"

#include <cstddef>
#include <cstdint>

namespace pirn::sim_nic {

// How a rail takes device memory (PIRN_SIM_HMEM): by its address, as libfabric's FI_HMEM does, or by a dma-buf.
struct Ways {
  bool by_interface = false, by_dma_buf = false;
  bool any() const { return by_interface || by_dma_buf; }
};
Ways ways_of(size_t rail);
uint64_t device_memory_limit();  // PIRN_SIM_HMEM_LIMIT: bytes that a domain registers, at most

bool is_device_memory(const void *address);

// libfabric's names for what the headers of 1.17 do not have yet.
constexpr uint64_t flag_dma_buf = uint64_t{1} << 40;  // FI_MR_DMABUF
struct DmaBufPart {                                   // struct fi_mr_dmabuf
  int fd;
  uint64_t offset;
  size_t length;
  void *base;
  char *address() const { return static_cast<char *>(base) + offset; }
};

struct NicMapping {
  char *map = nullptr;  // whole pages
  size_t mapped = 0;
  char *alias = nullptr;  // where the NIC finds the first byte
};

// Checks what was said of the memory, and maps it. `part` null: by its address. A negative fi_errno; a broken rule has
// been told then.
int map_device_memory(const Persona &persona, const fi_mr_attr &attr, char *base, size_t length, const DmaBufPart *part,
                      NicMapping &out);

}  // namespace pirn::sim_nic
