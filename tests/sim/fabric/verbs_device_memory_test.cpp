// SPDX-License-Identifier: Apache-2.0
// Device memory (of the fake CUDA driver) over connected endpoints of simulated verbs NICs.
#include "fake_driver.h"
#include "verbs_node.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

using namespace pirn::sim_nic;

namespace {

constexpr size_t size = 300000;

struct OnDevice {
  explicit OnDevice(Side &side) : bytes(size) {
    static std::mt19937_64 random = generator();
    for (auto &byte : bytes) byte = static_cast<unsigned char>(random());
    assert_int_equal(cuMemAlloc_v2(&address, size), 0);
    const unsigned on = 1;
    assert_int_equal(cuPointerSetAttribute(&on, 6, address), 0);
    assert_int_equal(cuMemcpy(address, reinterpret_cast<CUpointer>(bytes.data()), size), 0);
    assert_int_equal(attach(side, FI_HMEM_CUDA), 0);
  }
  ~OnDevice() {
    fi_close(&mr->fid);
    cuMemFree_v2(address);
  }
  OnDevice(const OnDevice &) = delete;
  int attach(Side &side, fi_hmem_iface interface) {
    iovec part = {reinterpret_cast<void *>(address), size};
    fi_mr_attr attr = {};
    attr.mr_iov = &part;
    attr.iov_count = 1;
    attr.access = both_local | both_remote;
    attr.iface = interface;
    return fi_mr_regattr(side.domain, &attr, 0, &mr);
  }
  void check() const {
    std::vector<unsigned char> now(size);
    assert_int_equal(cuMemcpy(reinterpret_cast<CUpointer>(now.data()), address, size), 0);
    assert_true(now == bytes);
  }

  std::vector<unsigned char> bytes;  // that it should hold
  CUpointer address = 0;
  fid_mr *mr = nullptr;
};

void verbs_device_memory__random_parts__arrive(void **) {
  std::mt19937_64 random = generator();
  Link link;
  link.connect();
  OnDevice here(link.initiator), there(link.target);
  fi_context2 context;
  for (int i = 0; i < 20; i++) {
    const size_t length = i == 0 ? 8 : 1 + random() % (size / 2);
    const size_t at = random() % (size - length), target = random() % (size - length);
    auto *local = reinterpret_cast<void *>(here.address + at);
    const bool write = i % 2 == 0;
    assert_int_equal(write ? fi_write(link.initiator.ep, local, length, fi_mr_desc(here.mr), 0, there.address + target,
                                      fi_mr_key(there.mr), &context)
                           : fi_read(link.initiator.ep, local, length, fi_mr_desc(here.mr), 0, there.address + target,
                                     fi_mr_key(there.mr), &context),
                     0);
    const Result done = link.next(link.initiator, 20000);
    assert_ptr_equal(done.context, &context);
    assert_int_equal(done.error, 0);
    OnDevice &to = write ? there : here, &from = write ? here : there;
    std::copy_n(from.bytes.begin() + static_cast<long>(write ? at : target), length,
                to.bytes.begin() + static_cast<long>(write ? target : at));
  }
  here.check();
  there.check();
}

void verbs_device_memory__as_system_memory_or_without_descriptor__is_refused(void **) {
  Link link;
  link.connect();
  OnDevice here(link.initiator);
  fid_mr *right = here.mr;
  fi_context2 context;
  Captured captured;
  const int as_system = here.attach(link.initiator, FI_HMEM_SYSTEM);
  here.mr = right;
  fi_write(link.initiator.ep, reinterpret_cast<void *>(here.address), 8, nullptr, 0, here.address, 1, &context);
  const bool told_system = captured.contains("as system memory");
  const bool told_descriptor = captured.contains("device memory without descriptor");
  assert_int_equal(as_system, -FI_EINVAL);
  assert_true(told_system);
  assert_true(told_descriptor);
}

}  // namespace

int main() {
  setenv("PIRN_SIM_HMEM", "iface", 1);
  void *context = nullptr;
  if (cuInit(0) != 0 || cuDevicePrimaryCtxRetain(&context, 0) != 0 || cuCtxSetCurrent(context) != 0) return 1;
  const CMUnitTest tests[] = {
      cmocka_unit_test(verbs_device_memory__random_parts__arrive),
      cmocka_unit_test(verbs_device_memory__as_system_memory_or_without_descriptor__is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
