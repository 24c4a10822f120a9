// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;

namespace {

const char *const proc_status = "Name:\tpirn\nCapEff:\t0000000000000000\nCpus_allowed_list:\t0-7,16-23\n";

std::string proc_limits(const std::string &memlock, const std::string &files) {
  return "Limit                     Soft Limit           Hard Limit           Units     \n"
         "Max open files            " + files + "                 65536                files     \n"
         "Max locked memory         " + memlock + "              unlimited            bytes     \n";
}

}  // namespace

FakeNode::FakeNode()
    : providers_(nlohmann::json::array()), nics_(providers_), kinds_(providers_), devices_(providers_), links_(providers_) {
  char name[] = "/tmp/pirn-doctor-XXXXXX";
  assert_non_null(mkdtemp(name));
  root_ = name;
  for (const char *provider : {"cxi", "efa", "verbs", "tcp", "sockets", "shm"}) {
    const bool usable = strcmp(provider, "tcp") == 0 || strcmp(provider, "sockets") == 0 || strcmp(provider, "shm") == 0;
    providers_.push_back({{"name", provider}, {"fabric", usable ? provider : ""}, {"usable", usable},
                          {"reason", usable ? "" : "libfabric does not offer it"}, {"nic_count", usable ? 1 : 0}});
  }
  for (const char *kind : {"cuda", "hip"}) device_kind(kind, "", "lib: cannot open shared object file: No such file or directory", 0);
  routes_ = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
  interface("eth0", "0000000A", 1500, 10000);
  limits("unlimited", "65536");
  file("proc/self/environ", "");
  file("dev/shm/pirn-0", "");
  file("proc/self/status", proc_status);
  file("proc/self/uid_map", "         0          0 4294967295");
  file("proc/self/cgroup", "0::/user.slice");
  file("proc/1/cgroup", "0::/init.scope");
  file("proc/self/mountinfo", "30 25 0:26 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw,inode64\n");
  file("proc/meminfo", "MemTotal:       131072000 kB\nHugePages_Total:    1024\nHugePages_Free:     1000\nHugepagesize:       2048 kB\n");
  file("proc/sys/kernel/yama/ptrace_scope", "1\n");
  file("proc/sys/kernel/osrelease", "6.1.0-test\n");
}

FakeNode::~FakeNode() { fs::remove_all(root_); }

FakeNode &FakeNode::file(const std::string &path, const std::string &content) {
  const fs::path whole = fs::path(root_) / path;
  fs::create_directories(whole.parent_path());
  std::ofstream(whole, std::ios::binary) << content;
  return *this;
}

FakeNode &FakeNode::link(const std::string &path, const std::string &target) {
  const fs::path whole = fs::path(root_) / path;
  fs::create_directories(whole.parent_path());
  fs::remove(whole);
  fs::create_symlink(target, whole);
  return *this;
}

FakeNode &FakeNode::remove(const std::string &path) {
  assert_true(fs::remove_all(fs::path(root_) / path) > 0);
  return *this;
}

FakeNode &FakeNode::variable(const std::string &name, const std::string &value) {
  environment_ += name + "=" + value + '\0';
  return file("proc/self/environ", environment_);
}

FakeNode &FakeNode::limits(const std::string &memlock, const std::string &files) {
  return file("proc/self/limits", proc_limits(memlock, files));
}

void FakeNode::write_facts() {
  file("pirn-info.json", nlohmann::json{{"schema", 1}, {"libfabric", facts_version_}, {"providers", providers_}, {"nics", nics_},
                                        {"device_kinds", kinds_}, {"devices", devices_}, {"device_links", links_},
                                        {"settings", {{{"name", "PIRN_PROVIDER"}}, {{"name", "PIRN_NICS"}},
                                                      {{"name", "PIRN_TRANSFER_TIMEOUT"}}}}}.dump());
}

FakeNode &FakeNode::libfabric(const std::string &version) {
  facts_version_ = version;
  write_facts();
  return *this;
}

