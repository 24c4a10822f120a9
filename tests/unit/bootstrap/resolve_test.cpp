// SPDX-License-Identifier: Apache-2.0
// Addresses as people write them.
#include "fixture.h"

#include "bootstrap/bootstrap.h"

#include <cstring>
#include <net/if.h>
#include <netinet/in.h>

using namespace pirn;
using namespace pirn::bootstrap;
using namespace fixture;

namespace {

void check_error(const std::string &address, bool passive, const char *expected) {
  const auto result = resolve(address, passive);
  assert_false(result.is_ok());
  assert_int_equal(result.status().code, PIRN_ERR_INVALID);
  if (!contains(result.status().text, expected)) print_error("%s\n", result.status().text.c_str());
  assert_true(contains(result.status().text, expected));
  assert_true(contains(result.status().text, address.substr(0, 20)));
}

void resolve__numeric__round_trips(void **) {
  for (const char *address : {"127.0.0.1:4711", "192.0.2.1:65535", "[::1]:1", "[2001:db8::5]:80"}) {
    const auto result = resolve(address, false);
    assert_true(result.is_ok());
    assert_int_equal(result.value().size(), 1);
    assert_string_equal(printable(result.value()[0]).c_str(), address);
  }
}

void resolve__link_local__keeps_its_interface(void **) {
  const auto result = resolve("[fe80::1%lo]:80", false);
  assert_true(result.is_ok());
  const auto *v6 = reinterpret_cast<const sockaddr_in6 *>(&result.value()[0].storage);
  assert_int_equal(v6->sin6_scope_id, if_nametoindex("lo"));
  assert_string_equal(printable(result.value()[0]).c_str(), "[fe80::1%lo]:80");
}

void resolve__localhost__is_this_machine_without_doubles(void **) {
  const auto result = resolve("localhost:4711", false);
  assert_true(result.is_ok());
  assert_true(!result.value().empty());
  for (size_t i = 0; i < result.value().size(); ++i) {
    const std::string one = printable(result.value()[i]);
    assert_true(one == "127.0.0.1:4711" || one == "[::1]:4711");
    for (size_t j = 0; j < i; ++j) assert_true(printable(result.value()[j]) != one);
  }
}

void resolve__no_host_to_listen_on__is_every_address(void **) {
  const auto result = resolve(":4711", true);
  assert_true(result.is_ok());
  bool v4 = false;
  for (const SocketAddress &address : result.value()) v4 = v4 || printable(address) == "0.0.0.0:4711";
  assert_true(v4);
}

void resolve__port_0__is_for_listening_only(void **) {
  assert_true(resolve("127.0.0.1:0", true).is_ok());
  check_error("127.0.0.1:0", false, "port 0");
}

void resolve__malformed__says_what_is_wrong(void **) {
  check_error("host:70000", false, "port 70000 is outside 0..65535");
  check_error("host:99999999999999999999", false, "outside 0..65535");
  check_error("127.0.0.1", false, "no port");
  check_error("127.0.0.1:", false, "no port");
  check_error("", false, "no port");
  check_error("[::1", false, "bracket is not closed");
  check_error("[::1]", false, "no port");
  check_error("[::1]80", false, "no port");
  check_error("[]:80", false, "nothing between the brackets");
  check_error("::1:80", false, "brackets");
  check_error(":80", false, "no host to connect to");
  check_error("127.0.0.1:http", false, "port \"http\" is not a number");
  check_error("127.0.0.1:-1", false, "is not a number");
  check_error("127.0.0.1: 80", false, "is not a number");
  check_error("[::g]:80", false, "not an IPv6 address");
  assert_false(resolve(std::string("127.0.0.1\0x:80", 14), false).is_ok());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(resolve__numeric__round_trips),
      cmocka_unit_test(resolve__link_local__keeps_its_interface),
      cmocka_unit_test(resolve__localhost__is_this_machine_without_doubles),
      cmocka_unit_test(resolve__no_host_to_listen_on__is_every_address),
      cmocka_unit_test(resolve__port_0__is_for_listening_only),
      cmocka_unit_test(resolve__malformed__says_what_is_wrong),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
