// SPDX-License-Identifier: Apache-2.0
// Limits, containers, variables, libfabric's versions, EFA, Slingshot.
#include "fixture.h"

#include <csignal>

using doctor::Severity;

static void examine__plain_host__has_no_complaint(void **) {
  const FakeNode node;
  const auto findings = node.examine();
  assert_text(complaints(findings), "");
  assert_text(only(findings, "net.interface").seen, "up, MTU 1500, 10 Gb/s");
  assert_text(only(findings, "memory.shm").seen, "62.5 GiB");  // half of memory, for no size is given
}

static void memlock__low_with_rdma__is_a_problem(void **) {
  FakeNode node;
  node.limits("65536", "65536");
  assert_false(has(node.examine(), "limits.memlock-low"));  // nothing here locks memory
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0");
  auto findings = node.examine();
  assert_text(complaints(findings), "problem limits.memlock-low \n");
  assert_text(only(findings, "limits.memlock-low").seen, "ulimit -l: 64 KiB");
  assert_contains(only(findings, "limits.memlock-low").remedy, "ulimit -l unlimited");
  assert_int_equal(doctor::exit_status(findings), 2);
  node.limits("17179869184", "65536");
  assert_text(complaints(node.examine()), "warning limits.memlock-low \n");
}

static void memlock__capability_to_lock__counts_in_the_initial_user_namespace_only(void **) {
  FakeNode node;
  node.limits("65536", "65536").infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0");
  node.file("proc/self/status", "CapEff:\t0000000000004000\n");
  assert_text(complaints(node.examine()), "");
  node.file("proc/self/uid_map", "         0     100000      65536");
  assert_finding(node.examine(), "limits.memlock-low", "problem");
}

static void files__few__weigh_by_number(void **) {
  FakeNode node;
  node.limits("unlimited", "1024");
  assert_finding(node.examine(), "limits.files-few", "note");
  assert_contains(only(node.examine(), "limits.files-few").remedy, "ulimit -n 65536");
  node.limits("unlimited", "256");
  assert_finding(node.examine(), "limits.files-few", "warning");
  node.limits("unlimited", "4096");
  assert_finding(node.examine(), "limits.files", "ok");
}

