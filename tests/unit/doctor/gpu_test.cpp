// SPDX-License-Identifier: Apache-2.0
// GPUs: drivers, device files, runtimes, what is between them, and where processes of one host meet.
#include "fixture.h"

#include <sys/stat.h>

using doctor::Severity;

namespace {

const char *const no_library = "libcuda.so.1: cannot open shared object file: No such file or directory";

// A PCI switch's downstream port (a PCI Express capability of type 6 at 0x40) with ACS at 0x148, behind another one.
std::string downstream_port(uint8_t control, char type = 6) {
  std::string config(4096, '\0');
  config[0x34] = 0x50;
  config[0x50] = 0x01;
  config[0x51] = 0x40;
  config[0x40] = 0x10;
  config[0x42] = static_cast<char>(type << 4 | 2);
  const auto extended = [&](size_t place, uint16_t id, uint16_t next) {
    config[place] = static_cast<char>(id);
    config[place + 2] = static_cast<char>(1 | (next & 0xf) << 4);
    config[place + 3] = static_cast<char>(next >> 4);
  };
  extended(0x100, 0x0001, 0x148);
  extended(0x148, 0x000d, 0);
  config[0x148 + 6] = static_cast<char>(control);
  return config;
}

FakeNode &bridge(FakeNode &node, const std::string &address, const std::string &config) {
  return node.file("sys/bus/pci/devices/" + address + "/class", "0x060400\n").file("sys/bus/pci/devices/" + address + "/config", config);
}

FakeNode &container(FakeNode &node) { return node.variable("container", "podman"); }

}  // namespace

static void examine__gpus_in_order__has_no_complaint(void **) {
  FakeNode node;
  node.nvidia(2).amd(2);
  const auto findings = node.examine();
  assert_text(complaints(findings), "");
  assert_text(only(findings, "gpu.driver").seen, "NVIDIA's open driver 580.65.06");
  size_t runtimes = 0, files = 0;
  for (const auto &finding : findings) {
    runtimes += finding.id == "gpu.runtime" && finding.seen == "version 1, 2 devices";
    files += finding.id == "gpu.device-files";
  }
  assert_int_equal(runtimes, 2);
  assert_int_equal(files, 2);
}

static void gpu__without_peer_memory__is_a_note(void **) {
  FakeNode node;
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").nvidia(1).file("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64\n");
  auto findings = node.examine();
  assert_text(complaints(findings), "note gpu.no-peer-memory \n");
  assert_contains(only(findings, "gpu.no-peer-memory").remedy, "modprobe nvidia_peermem");
  node.file("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64\n");
  assert_text(complaints(node.examine()), "note gpu.no-peer-memory \n");  // the RDMA core must take part
  node.file("proc/kallsyms", "0000000000000000 t ib_umem_dmabuf_get\t[ib_uverbs]\n");
  assert_text(complaints(node.examine()), "");
  FakeNode amd;
  amd.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").amd(1);
  amd.file("proc/kallsyms", "0000000000000000 t ib_umem_dmabuf_get\t[ib_uverbs]\n").file("boot/config-6.1.0-test", "# CONFIG_PCI_P2PDMA is not set\n");
  assert_text(complaints(amd.examine()), "note gpu.no-peer-memory \n");
  amd.file("boot/config-6.1.0-test", "CONFIG_PCI_P2PDMA=y\n");
  assert_text(complaints(amd.examine()), "");
}

static void driver__old_or_absent__is_said(void **) {
  FakeNode node;
  node.nvidia(1).file("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  460.32.03  Sun Dec 27\n");
  assert_text(complaints(node.examine()), "problem gpu.driver-old cuda\n");
  assert_text(only(node.examine(), "gpu.driver-old").seen, "NVIDIA's driver 460.32.03");
  assert_contains(only(node.examine(), "gpu.driver-old").remedy, "470");
  node.file("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.42.01  Sun Dec 27\n");
  assert_text(complaints(node.examine()), "");
  FakeNode bare;
  bare.file("sys/bus/pci/devices/0000:10:00.0/vendor", "0x10de\n").file("sys/bus/pci/devices/0000:10:00.0/class", "0x030200\n");
  assert_text(complaints(bare.examine()), "warning gpu.no-driver 0000:10:00.0\n");
  assert_contains(only(bare.examine(), "gpu.no-driver").remedy, "nvidia-open-kernel-dkms");
  bare.link("sys/bus/pci/devices/0000:10:00.0/driver", "../drivers/nouveau");
  assert_text(only(bare.examine(), "gpu.no-driver").seen, "a GPU of NVIDIA with the driver nouveau");
  bare.link("sys/bus/pci/devices/0000:10:00.0/driver", "../drivers/vfio-pci");  // a virtual machine has it
  assert_text(complaints(bare.examine()), "");
}

