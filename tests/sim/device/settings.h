// SPDX-License-Identifier: Apache-2.0
// What the environment asks of the fake, read once. README.md lists the variables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pirn::fake_gpu {

// NAME:NTH[+][:NUMBER]: the NTH call of NAME, with `+` all later ones, too. NAME may leave out the suffix _v2.
struct Rule {
  std::string name;
  uint64_t nth = 1;
  bool onwards = false;
  int64_t number = -1;
};

struct Settings {
  uint32_t gpus = 2;                // PIRN_FAKE_GPUS
  uint64_t memory = 1ull << 32;     // PIRN_FAKE_GPU_MEMORY_MB: of each device, in bytes here
  uint64_t delay_us = 0;            // PIRN_FAKE_GPU_DELAY_US: the most that a piece of stream work starts late
  uint64_t seed = 1;                // PIRN_FAKE_GPU_SEED
  std::string dir = "/dev/shm";     // PIRN_FAKE_GPU_DIR: where legacy and fabric handles are found
  uint32_t links = 18;              // PIRN_FAKE_GPU_NVLINKS: from each device to a switch; 0: none
  bool imex = false;                // PIRN_FAKE_GPU_IMEX: fabric handles are permitted
  bool dma_buf = false;             // PIRN_FAKE_GPU_DMA_BUF: device memory can be exported to other devices
  int ordering = 100;               // PIRN_FAKE_GPU_RDMA_ORDERING: of what NICs write, as the driver numbers it; 0: none
  int flush = 1;                    // PIRN_FAKE_GPU_RDMA_FLUSH: the driver's bits; 1: by the host
  bool leaks = true;                // PIRN_FAKE_GPU_LEAKS: tell at exit what is left
  std::vector<uint32_t> nodes;      // PIRN_FAKE_GPU_NODES: device nodes that this process sees
  std::vector<std::pair<uint32_t, uint32_t>> strangers;  // PIRN_FAKE_GPU_NOPEER=0-1,..: pairs without peer access
  std::vector<Rule> fail;           // PIRN_FAKE_GPU_FAIL: the call fails, NUMBER is the code
  std::vector<Rule> broken;         // PIRN_FAKE_GPU_BREAK: the stream work that the call makes fails
  std::vector<Rule> hang;           // PIRN_FAKE_GPU_HANG: that work takes NUMBER ms, without it for ever
  bool has_node(uint32_t unit) const;
};
const Settings &settings();

// The first rule that holds for the `count`th call of `name`; nullptr if none.
const Rule *match(const std::vector<Rule> &rules, const std::string &name, uint64_t count);

}  // namespace pirn::fake_gpu
