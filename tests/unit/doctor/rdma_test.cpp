// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

static void examine__healthy_infiniband_node__has_no_complaint(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").infiniband("mlx5_1", "ib1").usable("verbs", "mlx5_0");
  node.file("proc/sys/net/ipv4/conf/all/arp_ignore", "1\n").file("proc/sys/net/ipv4/conf/all/arp_announce", "2\n");
  const auto findings = node.examine();
  assert_text(complaints(findings), "");
  assert_int_equal(doctor::exit_status(findings), 0);
  assert_text(only(findings, "rdma.device-files").seen, "uverbs0, uverbs1, rdma_cm");
  int ports = 0;
  for (const auto &finding : findings)
    if (finding.id == "rdma.port") {
      assert_text(finding.subject, "mlx5_" + std::to_string(ports++) + " port 1");
      assert_text(finding.seen, "ACTIVE, LinkUp, 400 Gb/sec (4X NDR)");
    }
  assert_int_equal(ports, 2);
}

static void examine__healthy_roce_node__has_no_complaint(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").usable("verbs", "mlx5_0");
  const auto findings = node.examine();
  assert_text(complaints(findings), "");
  assert_text(only(findings, "rdma.roce").seen, "4 GIDs: RoCE v1 and v2");  // the empty slot does not count
  assert_text(only(findings, "rdma.mtu").seen, "MTU 9000");
  assert_text(only(findings, "rdma.pcie").seen, "x16 at 32.0 GT/s PCIe, capable of x16 at 32.0 GT/s PCIe; ports 400 Gb/s");
}

static void ports__one_link_down_of_two__is_a_warning(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").roce("mlx5_1", "ens1").usable("verbs", "mlx5_0");
  node.file("sys/class/infiniband/mlx5_1/ports/1/state", "1: DOWN\n").file("sys/class/infiniband/mlx5_1/ports/1/phys_state", "2: Polling\n");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning rdma.port-down mlx5_1 port 1\n");
  assert_text(only(findings, "rdma.port-down").seen, "DOWN, Polling, 400 Gb/sec (4X NDR)");
  assert_contains(only(findings, "rdma.port-down").remedy, "cable");
  assert_int_equal(doctor::exit_status(findings), 1);
}

static void ports__every_link_down__is_a_problem(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").usable("verbs", "mlx5_0");
  node.file("sys/class/infiniband/mlx5_0/ports/1/state", "1: DOWN\n").file("sys/class/infiniband/mlx5_0/ports/1/phys_state", "3: Disabled\n");
  const auto findings = node.examine();
  assert_text(complaints(findings), "problem rdma.no-active-port \nnote rdma.port-disabled mlx5_0 port 1\n");
  assert_int_equal(doctor::exit_status(findings), 2);
}

static void ports__no_subnet_manager__says_so(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").infiniband("mlx5_1", "ib1").usable("verbs", "mlx5_0");
  node.file("sys/class/infiniband/mlx5_1/ports/1/state", "2: INIT\n");
  const auto findings = node.examine();
  assert_finding(findings, "rdma.no-subnet-manager", "warning");
  assert_contains(only(findings, "rdma.no-subnet-manager").remedy, "opensm");
  assert_false(has(findings, "rdma.port-down"));
}

static void ports__one_slower_and_narrower_than_its_likes__is_named(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").roce("mlx5_1", "ens1").usable("verbs", "mlx5_0");
  node.file("sys/class/infiniband/mlx5_0/ports/1/rate", "100 Gb/sec (1X NDR)\n");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning rdma.link-narrow mlx5_0 port 1\nwarning rdma.rate-uneven mlx5_0 port 1\n");
  assert_text(only(findings, "rdma.rate-uneven").seen, "100 Gb/s, others of its model 400 Gb/s");
}

static void pcie__link_slower_than_the_port__is_a_warning(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").usable("verbs", "mlx5_0");
  node.file("sys/class/infiniband/mlx5_0/device/current_link_width", "8\n");
  auto findings = node.examine();
  assert_text(complaints(findings), "warning rdma.pcie-slow mlx5_0\n");
  node.file("sys/class/infiniband/mlx5_0/ports/1/rate", "200 Gb/sec (4X HDR)\n");  // enough for that
  findings = node.examine();
  assert_text(complaints(findings), "note rdma.pcie-reduced mlx5_0\n");
  assert_int_equal(doctor::exit_status(findings), 0);
  node.file("sys/class/infiniband/mlx5_0/device/current_link_speed", "Unknown\n");  // virtual machines
  assert_text(complaints(node.examine()), "");
}