static void device_files__missing__are_problems_with_their_remedy(void **) {
  FakeNode node;
  node.nvidia(2).remove("dev/nvidia-uvm");
  assert_text(complaints(node.examine()), "problem gpu.device-file-missing /dev/nvidia-uvm\n");
  assert_contains(only(node.examine(), "gpu.device-file-missing").remedy, "nvidia-modprobe");
  container(node);
  assert_contains(only(node.examine(), "gpu.device-file-missing").remedy, "--gpus all");
  FakeNode amd;
  amd.amd(1).remove("dev/kfd");
  assert_text(complaints(amd.examine()), "problem gpu.device-file-missing /dev/kfd\n");
  amd.file("dev/kfd", "").remove("dev/dri/renderD128");
  assert_text(complaints(amd.examine()), "problem gpu.device-file-missing /dev/dri/renderD128\n");
}

// A socket cannot be opened, whoever asks; root opens all else.
static void device_files__closed__are_problems(void **) {
  FakeNode node;
  node.nvidia(1).remove("dev/nvidia0");
  assert_int_equal(mknod((node.root() + "/dev/nvidia0").c_str(), S_IFSOCK | 0600, 0), 0);
  assert_text(complaints(node.examine()), "problem gpu.device-file-closed /dev/nvidia0\n");
  assert_contains(only(node.examine(), "gpu.device-file-closed").remedy, "0666");
  FakeNode amd;
  amd.amd(1).remove("dev/kfd");
  assert_int_equal(mknod((amd.root() + "/dev/kfd").c_str(), S_IFSOCK | 0600, 0), 0);
  assert_text(complaints(amd.examine()), "problem gpu.device-file-closed /dev/kfd\n");
  assert_contains(only(amd.examine(), "gpu.device-file-closed").remedy, "render");
}

static void container__without_or_with_some_gpus__is_told_what_that_costs(void **) {
  FakeNode node;
  container(node).nvidia(2).device_kind("cuda", "", no_library, 0);
  for (const char *file : {"dev/nvidia0", "dev/nvidia1", "dev/nvidiactl", "dev/nvidia-uvm"}) node.remove(file);
  assert_text(complaints(node.examine()), "note gpu.not-given cuda\n");
  FakeNode some;
  container(some).nvidia(2).device_kind("cuda", "version 1", "", 1).remove("dev/nvidia1");
  const auto findings = some.examine();
  assert_text(complaints(findings), "warning gpu.hidden cuda\n");
  assert_text(only(findings, "gpu.hidden").seen, "device files of 1 GPUs, the host has 2");
  assert_contains(only(findings, "gpu.hidden").remedy, "NVIDIA_VISIBLE_DEVICES=all");
}

static void runtime__that_refuses__is_named_with_its_remedy(void **) {
  struct Case {
    const char *reason, *complaint, *remedy;
  };
  const Case cases[] = {
      {no_library, "problem gpu.no-library cuda\n", "libcuda1"},
      {"libcuda.so.1 is too old for pirn: it has no cuMemCreate", "problem gpu.library-old cuda\n", "libcuda1"},
      {"cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (system has unsupported display driver)", "problem gpu.driver-mismatch cuda\n", "modprobe nvidia"},
      {"cuInit: CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE (forward compatibility)", "problem gpu.driver-mismatch cuda\n", "compat"},
      {"cuInit: CUDA_ERROR_SYSTEM_NOT_READY (system not yet initialized)", "problem gpu.not-ready cuda\n", "nvidia-fabricmanager"},
      {"cuInit: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)", "problem gpu.none-visible cuda\n", "CUDA_VISIBLE_DEVICES"},
      {"cuInit: CUDA_ERROR_UNKNOWN (unknown error)", "problem gpu.runtime-refused cuda\n", "dmesg"},
  };
  for (const Case &one : cases) {
    FakeNode node;
    node.nvidia(1).device_kind("cuda", "", one.reason, 0);
    const auto findings = node.examine();
    assert_text(complaints(findings), one.complaint);
    assert_text(findings[0].seen, one.reason);
    assert_contains(findings[0].remedy, one.remedy);
  }
  FakeNode amd;
  amd.amd(1).device_kind("hip", "", "libamdhip64.so.6: cannot open shared object file", 0);
  assert_contains(only(amd.examine(), "gpu.no-library").remedy, "libamdhip64-5");
}

