// SPDX-License-Identifier: Apache-2.0
// Which way rails register device memory, and what they say when they do not. The memory is the test's own.
#include "fake_fabric.h"
#include "rail_pair.h"

#include <rdma/fi_domain.h>
#include <unistd.h>

using namespace pirn;
using namespace pirn::fabric;
using namespace pirn::sim;

namespace {

const Log test_log(PIRN_LOG_ERROR, nullptr, nullptr);

Nic nic_of(const FakeFabric &fake, const char *profile) {
  ProviderFound found = discover_one(fake.calls(), *find_profile(profile), test_log);
  if (found.nics.empty()) fail_msg("%s: %s", profile, found.reason.c_str());
  return found.nics.front();
}

struct Devices {
  FakeFabric fake;
  std::unique_ptr<Rail> rail;
  std::vector<char> memory = std::vector<char>(8192);

  Devices(const char *profile, const Persona &persona, uint32_t version, bool asked = true) : fake({persona}, version) {
    auto opened = Rail::open(nic_of(fake, profile), fake.calls(), test_log, 0, asked ? nullptr : "nobody has asked");
    require(opened.status(), "open");
    rail = opened.take();
  }
  std::shared_ptr<DeviceMemory> device(bool with_dma_buf = true) {
    auto made = std::make_shared<DeviceMemory>();
    made->interface = FI_HMEM_CUDA;
    made->device = 3;
    made->base = memory.data();
    made->offset = 64;
    if (with_dma_buf) made->dma_buf = dup(STDERR_FILENO);
    else made->no_dma_buf = "too old";
    return made;
  }
};

Persona for_devices(Persona (*persona)()) {
  Persona made = persona();
  made.device_memory = true;
  return made;
}

void expect_refusal(const Status &status, const char *words) {
  assert_int_equal(status.code, PIRN_ERR_UNAVAILABLE);
  if (status.text.find(words) == std::string::npos) fail_msg("\"%s\" lacks \"%s\"", status.text.c_str(), words);
}

void device_memory__by_each_profile__goes_its_preferred_way(void **) {
  struct Case {
    const char *profile;
    Persona (*persona)();
    uint32_t version;
    bool dma_buf;
  };
  for (const Case &each : {Case{"efa", efa_persona, FI_VERSION(1, 20), true}, Case{"efa", efa_persona, FI_VERSION(1, 19), false},
                           Case{"verbs", verbs_persona, FI_VERSION(2, 1), true}, Case{"cxi", cxi_persona, FI_VERSION(2, 0), false}}) {
    Devices setup(each.profile, for_devices(each.persona), each.version);
    require(setup.rail->takes_device_memory(), "takes");
    auto device = setup.device();
    auto made = setup.rail->register_memory(setup.memory.data() + 100, 1000, remote_write, device);
    require(made.status(), "register");
    assert_non_null(Rail::descriptor(made.value()));
    const DeviceRegistration last = setup.fake.device_registrations().back();
    assert_int_equal(last.interface, FI_HMEM_CUDA);
    assert_int_equal(last.device, 3);
    assert_ptr_equal(last.address, setup.memory.data() + 100);
    assert_int_equal(last.length, 1000);
    assert_int_equal(last.dma_buf, each.dma_buf ? device->dma_buf : -1);
    if (each.dma_buf) assert_int_equal(last.offset, 164);
    setup.rail->deregister(made.value());
  }
}

void device_memory__local_only_without_needed_descriptors__is_registered_all_the_same(void **) {
  Devices setup("cxi", for_devices(cxi_persona), FI_VERSION(1, 17));
  auto made = setup.rail->register_memory(setup.memory.data(), 8192, 0, setup.device(false));
  require(made.status(), "register");
  assert_non_null(Rail::descriptor(made.value()));
  bool changed = false;
  require(setup.rail->reset(&changed), "reset");
  assert_non_null(Rail::descriptor(made.value()));  // made again, as what it is
  assert_int_equal(setup.fake.device_registrations().size(), 2);
  setup.rail->deregister(made.value());
}

void device_memory__one_way_refused__goes_the_other(void **) {
  for (const bool first : {true, false}) {
    Persona persona = for_devices(first ? efa_persona : cxi_persona);
    (first ? persona.refuses_dma_buf : persona.refuses_address) = FI_EOPNOTSUPP;
    Devices setup(first ? "efa" : "cxi", persona, FI_VERSION(1, 22));
    auto made = setup.rail->register_memory(setup.memory.data(), 64, remote_read, setup.device());
    require(made.status(), "register");
    assert_int_equal(setup.fake.device_registrations().back().dma_buf >= 0, !first);
    setup.rail->deregister(made.value());
  }
}

void device_memory__both_ways_refused__keeps_both_reasons_and_nothing_open(void **) {
  Persona persona = for_devices(efa_persona);
  persona.refuses_dma_buf = FI_EOPNOTSUPP;
  persona.refuses_address = FI_ENOSYS;
  struct Case {
    uint32_t version;
    bool dma_buf;
    const char *words;
  };
  for (const Case &each : {Case{FI_VERSION(1, 22), true, "by dma-buf: fi_mr_regattr: Operation not supported"},
                           Case{FI_VERSION(1, 22), false, "by dma-buf: too old"},
                           Case{FI_VERSION(1, 17), true, "libfabric is older than 1.20"}}) {
    Devices setup("efa", persona, each.version);
    const Status refused =
        setup.rail->register_memory(setup.memory.data(), 64, remote_read, setup.device(each.dma_buf)).status();
    expect_refusal(refused, each.words);
    expect_refusal(refused, "by address: fi_mr_regattr: Function not implemented");
    assert_int_equal(setup.fake.live_registrations(), 0);
    assert_true(setup.fake.device_registrations().empty());
  }
}

void open__for_devices_that_the_provider_does_not_reach__works_without_and_says_why(void **) {
  Persona distant = for_devices(efa_persona);
  distant.peer_to_peer = false;
  struct Case {
    const char *profile;
    Persona persona;
    bool asked;
    const char *words;
  };
  for (const Case &each :
       {Case{"efa", efa_persona(), true, "\"efa\" offers no registration of device memory here: No data available"},
        Case{"efa", distant, true, "does not reach device memory by itself"},
        Case{"tcp", for_devices(plain_persona), true, "provider tcp reaches host memory only"},
        Case{"efa", for_devices(efa_persona), false, "nobody has asked"}}) {
    Devices setup(each.profile, each.persona, FI_VERSION(1, 17), each.asked);
    expect_refusal(setup.rail->takes_device_memory(), each.words);
    expect_refusal(setup.rail->register_memory(setup.memory.data(), 64, remote_read, setup.device()).status(), each.words);
    auto host = setup.rail->register_memory(setup.memory.data(), 64, remote_write);
    require(host.status(), "host memory");
    setup.rail->deregister(host.value());
    assert_true(setup.fake.device_registrations().empty());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(device_memory__by_each_profile__goes_its_preferred_way),
      cmocka_unit_test(device_memory__local_only_without_needed_descriptors__is_registered_all_the_same),
      cmocka_unit_test(device_memory__one_way_refused__goes_the_other),
      cmocka_unit_test(device_memory__both_ways_refused__keeps_both_reasons_and_nothing_open),
      cmocka_unit_test(open__for_devices_that_the_provider_does_not_reach__works_without_and_says_why),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
