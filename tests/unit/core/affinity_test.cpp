// SPDX-License-Identifier: Apache-2.0
// Which NICs an endpoint opens when the user names none. The first argument is the directory of the machines.
#include "core/affinity.h"
#include "core/endpoint.h"
#include "fake_fabric.h"

#include "../check.h"

#include <sched.h>

using namespace pirn;
using namespace pirn::core;

namespace {

std::string directory;

topo::Machine load(const char *name) {
  auto machine = topo::load_machine(directory + "/" + name + ".xml");
  if (!machine.is_ok()) fail_test("%s", machine.error().text.c_str());
  return machine.take();
}

fabric::Nic nic(const char *profile, const char *name, const char *pci) {
  fabric::Nic made{};
  made.profile = fabric::find_profile(profile);
  made.name = name;
  made.pci_address = pci;
  return made;
}

// The fabric adapters of the p4d, in the order of their addresses.
std::vector<fabric::Nic> p4d_nics(const char *profile) {
  return {nic(profile, "a", "0000:10:01.0"), nic(profile, "b", "0000:20:01.0"), nic(profile, "c", "0000:90:01.0"),
          nic(profile, "d", "0000:a0:01.0")};
}

std::string names(const std::vector<fabric::Nic> &nics) {
  std::string out;
  for (const fabric::Nic &each : nics) out += each.name;
  return out;
}

void near__memory_of_a_domain__its_nics_in_the_given_order(void **) {
  const topo::Machine p4d = load("p4d");
  assert_text(names(near(p4d, topo::Place::in_domain(0), p4d_nics("efa"))), "ab");
  assert_text(names(near(p4d, topo::Place::in_domain(1), p4d_nics("efa"))), "cd");
  assert_text(names(near(p4d, topo::Place{}, p4d_nics("efa"))), "abcd");
  auto swapped = p4d_nics("efa");
  std::swap(swapped[2], swapped[3]);
  assert_text(names(near(p4d, topo::Place::in_domain(1), swapped)), "dc");
}

void near__ip_provider_or_one_nic__unchanged(void **) {
  const topo::Machine p4d = load("p4d");
  assert_text(names(near(p4d, topo::Place::in_domain(0), p4d_nics("tcp"))), "abcd");
  assert_text(names(near(p4d, topo::Place::in_domain(0), {nic("efa", "d", "0000:a0:01.0")})), "d");
  assert_true(near(p4d, topo::Place::in_domain(0), {}).empty());
}

void near__nics_that_the_topology_does_not_know__unchanged(void **) {
  const topo::Machine p4d = load("p4d");
  const std::vector<fabric::Nic> strangers = {nic("efa", "x", "0042:01:00.0"), nic("efa", "y", "")};
  assert_text(names(near(p4d, topo::Place::in_domain(0), strangers)), "xy");
}

std::string marks(const std::vector<bool> &far) {
  std::string out;
  for (const bool each : far) out += each ? 'f' : 'n';
  return out;
}

void far__listed_nics__those_that_others_are_nearer_than(void **) {
  const topo::Machine p4d = load("p4d");
  assert_text(marks(far(p4d, topo::Place::in_domain(0), p4d_nics("efa"))), "nnff");
  assert_text(marks(far(p4d, topo::Place::in_domain(1), p4d_nics("efa"))), "ffnn");
  assert_text(marks(far(p4d, topo::Place{}, p4d_nics("efa"))), "nnnn");
  assert_text(marks(far(p4d, topo::Place::in_domain(0), p4d_nics("tcp"))), "nnnn");
  assert_text(marks(far(p4d, topo::Place::in_domain(0), {nic("efa", "d", "0000:a0:01.0")})), "n");
  assert_text(marks(far(p4d, topo::Place::in_domain(0), {nic("efa", "c", "0000:90:01.0"), nic("efa", "d", "0000:a0:01.0")})),
              "nn");
  assert_true(far(p4d, topo::Place::in_domain(0), {}).empty());
}

void spares__of_the_same_fabric_only__and_none_of_ip_providers(void **) {
  const topo::Machine p4d = load("p4d");
  const topo::Place place = topo::Place::in_domain(0);
  auto nics = p4d_nics("efa");
  const std::vector<fabric::Nic> chosen = {nics[0], nics[1]};
  assert_text(names(spares(p4d, place, nics, chosen, 2)), "cd");
  assert_text(names(spares(p4d, place, nics, chosen, 1)), "c");
  assert_text(names(spares(p4d, place, nics, chosen, 0)), "");
  nics[2].fabric = "IB-0xfe80000000000000 Ethernet";
  assert_text(names(spares(p4d, place, nics, chosen, 2)), "d");
  const auto ip = p4d_nics("tcp");
  assert_text(names(spares(p4d, place, ip, {ip[0]}, 2)), "");
  assert_text(names(spares(p4d, place, nics, std::vector<fabric::Nic>{}, 2)), "");
}

void place_named__device_node_or_here__is_that_place(void **) {
  const topo::Machine p4d = load("p4d");
  auto device = place_named(p4d, "90:02.0");
  assert_true(device.is_ok() && device.value().kind == topo::Place::Kind::device);
  assert_true((device.value().device == PciAddress{0, 0x90, 2, 0}));
  auto node = place_named(p4d, "numa:1");
  assert_true(node.is_ok() && node.value().kind == topo::Place::Kind::domain);
  assert_int_equal(node.value().domain, 1);
  auto none = place_named(p4d, "numa:17");
  assert_true(none.is_ok());
  assert_int_equal(none.value().domain, topo::nowhere);
  auto anywhere = place_named(p4d, nullptr);
  assert_true(anywhere.is_ok() && anywhere.value().kind == topo::Place::Kind::anywhere);
  assert_int_equal(place_named(p4d, "numa:1x").status().code, PIRN_ERR_INVALID);
}

sim::Persona four_nics() {
  sim::Persona persona = sim::cxi_persona();
  persona.nics.clear();
  for (const fabric::Nic &each : p4d_nics("cxi")) persona.nics.push_back({.name = each.name, .pci = each.pci_address});
  return persona;
}

// What the library logs, one line each.
void collect_log(void *lines, uint32_t, const char *message) { *static_cast<std::string *>(lines) += message; }

std::string spare_setting = "SPARE_NICS=2";

// Opens an endpoint on the fake fabric with the machine that hwloc is told of; the names of its NICs, those of far rails in
// brackets, those of spares in square ones.
std::string opened(const char *nics, std::string *log = nullptr) {
  sim::FakeFabric fake({four_nics()});
  std::string lines;
  auto context = Context::open({"LOG_LEVEL=info", spare_setting}, collect_log, log ? log : &lines, fake.calls());
  if (!context.is_ok()) fail_test("%s", context.error().text.c_str());
  EndpointOptions options;
  options.provider = "cxi";
  options.nics = nics;
  options.spares = context.value()->settings().spare_nics;
  options.progress = ProgressMode::manual;
  auto endpoint = Endpoint::open(*context.value(), options);
  if (!endpoint.is_ok()) fail_test("%s", endpoint.error().text.c_str());
  std::string out;
  for (size_t i = 0; i < endpoint.value()->nics().size(); ++i) {
    const std::string &name = endpoint.value()->nics()[i].name;
    core::RailSlot &rail = *endpoint.value()->rails()[i];
    out += rail.spare() ? "[" + name + "]" : rail.far() ? "(" + name + ")" : name;
  }
  return out;
}

void bind_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  assert_int_equal(sched_setaffinity(0, sizeof set, &set), 0);
}