static void runtime__devices_hidden_by_a_variable__is_a_note(void **) {
  FakeNode node;
  node.nvidia(1).device_kind("cuda", "", "cuInit: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)", 0).variable("CUDA_VISIBLE_DEVICES", "-1");
  const auto findings = node.examine();
  assert_text(complaints(findings), "note gpu.none-visible cuda\n");
  assert_contains(only(findings, "gpu.none-visible").seen, "; CUDA_VISIBLE_DEVICES=-1");
}

static void runtime__without_hardware__does_not_matter(void **) {
  FakeNode node;
  node.device_kind("cuda", "", "cuInit: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)", 0);
  assert_text(complaints(node.examine()), "");
}

static void runtime__that_crashed_or_was_not_asked__is_said(void **) {
  FakeNode node;
  node.nvidia(1);
  auto facts = doctor::read_facts(doctor::System(node.root()).text("/pirn-info.json"));
  doctor::add_devices_of_child("", 11, false, facts);
  const auto crashed = doctor::examine(doctor::System(node.root()), facts, "");
  assert_text(complaints(crashed), "problem gpu.crash \n");
  assert_contains(only(crashed, "gpu.crash").seen, "listing devices ended the process: signal 11");
  doctor::add_devices_of_child("", 0, true, facts);
  assert_contains(only(doctor::examine(doctor::System(node.root()), facts, ""), "gpu.crash").seen, "took longer than");
  auto document = nlohmann::json::parse(doctor::System(node.root()).text("/pirn-info.json"));
  document.erase("device_kinds");
  node.file("pirn-info.json", document.dump());
  assert_text(complaints(node.examine()), "note gpu.not-asked \n");
}

static void features__that_are_missing__are_told_once_for_all_devices(void **) {
  FakeNode node;
  node.nvidia(2).lack("cuda:0", "kernels for small blocks", "pirn was built without nvcc").lack("cuda:1", "kernels for small blocks", "pirn was built without nvcc");
  node.lack("cuda:1", "dma-buf", "Linux 5.12 is needed").lack("cuda:1", "streams wait on host words", "no");
  const auto findings = node.examine();
  assert_text(complaints(findings), "note gpu.lacks cuda:0, cuda:1\nnote gpu.lacks cuda:1\n");
  assert_contains(findings[0].seen, "pirn was built without nvcc");
}

static void acs__redirecting_at_a_switch__is_a_warning_without_nvlink(void **) {
  constexpr uint8_t validate = 1, redirect = 4;
  FakeNode node;
  node.nvidia(2);
  bridge(node, "0000:01:00.0", downstream_port(validate));
  bridge(node, "0000:01:01.0", downstream_port(validate | redirect, 4));  // a root port: no other way there
  assert_text(complaints(node.examine()), "");
  assert_text(only(node.examine(), "gpu.no-acs").seen, "no redirection at 1 ports of PCI switches");
  bridge(node, "0000:01:02.0", downstream_port(validate | redirect));
  assert_text(complaints(node.examine()), "note gpu.acs 0000:01:02.0\n");
  node.device_link("cuda:1", "cuda:0", "PCIe", true);
  assert_text(complaints(node.examine()), "warning gpu.acs 0000:01:02.0\n");
  assert_contains(only(node.examine(), "gpu.acs").remedy, "setpci -s ADDRESS ECAP_ACS");
  bridge(node, "0000:01:02.0", downstream_port(redirect).substr(0, 64));
  bridge(node, "0000:01:00.0", downstream_port(0).substr(0, 64));
  bridge(node, "0000:01:01.0", downstream_port(0).substr(0, 64));
  assert_finding(node.examine(), "gpu.acs-unknown", "ok");
}

static void acs__configuration_that_goes_in_circles__ends(void **) {
  FakeNode node;
  node.nvidia(2);
  std::string config = downstream_port(0);
  config[0x34] = config[0x51] = 0x50;
  config[0x50] = 0x01;
  bridge(node, "0000:01:00.0", config);
  config = downstream_port(0);
  config[0x148] = 0x01;
  config[0x14a] = static_cast<char>(0x81);
  config[0x14b] = 0x14;
  bridge(node, "0000:01:01.0", config);
  assert_text(complaints(node.examine()), "");
}

