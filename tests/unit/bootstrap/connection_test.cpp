// SPDX-License-Identifier: Apache-2.0
// Two sides over real sockets: from connect to lifeline, and every way to end.
#include "recorder.h"

#include <algorithm>
#include <csignal>
#include <sys/wait.h>

using namespace fixture;

namespace {

void check_up(const char *host, const char *secret) {
  Side listener(1, secret);
  Side caller(2, secret);
  const auto where = listener.listen(host);

  const ConnectionId id = bring_up(caller, listener, where);

  assert_int_equal(caller.ups.size(), 1);
  assert_int_equal(listener.ups.size(), 1);
  assert_int_equal(caller.ups[0].id, id);
  assert_true(caller.ups[0].initiated);
  assert_false(listener.ups[0].initiated);
  assert_true(caller.ups[0].remote.instance == listener.self.instance);
  assert_true(listener.ups[0].remote.instance == caller.self.instance);
  assert_int_equal(listener.ups[0].remote.token, 1000 + id);
  assert_int_equal(caller.ups[0].remote.token, 5000 + 1000 + id);
  assert_true(caller.ups[0].metadata.rails.at(0).address == metadata_of(1).rails[0].address);
  assert_string_equal(caller.ups[0].address.c_str(), printable(where[0]).c_str());
  assert_int_equal(listener.bootstrap.counters().accepted, 1);
  assert_int_equal(listener.bootstrap.counters().established, 1);
  assert_int_equal(caller.bootstrap.counters().established, 1);
  assert_int_equal(caller.bootstrap.next_deadline(), UINT64_MAX);
  assert_int_equal(listener.bootstrap.next_deadline(), UINT64_MAX);
  assert_true(listener.lines.empty());
  // Nothing happens to an idle lifeline.
  assert_false(drive({&caller, &listener}, [&] { return !caller.losses.empty() || !listener.losses.empty(); }, 50));
}

void connect__over_ipv4__establishes_both(void **) { check_up("127.0.0.1", ""); }
void connect__over_ipv6__establishes_both(void **) { check_up("[::1]", ""); }
void connect__with_key__establishes_both(void **) { check_up("127.0.0.1", "sesame"); }

void connect__listener_on_all_addresses__both_families_reach_it(void **) {
  Side listener(1);
  Side caller(2);
  const auto where = listener.listen("");
  const std::string port = printable(where[0]).substr(printable(where[0]).rfind(':'));

  bring_up(caller, listener, resolve("127.0.0.1" + port, false).value());
  bring_up(caller, listener, resolve("[::1]" + port, false).value());

  assert_int_equal(listener.bootstrap.counters().established, 2);
}

void connect__hundred_at_once_beyond_the_handshake_limit__all_establish(void **) {
  Settings settings = default_settings();
  settings.handshake_limit = 4;
  Side listener(1, "sesame", settings);
  const auto where = listener.listen("127.0.0.1");
  Side caller(2, "sesame");
  for (int i = 0; i < 100; ++i) caller.bootstrap.connect(where, now_ns() + 5 * ns_per_s);

  assert_true(drive({&caller, &listener}, [&] { return caller.ups.size() + caller.failures.size() == 100; }));

  assert_int_equal(caller.failures.size(), 0);
  assert_int_equal(listener.bootstrap.counters().evicted, 0);
}

void connect__wrong_key__is_refused_and_counted(void **) {
  Side listener(1, "sesame");
  Side caller(2, "simsim");
  const auto where = listener.listen("127.0.0.1");
  const ConnectionId id = caller.bootstrap.connect(where, now_ns() + 5 * ns_per_s);

  assert_true(drive({&caller, &listener},
                    [&] { return !caller.failures.empty() && listener.bootstrap.counters().refused > 0; }));

  assert_int_equal(caller.failures[0].id, id);
  assert_int_equal(caller.failures[0].code, PIRN_ERR_REFUSED);
  assert_true(contains(caller.failures[0].why, printable(where[0])));
  assert_true(listener.ups.empty());
  assert_int_equal(listener.bootstrap.counters().refused, 1);
  assert_int_equal(listener.lines.size(), 1);
  assert_true(contains(listener.lines[0], "pre-shared key"));
}

void connect__key_on_one_side_only__text_says_which(void **) {
  Side listener(1, "sesame");
  Side caller(2);
  caller.bootstrap.connect(listener.listen("127.0.0.1"), now_ns() + 5 * ns_per_s);
  assert_true(drive({&caller, &listener}, [&] { return !caller.failures.empty(); }));
  assert_int_equal(caller.failures[0].code, PIRN_ERR_REFUSED);
  assert_true(contains(caller.failures[0].why, "the peer has a pre-shared key, this endpoint has none"));
}

void connect__to_itself__is_refused(void **) {
  Side alone(1);
  alone.bootstrap.connect(alone.listen("127.0.0.1"), now_ns() + 5 * ns_per_s);
  assert_true(drive({&alone}, [&] { return !alone.failures.empty(); }));
  assert_int_equal(alone.failures[0].code, PIRN_ERR_REFUSED);
  assert_true(alone.ups.empty());
}

void connect__owner_of_listener_refuses__caller_hears_its_words(void **) {
  Side listener(1);
  Side caller(2);
  listener.verdict = pirn::fail(PIRN_ERR_UNAVAILABLE, "no provider in common");
  caller.bootstrap.connect(listener.listen("127.0.0.1"), now_ns() + 5 * ns_per_s);
  assert_true(drive({&caller, &listener}, [&] { return !caller.failures.empty(); }));
  assert_int_equal(caller.failures[0].code, PIRN_ERR_UNAVAILABLE);
  assert_true(contains(caller.failures[0].why, "no provider in common"));
  assert_int_equal(listener.bootstrap.counters().refused, 1);
  assert_true(listener.losses.empty());
}

void connect__owner_of_caller_refuses__listener_loses_the_lifeline(void **) {
  Side listener(1);
  Side caller(2);
  caller.verdict = pirn::fail(PIRN_ERR_UNAVAILABLE, "no");
  caller.bootstrap.connect(listener.listen("127.0.0.1"), now_ns() + 5 * ns_per_s);
  assert_true(drive({&caller, &listener}, [&] { return !listener.losses.empty(); }));
  assert_true(caller.failures.empty());
  assert_true(caller.losses.empty());
}

void connect__closed_inside_the_event__no_event_follows(void **) {
  Side listener(1);
  Side caller(2);
  listener.close_at_once = true;
  caller.bootstrap.connect(listener.listen("127.0.0.1"), now_ns() + 5 * ns_per_s);
  assert_true(drive({&caller, &listener}, [&] { return !caller.failures.empty(); }));
  assert_int_equal(listener.ups.size(), 1);
  assert_true(listener.losses.empty());
}

SocketAddress closed_port() {
  Side gone(9);
  return gone.listen("127.0.0.1")[0];
}

void connect__nobody_listens__is_refused_at_once(void **) {
  Side caller(2);
  const SocketAddress where = closed_port();
  const uint64_t start = now_ns();
  const ConnectionId id = caller.bootstrap.connect({where}, start + 5 * ns_per_s);
  assert_true(caller.failures.empty());  // never inside connect()
  assert_true(drive({&caller}, [&] { return !caller.failures.empty(); }));
  assert_true(now_ns() - start < 100 * ns_per_ms);
  assert_int_equal(caller.failures[0].id, id);
  assert_int_equal(caller.failures[0].code, PIRN_ERR_REFUSED);
  assert_true(contains(caller.failures[0].why, printable(where)));
}

void connect__first_address_closed__takes_the_second(void **) {
  Side listener(1);
  Side caller(2);
  const auto where = listener.listen("[::1]");
  bring_up(caller, listener, {closed_port(), where[0]});
  assert_string_equal(caller.ups[0].address.c_str(), printable(where[0]).c_str());
}

void connect__without_addresses__fails_in_the_next_progress(void **) {
  Side caller(2);
  caller.bootstrap.connect({}, now_ns() + ns_per_s);
  assert_true(drive({&caller}, [&] { return !caller.failures.empty(); }, 100));
  assert_int_equal(caller.failures[0].code, PIRN_ERR_INVALID);
}

void connect__deadline_in_the_past__times_out(void **) {
  Side caller(2);
  caller.bootstrap.connect({closed_port()}, now_ns() - 1);
  assert_true(drive({&caller}, [&] { return !caller.failures.empty(); }, 100));
  assert_int_equal(caller.failures[0].code, PIRN_ERR_TIMEOUT);
}

// A listener whose queue is full drops the SYN, as an address that leads nowhere does.
void connect__no_answer__ends_at_the_deadline(void **) {
  const int mute = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SocketAddress where = resolve("127.0.0.1:0", true).value()[0];
  assert_int_equal(bind(mute, reinterpret_cast<sockaddr *>(&where.storage), where.length), 0);
  assert_int_equal(listen(mute, 0), 0);
  assert_int_equal(getsockname(mute, reinterpret_cast<sockaddr *>(&where.storage), &where.length), 0);
  const Stranger filler(where);
  Side caller(2);
  const uint64_t start = now_ns();

  caller.bootstrap.connect({where}, start + 200 * ns_per_ms);
  assert_true(drive({&caller}, [&] { return !caller.failures.empty(); }));

  const uint64_t took = now_ns() - start;
  assert_true(took >= 200 * ns_per_ms && took < 1000 * ns_per_ms);
  assert_int_equal(caller.failures[0].code, PIRN_ERR_TIMEOUT);
  close(mute);
}

void connect__listener_accepts_and_says_nothing__ends_at_the_deadline(void **) {
  const int mute = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SocketAddress where = resolve("127.0.0.1:0", true).value()[0];
  assert_int_equal(bind(mute, reinterpret_cast<sockaddr *>(&where.storage), where.length), 0);
  assert_int_equal(listen(mute, 5), 0);
  assert_int_equal(getsockname(mute, reinterpret_cast<sockaddr *>(&where.storage), &where.length), 0);
  Side caller(2);
  caller.bootstrap.connect({where}, now_ns() + 100 * ns_per_ms);
  assert_true(drive({&caller}, [&] { return !caller.failures.empty(); }, 1000));
  assert_int_equal(caller.failures[0].code, PIRN_ERR_TIMEOUT);
  assert_true(contains(caller.failures[0].why, "handshake"));
  close(mute);
}

void connect__other_protocol_answers__is_refused(void **) {
  const int web = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SocketAddress where = resolve("127.0.0.1:0", true).value()[0];
  assert_int_equal(bind(web, reinterpret_cast<sockaddr *>(&where.storage), where.length), 0);
  assert_int_equal(listen(web, 5), 0);
  assert_int_equal(getsockname(web, reinterpret_cast<sockaddr *>(&where.storage), &where.length), 0);
  Side caller(2);
  caller.bootstrap.connect({where}, now_ns() + 5 * ns_per_s);
  const int taken = accept(web, nullptr, nullptr);
  const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
  assert_int_equal(send(taken, answer, sizeof answer, MSG_NOSIGNAL), sizeof answer);
  assert_true(drive({&caller}, [&] { return !caller.failures.empty(); }));
  assert_int_equal(caller.failures[0].code, PIRN_ERR_REFUSED);
  assert_true(contains(caller.failures[0].why, "does not speak pirn"));
  close(taken);
  close(web);
}

void close__of_a_pending_connect__no_event_follows(void **) {
  Side listener(1);
  Side caller(2);
  const ConnectionId refused = caller.bootstrap.connect({closed_port()}, now_ns() + ns_per_s);
  const ConnectionId pending = caller.bootstrap.connect(listener.listen("127.0.0.1"), now_ns() + ns_per_s);
  caller.bootstrap.close(refused);
  caller.bootstrap.close(pending);
  assert_false(drive({&caller, &listener}, [&] { return !caller.failures.empty() || !caller.ups.empty(); }, 50));
  assert_int_equal(caller.bootstrap.next_deadline(), UINT64_MAX);
}

void lifeline__other_side_closes__is_lost(void **) {
  Side listener(1);
  Side caller(2);
  const ConnectionId id = bring_up(caller, listener, listener.listen("127.0.0.1"));
  caller.bootstrap.close(id);
  assert_true(drive({&caller, &listener}, [&] { return !listener.losses.empty(); }, 100));
  assert_int_equal(listener.losses[0].id, listener.ups[0].id);
  assert_true(caller.losses.empty());
  // Told once.
  assert_false(drive({&caller, &listener}, [&] { return listener.losses.size() > 1; }, 20));
}

void lifeline__other_side_says_farewell__is_closed_and_not_lost(void **) {
  for (bool by_caller : {true, false}) {
    Side listener(1);
    Side caller(2);
    const ConnectionId id = bring_up(caller, listener, listener.listen("127.0.0.1"));
    Side &leaving = by_caller ? caller : listener;
    Side &staying = by_caller ? listener : caller;
    const ConnectionId theirs = by_caller ? id : listener.ups[0].id;
    leaving.bootstrap.farewell(theirs);
    leaving.bootstrap.close(theirs);
    assert_true(drive({&caller, &listener}, [&] { return !staying.farewells.empty(); }, 1000));
    assert_int_equal(staying.farewells[0], by_caller ? listener.ups[0].id : id);
    // Told once, and nothing else.
    assert_false(drive({&caller, &listener}, [&] { return staying.farewells.size() > 1 || !staying.losses.empty(); }, 20));
    assert_true(leaving.losses.empty() && leaving.farewells.empty());
  }
}

void farewell__of_a_pending_connect__says_nothing(void **) {
  Side listener(1);
  Side caller(2);
  const ConnectionId pending = caller.bootstrap.connect(listener.listen("127.0.0.1"), now_ns() + ns_per_s);
  caller.bootstrap.farewell(pending);
  assert_true(drive({&caller, &listener}, [&] { return !caller.ups.empty() && !listener.ups.empty(); }, 1000));
  assert_true(listener.farewells.empty());
}

void lifeline__other_bootstrap_destroyed__is_lost(void **) {
  Side listener(1);
  auto caller = std::make_unique<Side>(uint8_t{2});
  bring_up(*caller, listener, listener.listen("[::1]"));
  caller.reset();
  assert_true(drive({&listener}, [&] { return !listener.losses.empty(); }, 100));
}

void lifeline__closed_while_a_forked_process_holds_it__is_lost(void **) {
  Side listener(1);
  Side caller(2);
  const ConnectionId id = bring_up(caller, listener, listener.listen("127.0.0.1"));
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    pause();
    _exit(0);
  }
  caller.bootstrap.close(id);
  assert_true(drive({&caller, &listener}, [&] { return !listener.losses.empty(); }, 100));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

void listener__destroyed_while_a_forked_process_holds_it__frees_its_port(void **) {
  auto listener = std::make_unique<Side>(uint8_t{1});
  const auto where = listener->listen("127.0.0.1");
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    pause();
    _exit(0);
  }
  listener.reset();
  Side next(2);
  assert_true(next.bootstrap.listen(where).is_ok());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

[[noreturn]] void connect_and_wait(const std::vector<SocketAddress> &where) {
  Side caller(2);
  caller.bootstrap.connect(where, now_ns() + 5 * ns_per_s);
  drive({&caller}, [] { return false; }, 20000);
  _exit(0);
}

void lifeline__peer_process_killed__is_lost_within_100_ms(void **) {
  Side listener(1);
  const auto where = listener.listen("127.0.0.1");
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) connect_and_wait(where);
  assert_true(drive({&listener}, [&] { return !listener.ups.empty(); }));

