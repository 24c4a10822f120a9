// SPDX-License-Identifier: Apache-2.0
// What discovery makes of libfabric's answers, real and scripted.
#include "fake_fabric.h"
#include "rail_pair.h"

#include "fabric/nic.h"

#include <rdma/fi_domain.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

using namespace pirn;
using namespace pirn::fabric;
using namespace pirn::sim;

namespace {

const Log test_log(PIRN_LOG_ERROR, nullptr, nullptr);

ProviderFound ask(const FakeFabric &fake, const char *profile) {
  return discover_one(fake.calls(), *find_profile(profile), test_log);
}

std::string names(const ProviderFound &found) {
  std::string out;
  for (const Nic &nic : found.nics) out += nic.name + "@" + nic.address + " ";
  return out;
}

void version__library_is_older_or_newer_than_known__the_smaller_is_requested(void **) {
  struct {
    uint32_t installed, requested;
  } cases[] = {{FI_VERSION(1, 17), FI_VERSION(1, 17)}, {FI_VERSION(1, 18), FI_VERSION(1, 18)},
               {FI_VERSION(1, 22), FI_VERSION(1, 22)}, {FI_VERSION(2, 0), FI_VERSION(2, 0)},
               {FI_VERSION(2, 7), FI_VERSION(2, 0)},   {FI_VERSION(3, 1), FI_VERSION(2, 0)}};
  for (auto &c : cases) {
    FakeFabric fake({plain_persona()}, c.installed);
    assert_int_equal(ask(fake, "tcp").nics.size(), 1);
    assert_int_equal(fake.requested_version(), c.requested);
  }
}

void tcp__names_by_version__native_before_layered(void **) {
  Persona net = plain_persona(), tcp = plain_persona(), rxm = plain_persona();
  tcp.provider = "tcp";
  rxm.provider = "tcp;ofi_rxm";
  struct {
    std::vector<Persona> offered;
    const char *chosen;
  } cases[] = {{{net, tcp, rxm}, "net"}, {{rxm, net}, "net"}, {{tcp, rxm}, "tcp"}, {{rxm}, "tcp;ofi_rxm"}};
  for (auto &c : cases) {
    FakeFabric fake(c.offered);
    ProviderFound found = ask(fake, "tcp");
    assert_string_equal(found.fabric_provider.c_str(), c.chosen);
    assert_string_equal(found.reason.c_str(), "");
    assert_string_equal(found.nics.at(0).fabric_provider.c_str(), c.chosen);
  }
}

void names__library_ignores_them__answers_of_other_providers_are_dropped(void **) {
  Persona net = plain_persona(), layered = plain_persona();
  layered.provider = "net;ofi_rxm";
  FakeFabric fake({layered, cxi_persona(), net});
  fake.ignore_names(true);

  ProviderFound found = ask(fake, "tcp");

  assert_int_equal(found.nics.size(), 1);
  assert_string_equal(found.fabric_provider.c_str(), "net");
  assert_int_equal(ask(fake, "verbs").nics.size(), 0);
}

void provider__unfit_with_this_libfabric__is_left_out_and_says_why(void **) {
  Persona persona = plain_persona();
  persona.provider = "shm";
  {
    FakeFabric fit({persona}, FI_VERSION(1, 22));
    assert_int_equal(ask(fit, "shm").nics.size(), 1);
  }
  FakeFabric unfit({persona}, FI_VERSION(2, 0));
  ProviderFound found = ask(unfit, "shm");
  assert_int_equal(found.nics.size(), 0);
  assert_string_equal(found.reason.c_str(), find_profile("shm")->unfit_because);
}

void nics__duplicates_of_a_device__appear_once_in_pci_order(void **) {
  Persona persona = verbs_persona();
  persona.nics = {{.name = "mlx5_1", .address = "192.0.2.9", .pci = "0000:41:00.0"},
                  {.name = "mlx5_0-xrc", .address = "169.254.3.4", .pci = "0000:21:00.0"},
                  {.name = "mlx5_0", .address = "192.0.2.8", .pci = "0000:21:00.0"},
                  {.name = "mlx5_1", .address = "192.0.2.9", .pci = "0000:41:00.0"}};
  FakeFabric fake({persona});

  assert_string_equal(names(ask(fake, "verbs")).c_str(), "mlx5_0@192.0.2.8 mlx5_1@192.0.2.9 ");
}

void nics__of_an_ip_provider__global_before_loopback_before_link_local(void **) {
  Persona persona = plain_persona();
  persona.nics = {{.name = "lo", .address = "127.0.0.1"},
                  {.name = "eth1", .address = "169.254.1.1"},
                  {.name = "eth0", .address = "198.51.100.7"},
                  {.name = "eth0", .address = "198.51.100.7"}};
  FakeFabric fake({persona});

  assert_string_equal(names(ask(fake, "tcp")).c_str(), "eth0@198.51.100.7 lo@127.0.0.1 eth1@169.254.1.1 ");
}

void nics__describe_the_device(void **) {
  FakeFabric fake({cxi_persona()});
  Nic nic = ask(fake, "cxi").nics.at(1);

  assert_string_equal(nic.name.c_str(), "cxi1");
  assert_string_equal(nic.pci_address.c_str(), "0000:c5:00.0");
  assert_true(nic.link_speed == 200000000000);
  assert_true(nic.max_message == UINT32_MAX);
  assert_string_equal(nic.address.c_str(), "0000000000000000");
}

void fabrics__direct_and_emulated__direct_alone_is_taken(void **) {
  Persona persona = efa_persona();
  persona.nics = {{.name = "rdmap1s0-rdm", .fabric = "efa", .pci = "0000:01:00.0"},
                  {.name = "rdmap1s0-rdm", .fabric = "efa-direct", .pci = "0000:01:00.0"}};
  FakeFabric fake({persona});
  ProviderFound found = ask(fake, "efa");
  assert_int_equal(found.nics.size(), 1);
  assert_string_equal(found.nics[0].info->fabric_attr->name, "efa-direct");
}

void fabrics__only_one_with_an_older_name__is_taken(void **) {
  Persona persona = efa_persona();
  persona.nics = {{.name = "rdmap1s0-rdm", .fabric = "EFA-fe80::1", .pci = "0000:01:00.0"}};
  FakeFabric fake({persona});
  assert_int_equal(ask(fake, "efa").nics.size(), 1);
}

void nothing_offered__reason_says_the_remedy_and_libfabrics_words(void **) {
  FakeFabric fake({plain_persona()});
  for (const char *profile : {"verbs", "efa", "cxi"}) {
    ProviderFound found = ask(fake, profile);
    assert_true(found.nics.empty());
    assert_string_equal(found.fabric_provider.c_str(), "");
    assert_non_null(strstr(found.reason.c_str(), find_profile(profile)->missing_hint));
    assert_non_null(strstr(found.reason.c_str(), fi_strerror(FI_ENODATA)));
  }
}

void link_is_down__nic_is_left_out_and_named_as_the_reason(void **) {
  Persona persona = cxi_persona();
  persona.nics[0].link_up = false;
  {
    FakeFabric fake({persona});
    assert_string_equal(names(ask(fake, "cxi")).c_str(), "cxi1@0000000000000000 ");
  }
  persona.nics[1].link_up = false;
  FakeFabric fake({persona});
  ProviderFound found = ask(fake, "cxi");
  assert_true(found.nics.empty());
  assert_non_null(strstr(found.reason.c_str(), "link is down"));
}

void mode_that_is_not_served__is_not_usable(void **) {
  Persona persona = plain_persona();
  persona.extra_mode = FI_MSG_PREFIX;
  FakeFabric fake({persona});
  ProviderFound found = ask(fake, "tcp");
  assert_true(found.nics.empty());
  assert_non_null(strstr(found.reason.c_str(), "offers no endpoint"));
}

void getinfo_fails__reason_carries_the_error(void **) {
  FakeFabric fake({plain_persona()});
  fake.fail_getinfo(FI_ENOMEM);
  assert_non_null(strstr(ask(fake, "tcp").reason.c_str(), fi_strerror(FI_ENOMEM)));
}

void mr_modes__all_are_offered__save_virtual_addressing_where_it_skips_checks(void **) {
  FakeFabric fake({plain_persona()});
  int all = FI_MR_LOCAL | FI_MR_RAW | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_ENDPOINT | FI_MR_HMEM;
  for (const Profile *profile : profiles()) {
    discover_one(fake.calls(), *profile, test_log);
    assert_int_equal(fake.offered_mr_mode(), profile->checks_offsets_only ? all & ~FI_MR_VIRT_ADDR : all);
  }
}

void profiles__are_in_rank_order_and_found_by_name(void **) {
  int last = INT32_MAX;
  for (const Profile *profile : profiles()) {
    assert_true(profile->rank < last);
    last = profile->rank;
    assert_ptr_equal(find_profile(profile->name), profile);
    assert_true(strlen(profile->missing_hint) > 0);
  }
  assert_null(find_profile("tcp2"));
  assert_true(find_profile("shm")->same_process_only && find_profile("shm")->rank < 0);
}

void environment__value_of_the_user__stands(void **) {
  FakeFabric fake({plain_persona()});
  ask(fake, "tcp");
  assert_string_equal(getenv("FI_CXI_OPTIMIZED_MRS"), "1");
  assert_string_equal(getenv("FI_EFA_ENABLE_SHM_TRANSFER"), "0");
  assert_string_equal(getenv("FI_OFI_RXM_USE_SRX"), "1");
  assert_string_equal(getenv("FI_UNIVERSE_SIZE"), "128");
}

void address_text__formats__are_readable(void **) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  inet_pton(AF_INET, "192.0.2.55", &v4.sin_addr);
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  inet_pton(AF_INET6, "2001:db8::7", &v6.sin6_addr);
  const unsigned char blob[] = {0xde, 0xad, 0x00};

