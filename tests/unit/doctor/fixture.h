// SPDX-License-Identifier: Apache-2.0
// Nodes as folders: what sysfs, procfs, /dev and pirn-info would show on machines that the tests make up.
#pragma once

#include "../check.h"

#include "checks.h"
#include "report.h"

// A folder that looks like the root of a node; removed at the end.
class FakeNode {
 public:
  FakeNode();  // a host with eth0, 10 Gb/s, generous limits and libfabric 1.22 with usable tcp, sockets and shm
  ~FakeNode();
  FakeNode(const FakeNode &) = delete;
  FakeNode &operator=(const FakeNode &) = delete;

  const std::string &root() const { return root_; }

  FakeNode &file(const std::string &path, const std::string &content);
  FakeNode &link(const std::string &path, const std::string &target);
  FakeNode &remove(const std::string &path);  // with all below
  FakeNode &variable(const std::string &name, const std::string &value);
  FakeNode &limits(const std::string &memlock, const std::string &files);  // soft limits
  FakeNode &libfabric(const std::string &version);
  FakeNode &usable(const std::string &provider, const std::string &nic);

  // Devices that are in order, with their device files, interfaces and userspace drivers.
  FakeNode &infiniband(const std::string &name, const std::string &netdev);  // 400 Gb/s, IPoIB
  FakeNode &roce(const std::string &name, const std::string &netdev);        // 400 Gb/s, RoCE v1 and v2, MTU 9000
  FakeNode &efa(const std::string &name);                                    // 100 Gb/s
  FakeNode &slingshot(const std::string &name, const std::string &netdev);   // 200 Gb/s
  // GPUs with everything in order: drivers, device files, a runtime that shows them, NVLink or xGMI between all.
  FakeNode &nvidia(int count);
  FakeNode &amd(int count);
  FakeNode &device_kind(const std::string &name, const std::string &version, const std::string &reason, int devices);
  FakeNode &lack(const std::string &device, const std::string &feature, const std::string &reason);
  FakeNode &device_link(const std::string &from, const std::string &to, const std::string &kind, bool peer_access);
  FakeNode &gid(const std::string &device, int slot, const std::string &value, const std::string &type,
                const std::string &netdev);
  FakeNode &interface(const std::string &name, const std::string &network, int64_t mtu, int64_t speed);

  doctor::Findings examine(const std::string &provider = "") const;

 private:
  void rdma(const std::string &name, const std::string &driver, const std::string &layer, const std::string &rate);
  void write_facts();
  void gpus(const char *kind, int count, const char *vendor, const char *driver, const char *link);

  std::string root_;
  std::string environment_, routes_, facts_version_ = "1.22.0";
  nlohmann::json providers_, nics_, kinds_, devices_, links_;
};

// The only finding with this id; the test ends if there is none or more than one.
const doctor::Finding &only(const doctor::Findings &findings, const char *id);
bool has(const doctor::Findings &findings, const char *id);

// "severity id subject" of what is worse than ok, a line each: all that a healthy node may not have.
std::string complaints(const doctor::Findings &findings, doctor::Severity least = doctor::Severity::note);

#define assert_finding(findings, id, wanted) assert_text(doctor::severity_name(only(findings, id).severity), wanted)
