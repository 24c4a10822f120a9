// SPDX-License-Identifier: Apache-2.0
// What the explanations say, and that they say what was done. The first argument is the directory of the machines.
#include "core/explain.h"
#include "rig.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

using namespace pirn;
using namespace pirn::core;

namespace {

std::string directory;

topo::Machine load(const char *name) {
  auto machine = topo::load_machine(directory + "/" + name + ".xml");
  if (!machine.is_ok()) fail_test("%s", machine.error().text.c_str());
  return machine.take();
}

fabric::Nic nic(const char *profile, const char *name, const char *address, const char *pci, uint64_t speed = 0) {
  fabric::Nic made{};
  made.profile = fabric::find_profile(profile);
  made.fabric_provider = "any";
  made.name = name;
  made.address = address;
  made.pci_address = pci;
  made.link_speed = speed;
  return made;
}

fabric::ProviderFound found(const char *profile, std::vector<fabric::Nic> nics, const char *reason = "") {
  fabric::ProviderFound made{};
  made.profile = fabric::find_profile(profile);
  made.reason = reason;
  made.fabric_provider = nics.empty() ? "" : "any";
  made.nics = std::move(nics);
  return made;
}

// A p4d with its four fabric adapters, two Ethernet addresses, and nothing from the others.
std::vector<fabric::ProviderFound> p4d_providers() {
  const uint64_t speed = 100'000'000'000;
  return {found("cxi", {}, "needs a Slingshot NIC"),
          found("efa", {nic("efa", "a", "fe80::1", "0000:10:01.0", speed), nic("efa", "b", "fe80::2", "0000:20:01.0", speed),
                        nic("efa", "c", "fe80::3", "0000:90:01.0", speed), nic("efa", "d", "fe80::4", "0000:a0:01.0", speed)}),
          found("tcp", {nic("tcp", "eth0", "192.0.2.7", "", 25'000'000'000), nic("tcp", "eth0", "fd00::7", "", 25'000'000'000),
                        nic("tcp", "zz9", "127.0.0.1", "")}),
          found("shm", {nic("shm", "shm", "fi_shm://1", "")})};
}

Ground ground(const std::vector<fabric::ProviderFound> &providers, const char *provider, const char *nics) {
  return {providers,
          {provider, nics, false, false, nullptr, 0},
          nullptr,
          "",
          {},
          std::string("PIRN_PROVIDER=") + provider + " (environment)",
          std::string("PIRN_NICS=") + nics + " (environment)",
          "this thread"};
}

// The line that begins so; the test ends if there is none or more than one.
std::string line(const std::string &text, const std::string &beginning) {
  std::string got;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string each = text.substr(start, end - start);
    start = end + 1;
    if (each.compare(0, beginning.size(), beginning) != 0) continue;
    if (!got.empty()) fail_test("twice: %s", beginning.c_str());
    got = each;
  }
  if (got.empty()) fail_test("no line begins with \"%s\" in:\n%s", beginning.c_str(), text.c_str());
  return got;
}

std::string provider_line(const Ground &ground, const char *name) {
  for (const fabric::ProviderFound &provider : ground.found)
    if (provider.profile == fabric::find_profile(name)) return explain_provider(ground, provider);
  fail_test("no %s", name);
  return "";
}

std::string nic_lines(const Ground &ground, const char *name) {
  for (const fabric::ProviderFound &provider : ground.found)
    if (provider.profile == fabric::find_profile(name)) return explain_nics(ground, provider);
  fail_test("no %s", name);
  return "";
}