  const uint64_t start = now_ns();
  kill(child, SIGKILL);
  assert_true(drive({&listener}, [&] { return !listener.losses.empty(); }, 100));

  assert_true(now_ns() - start < 100 * ns_per_ms);
  assert_int_equal(listener.losses[0].id, listener.ups[0].id);
  waitpid(child, nullptr, 0);
}

void listen__port_in_use__is_one_error_naming_it(void **) {
  Side first(1);
  Side second(2);
  const auto where = first.listen("127.0.0.1");
  const Status status = second.bootstrap.listen(where);
  assert_int_equal(status.code, PIRN_ERR_BUSY);
  assert_true(contains(status.text, printable(where[0])));
  assert_false(second.bootstrap.listening());
}

void listen__port_in_use_in_one_family_of_two__is_an_error(void **) {
  Side first(1);
  Side second(2);
  const auto where = first.listen("[::1]");
  const std::string port = printable(where[0]).substr(printable(where[0]).rfind(':'));
  const Status status = second.bootstrap.listen(resolve(port, true).value());
  assert_int_equal(status.code, PIRN_ERR_BUSY);
  assert_false(second.bootstrap.listening());
}

void listen__address_of_another_machine__is_an_error_naming_it(void **) {
  Side side(1);
  const Status status = side.bootstrap.listen(resolve("192.0.2.1:0", true).value());
  assert_int_equal(status.code, PIRN_ERR_IO);
  assert_true(contains(status.text, "192.0.2.1:0"));
  assert_false(side.bootstrap.listening());
}