static void hugepages__none_or_used_up__is_a_note(void **) {
  FakeNode node;
  node.file("proc/meminfo", "MemTotal: 1000 kB\nHugePages_Total:       8\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
  assert_finding(node.examine(), "memory.hugepages-used-up", "note");
  node.file("proc/meminfo", "MemTotal: 1000000 kB\nHugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
  assert_text(complaints(node.examine()), "");
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0");
  assert_text(complaints(node.examine()), "note memory.no-hugepages \n");
}

static void shm__small__is_a_warning(void **) {
  FakeNode node;
  node.file("proc/self/mountinfo", "30 25 0:26 / /dev/shm rw shared:4 - tmpfs shm rw,size=65536k,inode64\n").variable("container", "podman");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning memory.shm-small /dev/shm\nnote local.folder-private /dev/shm\n");
  assert_text(only(findings, "memory.shm-small").seen, "64 MiB");
  assert_contains(only(findings, "memory.shm-small").remedy, "--shm-size");
  for (const auto &[option, seen] : {std::pair{"size=2g", "2 GiB"}, {"size=68719476736", "64 GiB"}, {"size=25%", "31.25 GiB"}}) {
    node.file("proc/self/mountinfo", std::string("30 25 0:26 / /dev/shm rw - tmpfs shm rw,") + option + "\n");
    assert_text(only(node.examine(), "memory.shm").seen, seen);
  }
  node.file("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
  assert_finding(node.examine(), "memory.no-shm", "warning");
}

static void container__limits_and_namespace__are_named(void **) {
  FakeNode node;
  node.file("proc/self/cgroup", "0::/kubepods/pod1").file("sys/fs/cgroup/kubepods/pod1/rdma.max", "mlx5_0 hca_handle=2 hca_object=2000\n");
  node.file("proc/self/status", "Cpus_allowed_list:\t5\n");
  node.link("proc/self/ns/net", "net:[4026531999]").link("proc/1/ns/net", "net:[4026531840]");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning container.rdma-limit \nnote container.network \nnote container.one-processor \n");
  assert_text(only(findings, "container.rdma-limit").seen, "cgroup: rdma.max: mlx5_0 hca_handle=2 hca_object=2000");
  assert_text(only(findings, "container.here").seen, "a container, says cgroup: kubepods");
  node.file("sys/fs/cgroup/kubepods/pod1/rdma.max", "mlx5_0 hca_handle=max hca_object=max\n");
  node.link("proc/self/ns/net", "net:[4026531840]").file("proc/self/status", "Cpus_allowed_list:\t5-6\n");
  assert_text(complaints(node.examine()), "");
}

static void settings__misspelt__is_a_warning_with_the_right_name(void **) {
  FakeNode node;
  node.variable("PIRN_PROVDER", "tcp").variable("PIRN_NICS", "eth0").variable("PIRN_XYZ", "1").variable("OTHER_PROVDER", "1");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning env.setting-unknown PIRN_PROVDER\nwarning env.setting-unknown PIRN_XYZ\n");
  assert_text(findings[0].remedy, "did you mean PIRN_PROVIDER?");
  assert_contains(findings[1].remedy, "pirn-info -c");
  assert_int_equal(doctor::exit_status(findings), 1);
}

static void settings__refused_by_pirn__is_a_problem(void **) {
  const FakeNode node;
  auto facts = doctor::read_facts(doctor::System(node.root()).text("/pirn-info.json"));
  facts.settings_error = "PIRN_CHUNK_SIZE=zz is not a size";
  const auto findings = doctor::examine(doctor::System(node.root()), facts, "");
  assert_text(complaints(findings), "problem env.setting-refused \n");
  assert_text(only(findings, "env.setting-refused").seen, "PIRN_CHUNK_SIZE=zz is not a size");
}

static void fabric_variables__that_work_against_pirn__are_named(void **) {
  struct Case {
    const char *name, *value, *complaint;
  };
  const Case cases[] = {
      {"FI_EFA_USE_DEVICE_RDMA", "1", "warning env.efa-abort"},      {"FI_EFA_USE_DEVICE_RDMA", "0", "warning env.efa-emulated"},
      {"FI_EFA_MTU_SIZE", "4096", "warning env.efa-abort"},          {"FI_EFA_TX_IOV_LIMIT", "2", "warning env.efa-abort"},
      {"FI_EFA_ENABLE_SHM_TRANSFER", "1", "warning env.efa-shm"},    {"FI_EFA_ENABLE_SHM_TRANSFER", "0", nullptr},
      {"FI_EFA_FORK_SAFE", "1", "warning env.efa-fork"},             {"FI_CXI_OPTIMIZED_MRS", "1", "warning env.cxi-stale-key"},
      {"FI_CXI_OPTIMIZED_MRS", "0", nullptr},                        {"FI_CXI_MR_MATCH_EVENTS", "0", "warning env.cxi-stale-key"},
      {"FI_CXI_MR_MATCH_EVENTS", "1", nullptr},                      {"FI_MR_CACHE_MAX_COUNT", "0", "note env.no-mr-cache"},
      {"FI_TCP_PROV_NAME", "other", "problem env.tcp-renamed"},      {"FI_LOG_LEVEL", "debug", "note env.log"},
      {"FI_LOG_LEVEL", "warn", nullptr},                             {"FI_HOOK", "trace", "note env.hook"},
      {"RDMAV_HUGEPAGES_SAFE", "1", "note env.verbs-fork"},          {"FI_PROVIDER_PATH", "/not/here", "warning env.provider-path"},
      {"FI_TCP_IFACE", "eth", "problem env.device-missing"},         {"FI_TCP_IFACE", "eth0", nullptr},
      {"FI_VERBS_IFACE", "et", nullptr},                             {"FI_VERBS_IFACE", "ib", "problem env.device-missing"},
      {"FI_CXI_DEVICE_NAME", "cxi0", "problem env.device-missing"},  {"FI_PROVIDER", "tcp", nullptr},
  };
  for (const Case &one : cases) {
    FakeNode node;
    node.variable(one.name, one.value);
    assert_text(complaints(node.examine()), one.complaint ? std::string(one.complaint) + " " + one.name + "\n" : "");
  }
}

static void fi_provider__that_hides_the_hardware__is_a_warning(void **) {
  for (const auto &[value, hidden] : {std::pair{"tcp,shm", true}, {"verbs", false}, {"^shm", false}, {"^verbs", true}, {"^ofi_rxm", true}}) {
    FakeNode node;
    node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").variable("FI_PROVIDER", value);
    assert_text(complaints(node.examine()), hidden ? "warning env.provider-hidden FI_PROVIDER\n" : "");
  }
  FakeNode node;
  node.variable("FI_PROVIDER", "shm");
  assert_finding(node.examine("tcp"), "env.provider-hidden", "problem");
}

static void provider__demanded_and_unusable__is_a_problem(void **) {
  FakeNode node;
  node.variable("PIRN_PROVIDER", "verbs");
  auto findings = node.examine();
  assert_text(complaints(findings), "problem provider.unusable verbs\n");
  assert_contains(only(findings, "provider.unusable").means, "demanded");
  assert_int_equal(doctor::exit_status(node.examine("tcp")), 0);  // asked about tcp alone
  findings = FakeNode().examine("cxi");
  assert_text(complaints(findings), "problem provider.unusable cxi\n");
  assert_contains(only(findings, "provider.unusable").remedy, "/opt/cray/libfabric");
  for (const auto &finding : findings)
    assert_true(finding.providers.empty() || finding.providers == std::vector<std::string>{"cxi"} || finding.providers.size() > 1);
}

static void provider__facts_missing_or_spoilt__is_said(void **) {
  FakeNode node;
  node.remove("pirn-info.json");
  assert_text(complaints(node.examine()), "note provider.not-asked \n");
  for (const char *spoilt : {"[]", "{", "{\"libfabric\": 3, \"providers\": []}", "{\"missing\": 7}"})
    assert_contains(doctor::read_facts(spoilt).missing, "not what pirn-info --json prints");
  const doctor::System system(node.root());
  auto findings = doctor::examine(system, doctor::facts_of_child("", SIGABRT, false), "");
  assert_text(complaints(findings), "problem provider.crash libfabric\n");
  assert_contains(only(findings, "provider.crash").seen, "signal 6 (Aborted)");
  findings = doctor::examine(system, doctor::facts_of_child("{", 0, true), "");
  assert_contains(only(findings, "provider.crash").seen, "took longer than 60 s");
  findings = doctor::examine(system, doctor::facts_of_child("", 3 << 8, false), "");
  assert_contains(only(findings, "provider.crash").seen, "ended with 3");
}

static void efa__node_without_device__is_a_warning_by_instance_type(void **) {
  FakeNode node;
  node.file("sys/class/dmi/id/sys_vendor", "Amazon EC2\n").file("sys/class/dmi/id/product_name", "p5.48xlarge\n");
  auto findings = node.examine();
  assert_text(complaints(findings), "warning efa.none-attached p5.48xlarge\n");
  assert_contains(only(findings, "efa.none-attached").remedy, "InterfaceType=efa");
  node.file("sys/class/dmi/id/product_name", "m7i.large\n");
  assert_text(complaints(node.examine()), "");
  findings = node.examine("efa");
  assert_finding(findings, "efa.none-attached", "problem");
}

static void efa__device_without_driver__is_a_problem(void **) {
  FakeNode node;
  node.file("sys/bus/pci/devices/0000:00:1d.0/vendor", "0x1d0f\n").file("sys/bus/pci/devices/0000:00:1d.0/device", "0xefa1\n");
  node.file("sys/bus/pci/devices/0000:00:05.0/vendor", "0x1d0f\n").file("sys/bus/pci/devices/0000:00:05.0/device", "0xec20\n");
  const auto findings = node.examine();
  assert_text(complaints(findings), "problem provider.unusable efa\nproblem efa.driver-missing 0000:00:1d.0\n");
  assert_contains(only(findings, "efa.driver-missing").remedy, "modprobe efa");
}

static void efa__by_version_of_libfabric__has_its_traps(void **) {
  FakeNode node;
  node.efa("rdmap0s29").usable("efa", "rdmap0s29-rdm").libfabric("2.3.1");
  assert_text(complaints(node.examine()), "");
  node.libfabric("1.22.0");
  assert_text(complaints(node.examine()), "note libfabric.efa-no-direct \nnote libfabric.efa-no-descriptor \n");
  node.libfabric("1.20.1");
  assert_text(complaints(node.examine()), "note libfabric.efa-old \nnote libfabric.efa-no-descriptor \n");
  node.libfabric("1.17.0").file("opt/amazon/efa/lib64/libfabric.so.1", "");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning libfabric.efa-emulated-write \nwarning libfabric.vendor-build-unused /opt/amazon/efa/lib64\n"
                                    "note libfabric.efa-no-descriptor \n");
  assert_text(only(findings, "libfabric.vendor-build-unused").remedy, "export LD_LIBRARY_PATH=/opt/amazon/efa/lib64");
  assert_text(complaints(node.examine("tcp")), "");
}

static void libfabric__older_than_pirn_needs__is_a_problem(void **) {
  FakeNode node;
  node.libfabric("1.11.0");
  const auto findings = node.examine();
  assert_text(complaints(findings), "problem libfabric.too-old \n");
  assert_text(only(findings, "libfabric.too-old").seen, "libfabric 1.11.0");
  assert_int_equal(doctor::exit_status(findings), 2);
}

static void libfabric__traps_that_pirn_avoids__are_ok_and_explained(void **) {
  FakeNode node;
  node.libfabric("1.17.0");
  const auto findings = node.examine();
  assert_text(complaints(findings), "");
  for (const char *id : {"libfabric.net-not-tcp", "libfabric.fi-write-flags", "libfabric.names-ignored"}) {
    assert_finding(findings, id, "ok");
    assert_contains(only(findings, id).means, "pirn ");
  }
  node.libfabric("2.0.0");
  assert_false(has(node.examine(), "libfabric.net-not-tcp"));
}

static void slingshot__in_a_job_without_vni__is_a_warning(void **) {
  FakeNode node;
  node.slingshot("cxi0", "hsn0").usable("cxi", "cxi0");
  assert_text(complaints(node.examine()), "note cxi.no-vni SLINGSHOT_VNIS\n");
  node.variable("SLURM_JOB_ID", "77");
  const auto findings = node.examine();
  assert_text(complaints(findings), "warning cxi.no-vni SLINGSHOT_VNIS\n");
  assert_contains(only(findings, "cxi.no-vni").remedy, "--network=");
  node.variable("SLINGSHOT_VNIS", "1042,1043").variable("SLINGSHOT_DEVICES", "cxi0").variable("SLINGSHOT_SVC_IDS", "5");
  assert_text(complaints(node.examine()), "");
}

static void slingshot__what_the_job_got__must_fit_the_node(void **) {
  FakeNode node;
  node.slingshot("cxi0", "hsn0").usable("cxi", "cxi0").variable("SLINGSHOT_VNIS", "1042");
  node.variable("SLINGSHOT_DEVICES", "cxi0,cxi1").variable("SLINGSHOT_SVC_IDS", "5");
  assert_text(complaints(node.examine()), "problem cxi.job-device-missing SLINGSHOT_DEVICES\nproblem cxi.job-services SLINGSHOT_SVC_IDS\n");
  for (const char *bad : {"70000", "x", "0", "1,-2", ","}) {
    FakeNode other;
    other.slingshot("cxi0", "hsn0").usable("cxi", "cxi0").variable("SLINGSHOT_VNIS", bad);
    assert_text(complaints(other.examine()), "problem cxi.bad-vni SLINGSHOT_VNIS\n");
  }
}

static void slingshot__link_file_and_driver__are_checked(void **) {
  FakeNode node;
  node.slingshot("cxi0", "hsn0").usable("cxi", "cxi0").variable("SLINGSHOT_VNIS", "1042");
  assert_text(only(node.examine(), "cxi.link").seen, "hsn0 up, MTU 9000, 200 Gb/s");
  node.file("sys/class/net/hsn0/operstate", "down\n").remove("dev/cxi0");
  assert_text(complaints(node.examine()), "problem cxi.link-down cxi0\nproblem cxi.device-file /dev/cxi0\n");
  FakeNode bare;
  bare.file("sys/bus/pci/devices/0000:21:00.0/vendor", "0x17db\n").file("sys/bus/pci/devices/0000:21:00.0/device", "0x0501\n");
  assert_text(complaints(bare.examine()), "problem provider.unusable cxi\nproblem cxi.driver-missing 0000:21:00.0\n");
}

static void slingshot__distribution_libfabric__is_told_of_hpes(void **) {
  FakeNode node;
  node.slingshot("cxi0", "hsn0").variable("SLINGSHOT_VNIS", "1042").libfabric("1.17.0");
  node.file("opt/cray/libfabric/1.20.1/lib64/libfabric.so.1", "");
  const auto findings = node.examine();
  assert_text(complaints(findings), "problem provider.unusable cxi\nwarning libfabric.no-cxi \n"
                                    "warning libfabric.vendor-build-unused /opt/cray/libfabric/1.20.1\n");
  assert_text(only(findings, "libfabric.vendor-build-unused").remedy, "export LD_LIBRARY_PATH=/opt/cray/libfabric/1.20.1/lib64");
}

static void network__no_address_or_slow__is_said(void **) {
  FakeNode node;
  node.file("sys/class/net/eth0/speed", "1000\n");
  assert_text(complaints(node.examine()), "note net.slow eth0\n");
  node.file("proc/self/net/route", "Iface\n");
  assert_text(complaints(node.examine()), "warning net.none \n");
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(examine__plain_host__has_no_complaint),
      cmocka_unit_test(memlock__low_with_rdma__is_a_problem),
      cmocka_unit_test(memlock__capability_to_lock__counts_in_the_initial_user_namespace_only),
      cmocka_unit_test(files__few__weigh_by_number),
      cmocka_unit_test(hugepages__none_or_used_up__is_a_note),
      cmocka_unit_test(shm__small__is_a_warning),
      cmocka_unit_test(container__limits_and_namespace__are_named),
      cmocka_unit_test(settings__misspelt__is_a_warning_with_the_right_name),
      cmocka_unit_test(settings__refused_by_pirn__is_a_problem),
      cmocka_unit_test(fabric_variables__that_work_against_pirn__are_named),
      cmocka_unit_test(fi_provider__that_hides_the_hardware__is_a_warning),
      cmocka_unit_test(provider__demanded_and_unusable__is_a_problem),
      cmocka_unit_test(provider__facts_missing_or_spoilt__is_said),
      cmocka_unit_test(efa__node_without_device__is_a_warning_by_instance_type),
      cmocka_unit_test(efa__device_without_driver__is_a_problem),
      cmocka_unit_test(efa__by_version_of_libfabric__has_its_traps),
      cmocka_unit_test(libfabric__older_than_pirn_needs__is_a_problem),
      cmocka_unit_test(libfabric__traps_that_pirn_avoids__are_ok_and_explained),
      cmocka_unit_test(slingshot__in_a_job_without_vni__is_a_warning),
      cmocka_unit_test(slingshot__what_the_job_got__must_fit_the_node),
      cmocka_unit_test(slingshot__link_file_and_driver__are_checked),
      cmocka_unit_test(slingshot__distribution_libfabric__is_told_of_hpes),
      cmocka_unit_test(network__no_address_or_slow__is_said),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