void provider__automatic__best_is_chosen_and_each_other_has_its_reason(void **) {
  const auto providers = p4d_providers();
  const Ground auto_ = ground(providers, "auto", "");
  assert_text(provider_line(auto_, "cxi"), "provider cxi: not usable here: needs a Slingshot NIC\n");
  assert_text(provider_line(auto_, "efa"), "provider efa (libfabric's any): chosen: the best one that is usable here\n");
  assert_text(provider_line(auto_, "tcp"),
              "provider tcp (libfabric's any): not chosen: usable, but efa ranks higher (30 against 10); "
              "PIRN_PROVIDER=tcp demands it\n");
  assert_contains(provider_line(auto_, "shm"), "taken on demand only (PIRN_PROVIDER=shm), and serves peers inside the same");
  assert_text(explain_demand(auto_), "demanded: PIRN_PROVIDER=auto (environment), PIRN_NICS= (environment)\n");
}

void provider__demanded__others_are_not_and_a_missing_one_is_said_first(void **) {
  const auto providers = p4d_providers();
  const Ground tcp = ground(providers, "tcp", "");
  assert_text(provider_line(tcp, "tcp"), "provider tcp (libfabric's any): chosen: PIRN_PROVIDER=tcp (environment)\n");
  assert_contains(provider_line(tcp, "efa"), "not chosen: PIRN_PROVIDER=tcp (environment) is another one");
  const Ground cxi = ground(providers, "cxi", "");
  assert_contains(explain_demand(cxi), "no endpoint can be opened: no usable provider: cxi: needs a Slingshot NIC\n");
  assert_contains(provider_line(cxi, "efa"), "not chosen: PIRN_PROVIDER=cxi");
}

void provider__libfabric_is_restricted__variable_is_named(void **) {
  const auto providers = p4d_providers();
  setenv("FI_PROVIDER", "^cxi", 1);
  assert_contains(provider_line(ground(providers, "auto", ""), "cxi"), "; FI_PROVIDER=^cxi restricts what libfabric loads");
  unsetenv("FI_PROVIDER");
}

void nics__memory_of_a_node__far_ones_are_not_chosen_and_figures_are_shown(void **) {
  const topo::Machine p4d = load("p4d");
  const auto providers = p4d_providers();
  Ground near = ground(providers, "auto", "");
  near.machine = &p4d;
  near.place = topo::Place::in_domain(1);
  const std::string text = nic_lines(near, "efa");
  assert_text(line(text, "  NIC c "),
              "  NIC c (fe80::3, 0000:90:01.0, 100 Gb/s, same NUMA node): chosen: no NIC is nearer: same NUMA node as NUMA "
              "node 1, to which this thread is bound");
  const std::string far = line(text, "  NIC a ");
  assert_contains(far, "  NIC a (fe80::1, 0000:10:01.0, 100 Gb/s, same machine): not chosen: it is farther (same machine) "
                       "than the nearest ones (same NUMA node) from NUMA node 1");
  assert_contains(explain_demand(near), "near to: NUMA node 1, to which this thread is bound\n");
  near.demand.spares = 1;
  assert_contains(line(nic_lines(near, "efa"), "  NIC a "),
                  "same machine): chosen as a spare: of the others the next nearest (same machine): it carries only while "
                  "none of those that are chosen works");
  assert_contains(line(nic_lines(near, "efa"), "  NIC b "), "not chosen: it is farther");
  near.demand.spares = 0;
  near.place = {};
  assert_contains(line(nic_lines(near, "efa"), "  NIC a "), "100 Gb/s): chosen: all NICs are equally near");
}

void nics__list__names_what_is_chosen_and_says_of_others_that_it_does_not(void **) {
  const topo::Machine p4d = load("p4d");
  const auto providers = p4d_providers();
  Ground listed = ground(providers, "auto", "a0:01.0, [ab]");
  listed.machine = &p4d;
  listed.place = topo::Place::in_domain(0);
  const std::string text = nic_lines(listed, "efa");
  assert_contains(line(text, "  NIC d "), ": chosen: \"a0:01.0\" of PIRN_NICS=a0:01.0, [ab] (environment) names it");
  assert_contains(line(text, "  NIC b "), ": chosen: \"[ab]\" of ");
  assert_contains(line(text, "  NIC c "), ": not chosen: PIRN_NICS=a0:01.0, [ab] (environment) does not name it");
  assert_contains(provider_line(listed, "efa"), "chosen: the best one whose NICs PIRN_NICS=");
  assert_contains(provider_line(listed, "tcp"), "not chosen: no NIC is named \"a0:01.0\"; there are tcp: eth0");
}