void listen__one_address_of_two_is_absent__serves_the_other(void **) {
  Side listener(1);
  Side caller(2);
  auto addresses = resolve("192.0.2.1:0", true).take();
  addresses.push_back(resolve("127.0.0.1:0", true).value()[0]);
  assert_true(listener.bootstrap.listen(addresses).is_ok());
  bring_up(caller, listener, {listener.bootstrap.listen_address()});
}

void listen__twice__is_busy(void **) {
  Side side(1);
  side.listen("127.0.0.1");
  const Status status = side.bootstrap.listen(resolve("127.0.0.1:0", true).value());
  assert_int_equal(status.code, PIRN_ERR_BUSY);
}

void listen__sixteen_on_port_0__all_differ(void **) {
  std::vector<std::unique_ptr<Side>> sides;
  std::vector<std::string> seen;
  for (uint8_t i = 1; i <= 16; ++i) {
    sides.push_back(std::make_unique<Side>(i));
    seen.push_back(printable(sides.back()->listen("")[0]));
  }
  std::sort(seen.begin(), seen.end());
  assert_true(std::unique(seen.begin(), seen.end()) == seen.end());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(connect__over_ipv4__establishes_both),
      cmocka_unit_test(connect__over_ipv6__establishes_both),
      cmocka_unit_test(connect__with_key__establishes_both),
      cmocka_unit_test(connect__listener_on_all_addresses__both_families_reach_it),
      cmocka_unit_test(connect__hundred_at_once_beyond_the_handshake_limit__all_establish),
      cmocka_unit_test(connect__wrong_key__is_refused_and_counted),
      cmocka_unit_test(connect__key_on_one_side_only__text_says_which),
      cmocka_unit_test(connect__to_itself__is_refused),
      cmocka_unit_test(connect__owner_of_listener_refuses__caller_hears_its_words),
      cmocka_unit_test(connect__owner_of_caller_refuses__listener_loses_the_lifeline),
      cmocka_unit_test(connect__closed_inside_the_event__no_event_follows),
      cmocka_unit_test(connect__nobody_listens__is_refused_at_once),
      cmocka_unit_test(connect__first_address_closed__takes_the_second),
      cmocka_unit_test(connect__without_addresses__fails_in_the_next_progress),
      cmocka_unit_test(connect__deadline_in_the_past__times_out),
      cmocka_unit_test(connect__no_answer__ends_at_the_deadline),
      cmocka_unit_test(connect__listener_accepts_and_says_nothing__ends_at_the_deadline),
      cmocka_unit_test(connect__other_protocol_answers__is_refused),
      cmocka_unit_test(close__of_a_pending_connect__no_event_follows),
      cmocka_unit_test(lifeline__other_side_closes__is_lost),
      cmocka_unit_test(lifeline__other_side_says_farewell__is_closed_and_not_lost),
      cmocka_unit_test(farewell__of_a_pending_connect__says_nothing),
      cmocka_unit_test(lifeline__other_bootstrap_destroyed__is_lost),
      cmocka_unit_test(lifeline__closed_while_a_forked_process_holds_it__is_lost),
      cmocka_unit_test(listener__destroyed_while_a_forked_process_holds_it__frees_its_port),
      cmocka_unit_test(lifeline__peer_process_killed__is_lost_within_100_ms),
      cmocka_unit_test(listen__port_in_use__is_one_error_naming_it),
      cmocka_unit_test(listen__port_in_use_in_one_family_of_two__is_an_error),
      cmocka_unit_test(listen__address_of_another_machine__is_an_error_naming_it),
      cmocka_unit_test(listen__one_address_of_two_is_absent__serves_the_other),
      cmocka_unit_test(listen__twice__is_busy),
      cmocka_unit_test(listen__sixteen_on_port_0__all_differ),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