FakeNode &FakeNode::usable(const std::string &provider, const std::string &nic) {
  for (auto &row : providers_)
    if (row["name"] == provider) row.update({{"fabric", provider}, {"usable", true}, {"reason", ""}});
  nics_.push_back({{"provider", provider}, {"name", nic}, {"address", ""}, {"link_speed_bits_per_s", 400000000000}});
  write_facts();
  return *this;
}

FakeNode &FakeNode::device_kind(const std::string &name, const std::string &version, const std::string &reason, int devices) {
  for (size_t i = 0; i < kinds_.size(); ++i)
    if (kinds_[i]["name"] == name) kinds_.erase(i--);
  kinds_.push_back({{"name", name}, {"version", version}, {"reason", reason}, {"loaded", reason.empty()}, {"device_count", devices}});
  write_facts();
  return *this;
}

FakeNode &FakeNode::lack(const std::string &device, const std::string &feature, const std::string &reason) {
  for (auto &row : devices_)
    if (row["name"] == device) row["lacks"].push_back({{"feature", feature}, {"reason", reason}});
  write_facts();
  return *this;
}

FakeNode &FakeNode::device_link(const std::string &from, const std::string &to, const std::string &kind, bool peer_access) {
  for (size_t i = 0; i < links_.size(); ++i)
    if (links_[i]["from"] == from && links_[i]["to"] == to) links_.erase(i--);
  links_.push_back({{"from", from}, {"to", to}, {"kind", kind}, {"peer_access", peer_access}});
  write_facts();
  return *this;
}

void FakeNode::gpus(const char *kind, int count, const char *vendor, const char *driver, const char *link_kind) {
  for (int i = 0; i < count; ++i) {
    const std::string name = std::string(kind) + ":" + std::to_string(i), pci = "sys/bus/pci/devices/0000:" + std::to_string(10 + i) + ":00.0/";
    file(pci + "vendor", std::string(vendor) + "\n").file(pci + "class", "0x030200\n").link(pci + "driver", std::string("../../../bus/pci/drivers/") + driver);
    devices_.push_back({{"name", name}, {"lacks", nlohmann::json::array()}});
    for (int j = 0; j < count; ++j)
      if (i != j) device_link(name, std::string(kind) + ":" + std::to_string(j), link_kind, true);
  }
  device_kind(kind, "version 1", "", count);
}

FakeNode &FakeNode::nvidia(int count) {
  file("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version: 12.2.0\n");
  for (int i = 0; i < count; ++i) file("dev/nvidia" + std::to_string(i), "");
  file("dev/nvidiactl", "").file("dev/nvidia-uvm", "");
  gpus("cuda", count, "0x10de", "nvidia", "NVLink");
  return *this;
}

FakeNode &FakeNode::amd(int count) {
  file("sys/class/kfd/kfd/dev", "511:0\n").file("sys/module/amdgpu/refcnt", "1\n").file("dev/kfd", "").file("dev/dri/card0", "");
  for (int i = 0; i < count; ++i) file("dev/dri/renderD" + std::to_string(128 + i), "");
  gpus("hip", count, "0x1002", "amdgpu", "xGMI");
  return *this;
}

FakeNode &FakeNode::interface(const std::string &name, const std::string &network, int64_t mtu, int64_t speed) {
  const std::string path = "sys/class/net/" + name + "/";
  file(path + "operstate", "up\n").file(path + "mtu", std::to_string(mtu) + "\n").file(path + "speed", std::to_string(speed) + "\n");
  if (!network.empty()) routes_ += name + "\t" + network + "\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
  return file("proc/self/net/route", routes_);
}

void FakeNode::rdma(const std::string &name, const std::string &driver, const std::string &layer, const std::string &rate) {
  const std::string path = "sys/class/infiniband/" + name + "/";
  link(path + "device/driver", "../../../../bus/pci/drivers/" + driver);
  file(path + "device/vendor", driver == "efa" ? "0x1d0f\n" : "0x15b3\n").file(path + "device/device", driver == "efa" ? "0xefa2\n" : "0x1021\n");
  file(path + "device/current_link_speed", "32.0 GT/s PCIe\n").file(path + "device/max_link_speed", "32.0 GT/s PCIe\n");
  file(path + "device/current_link_width", "16\n").file(path + "device/max_link_width", "16\n");
  const std::string port = path + "ports/1/";
  file(port + "state", "4: ACTIVE\n").file(port + "phys_state", "5: LinkUp\n").file(port + "rate", rate + "\n").file(port + "link_layer", layer + "\n");
  const std::string verbs = "uverbs" + std::to_string(doctor::System(root_).list("/sys/class/infiniband_verbs").size());
  file("sys/class/infiniband_verbs/" + verbs + "/ibdev", name + "\n").file("dev/infiniband/" + verbs, "").file("dev/infiniband/rdma_cm", "");
  file("etc/libibverbs.d/" + std::string(driver == "efa" ? "efa" : "mlx5") + ".driver", "driver\n");
}