void nics__list_that_names_nothing_or_is_malformed__is_the_reason(void **) {
  const auto providers = p4d_providers();
  const Ground wrong = ground(providers, "auto", "mlx5_9");
  assert_contains(explain_demand(wrong), "no endpoint can be opened: no NIC is named \"mlx5_9\"");
  assert_contains(line(nic_lines(wrong, "efa"), "  NIC a "), "would not be chosen: no NIC is named \"mlx5_9\"");
  const Ground malformed = ground(providers, "auto", "a,,b");
  assert_contains(explain_demand(malformed), "has an empty entry");
  assert_contains(line(nic_lines(malformed, "efa"), "  NIC a "), "has an empty entry");
}

void nics__of_an_ip_provider__one_address_and_why_not_the_others(void **) {
  const auto providers = p4d_providers();
  const Ground tcp = ground(providers, "tcp", "");
  const std::string text = nic_lines(tcp, "tcp");
  assert_contains(line(text, "  NIC eth0 (192.0.2.7, 25 Gb/s)"), ": chosen: the best address (IPv4); ");
  assert_contains(line(text, "  NIC eth0 (fd00::7"), ": not chosen: IPv6; eth0 192.0.2.7 (IPv4) comes first, and an IP "
                                                      "provider uses one address unless PIRN_NICS lists more");
  assert_contains(line(text, "  NIC zz9 (127.0.0.1, speed unknown)"), ": not chosen: IPv4 loopback; eth0 192.0.2.7");
  assert_contains(line(nic_lines(ground(providers, "tcp", "eth*"), "tcp"), "  NIC eth0 (fd00::7"),
                  "names the interface, whose better address is 192.0.2.7");
  // The loopback of this machine is not one of these NICs.
  assert_contains(line(text, "  NIC lo:"), "not offered: ");
}

void nics__of_a_provider_that_is_not_chosen__what_they_would_be(void **) {
  const auto providers = p4d_providers();
  const std::string text = nic_lines(ground(providers, "auto", ""), "tcp");
  assert_contains(line(text, "  NIC eth0 (192.0.2.7"), ": would be chosen: ");
  assert_contains(line(text, "  NIC eth0 (fd00::7"), ": would not be chosen: ");
}

void nics__link_down_or_the_same_device_again__are_listed_as_left_out(void **) {
  sim::Persona persona = sim::verbs_persona();
  persona.nics = {{.name = "mlx5_0", .fabric = "IB", .pci = "0000:21:00.0"},
                  {.name = "mlx5_0-xrc", .fabric = "IB", .pci = "0000:21:00.0"},
                  {.name = "mlx5_1", .fabric = "IB", .pci = "0000:22:00.0", .link_up = false}};
  sim::FakeFabric fake({persona});
  const Log log(PIRN_LOG_ERROR, nullptr, nullptr);
  const std::vector<fabric::ProviderFound> providers = {
      fabric::discover_one(fake.calls(), *fabric::find_profile("verbs"), log)};
  const std::string text = nic_lines(ground(providers, "auto", ""), "verbs");
  assert_contains(line(text, "  NIC mlx5_0 "), ": chosen: it is the provider's only NIC");
  assert_contains(line(text, "  NIC mlx5_0-xrc "), ": not offered: the same device as mlx5_0");
  assert_contains(line(text, "  NIC mlx5_1 "), "0000:22:00.0): not offered: the link is down");
}

