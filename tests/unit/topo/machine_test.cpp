// SPDX-License-Identifier: Apache-2.0
// From hwloc to plain data. The first argument is the directory of the machines.
#include "described.h"

#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <numeric>

using namespace pirn;
using namespace pirn::topo;

namespace {

std::string directory;

Machine load(const char *name) { return describe(directory + "/" + name + ".xml", {}).machine; }

void load__two_packages__domains_devices_and_places(void **) {
  const Machine p4d = load("p4d");
  assert_int_equal(p4d.domains.size(), 2);
  assert_int_equal(p4d.domains[1].package, 1);
  assert_true((p4d.domains[1].nodes == std::vector<uint32_t>{1}));
  assert_true((p4d.domains[1].cpus == std::vector<uint32_t>{4, 5, 6, 7}));
  assert_int_equal(p4d.devices.size(), 20);
  const Device *gpu = p4d.find(*parse_pci_address("90:02.0"));
  assert_non_null(gpu);
  assert_int_equal(gpu->class_code, 0x0302);
  assert_true(gpu->is_accelerator());
  assert_int_equal(gpu->domain, 1);
  assert_int_equal(gpu->package, 1);
  assert_int_equal(gpu->bridges.size(), 1);
  assert_true(gpu->link > 62 && gpu->link < 64);
  assert_null(p4d.find(*parse_pci_address("90:1f.7")));
  assert_false(p4d.this_system);
}

void load__switches__bridges_from_the_host_down(void **) {
  const Machine p5 = load("p5");
  assert_int_equal(accelerators(p5).size(), 8);
  for (const PciAddress &gpu : accelerators(p5)) assert_int_equal(p5.find(gpu)->bridges.size(), 4);
}

void load__memory_of_a_gpu_beside_that_of_the_cpus__one_domain(void **) {
  const Machine quad = load("gh200-quad");
  assert_int_equal(quad.domains.size(), 4);
  assert_int_equal(quad.domains[2].nodes.size(), 2);
  assert_int_equal(quad.domain_of_node(20), 2);
}

void load__console_of_the_board_or_of_the_hypervisor__is_no_accelerator(void **) {
  for (const char *name : {"dgx-h100", "flat-vm"}) {
    size_t consoles = 0;
    for (const Device &device : load(name).devices) {
      if (device.class_code != 0x0300) continue;
      ++consoles;
      assert_false(device.is_accelerator());
    }
    assert_int_equal(consoles, 1);
  }
}

void load__cgroup_that_forbids_a_package__is_part_of_the_machine(void **) {
  const Machine restricted = load("p5-restricted"), whole = load("p5");
  assert_int_equal(restricted.domains.size(), 2);
  assert_true(restricted.domains[1].cpus == whole.domains[1].cpus);
  assert_int_equal(restricted.devices.size(), whole.devices.size());
  for (size_t i = 0; i < whole.devices.size(); ++i)
    assert_int_equal(restricted.devices[i].domain, whole.devices[i].domain);
}

void load__no_such_file_or_no_description__is_invalid_and_names_it(void **) {
  auto missing = load_machine(directory + "/none.xml");
  assert_false(missing.is_ok());
  assert_int_equal(missing.error().code, PIRN_ERR_INVALID);
  assert_contains(missing.error().text, "none.xml");
  char name[] = "/tmp/pirn-topo-XXXXXX";
  const int fd = mkstemp(name);
  assert_true(fd >= 0);
  close(fd);
  std::ofstream(name) << "<topology version=\"2.0\"><object type=\"Machi";
  auto broken = load_machine(std::string(name));
  unlink(name);
  assert_false(broken.is_ok());
  assert_int_equal(broken.error().code, PIRN_ERR_INVALID);
  assert_contains(broken.error().text, name);
}

void load__this_machine__has_a_domain_with_the_cpu_of_this_thread(void **) {
  unsetenv("HWLOC_XMLFILE");
  auto machine = load_machine();
  if (!machine.is_ok()) fail_test("%s", machine.error().text.c_str());
  assert_true(machine.value().this_system);
  assert_false(machine.value().domains.empty());
  size_t holding = 0;
  for (const Domain &domain : machine.value().domains)
    for (uint32_t cpu : domain.cpus) holding += cpu == static_cast<uint32_t>(sched_getcpu());
  assert_true(holding > 0);
}

void load__hwloc_is_told_of_a_file__reads_it(void **) {
  setenv("HWLOC_XMLFILE", (directory + "/p5.xml").c_str(), 1);
  auto machine = load_machine();
  unsetenv("HWLOC_XMLFILE");
  assert_true(machine.is_ok());
  assert_int_equal(accelerators(machine.value()).size(), 8);
  assert_false(machine.value().this_system);
}

void common_domain__cpus_of_one_of_two_or_none__only_one_counts(void **) {
  const Machine p4d = load("p4d");
  assert_int_equal(common_domain(p4d, {0}).value_or(9), 0);
  assert_int_equal(common_domain(p4d, {7, 4}).value_or(9), 1);
  assert_false(common_domain(p4d, {3, 4}).has_value());
  assert_false(common_domain(p4d, {}).has_value());
  assert_false(common_domain(p4d, {99}).has_value());
}

void common_domain__only_one_domain__says_nothing(void **) {
  assert_false(common_domain(load("one-node"), {0}).has_value());
}

void bound_domain__thread_bound_to_one_cpu__is_its_domain(void **) {
  const int cpu = sched_getcpu();
  cpu_set_t before, one;
  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  Machine machine;
  machine.domains.resize(2);
  machine.domains[0].cpus = {static_cast<uint32_t>(cpu) + 1};
  machine.domains[1].cpus = {static_cast<uint32_t>(cpu)};
  assert_false(bound_domain(machine).has_value());  // it is another machine
  machine.this_system = true;
  assert_int_equal(bound_domain(machine).value_or(9), 1);
  machine.domains[1].cpus = {static_cast<uint32_t>(cpu) + 2};
  assert_false(bound_domain(machine).has_value());
  assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  directory = argv[1];
  const CMUnitTest tests[] = {
      cmocka_unit_test(load__two_packages__domains_devices_and_places),
      cmocka_unit_test(load__switches__bridges_from_the_host_down),
      cmocka_unit_test(load__memory_of_a_gpu_beside_that_of_the_cpus__one_domain),
      cmocka_unit_test(load__console_of_the_board_or_of_the_hypervisor__is_no_accelerator),
      cmocka_unit_test(load__cgroup_that_forbids_a_package__is_part_of_the_machine),
      cmocka_unit_test(load__no_such_file_or_no_description__is_invalid_and_names_it),
      cmocka_unit_test(load__this_machine__has_a_domain_with_the_cpu_of_this_thread),
      cmocka_unit_test(load__hwloc_is_told_of_a_file__reads_it),
      cmocka_unit_test(common_domain__cpus_of_one_of_two_or_none__only_one_counts),
      cmocka_unit_test(common_domain__only_one_domain__says_nothing),
      cmocka_unit_test(bound_domain__thread_bound_to_one_cpu__is_its_domain),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
