// SPDX-License-Identifier: Apache-2.0
// hwloc in, plain data out.
#include "topo/machine.h"

#include <hwloc.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <unordered_map>

namespace pirn::topo {
namespace {

using Topology = std::unique_ptr<hwloc_topology, void (*)(hwloc_topology_t)>;

// Devices are known by PCI address alone, so the search for their names in the system is left out: it would load
// and initialise run-time libraries of accelerators in the caller's process. So is the one that visits each CPU, and
// the one for PCI devices through a library that keeps memory for good (2.9): the search in the system's files finds
// the same.
bool configure(hwloc_topology_t topology) {
  constexpr auto leave_out = HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST;
  // Fails where there is none: "pci" may be a plugin, which hwloc does not load into a process that opened the library
  // with RTLD_LOCAL, as other languages do.
  for (const char *component : {"x86", "pci"}) (void)hwloc_topology_set_components(topology, leave_out, component);
  return hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL) == 0 &&
         hwloc_topology_set_type_filter(topology, HWLOC_OBJ_OS_DEVICE, HWLOC_TYPE_FILTER_KEEP_NONE) == 0 &&
         hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0;
}

uint32_t package_of(hwloc_topology_t topology, hwloc_obj_t object) {
  hwloc_obj_t package =
      object->type == HWLOC_OBJ_PACKAGE ? object : hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, object);
  return package ? package->logical_index : nowhere;
}

class Reader {
 public:
  explicit Reader(hwloc_topology_t topology) : topology_(topology) {}

  Machine read() {
    machine_.this_system = hwloc_topology_is_thissystem(topology_) != 0;
    read_domains();
    for (hwloc_obj_t pci = nullptr; (pci = hwloc_get_next_pcidev(topology_, pci));)
      machine_.devices.push_back(device(pci));
    std::sort(machine_.devices.begin(), machine_.devices.end(),
              [](const Device &a, const Device &b) { return a.address < b.address; });
    return std::move(machine_);
  }

 private:
  void read_domains() {
    for (hwloc_obj_t node = nullptr; (node = hwloc_get_next_obj_by_type(topology_, HWLOC_OBJ_NUMANODE, node));) {
      hwloc_obj_t owner = node->parent;
      while (hwloc_obj_type_is_memory(owner->type)) owner = owner->parent;
      // Memory of the whole machine, beside memory of its parts, belongs to no CPUs.
      const bool of_all = owner == hwloc_get_root_obj(topology_);
      if (of_all && hwloc_get_nbobjs_by_type(topology_, HWLOC_OBJ_NUMANODE) > static_cast<int>(owner->memory_arity))
        continue;
      auto [place, fresh] = domains_.try_emplace(owner, static_cast<uint32_t>(machine_.domains.size()));
      if (fresh) machine_.domains.push_back(domain(owner));
      machine_.domains[place->second].nodes.push_back(node->os_index);
    }
  }

  Domain domain(hwloc_obj_t owner) const {
    Domain made;
    made.package = package_of(topology_, owner);
    if (!owner->cpuset) return made;
    for (int cpu = -1; (cpu = hwloc_bitmap_next(owner->cpuset, cpu)) >= 0;)
      made.cpus.push_back(static_cast<uint32_t>(cpu));
    return made;
  }

  Device device(hwloc_obj_t pci) const {
    const auto &attributes = pci->attr->pcidev;
    Device made;
    made.address = {attributes.domain, attributes.bus, attributes.dev, attributes.func};
    made.class_code = attributes.class_id;
    made.link = static_cast<double>(attributes.linkspeed);
    hwloc_obj_t above = pci->parent;
    for (; above && hwloc_obj_type_is_io(above->type); above = above->parent)
      if (above->type == HWLOC_OBJ_BRIDGE) made.bridges.push_back(static_cast<uint32_t>(above->gp_index));
    std::reverse(made.bridges.begin(), made.bridges.end());
    if (!above) return made;
    made.package = package_of(topology_, above);
    made.domain = domain_above(above);
    if (made.package == nowhere && made.domain != nowhere) made.package = machine_.domains[made.domain].package;
    return made;
  }

  uint32_t domain_above(hwloc_obj_t object) const {
    for (; object; object = object->parent) {
      auto place = domains_.find(object);
      if (place != domains_.end()) return place->second;
    }
    return machine_.domains.size() == 1 ? 0 : nowhere;
  }

  hwloc_topology_t topology_;
  Machine machine_;
  std::unordered_map<hwloc_obj_t, uint32_t> domains_;
};

Result<Machine> load(const char *xml_file) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return fail(PIRN_ERR_UNAVAILABLE, "hwloc: %s", strerror(errno));
  Topology topology(raw, hwloc_topology_destroy);
  if (!configure(raw)) return fail(PIRN_ERR_UNAVAILABLE, "hwloc cannot be configured: %s", strerror(errno));
  if (xml_file && hwloc_topology_set_xml(raw, xml_file) != 0)
    return fail(PIRN_ERR_INVALID, "%s cannot be read as a topology of hwloc: %s", xml_file, strerror(errno));
  if (hwloc_topology_load(raw) != 0)
    return xml_file ? fail(PIRN_ERR_INVALID, "%s is no topology of hwloc", xml_file)
                    : fail(PIRN_ERR_UNAVAILABLE, "hwloc cannot read this machine: %s", strerror(errno));
  return Reader(raw).read();
}

}  // namespace

Result<Machine> load_machine() { return load(nullptr); }

Result<Machine> load_machine(const std::string &xml_file) { return load(xml_file.c_str()); }

}  // namespace pirn::topo