// Of random demands and places: the NICs that are said to be chosen are those that an endpoint gets.
void nics__random_demands__explanation_and_choice_agree(void **) {
  Seeded random;
  const topo::Machine p4d = load("p4d");
  const auto providers = p4d_providers();
  const char *const demands[] = {"auto", "auto", "efa", "tcp", "shm", "cxi"};
  const char *const lists[] = {"", "", "a", "[ab]", "c,10:01.0", "eth0", "fd00::7,zz*", "192.0.2.7", "none", ","};
  size_t opened = 0;
  for (int i = 0; i < 300; ++i) {
    Ground made = ground(providers, demands[random.between(0, 5)], lists[random.between(0, 9)]);
    if (random.between(0, 3) > 0) made.machine = &p4d;
    if (random.between(0, 2) > 0) made.place = topo::Place::in_domain(static_cast<uint32_t>(random.between(0, 1)));
    std::multiset<std::string> expected, said;
    auto choice = choose(providers, made.demand, made.machine, made.place);
    if (choice.is_ok())
      for (const fabric::Nic &each : choice.value().nics) expected.insert(each.name + " (" + each.address);
    opened += choice.is_ok();
    assert_int_equal(choice.is_ok(), explain_demand(made).find("no endpoint can be opened") == std::string::npos);
    for (const fabric::ProviderFound &provider : providers) {
      const std::string text = explain_nics(made, provider);
      for (const fabric::Nic &each : provider.nics) {
        const std::string label = each.name + " (" + each.address;
        if (line(text, "  NIC " + label).find("): chosen: ") != std::string::npos) said.insert(label);
      }
    }
    if (said != expected) fail_test("round %d: %zu said, %zu chosen", i, said.size(), expected.size());
  }
  assert_in_range(opened, 50, 299);
}

std::string explain_peer(Rig &rig) { return rig.a.endpoint->explain(*rig.a.peer); }

void endpoint__listed_nics__says_rails_and_the_one_left_out(void **) {
  RigOptions options = several_nics(3);
  options.nics = "mlx5_2,mlx5_0";
  Rig rig(options);
  const std::string text = rig.a.endpoint->explain();
  assert_text(line(text, "endpoint: "), "endpoint: 2 rails of provider verbs");
  assert_contains(line(text, "rail 0: verbs/mlx5_2 ("), ", 200 Gb/s): open, nothing in flight");
  line(text, "rail 1: verbs/mlx5_0 (");
  assert_contains(line(text, "  NIC mlx5_1 "), ": not chosen: ");
  assert_contains(line(text, "  NIC mlx5_1 "), " does not name it");
  line(text, "provider verbs (libfabric's verbs;ofi_rxm): chosen: ");
  line(text, "provider cxi: not usable here: ");
}

void endpoint__rail_out_of_order__says_why_and_when_it_is_tried_again(void **) {
  Rig rig(several_nics(2));
  RailSlot &rail = *rig.a.endpoint->rails()[1];
  rail.close_for_now("fi_endpoint: No such device", coarse_ns() - 3 * ns_per_s);
  rail.close_for_now("fi_endpoint: No such device", coarse_ns());
  const std::string text = rig.a.endpoint->explain();
  assert_contains(line(text, "rail 1: "), ": out of order for 3.0 s: fi_endpoint: No such device; opened again in ");
  rail.set_open();
  assert_contains(line(rig.a.endpoint->explain(), "rail 1: "), ": open");
}

uint64_t number_in(const std::string &text, const char *before) {
  return std::strtoull(line(text, before).c_str() + std::strlen(before), nullptr, 10);
}

// The bound that DESIGN.md states, from what the provider granted.
void endpoint__several_nics__memory_is_buffers_and_pieces_of_each_rail(void **) {
  Rig rig(several_nics(3));
  uint64_t bound = 0;
  for (const auto &rail : rig.a.endpoint->rails()) {
    const uint64_t depth = rail->limits().transmit_depth, receives = std::min<uint64_t>(64, rail->limits().receive_depth);
    bound += (std::min<uint64_t>(32, (depth + 1) / 2) + receives) * (8192 + 128) + depth * 160;
  }
  const uint64_t said = number_in(rig.a.endpoint->explain(), "memory: ");
  assert_in_range(said, bound / 1024 / 2, bound / 1024);
}

