// SPDX-License-Identifier: Apache-2.0
// Which NICs each device of a machine gets. The first argument is the directory of the machines.
#include "expected.h"

#include <algorithm>

using namespace pirn;
using namespace pirn::topo;

namespace {

std::string directory;

std::string file(const char *name) { return directory + "/" + name + ".xml"; }

void rank__p4d_two_gpus_and_a_nic_on_a_flat_bus__both_share_it(void **) {
  check_machine(file("p4d"), p4d("p4d", "1d0f:efa1"));
}

void rank__p5_four_nics_and_a_gpu_per_switch__all_four(void **) { check_machine(file("p5"), p5("p5")); }

void rank__p5en_four_nics_and_two_gpus_per_switch__two_each(void **) { check_machine(file("p5en"), p5en("p5en")); }

void rank__p6_two_nics_and_two_gpus_per_switch__one_each(void **) {
  check_machine(file("p6-b200"), p6_b200("p6-b200"));
}

void rank__dgx_storage_nics_of_the_same_kind__serve_no_gpu_and_no_host_memory(void **) {
  // 8 to 11 are the storage NICs, two per package.
  check_machine(
      file("dgx-h100"),
      {"dgx-h100", {"15b3:1021"}, 12, "0 1 2 3 4 5 6 7", "0 1 2 3 4 5 6 7", "s s s s s s s s", "0,1,2,3 4,5,6,7"});
  const Described dgx = describe(file("dgx-h100"), {"15b3:1021"});
  const Ranking memory = rank(dgx.machine, Place::in_domain(0), dgx.nics);
  assert_text(indices(memory.nearest), "0,1,2,3,8,9");
  assert_text(indices(rank(dgx.machine, Place{}, dgx.nics).preferred), "0,1,2,3,4,5,6,7");
}

void rank__gh200_gpu_and_nic_in_pci_domains_of_their_own__meet_at_the_numa_node(void **) {
  check_machine(file("gh200-quad"), {"gh200-quad", {"17db:0501"}, 4, "0 1 2 3", "0 1 2 3", "n n n n", "0 1 2 3"});
  const Described quad = describe(file("gh200-quad"), {"17db:0501"});
  assert_int_equal(quad.machine.domain_of_node(12), 1);  // the memory of the second GPU
}

void rank__frontier_gcd_without_a_nic_on_its_host_bridge__shares_that_of_its_numa_node(void **) {
  check_machine(file("frontier"),
                {"frontier", {"17db:0501"}, 4, "0 0 1 1 2 2 3 3", "0 0 1 1 2 2 3 3", "n h n h n h n h", "0 1 2 3"});
}

void rank__flat_vm__devices_share_by_order(void **) {
  check_machine(file("flat-vm"), {"flat-vm", {"1d0f:efa1"}, 2, "0,1 0,1", "0 1", "h h", "0,1 0,1"});
}

void rank__nothing_known_of_numa__devices_share_by_order(void **) {
  check_machine(file("unknown-numa"), {"unknown-numa", {"1d0f:efa1"}, 2, "0,1 0,1", "0 1", "m m", "0,1 0,1"});
}

void rank__one_numa_node__host_bridge_decides_for_the_gpu_and_nothing_for_memory(void **) {
  check_machine(file("one-node"), {"one-node", {"1d0f:efa1"}, 2, "0", "0", "h", "0,1"});
}

void rank__cgroup_that_forbids_a_package__distances_stay(void **) {
  check_machine(file("p5-restricted"), p5("p5-restricted"));
}

void rank__more_gpus_than_nics_under_a_switch__all_share_all(void **) {
  check_machine(file("pair"),
                {"pair", {"1d0f:efa1"}, 4, "0,1 0,1 2,3 2,3 2,3", "0 1 2,3 2,3 2,3", "s s s s s", "0,1 2,3"});
}

void rank__nested_switches__the_lower_one_wins_and_the_upper_one_is_nearer_than_the_numa_node(void **) {
  const Described nested = describe(file("nested-switches"), {"1d0f:efa1"});
  const auto ranking = rank(nested.machine, Place::at(accelerators(nested.machine).front()), nested.nics);
  assert_int_equal(ranking.distances.size(), 3);
  std::vector<Level> levels;
  for (const Distance &distance : ranking.distances) levels.push_back(distance.level);
  std::sort(levels.begin(), levels.end());
  assert_true((levels == std::vector<Level>{Level::pci_switch, Level::pci_switch, Level::machine}));
  assert_int_equal(ranking.nearest.size(), 1);
  const Distance best = ranking.distances[ranking.nearest.front()];
  size_t farther = 0;
  for (const Distance &distance : ranking.distances)
    if (distance.level == Level::pci_switch && distance.climb > best.climb) ++farther;
  assert_int_equal(farther, 1);
}

void rank__memory_that_belongs_to_no_cpus__all_nics(void **) {
  const Described machine = describe(file("memory-only-node"), {"1d0f:efa1"});
  assert_int_equal(machine.machine.domains.size(), 2);
  assert_int_equal(machine.machine.domain_of_node(7), topo::nowhere);
  const Ranking ranking = rank(machine.machine, Place::in_domain(topo::nowhere), machine.nics);
  assert_text(indices(ranking.preferred), "0,1");
}

void rank__nics_that_the_topology_does_not_know__come_last_but_are_used_when_alone(void **) {
  Described machine = describe(file("p4d"), {"1d0f:efa1"});
  const Place gpu = Place::at(accelerators(machine.machine).front());
  machine.nics.insert(machine.nics.begin(), {NicAddress{}, parse_pci_address("00ff:01:00.0")});
  Ranking ranking = rank(machine.machine, gpu, machine.nics);
  assert_text(indices(ranking.preferred), "2");
  assert_true(ranking.distances[0].level == Level::unknown && ranking.distances[1].level == Level::unknown);
  machine.nics.resize(2);
  ranking = rank(machine.machine, gpu, machine.nics);
  assert_text(indices(ranking.nearest), "0,1");
  assert_false(ranking.preferred.empty());
}

void rank__device_that_the_topology_does_not_know__all_nics(void **) {
  const Described machine = describe(file("p4d"), {"1d0f:efa1"});
  const Ranking ranking = rank(machine.machine, Place::at(*parse_pci_address("00ff:01:00.0")), machine.nics);
  assert_text(indices(ranking.preferred), "0,1,2,3");
}

// One word per place: its spares.
std::string spares_of(const Described &machine, const Place &place, size_t most) {
  const std::vector<size_t> chosen = rank(machine.machine, place, machine.nics).preferred;
  return indices(spares(machine.machine, place, machine.nics, chosen, most));
}

std::string spares_of_all(const Described &machine, size_t most) {
  std::string out;
  for (const PciAddress &device : accelerators(machine.machine))
    out += (out.empty() ? "" : " ") + spares_of(machine, Place::at(device), most);
  return out;
}

std::string spares_of_domains(const Described &machine, size_t most) {
  std::string out;
  for (uint32_t domain = 0; domain < machine.machine.domains.size(); ++domain)
    out += (domain == 0 ? "" : " ") + spares_of(machine, Place::in_domain(domain), most);
  return out;
}

void spares__each_machine__next_nearest_and_spread_over_places(void **) {
  const Described p4d = describe(file("p4d"), {"1d0f:efa1"});
  assert_text(spares_of_all(p4d, 2), "1,2 1,2 0,2 0,2 3,0 3,0 2,0 2,0");
  assert_text(spares_of_domains(p4d, 2), "2,3 0,1");
  assert_text(spares_of_domains(p4d, 1), "2 0");
  assert_text(spares_of_domains(p4d, 0), " ");
  const Described p5 = describe(file("p5"), {"1d0f:efa1"});
  assert_text(spares_of_all(p5, 2), "4,5 8,9 12,13 0,1 20,21 24,25 28,29 16,17");
  assert_text(spares_of_domains(p5, 2), "16,17 0,1");
  // NICs of the same switch that fall to the neighbour come first.
  const Described p5en = describe(file("p5en"), {"1d0f:efa2"});
  assert_text(spares_of_all(p5en, 2), "2,3 0,1 6,7 4,5 10,11 8,9 14,15 12,13");
  const Described quad = describe(file("gh200-quad"), {"17db:0501"});
  assert_text(spares_of_all(quad, 2), "1,2 2,3 3,0 0,1");
  assert_text(spares_of_domains(quad, 2), "1,2 2,3 3,0 0,1");
  const Described frontier = describe(file("frontier"), {"17db:0501"});
  assert_text(spares_of_all(frontier, 2), "1,2 1,2 2,3 2,3 3,0 3,0 0,1 0,1");
  assert_text(spares_of_domains(frontier, 2), "1,2 2,3 3,0 0,1");
}

// 8 to 11 are the storage NICs, two per package: nearer to memory than the other package's, and yet not taken.
void spares__dgx_storage_nics__are_never_taken(void **) {
  const Described dgx = describe(file("dgx-h100"), {"15b3:1021"});
  assert_text(spares_of_all(dgx, 2), "1,2 2,3 3,0 0,1 5,6 6,7 7,4 4,5");
  assert_text(spares_of_domains(dgx, 2), "4,5 0,1");
  assert_text(spares_of_all(dgx, 100),
              "1,2,3,4,5,6,7 2,3,0,4,5,6,7 3,0,1,4,5,6,7 0,1,2,4,5,6,7 5,6,7,0,1,2,3 "
              "6,7,4,0,1,2,3 7,4,5,0,1,2,3 4,5,6,0,1,2,3");
}

void spares__nics_that_the_topology_does_not_know__are_never_taken(void **) {
  Described p4d = describe(file("p4d"), {"1d0f:efa1"});
  p4d.nics.push_back(NicAddress{});
  p4d.nics.push_back(parse_pci_address("00ff:01:00.0"));
  assert_text(spares_of_domains(p4d, 100), "2,3 0,1");
  assert_true(spares(p4d.machine, Place{}, {}, {}, 2).empty());
}

void rank__no_nics__is_empty(void **) {
  const Described machine = describe(file("p4d"), {});
  const Ranking ranking = rank(machine.machine, Place::at(accelerators(machine.machine).front()), machine.nics);
  assert_true(ranking.distances.empty() && ranking.nearest.empty() && ranking.preferred.empty());
  assert_true(rank(machine.machine, Place{}, machine.nics).preferred.empty());
}

// Whatever the order of the list, each device gets the same NICs, and none is left without.
void rank__list_in_any_order__same_nearest_nics_and_none_without(void **) {
  Seeded seeded;
  for (const char *name : {"p4d", "p5en", "frontier", "dgx-h100", "gh200-quad", "pair", "flat-vm", "unknown-numa"}) {
    Described machine = describe(file(name), {"1d0f:efa1", "1d0f:efa2", "15b3:1021", "17db:0501"});
    const std::vector<NicAddress> sorted = machine.nics;
    for (const PciAddress &device : accelerators(machine.machine)) {
      std::vector<NicAddress> expected;
      for (size_t i : rank(machine.machine, Place::at(device), sorted).nearest) expected.push_back(sorted[i]);
      for (size_t i = machine.nics.size(); i > 1; --i)
        std::swap(machine.nics[i - 1], machine.nics[seeded.between(0, i - 1)]);
      const Ranking ranking = rank(machine.machine, Place::at(device), machine.nics);
      std::vector<NicAddress> got;
      for (size_t i : ranking.nearest) got.push_back(machine.nics[i]);
      std::sort(got.begin(), got.end());
      assert_true(got == expected);
      assert_false(ranking.preferred.empty());
    }
  }
}

// Splitting wastes no NIC: the accelerators of a group use all of their nearest ones.
void rank__split_among_sharers__every_nearest_nic_is_preferred_by_one(void **) {
  for (const char *name : {"p5", "p5en", "p6-b200", "pair", "flat-vm"}) {
    const Described machine = describe(file(name), {"1d0f:efa1", "1d0f:efa2", "1d0f:efa3"});
    std::vector<size_t> users(machine.nics.size());
    for (const PciAddress &device : accelerators(machine.machine))
      for (size_t i : rank(machine.machine, Place::at(device), machine.nics).preferred) ++users[i];
    assert_true(std::all_of(users.begin(), users.end(), [](size_t count) { return count > 0; }));
  }
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  directory = argv[1];
  const CMUnitTest tests[] = {
      cmocka_unit_test(rank__p4d_two_gpus_and_a_nic_on_a_flat_bus__both_share_it),
      cmocka_unit_test(rank__p5_four_nics_and_a_gpu_per_switch__all_four),
      cmocka_unit_test(rank__p5en_four_nics_and_two_gpus_per_switch__two_each),
      cmocka_unit_test(rank__p6_two_nics_and_two_gpus_per_switch__one_each),
      cmocka_unit_test(rank__dgx_storage_nics_of_the_same_kind__serve_no_gpu_and_no_host_memory),
      cmocka_unit_test(rank__gh200_gpu_and_nic_in_pci_domains_of_their_own__meet_at_the_numa_node),
      cmocka_unit_test(rank__frontier_gcd_without_a_nic_on_its_host_bridge__shares_that_of_its_numa_node),
      cmocka_unit_test(rank__flat_vm__devices_share_by_order),
      cmocka_unit_test(rank__nothing_known_of_numa__devices_share_by_order),
      cmocka_unit_test(rank__one_numa_node__host_bridge_decides_for_the_gpu_and_nothing_for_memory),
      cmocka_unit_test(rank__cgroup_that_forbids_a_package__distances_stay),
      cmocka_unit_test(rank__more_gpus_than_nics_under_a_switch__all_share_all),
      cmocka_unit_test(rank__nested_switches__the_lower_one_wins_and_the_upper_one_is_nearer_than_the_numa_node),
      cmocka_unit_test(rank__memory_that_belongs_to_no_cpus__all_nics),
      cmocka_unit_test(rank__nics_that_the_topology_does_not_know__come_last_but_are_used_when_alone),
      cmocka_unit_test(rank__device_that_the_topology_does_not_know__all_nics),
      cmocka_unit_test(spares__each_machine__next_nearest_and_spread_over_places),
      cmocka_unit_test(spares__dgx_storage_nics__are_never_taken),
      cmocka_unit_test(spares__nics_that_the_topology_does_not_know__are_never_taken),
      cmocka_unit_test(rank__no_nics__is_empty),
      cmocka_unit_test(rank__list_in_any_order__same_nearest_nics_and_none_without),
      cmocka_unit_test(rank__split_among_sharers__every_nearest_nic_is_preferred_by_one),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