  assert_string_equal(address_text(FI_SOCKADDR_IN, &v4, sizeof v4).c_str(), "192.0.2.55");
  assert_string_equal(address_text(FI_SOCKADDR, &v6, sizeof v6).c_str(), "2001:db8::7");
  assert_string_equal(address_text(FI_ADDR_STR, "fi_shm://1", 11).c_str(), "fi_shm://1");
  assert_string_equal(address_text(FI_ADDR_EFA, blob, 3).c_str(), "dead00");
  assert_string_equal(address_text(FI_SOCKADDR_IN, &v4, 1).c_str(), "");
  assert_string_equal(address_text(FI_SOCKADDR_IN, nullptr, 0).c_str(), "");
}

void installed_libfabric__tcp_shm_and_sockets_are_found_with_loopback(void **) {
  std::vector<ProviderFound> all = discover(libfabric(), test_log);
  assert_int_equal(all.size(), profiles().size());
  for (const ProviderFound &found : all) {
    bool software = found.profile->rank <= find_profile("tcp")->rank;
    if (software && found.nics.empty()) fail_msg("%s: %s", found.profile->name, found.reason.c_str());
    assert_int_equal(found.nics.empty(), !found.reason.empty());
    if (strcmp(found.profile->name, "tcp") == 0) assert_non_null(strstr(names(found).c_str(), "lo@127.0.0.1"));
  }
}