static void gids__roce_v1_only__is_a_warning(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").usable("verbs", "mlx5_0");
  for (int slot = 0; slot < 4; ++slot)
    node.file("sys/class/infiniband/mlx5_0/ports/1/gid_attrs/types/" + std::to_string(slot), "IB/RoCE v1\n");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning rdma.roce-v1-only mlx5_0 port 1\n");
  assert_text(only(findings, "rdma.roce-v1-only").seen, "4 GIDs: RoCE v1 only");
  assert_int_equal(doctor::exit_status(findings), 1);
}

static void gids__connections_made_with_v1__is_a_warning(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").usable("verbs", "mlx5_0");
  node.file("sys/kernel/config/rdma_cm/mlx5_0/ports/1/default_roce_mode", "IB/RoCE v1\n");
  assert_text(complaints(node.examine()), "warning rdma.roce-mode-v1 mlx5_0 port 1\n");
}

static void gids__link_local_only__needs_an_address(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").usable("verbs", "mlx5_0");
  node.remove("sys/class/infiniband/mlx5_0/ports/1/gids/2").remove("sys/class/infiniband/mlx5_0/ports/1/gids/3");
  const auto findings = node.examine();
  assert_text(complaints(findings), "problem rdma.no-address mlx5_0 port 1\n");
  assert_text(only(findings, "rdma.no-address").remedy, "ip address add A.B.C.D/N dev ens1");
}

static void ipoib__missing_or_without_address__is_a_problem(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0");
  node.file("proc/self/net/route", "Iface\tDestination\neth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n");
  assert_text(complaints(node.examine()), "problem rdma.no-address mlx5_0\n");
  node.file("proc/self/net/if_inet6", "fe800000000000000000000000000001 03 40 20 80      ib0\n");  // link-local is not enough
  assert_true(has(node.examine(), "rdma.no-address"));
  node.file("proc/self/net/if_inet6", "20010db8000000000000000000000001 03 40 00 80      ib0\n");
  assert_text(complaints(node.examine()), "");
  node.remove("sys/class/net/ib0");
  assert_text(complaints(node.examine()), "problem rdma.no-ipoib mlx5_0\n");
}

static void roce__interface_in_another_namespace__is_a_problem(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").usable("verbs", "mlx5_0").remove("sys/class/net/ens1");
  const auto findings = node.examine();
  assert_finding(findings, "rdma.no-interface", "problem");
  assert_contains(only(findings, "rdma.no-interface").remedy, "hostNetwork");
}

static void mtu__small__weighs_more_on_a_fast_port(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").usable("verbs", "mlx5_0").file("sys/class/net/ens1/mtu", "1500\n");
  auto findings = node.examine();
  assert_text(complaints(findings), "warning rdma.mtu-small ens1\n");
  assert_contains(only(findings, "rdma.mtu-small").means, "at most 1024 of 4096");
  node.file("sys/class/infiniband/mlx5_0/ports/1/rate", "25 Gb/sec (1X EDR)\n");  // one lane is all that such a port has
  findings = node.examine();
  assert_text(complaints(findings), "note rdma.mtu-small ens1\n");
  node.file("sys/class/net/ens1/mtu", "4154\n");  // 4096 and its headers
  assert_text(complaints(node.examine()), "");
  node.file("sys/class/net/ens1/mtu", "4153\n");
  assert_contains(only(node.examine(), "rdma.mtu-small").means, "at most 2048 of 4096");
}

static void same_subnet__two_nics_and_loose_arp__is_a_warning(void **) {
  FakeNode node;
  node.roce("mlx5_0", "ens1").roce("mlx5_1", "ens2").usable("verbs", "mlx5_0");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning rdma.same-subnet ens1, ens2\n");
  for (const char *name : {"ens1", "ens2"}) {
    const std::string conf = std::string("proc/sys/net/ipv4/conf/") + name + "/";
    node.file(conf + "arp_ignore", "1\n").file(conf + "arp_announce", "2\n");
  }
  assert_text(complaints(node.examine()), "");
}