static void iommu__translating__is_a_warning_beside_a_fabric_nic(void **) {
  FakeNode node;
  node.nvidia(1).link("sys/bus/pci/devices/0000:10:00.0/iommu_group", "../../../kernel/iommu_groups/12").file("sys/kernel/iommu_groups/12/type", "DMA-FQ\n");
  assert_text(complaints(node.examine()), "");
  node.infiniband("mlx5_0", "ib0").usable("verbs", "mlx5_0").file("sys/module/nvidia_peermem/refcnt", "0\n");
  assert_text(complaints(node.examine()), "warning gpu.iommu 0000:10:00.0\n");
  assert_contains(only(node.examine(), "gpu.iommu").remedy, "iommu=pt");
  node.file("sys/kernel/iommu_groups/12/type", "identity\n");
  assert_text(complaints(node.examine()), "");
}

static void peer_access__missing__is_a_note_with_the_pairs(void **) {
  FakeNode node;
  node.nvidia(2).device_link("cuda:0", "cuda:1", "PCIe", false).device_link("cuda:1", "hip:0", "", false);
  const auto findings = node.examine();
  assert_text(complaints(findings), "note gpu.no-peer-access \n");
  assert_text(only(findings, "gpu.no-peer-access").seen, "cuda:0 to cuda:1");
}

static void imex__channels__are_told(void **) {
  FakeNode node;
  node.nvidia(1);
  assert_finding(node.examine(), "gpu.no-imex", "ok");
  node.file("dev/nvidia-caps-imex-channels/channel0", "");
  assert_text(only(node.examine(), "gpu.imex").seen, "channel0");
  assert_int_equal(mknod((node.root() + "/dev/nvidia-caps-imex-channels/channel1").c_str(), S_IFSOCK | 0600, 0), 0);
  assert_text(complaints(node.examine()), "warning gpu.imex-closed /dev/nvidia-caps-imex-channels/channel1\n");
}

static void container__own_process_numbers__are_told(void **) {
  FakeNode node;
  container(node).nvidia(1).link("proc/self/ns/pid", "pid:[1]").link("proc/1/ns/pid", "pid:[1]");
  assert_contains(only(node.examine(), "gpu.equal-pids").means, "pirn stages it");
}

static void local_folder__missing_or_private__is_said(void **) {
  FakeNode node;
  assert_finding(node.examine(), "local.folder", "ok");
  node.variable("PIRN_LOCAL_DIR", "/run/pirn");
  auto facts = node.examine();
  assert_finding(facts, "local.folder-missing", "warning");
  node.file("run/pirn/x", "");
  assert_text(only(node.examine(), "local.folder").subject, "/run/pirn");
  FakeNode docker;
  container(docker).file("proc/self/mountinfo", "30 25 0:26 / /dev/shm rw - tmpfs shm rw,size=8388608k\n");
  assert_text(complaints(docker.examine()), "note local.folder-private /dev/shm\n");
  docker.file("proc/self/mountinfo", "30 25 0:26 / /dev/shm rw - tmpfs tmpfs rw,size=8388608k\n");
  assert_text(complaints(docker.examine()), "");
  docker.variable("PIRN_LOCAL_DIR", "");
  assert_finding(docker.examine(), "local.no-folder", "note");
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(examine__gpus_in_order__has_no_complaint),
      cmocka_unit_test(gpu__without_peer_memory__is_a_note),
      cmocka_unit_test(driver__old_or_absent__is_said),
      cmocka_unit_test(device_files__missing__are_problems_with_their_remedy),
      cmocka_unit_test(device_files__closed__are_problems),
      cmocka_unit_test(container__without_or_with_some_gpus__is_told_what_that_costs),
      cmocka_unit_test(runtime__that_refuses__is_named_with_its_remedy),
      cmocka_unit_test(runtime__devices_hidden_by_a_variable__is_a_note),
      cmocka_unit_test(runtime__without_hardware__does_not_matter),
      cmocka_unit_test(runtime__that_crashed_or_was_not_asked__is_said),
      cmocka_unit_test(features__that_are_missing__are_told_once_for_all_devices),
      cmocka_unit_test(acs__redirecting_at_a_switch__is_a_warning_without_nvlink),
      cmocka_unit_test(acs__configuration_that_goes_in_circles__ends),
      cmocka_unit_test(iommu__translating__is_a_warning_beside_a_fabric_nic),
      cmocka_unit_test(peer_access__missing__is_a_note_with_the_pairs),
      cmocka_unit_test(imex__channels__are_told),
      cmocka_unit_test(container__own_process_numbers__are_told),
      cmocka_unit_test(local_folder__missing_or_private__is_said),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
