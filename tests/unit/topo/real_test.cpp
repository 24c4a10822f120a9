// SPDX-License-Identifier: Apache-2.0
// The same expectations on descriptions taken from real machines, in the directory that PIRN_TOPOLOGY_DATA names.
#include "expected.h"

namespace {

std::string directory;

void check(const Expected &expected) { check_machine(directory + "/" + expected.name + ".xml", expected); }

void rank__real_p4d__as_described_by_us(void **) { check(p4d("p4d.24xl-topo", "1d0f:efa0")); }
void rank__real_p5__as_described_by_us(void **) { check(p5("p5.48xl-topo")); }
void rank__real_p5en__as_described_by_us(void **) { check(p5en("p5en.48xl-topo")); }
void rank__real_p6_b200__as_described_by_us(void **) { check(p6_b200("p6-b200.48xl-topo")); }

void rank__real_blade_of_mi250x_and_cassini__no_gcd_without_a_nic(void **) {
  check(
      {"hpe-ex235a-mi250x-4cxi", {"17db:0501"}, 4, "0 0 1 1 2 2 3 3", "0 0 1 1 2 2 3 3", "n h n h n h n h", "2 1 3 0"});
}

void rank__real_p3dn__one_nic_serves_all_gpus(void **) {
  check({"p3dn.24xl-topo", {"1d0f:efa0"}, 1, "0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0", "h h h h h h h h", "0 0"});
}

void rank__real_g5__one_nic_serves_all_gpus(void **) {
  check({"g5.48xl-topo", {"1d0f:efa0"}, 1, "0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0", "h h h h h h h h", "0 0"});
}

void rank__real_g6_nic_on_one_socket__serves_the_gpus_of_both(void **) {
  check({"g6.48xl-topo", {"1d0f:efa1"}, 1, "0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0", "n n n n m m m m", "0 0"});
}

void rank__real_c5n_without_gpus__the_nic_serves_both_nodes(void **) {
  check({"c5n.18xl-topo", {"1d0f:efa0"}, 1, "", "", "", "0 0"});
}

}  // namespace

int main() {
  const char *given = std::getenv("PIRN_TOPOLOGY_DATA");
  if (!given || !*given) {
    std::printf("not run: PIRN_TOPOLOGY_DATA names no directory with descriptions of real machines\n");
    return 77;
  }
  directory = given;
  const CMUnitTest tests[] = {
      cmocka_unit_test(rank__real_p4d__as_described_by_us),
      cmocka_unit_test(rank__real_p5__as_described_by_us),
      cmocka_unit_test(rank__real_p5en__as_described_by_us),
      cmocka_unit_test(rank__real_p6_b200__as_described_by_us),
      cmocka_unit_test(rank__real_blade_of_mi250x_and_cassini__no_gcd_without_a_nic),
      cmocka_unit_test(rank__real_p3dn__one_nic_serves_all_gpus),
      cmocka_unit_test(rank__real_g5__one_nic_serves_all_gpus),
      cmocka_unit_test(rank__real_g6_nic_on_one_socket__serves_the_gpus_of_both),
      cmocka_unit_test(rank__real_c5n_without_gpus__the_nic_serves_both_nodes),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