static void userspace__driver_missing__names_the_package(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").remove("etc/libibverbs.d/mlx5.driver");
  const auto findings = node.examine();
  assert_contains(only(findings, "rdma.no-userspace-driver").remedy, "ibverbs-providers");
  assert_finding(findings, "rdma.no-userspace-driver", "problem");
  const auto &unusable = only(findings, "provider.unusable");  // the hardware is here, so its provider is missed
  assert_text(unusable.subject, "verbs");
  assert_contains(unusable.remedy, "apt-get install libfabric1 ibverbs-providers rdma-core");
}

static void devices__missing_in_a_container__is_a_problem_with_the_containers_remedy(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").remove("dev/infiniband").file(".dockerenv", "");
  const auto findings = node.examine();
  assert_text(complaints(findings), "problem rdma.device-file-missing /dev/infiniband/uverbs0\n"
                                    "problem rdma.device-file-missing /dev/infiniband/rdma_cm\n");
  for (const auto &finding : findings)
    if (finding.id == "rdma.device-file-missing") assert_contains(finding.remedy, "--device=/dev/infiniband");
  assert_text(only(findings, "container.here").seen, "a container, says /.dockerenv");
  node.remove(".dockerenv");
  for (const auto &finding : node.examine())
    if (finding.id == "rdma.device-file-missing") assert_contains(finding.remedy, "modprobe ib_uverbs rdma_ucm");
}

static void devices__cannot_be_opened__says_why(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").link("dev/infiniband/uverbs0", "uverbs0");  // points to itself
  const auto findings = node.examine();
  assert_text(complaints(findings), "problem rdma.device-file-closed /dev/infiniband/uverbs0\n");
  assert_text(only(findings, "rdma.device-file-closed").seen, strerror(ELOOP));
}

static void devices__no_uverbs_module__is_a_problem(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").remove("sys/class/infiniband_verbs");
  assert_text(complaints(node.examine()), "problem rdma.no-uverbs \n");
}

static void software_roce__interface_by_its_parent_file__is_found(void **) {
  FakeNode node;
  node.roce("rxe0", "dum0").usable("verbs", "rxe0");
  node.remove("sys/class/infiniband/rxe0/device").file("sys/class/infiniband/rxe0/parent", "dum0\n");
  auto findings = node.examine();
  assert_text(complaints(findings), "problem rdma.no-userspace-driver rxe0\n");
  node.file("etc/libibverbs.d/rxe.driver", "driver rxe\n");
  findings = node.examine();
  assert_text(complaints(findings), "");
  assert_text(only(findings, "rdma.mtu").subject, "dum0");
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(examine__healthy_infiniband_node__has_no_complaint),
      cmocka_unit_test(examine__healthy_roce_node__has_no_complaint),
      cmocka_unit_test(ports__one_link_down_of_two__is_a_warning),
      cmocka_unit_test(ports__every_link_down__is_a_problem),
      cmocka_unit_test(ports__no_subnet_manager__says_so),
      cmocka_unit_test(ports__one_slower_and_narrower_than_its_likes__is_named),
      cmocka_unit_test(pcie__link_slower_than_the_port__is_a_warning),
      cmocka_unit_test(gids__roce_v1_only__is_a_warning),
      cmocka_unit_test(gids__connections_made_with_v1__is_a_warning),
      cmocka_unit_test(gids__link_local_only__needs_an_address),
      cmocka_unit_test(ipoib__missing_or_without_address__is_a_problem),
      cmocka_unit_test(roce__interface_in_another_namespace__is_a_problem),
      cmocka_unit_test(mtu__small__weighs_more_on_a_fast_port),
      cmocka_unit_test(same_subnet__two_nics_and_loose_arp__is_a_warning),
      cmocka_unit_test(userspace__driver_missing__names_the_package),
      cmocka_unit_test(devices__missing_in_a_container__is_a_problem_with_the_containers_remedy),
      cmocka_unit_test(devices__cannot_be_opened__says_why),
      cmocka_unit_test(devices__no_uverbs_module__is_a_problem),
      cmocka_unit_test(software_roce__interface_by_its_parent_file__is_found),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
