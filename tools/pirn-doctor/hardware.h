// SPDX-License-Identifier: Apache-2.0
// The network devices of a node as the kernel shows them, and what else decides which checks apply.
#pragma once

#include "system.h"

namespace doctor {

struct Gid {
  std::string value;   // "fe80:0000:..."
  std::string type;    // "RoCE v2", "IB/RoCE v1"
  std::string netdev;  // "" if it cannot be seen
};

struct Port {
  int number;
  std::string state;       // "ACTIVE"
  std::string phys_state;  // "LinkUp"
  std::string link_layer;  // "InfiniBand", "Ethernet", "Unspecified"
  std::string rate_text;   // "400 Gb/sec (4X NDR)"
  uint64_t rate;           // bit/s
  std::vector<Gid> gids;   // used slots
};

// Of /sys/class/infiniband, EFA among them.
struct RdmaDevice {
  std::string name;    // "mlx5_0"
  std::string driver;  // kernel driver of the PCI device; "" for software devices
  std::string model;   // "0x15b3:0x1021"
  std::vector<Port> ports;
  std::vector<std::string> netdevs;  // its interfaces that this network namespace shows

  bool is_efa() const { return driver == "efa"; }
};

struct CxiDevice {
  std::string name;  // "cxi0"
  std::vector<std::string> netdevs;
};

// A display controller or accelerator of NVIDIA or AMD on PCI.
struct Gpu {
  std::string pci;     // "0000:18:00.0"
  bool nvidia;         // else AMD
  std::string driver;  // kernel driver; "" if none has it
};

struct Hardware {
  std::vector<Gpu> gpus;
  std::vector<RdmaDevice> rdma;
  std::vector<CxiDevice> cxi;
  std::vector<std::string> efa_pci, cassini_pci;  // PCI addresses
  bool nvidia, amd;                               // the kernel driver of their GPUs is loaded
  bool compute_amd;                               // and AMD's has GPUs that compute
  std::string container;                          // what says that this is one; "" if nothing does
  std::string instance;                           // EC2 instance type; "" elsewhere

  bool has_verbs() const;  // an RDMA device other than EFA
  bool has_efa() const;
};

Hardware find_hardware(const System &system);

// True if an interface has an address that is more than link-local.
bool has_ip_address(const System &system, const std::string &netdev);

}  // namespace doctor
