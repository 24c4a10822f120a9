// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include "devices.h"

#include <fmt/core.h>
#include <hwloc.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

namespace {

class Reader {
 public:
  Reader(hwloc_topology_t topology, const nlohmann::json &facts) : topology_(topology), facts_(facts) {}

  Machine read() {
    std::vector<Shape> shapes = shapes_of(hwloc_get_root_obj(topology_));
    machine_.tree = std::move(shapes.front());
    std::sort(machine_.accelerators.begin(), machine_.accelerators.end());
    return std::move(machine_);
  }

 private:
  // What an object is drawn as: itself, or what is below it.
  std::vector<Shape> shapes_of(hwloc_obj_t object) {
    std::vector<Shape> below;
    for (hwloc_obj_t child = nullptr; (child = hwloc_get_next_child(topology_, object, child));)
      for (Shape &shape : shapes_of(child)) below.push_back(std::move(shape));
    Shape shape;
    if (object->type == HWLOC_OBJ_PCI_DEVICE) return device(object);
    if (object->type == HWLOC_OBJ_BRIDGE) {
      if (below.size() < 2) return below;
      shape = bridge(object);
    } else if (object->type == HWLOC_OBJ_MACHINE || object->type == HWLOC_OBJ_PACKAGE || object->memory_arity > 0) {
      shape = part(object);
    } else {
      return below;
    }
    shape.below = std::move(below);
    return {std::move(shape)};
  }

  Shape part(hwloc_obj_t object) {
    Shape shape;
    std::string memory;
    for (hwloc_obj_t child = object->memory_first_child; child; child = child->next_sibling)
      memory += nodes_below(child);
    if (object->type == HWLOC_OBJ_MACHINE) {
      shape.label = hwloc_topology_is_thissystem(topology_) ? "machine" : "machine described by HWLOC_XMLFILE";
    } else if (object->type == HWLOC_OBJ_PACKAGE) {
      shape.kind = Shape::Kind::package;
      shape.label = fmt::format("package {}", object->logical_index);
    } else {
      shape.kind = Shape::Kind::memory;
    }
    if (!memory.empty()) shape.label += shape.label.empty() ? memory.substr(2) : memory;
    return shape;
  }

  std::string nodes_below(hwloc_obj_t memory) {
    if (memory->type == HWLOC_OBJ_NUMANODE) {
      machine_.nodes.push_back(memory->os_index);
      return fmt::format(", NUMA node {} ({} GiB)", memory->os_index, memory->attr->numanode.local_memory >> 30);
    }
    std::string all;
    for (hwloc_obj_t child = memory->memory_first_child; child; child = child->next_sibling) all += nodes_below(child);
    return all;
  }

  static Shape bridge(hwloc_obj_t object) {
    const auto &attributes = object->attr->bridge;
    const auto &behind = attributes.downstream.pci;
    const bool host = attributes.upstream_type == HWLOC_OBJ_BRIDGE_HOST;
    Shape shape;
    shape.kind = Shape::Kind::bridge;
    shape.label = fmt::format("{} of buses {:04x}:{:02x}-{:02x}", host ? "host bridge" : "PCIe switch", behind.domain,
                              behind.secondary_bus, behind.subordinate_bus);
    return shape;
  }

  // As pirn does: a VGA controller on a slow or unknown link is the console of the board.
  static bool is_accelerator(const hwloc_obj_attr_u::hwloc_pcidev_attr_s &pci) {
    if (pci.class_id == 0x0300) return pci.linkspeed >= 1;
    return pci.class_id >> 8 == 0x03 || pci.class_id >> 8 == 0x12;
  }

  std::vector<Shape> device(hwloc_obj_t object) {
    const auto &pci = object->attr->pcidev;
    Shape shape;
    shape.pci_address = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", pci.domain, pci.bus, pci.dev, pci.func);
    const std::string ids = fmt::format("[{:04x}:{:04x}]", pci.vendor_id, pci.device_id);
    const std::string name = device_at(facts_, shape.pci_address);
    if (is_accelerator(pci) || !name.empty()) {
      shape.kind = Shape::Kind::accelerator;
      shape.label = fmt::format("accelerator {} {}{}", shape.pci_address, ids, name);
      machine_.accelerators.push_back(shape.pci_address);
      return {shape};
    }
    for (const auto &nic : facts_.at("nics")) {
      if (nic.at("pci_address") != shape.pci_address) continue;
      shape.kind = Shape::Kind::nic;
      shape.label += fmt::format("{}{} {} {}", shape.label.empty() ? "NIC " + shape.pci_address + " " : ", ",
                                 nic.at("provider").get<std::string>(), nic.at("name").get<std::string>(),
                                 speed_text(nic.at("link_speed_bits_per_s").get<uint64_t>()));
    }
    if (shape.kind == Shape::Kind::nic) return {shape};
    if (pci.class_id >> 8 != 0x02) return {};
    shape.kind = Shape::Kind::unused_nic;
    shape.label = fmt::format("network device {} {}, offered by no usable provider", shape.pci_address, ids);
    return {shape};
  }

  hwloc_topology_t topology_;
  const nlohmann::json &facts_;
  Machine machine_;
};

}  // namespace

Machine read_machine(const nlohmann::json &facts) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) throw std::runtime_error("hwloc cannot be initialised");
  const std::unique_ptr<hwloc_topology, void (*)(hwloc_topology_t)> topology(raw, hwloc_topology_destroy);
  hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_ALL);
  hwloc_topology_set_type_filter(raw, HWLOC_OBJ_OS_DEVICE, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  if (hwloc_topology_load(raw) != 0)
    throw std::runtime_error(fmt::format("hwloc cannot read the machine: {}", std::strerror(errno)));
  return Reader(raw, facts).read();
}

std::string speed_text(uint64_t bits_per_second) {
  return bits_per_second ? fmt::format("{:g} Gb/s", static_cast<double>(bits_per_second) * 1e-9) : "-";
}