FakeNode &FakeNode::gid(const std::string &device, int slot, const std::string &value, const std::string &type, const std::string &netdev) {
  const std::string port = "sys/class/infiniband/" + device + "/ports/1/", number = std::to_string(slot);
  file(port + "gids/" + number, value + "\n");
  if (type.empty()) return *this;
  return file(port + "gid_attrs/types/" + number, type + "\n").file(port + "gid_attrs/ndevs/" + number, netdev + "\n");
}

FakeNode &FakeNode::infiniband(const std::string &name, const std::string &netdev) {
  rdma(name, "mlx5_core", "InfiniBand", "400 Gb/sec (4X NDR)");
  gid(name, 0, "fe80:0000:0000:0000:e8eb:d303:0010:2030", "", "");
  file("sys/class/infiniband/" + name + "/device/net/" + netdev + "/mtu", "2044\n");
  return interface(netdev, "0001A8C0", 2044, 400000);
}

FakeNode &FakeNode::roce(const std::string &name, const std::string &netdev) {
  rdma(name, "mlx5_core", "Ethernet", "400 Gb/sec (4X NDR)");
  const char *const local = "fe80:0000:0000:0000:b83f:d2ff:fe10:2030", *const mapped = "0000:0000:0000:0000:0000:ffff:c0a8:0102";
  gid(name, 0, local, "IB/RoCE v1", netdev).gid(name, 1, local, "RoCE v2", netdev);
  gid(name, 2, mapped, "IB/RoCE v1", netdev).gid(name, 3, mapped, "RoCE v2", netdev);
  gid(name, 4, "0000:0000:0000:0000:0000:0000:0000:0000", "", "");
  file("sys/class/infiniband/" + name + "/device/net/" + netdev + "/mtu", "9000\n");
  return interface(netdev, "0002A8C0", 9000, 400000);
}

FakeNode &FakeNode::efa(const std::string &name) {
  rdma(name, "efa", "Unspecified", "100 Gb/sec (4X EDR)");
  return gid(name, 0, "fe80:0000:0000:0000:04ab:cdff:fe01:0203", "", "");
}

FakeNode &FakeNode::slingshot(const std::string &name, const std::string &netdev) {
  file("sys/class/cxi/" + name + "/device/net/" + netdev + "/mtu", "9000\n").file("dev/" + name, "");
  return interface(netdev, "0000FD0A", 9000, 200000);
}

doctor::Findings FakeNode::examine(const std::string &provider) const {
  const doctor::System system(root_);
  return doctor::examine(system, doctor::read_facts(system.text("/pirn-info.json")), provider);
}

const doctor::Finding &only(const doctor::Findings &findings, const char *id) {
  const doctor::Finding *found = nullptr;
  for (const doctor::Finding &finding : findings) {
    if (finding.id != id) continue;
    if (found) fail_test("%s was found twice: %s, %s", id, found->subject.c_str(), finding.subject.c_str());
    found = &finding;
  }
  if (!found) fail_test("%s was not found; there are:\n%s", id, complaints(findings).c_str());
  return *found;
}

bool has(const doctor::Findings &findings, const char *id) {
  for (const doctor::Finding &finding : findings)
    if (finding.id == id) return true;
  return false;
}

std::string complaints(const doctor::Findings &findings, doctor::Severity least) {
  std::string text;
  for (const doctor::Finding &f : findings)
    if (f.severity >= least) text += std::string(doctor::severity_name(f.severity)) + " " + f.id + " " + f.subject + "\n";
  return text;
}