void libfabric_version__has_the_digits_of_fi_version(void **) {
  unsigned major = 0, minor = 0;
  assert_int_equal(sscanf(libfabric_version().c_str(), "%u.%u", &major, &minor), 2);
  assert_int_equal(FI_VERSION(major, minor), fi_version());
}

}  // namespace

int main() {
  setenv("FI_CXI_OPTIMIZED_MRS", "1", 1);
  unsetenv("FI_EFA_ENABLE_SHM_TRANSFER");
  const CMUnitTest tests[] = {
      cmocka_unit_test(version__library_is_older_or_newer_than_known__the_smaller_is_requested),
      cmocka_unit_test(tcp__names_by_version__native_before_layered),
      cmocka_unit_test(names__library_ignores_them__answers_of_other_providers_are_dropped),
      cmocka_unit_test(provider__unfit_with_this_libfabric__is_left_out_and_says_why),
      cmocka_unit_test(nics__duplicates_of_a_device__appear_once_in_pci_order),
      cmocka_unit_test(nics__of_an_ip_provider__global_before_loopback_before_link_local),
      cmocka_unit_test(nics__describe_the_device),
      cmocka_unit_test(fabrics__direct_and_emulated__direct_alone_is_taken),
      cmocka_unit_test(fabrics__only_one_with_an_older_name__is_taken),
      cmocka_unit_test(nothing_offered__reason_says_the_remedy_and_libfabrics_words),
      cmocka_unit_test(link_is_down__nic_is_left_out_and_named_as_the_reason),
      cmocka_unit_test(mode_that_is_not_served__is_not_usable),
      cmocka_unit_test(getinfo_fails__reason_carries_the_error),
      cmocka_unit_test(mr_modes__all_are_offered__save_virtual_addressing_where_it_skips_checks),
      cmocka_unit_test(profiles__are_in_rank_order_and_found_by_name),
      cmocka_unit_test(environment__value_of_the_user__stands),
      cmocka_unit_test(address_text__formats__are_readable),
      cmocka_unit_test(installed_libfabric__tcp_shm_and_sockets_are_found_with_loopback),
      cmocka_unit_test(libfabric_version__has_the_digits_of_fi_version),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