void open__thread_bound_to_a_domain__its_nics_unless_listed(void **) {
  const int cpu = sched_getcpu();
  cpu_set_t before;
  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  setenv("HWLOC_XMLFILE", (directory + "/p4d.xml").c_str(), 1);
  setenv("HWLOC_THISSYSTEM", "1", 1);
  bind_to(cpu);
  // The described machine has CPUs 0 to 7; a thread on any other is in none of its domains.
  assert_text(opened(""), cpu < 4 ? "ab[c][d]" : cpu < 8 ? "cd[a][b]" : "abcd");
  spare_setting = "SPARE_NICS=1";
  assert_text(opened(""), cpu < 4 ? "ab[c]" : cpu < 8 ? "cd[a]" : "abcd");
  spare_setting = "SPARE_NICS=0";
  assert_text(opened(""), cpu < 4 ? "ab" : cpu < 8 ? "cd" : "abcd");
  spare_setting = "SPARE_NICS=2";
  assert_text(opened("d,a"), cpu < 4 ? "(d)a" : cpu < 8 ? "d(a)" : "da");
  assert_text(opened("a0:01.0"), "d");
  std::string log;
  opened("", &log);
  if (cpu < 8) assert_contains(log, "2 of 4 NICs are used");
  unsetenv("HWLOC_THISSYSTEM");
  assert_text(opened(""), "abcd");  // of another machine this thread's CPUs say nothing
  unsetenv("HWLOC_XMLFILE");
  assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

void open__topology_cannot_be_read__all_nics(void **) {
  setenv("HWLOC_XMLFILE", (directory + "/none.xml").c_str(), 1);
  setenv("HWLOC_COMPONENTS", "xml,stop", 1);
  std::string log;
  assert_text(opened("", &log), "abcd");
  assert_text(opened("b,d"), "bd");
  assert_contains(log, "all NICs count as equally near");
  unsetenv("HWLOC_COMPONENTS");
  unsetenv("HWLOC_XMLFILE");
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  directory = argv[1];
  const CMUnitTest tests[] = {
      cmocka_unit_test(near__memory_of_a_domain__its_nics_in_the_given_order),
      cmocka_unit_test(near__ip_provider_or_one_nic__unchanged),
      cmocka_unit_test(near__nics_that_the_topology_does_not_know__unchanged),
      cmocka_unit_test(far__listed_nics__those_that_others_are_nearer_than),
      cmocka_unit_test(spares__of_the_same_fabric_only__and_none_of_ip_providers),
      cmocka_unit_test(place_named__device_node_or_here__is_that_place),
      cmocka_unit_test(open__thread_bound_to_a_domain__its_nics_unless_listed),
      cmocka_unit_test(open__topology_cannot_be_read__all_nics),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