void peer__three_nics_each__memory_is_below_a_kilobyte_a_path_and_two_more(void **) {
  Rig rig(several_nics(3));
  assert_in_range(number_in(explain_peer(rig), "memory: "), sizeof(Peer), 2048 + 3 * 1024);
}

void peer__two_nics_each__pairs_are_in_use_and_others_not_made(void **) {
  Rig rig(several_nics(2));
  const std::string text = explain_peer(rig);
  assert_text(line(text, "peer "), "peer " + rig.a.peer->address + ": up");
  assert_contains(line(text, "path fabric: rail 0 verbs/mlx5_0 ("), "to remote rail 0 (200 Gb/s): in use, nothing in flight");
  assert_contains(line(text, "path fabric: rail 1 verbs/mlx5_1 ("), "to remote rail 1 (200 Gb/s): in use");
  line(text, "path fabric: 2 other pairs of rails not made: each rail has a partner already");
  line(text, "path self: used, the peer is in this process");
  line(text, "provider cxi: not usable here: ");
}

void peer__remote_nic_cut__path_is_paused_with_reason_and_others_carry_on(void **) {
  RigOptions options = several_nics(3);
  Rig rig(options);
  rig.fake.cut(rig.number(rig.b, 1));
  assert_int_equal(rig.finish(rig.write(0, 0, 900'000)).status, PIRN_OK);
  assert_true(rig.until([&] { return rig.a.peer->paths[1].paused; }));
  // Its detours to the peer's other NICs work once they have answered.
  auto detour_works = [&] {
    return std::any_of(rig.a.peer->paths.begin(), rig.a.peer->paths.end(),
                       [](const Path &path) { return path.detour && path.local == 1 && !path.paused; });
  };
  assert_true(rig.until(detour_works));
  const std::string text = explain_peer(rig);
  const std::string cut = line(text, "path fabric: rail 1 verbs/mlx5_1 (" + rig.a.endpoint->rails()[1]->fabric().printable_address() +
                                         ") to remote rail 1 (200 Gb/s): ");
  assert_contains(cut, ": paused for ");
  assert_contains(cut, "verbs/mlx5_1: ");
  assert_true(cut.find("; tried again ") != std::string::npos || cut.find("; being tried now") != std::string::npos);
  assert_contains(line(text, "path fabric: rail 0 "), ": in use");
  assert_contains(text, ", a detour: in use");
  rig.fake.mend(rig.number(rig.b, 1));
  assert_true(rig.until([&] { return !rig.a.peer->paths[1].paused; }));
  assert_contains(explain_peer(rig), ", a detour: ready, but not needed: the rail's own path works");
}

void peer__its_only_nic_cut__suspect_with_what_is_left_of_its_time_then_lost(void **) {
  RigOptions options = several_nics(1);
  options.settings.push_back("PEER_CONFIRM_TIMEOUT=400ms");
  Rig rig(options);
  rig.fake.cut(rig.number(rig.b, 0));
  const pirn_transfer id = rig.write(0, 0, 4096);
  assert_true(rig.until([&] { return rig.a.peer->state != PIRN_PEER_UP; }));
  if (rig.a.peer->state == PIRN_PEER_SUSPECT) {
    const std::string suspect = line(explain_peer(rig), "peer ");
    assert_contains(suspect, ": suspect for ");
    assert_contains(suspect, "mlx5_0");
    assert_contains(suspect, " if it does not answer");
  }
  assert_int_equal(rig.finish(id).status, PIRN_ERR_PEER_LOST);
  const std::string text = explain_peer(rig);
  assert_contains(line(text, "peer "), ": lost: no answer for ");
  assert_contains(line(text, "path fabric: rail 0 "), ": not in use: the peer is lost");
}

void peer__not_answered_yet__says_so(void **) {
  RigOptions options = several_nics(1);
  options.connect = false;
  Rig rig(options);
  rig.a.peer = must(rig.a.endpoint->add(rig.b.endpoint->metadata()), "add");
  const std::string text = explain_peer(rig);
  assert_contains(line(text, "peer "), ": connecting; given up in ");
  assert_contains(line(text, "path fabric: rail 0 "), ": waits for the peer's answer");
}

void peer__offers_rails_of_another_protocol_too__not_made_and_why(void **) {
  Rig rig(several_nics(1));
  wire::RailAddress other = rig.a.peer->metadata.rails.front();
  other.provider = "efa";
  other.protocol = "efa";
  rig.a.peer->metadata.rails.push_back(other);
  assert_text(line(explain_peer(rig), "path fabric: remote rail 1 "),
              "path fabric: remote rail 1 (efa, libfabric's efa): not made: the rails here speak verbs (libfabric's "
              "verbs;ofi_rxm)");
}

void notification__taken_in__result_names_its_rail(void **) {
  RigOptions options = several_nics(2);
  Rig rig(options);
  pirn_transfer id = 0;
  rig.notify(rig.random.bytes(9000), {}, &id);
  const pirn_result result = rig.finish(id);
  assert_int_equal(result.status, PIRN_OK);
  assert_text(result.rail, "verbs/mlx5_0");
  rig.fake.cut(rig.number(rig.b, 0));
  rig.notify(rig.random.bytes(100), {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);  // by rail 1 in the end
  rig.notify(rig.random.bytes(100), {}, &id);
  assert_text(rig.finish(id).rail, "verbs/mlx5_1");
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY [TEST]\n", argv[0]);
    return 2;
  }
  directory = argv[1];
  if (argc > 2) cmocka_set_test_filter(argv[2]);
  unsetenv("FI_PROVIDER");
  const CMUnitTest tests[] = {
      cmocka_unit_test(provider__automatic__best_is_chosen_and_each_other_has_its_reason),
      cmocka_unit_test(provider__demanded__others_are_not_and_a_missing_one_is_said_first),
      cmocka_unit_test(provider__libfabric_is_restricted__variable_is_named),
      cmocka_unit_test(nics__memory_of_a_node__far_ones_are_not_chosen_and_figures_are_shown),
      cmocka_unit_test(nics__list__names_what_is_chosen_and_says_of_others_that_it_does_not),
      cmocka_unit_test(nics__list_that_names_nothing_or_is_malformed__is_the_reason),
      cmocka_unit_test(nics__of_an_ip_provider__one_address_and_why_not_the_others),
      cmocka_unit_test(nics__of_a_provider_that_is_not_chosen__what_they_would_be),
      cmocka_unit_test(nics__link_down_or_the_same_device_again__are_listed_as_left_out),
      cmocka_unit_test(nics__random_demands__explanation_and_choice_agree),
      cmocka_unit_test(endpoint__listed_nics__says_rails_and_the_one_left_out),
      cmocka_unit_test(endpoint__rail_out_of_order__says_why_and_when_it_is_tried_again),
      cmocka_unit_test(endpoint__several_nics__memory_is_buffers_and_pieces_of_each_rail),
      cmocka_unit_test(peer__three_nics_each__memory_is_below_a_kilobyte_a_path_and_two_more),
      cmocka_unit_test(peer__two_nics_each__pairs_are_in_use_and_others_not_made),
      cmocka_unit_test(peer__remote_nic_cut__path_is_paused_with_reason_and_others_carry_on),
      cmocka_unit_test(peer__its_only_nic_cut__suspect_with_what_is_left_of_its_time_then_lost),
      cmocka_unit_test(peer__not_answered_yet__says_so),
      cmocka_unit_test(peer__offers_rails_of_another_protocol_too__not_made_and_why),
      cmocka_unit_test(notification__taken_in__result_names_its_rail),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
