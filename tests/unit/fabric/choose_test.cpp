// SPDX-License-Identifier: Apache-2.0
// Which NICs an endpoint gets for what the user asked, as a table.
#include "rail_pair.h"

#include <cstring>

using namespace pirn;
using namespace pirn::fabric;

namespace {

Nic nic(const char *profile, const char *name, const char *address) {
  Nic out;
  out.profile = find_profile(profile);
  out.name = name;
  out.address = address;
  return out;
}

ProviderFound usable(const char *profile, std::vector<Nic> nics) {
  return {find_profile(profile), profile, "", std::move(nics)};
}

ProviderFound missing(const char *profile) { return {find_profile(profile), "", std::string("no ") + profile, {}}; }

ProviderFound tcp() {
  return usable("tcp", {nic("tcp", "eth0", "192.0.2.2"), nic("tcp", "eth1", "198.51.100.1"),
                        nic("tcp", "eth0", "fd00::2"), nic("tcp", "lo", "127.0.0.1"), nic("tcp", "lo", "::1")});
}

ProviderFound verbs() {
  return usable("verbs", {nic("verbs", "mlx5_0", "192.0.2.8"), nic("verbs", "mlx5_1", "192.0.2.9"),
                          nic("verbs", "storage_0", "192.0.2.10")});
}

Nic on_pci(Nic nic, const char *pci_address) {
  nic.pci_address = pci_address;
  return nic;
}

// Two devices with an address each, and one that has none.
ProviderFound cxi() {
  return usable("cxi", {on_pci(nic("cxi", "cxi0", "0x1"), "0000:21:00.0"), on_pci(nic("cxi", "cxi1", ""), "0001:21:00.0"),
                        nic("cxi", "cxi2", "")});
}

ProviderFound shm() { return usable("shm", {nic("shm", "shm", "fi_shm://1")}); }

// "profile/name@address ..." or "code: text".
std::string choose(const std::vector<ProviderFound> &found, const char *provider, const char *nics) {
  auto result = choose_nics(found, provider, nics);
  if (!result.is_ok()) return std::to_string(result.error().code) + ": " + result.error().text;
  std::string out;
  for (const Nic &n : result.value()) out += std::string(n.profile->name) + "/" + n.name + "@" + n.address + " ";
  return out;
}

void check(const std::vector<ProviderFound> &found, const char *provider, const char *nics, const char *expected) {
  assert_string_equal(choose(found, provider, nics).c_str(), expected);
}

void choose__empty_list__best_address_of_ip_or_all_devices(void **) {
  check({missing("cxi"), verbs(), tcp(), shm()}, "auto", "",
        "verbs/mlx5_0@192.0.2.8 verbs/mlx5_1@192.0.2.9 verbs/storage_0@192.0.2.10 ");
  check({missing("cxi"), missing("verbs"), tcp(), shm()}, "auto", "", "tcp/eth0@192.0.2.2 ");
  check({verbs(), tcp(), shm()}, "tcp", "", "tcp/eth0@192.0.2.2 ");
  check({verbs(), tcp(), shm()}, "shm", " ", "shm/shm@fi_shm://1 ");
  check({tcp(), verbs()}, "auto", "",
        "verbs/mlx5_0@192.0.2.8 verbs/mlx5_1@192.0.2.9 verbs/storage_0@192.0.2.10 ");
  check({usable("tcp", {nic("tcp", "lo", "127.0.0.1")})}, "auto", "", "tcp/lo@127.0.0.1 ");
}

void choose__list__by_name_glob_and_address_in_list_order(void **) {
  check({verbs(), tcp()}, "verbs", "mlx5_1,mlx5_0", "verbs/mlx5_1@192.0.2.9 verbs/mlx5_0@192.0.2.8 ");
  check({verbs(), tcp()}, "auto", "mlx5_*", "verbs/mlx5_0@192.0.2.8 verbs/mlx5_1@192.0.2.9 ");
  check({verbs(), tcp()}, "verbs", "mlx5_*, mlx5_0 ", "verbs/mlx5_0@192.0.2.8 verbs/mlx5_1@192.0.2.9 ");
  check({verbs(), tcp()}, "tcp", "lo", "tcp/lo@127.0.0.1 ");
  check({verbs(), tcp()}, "tcp", "127.0.0.1", "tcp/lo@127.0.0.1 ");
  check({verbs(), tcp()}, "tcp", "::1", "tcp/lo@::1 ");
  check({verbs(), tcp()}, "tcp", "0:0:0:0:0:0:0:1", "tcp/lo@::1 ");
  check({verbs(), tcp()}, "tcp", "eth*", "tcp/eth0@192.0.2.2 tcp/eth1@198.51.100.1 ");
  check({verbs(), tcp()}, "tcp", "fd00::2", "tcp/eth0@fd00::2 ");
}

void choose__auto_with_a_list__provider_is_the_best_one_that_has_them_all(void **) {
  check({verbs(), tcp()}, "auto", "lo", "tcp/lo@127.0.0.1 ");
  check({verbs(), tcp()}, "auto", "192.0.2.9", "verbs/mlx5_1@192.0.2.9 ");
}

void choose__list__by_pci_address_in_long_and_short_form(void **) {
  check({cxi(), tcp()}, "cxi", "0000:21:00.0", "cxi/cxi0@0x1 ");
  check({cxi(), tcp()}, "auto", "21:00.0", "cxi/cxi0@0x1 ");
  check({cxi(), tcp()}, "auto", "0001:21:00.0,cxi2,21:00.0", "cxi/cxi1@ cxi/cxi2@ cxi/cxi0@0x1 ");
  check({cxi(), tcp()}, "auto", "cxi0,21:00.0", "cxi/cxi0@0x1 ");
}

void choose__pci_address_of_no_nic__is_invalid_and_names_the_addresses_that_exist(void **) {
  for (const char *entry : {"21:00.1", "0002:21:00.0", "21:00", "0000:21:00.8"}) {
    std::string error = choose({cxi(), tcp()}, "auto", entry);
    assert_int_equal(atoi(error.c_str()), PIRN_ERR_INVALID);
    assert_non_null(strstr(error.c_str(), (std::string("\"") + entry + "\"").c_str()));
    assert_non_null(strstr(error.c_str(), "cxi0 (0x1, 0000:21:00.0), cxi1 (0001:21:00.0), cxi2;"));
  }
}

void choose__entry_matches_nothing__is_invalid_and_names_what_exists(void **) {
  std::string error = choose({verbs(), tcp()}, "verbs", "mlx5_0,mlx5_7");
  assert_int_equal(atoi(error.c_str()), PIRN_ERR_INVALID);
  assert_non_null(strstr(error.c_str(), "\"mlx5_7\""));
  assert_non_null(strstr(error.c_str(), "storage_0 (192.0.2.10)"));
  assert_int_equal(atoi(choose({verbs(), tcp()}, "auto", "mlx5_0,lo").c_str()), PIRN_ERR_INVALID);
  assert_int_equal(atoi(choose({tcp()}, "tcp", "eth0,,eth1").c_str()), PIRN_ERR_INVALID);
  assert_int_equal(atoi(choose({tcp()}, "tcp", "eth0,").c_str()), PIRN_ERR_INVALID);
}

void choose__nothing_usable__is_unavailable_with_each_reason(void **) {
  std::string error = choose({missing("cxi"), missing("efa"), missing("tcp"), shm()}, "auto", "");
  assert_int_equal(atoi(error.c_str()), PIRN_ERR_UNAVAILABLE);
  for (const char *reason : {"cxi: no cxi", "efa: no efa", "tcp: no tcp"}) assert_non_null(strstr(error.c_str(), reason));
  error = choose({missing("cxi"), tcp()}, "cxi", "");
  assert_int_equal(atoi(error.c_str()), PIRN_ERR_UNAVAILABLE);
  assert_non_null(strstr(error.c_str(), "no cxi"));
}

void choose__unknown_provider__is_invalid_and_names_the_known(void **) {
  std::string error = choose({verbs(), tcp()}, "infiniband", "");
  assert_int_equal(atoi(error.c_str()), PIRN_ERR_INVALID);
  assert_non_null(strstr(error.c_str(), "auto, verbs, tcp"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(choose__empty_list__best_address_of_ip_or_all_devices),
      cmocka_unit_test(choose__list__by_name_glob_and_address_in_list_order),
      cmocka_unit_test(choose__auto_with_a_list__provider_is_the_best_one_that_has_them_all),
      cmocka_unit_test(choose__list__by_pci_address_in_long_and_short_form),
      cmocka_unit_test(choose__pci_address_of_no_nic__is_invalid_and_names_the_addresses_that_exist),
      cmocka_unit_test(choose__entry_matches_nothing__is_invalid_and_names_what_exists),
      cmocka_unit_test(choose__nothing_usable__is_unavailable_with_each_reason),
      cmocka_unit_test(choose__unknown_provider__is_invalid_and_names_the_known),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
