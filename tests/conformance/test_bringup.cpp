// SPDX-License-Identifier: Apache-2.0
// How two endpoints meet: connect, accept, background accept, blobs; twice is once.
#include "harness.h"
#include "raw_socket.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace pirn_test;

namespace {

// Proves that a peer works: bytes written there and read back.
void expect_traffic(Pair &pair, Target &target, pirn_peer *peer) {
  const uint64_t size = 10000, seed = pair.random.next();
  const Remote remote = pair.remote(target, peer, size, 1);
  const Memory &out = pair.memory(size, seed);
  const Memory &in = pair.memory(size, 2);
  EXPECT_OK(pirn_write(out.region, 0, remote.window, 0, size, nullptr, nullptr));
  EXPECT_MATCH(target.check(remote.buffer, 0, size, seed));
  EXPECT_OK(pirn_read(in.region, 0, remote.window, 0, size, nullptr, nullptr));
  EXPECT_MATCH(find_mismatch(in.buffer.data(), size, seed));
}

void open_both(Pair &pair) {
  pair.open();
  pair.spawn().open();
}

// ---- meeting ----

void connect__waiting_accept__both_get_a_peer_that_is_up(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  Target &target = pair.target();
  const std::string address = target.listen();

  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
  const uint64_t there = target.accept();

  assert_int_equal(peer_state(peer), PIRN_PEER_UP);
  const Reply info = target.call({Op::peer_state, {there}, ""});
  assert_int_equal(info.values[0], PIRN_PEER_UP);
  expect_traffic(pair, target, peer);
}

void accept__nobody_comes__is_timeout_at_its_deadline(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  listen_on(pair.endpoint(), own_host() + ":0");

  const uint64_t start = clock_now();
  pirn_peer *peer = reinterpret_cast<pirn_peer *>(state);
  EXPECT(PIRN_ERR_TIMEOUT, pirn_endpoint_accept(pair.endpoint(), 200 * ms, &peer));

  const uint64_t took = clock_now() - start;
  assert_null(peer);
  assert_in_range(took, 190 * ms, at_most(1000 * ms));
}

void connect__background_accept__works_without_a_call_of_accept(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  expect_traffic(pair, pair.target(), peer);
}

void connect__background_accept_callback__gets_the_peer(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  struct Met {
    std::atomic<int> count{0};
    std::atomic<pirn_peer *> peer{nullptr};
  } met;
  const std::string address = listen_on(pair.endpoint(), own_host() + ":0");
  const auto callback = [](void *arg, pirn_peer *peer) {
    auto *got = static_cast<Met *>(arg);
    got->peer = peer;
    ++got->count;
  };
  EXPECT_OK(pirn_endpoint_accept_start(pair.endpoint(), callback, &met));

  pair.target().connect(address);

  assert_true(wait_until(2000, [&] { return met.count.load() == 1; }));
  expect_traffic(pair, pair.target(), met.peer);
  EXPECT_OK(pirn_endpoint_accept_stop(pair.endpoint()));
}

void accept_stop__later_peer__waits_for_accept(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  const std::string address = listen_on(pair.endpoint(), own_host() + ":0");
  EXPECT_OK(pirn_endpoint_accept_start(pair.endpoint(), nullptr, nullptr));
  EXPECT_OK(pirn_endpoint_accept_stop(pair.endpoint()));

  pair.target().connect(address);

  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_endpoint_accept(pair.endpoint(), 5 * second, &peer));
  expect_traffic(pair, pair.target(), peer);
}

void add_by_blob(Pair &pair, bool text) {
  open_both(pair);
  const std::string blob = pair.target().metadata();
  const std::string given = text ? blob_text(blob) : blob;
  if (text) assert_memory_equal(given.data(), "pirn:", 5);

  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_add(pair.endpoint(), given.data(), given.size(), &peer));
  EXPECT_OK(pirn_peer_wait(peer, 10 * second));

  assert_int_equal(peer_state(peer), PIRN_PEER_UP);
  expect_traffic(pair, pair.target(), peer);
}

void add__binary_blob_only__works_without_listener_or_answer_call(void **state) { add_by_blob(pair_of(state), false); }
void add__text_blob_only__works_without_listener_or_answer_call(void **state) { add_by_blob(pair_of(state), true); }

void add__transfer_posted_before_hello_is_done__waits_for_it(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  Target &target = pair.target();
  const uint64_t seed = pair.random.next(), size = 4000;
  const uint64_t buffer = target.alloc(size, 1);
  const WindowBlob blob = target.advertise(buffer, 0, size);
  const std::string metadata = target.metadata();
  const Memory &local = pair.memory(size, seed);

  pirn_peer *peer = nullptr;
  pirn_window *window = nullptr;
  EXPECT_OK(pirn_peer_add(pair.endpoint(), metadata.data(), metadata.size(), &peer));
  EXPECT_OK(pirn_window_import(peer, blob.bytes.data(), blob.bytes.size(), &window));
  EXPECT_OK(pirn_write(local.region, 0, window, 0, size, nullptr, nullptr));

  EXPECT_MATCH(target.check(buffer, 0, size, seed));
}

// ---- the same peer twice ----

void connect__twice__is_the_same_handle(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  const std::string address = pair.target().listen();
  pair.target().accept_start();

  pirn_peer *first = nullptr, *again = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &first));
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &again));

  assert_ptr_equal(first, again);
  EXPECT_OK(pirn_peer_close(again));
  expect_traffic(pair, pair.target(), first);
}

void add__after_connect__is_the_same_handle(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *connected = pair.start();
  const std::string blob = pair.target().metadata();

  pirn_peer *added = nullptr;
  EXPECT_OK(pirn_peer_add(pair.endpoint(), blob.data(), blob.size(), &added));
  EXPECT_OK(pirn_peer_wait(added, 5 * second));

  assert_ptr_equal(connected, added);
  EXPECT_OK(pirn_peer_close(connected));
  expect_traffic(pair, pair.target(), added);
}

void connect__after_add__is_the_same_handle(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  const std::string blob = pair.target().metadata();
  pirn_peer *added = nullptr;
  EXPECT_OK(pirn_peer_add(pair.endpoint(), blob.data(), blob.size(), &added));

  pirn_peer *connected = pair.connect(pair.target());

  assert_ptr_equal(connected, added);
  expect_traffic(pair, pair.target(), added);
}

void connect__from_both_sides_at_once__is_one_peer(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  Target &target = pair.target();
  const std::string there = target.listen();
  target.accept_start();
  const std::string here = listen_on(pair.endpoint(), own_host() + ":0");

  target.begin({Op::connect, {10 * second}, here});
  pirn_peer *peer = nullptr, *accepted = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), there.c_str(), 10 * second, &peer));
  const Reply other = target.finish();

  if (other.status != PIRN_OK) fail_test("connect of the other side: %s", other.text.c_str());
  EXPECT_OK(pirn_endpoint_accept(pair.endpoint(), 5 * second, &accepted));
  assert_ptr_equal(peer, accepted);
  expect_traffic(pair, target, peer);
}

void add__own_metadata_both_ways__is_one_peer_on_each_side(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  Target &target = pair.target();
  const std::string own = metadata_of(pair.endpoint()), other = target.metadata();

  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_add(pair.endpoint(), other.data(), other.size(), &peer));
  const uint64_t there = target.add(own);
  EXPECT_OK(pirn_peer_wait(peer, 10 * second));
  EXPECT_OK(target.call({Op::peer_wait, {there, 10 * second}, ""}).status);

  EXPECT_OK(target.notify(there, "one"));
  char word[16];
  size_t length = sizeof word;
  pirn_notification note{};
  note.struct_size = sizeof note;
  EXPECT_OK(pirn_notification_take(pair.endpoint(), 5 * second, &note, word, &length));
  assert_ptr_equal(note.peer, peer);
}

void one_connection__traffic__flows_both_ways(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  Target &target = pair.target();
  const std::string address = target.listen();
  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
  const uint64_t there = target.accept();
  expect_traffic(pair, target, peer);

  const uint64_t size = 5000, seed = pair.random.next();
  Memory &own = pair.memory(size, 1);
  const WindowBlob blob = advertise(own);
  const uint64_t window = target.import_window(there, blob.bytes);
  const uint64_t source = target.alloc(size, seed), sink = target.alloc(size, 3);
  EXPECT_OK(target.write(source, 0, window, 0, size));
  EXPECT_MATCH(find_mismatch(own.buffer.data(), size, seed));
  EXPECT_OK(target.read(sink, 0, window, 0, size));
  EXPECT_MATCH(target.check(sink, 0, size, seed));
}

// ---- addresses ----

void listen__port_zero__address_names_the_real_port(void **state) {
  Pair &pair = pair_of(state);
  pair.open();

  const std::string address = listen_on(pair.endpoint(), own_host() + ":0");

  const std::string host = own_host() + ":";
  assert_memory_equal(address.data(), host.data(), host.size());
  assert_in_range(std::atoi(address.c_str() + host.size()), 1, 65535);
  EXPECT(PIRN_ERR_BUSY, pirn_endpoint_listen(pair.endpoint(), (own_host() + ":0").c_str()));
}

void address__not_listening__is_busy(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  char text[64];
  size_t length = sizeof text;
  EXPECT(PIRN_ERR_BUSY, pirn_endpoint_address(pair.endpoint(), text, &length));
}

void listen__port_taken__is_one_error_with_the_address(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  std::string taken;
  const RawSocket squatter = raw_listen(own_host(), &taken);
  EXPECT_ERROR(PIRN_ERR_BUSY, pirn_endpoint_listen(pair.endpoint(), taken.c_str()), taken.c_str());
}

void listen__malformed_address__is_invalid_and_named(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_endpoint_listen(pair.endpoint(), "127.0.0.1"), "127.0.0.1");
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_endpoint_listen(pair.endpoint(), "127.0.0.1:66000"), "66000");
}

void connect__ipv6_endpoints__carry_traffic(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.nics = "::1";
  pair.open(options);
  Target &target = pair.spawn();
  target.open(options);
  const std::string address = target.listen("[::1]:0");
  target.accept_start();
  assert_memory_equal(address.data(), "[::1]:", 6);

  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));

  expect_traffic(pair, target, peer);
}

void connect__closed_port__is_refused_at_once(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  const std::string nowhere = closed_port(own_host());

  const uint64_t start = clock_now();
  pirn_peer *peer = reinterpret_cast<pirn_peer *>(state);
  EXPECT_ERROR(PIRN_ERR_REFUSED, pirn_peer_connect(pair.endpoint(), nowhere.c_str(), 10 * second, &peer),
               nowhere.c_str());

  assert_null(peer);
  assert_true(clock_now() - start < at_most(500 * ms));
}

void connect__listener_never_answers__is_timeout_at_its_deadline(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  std::string silent;
  const RawSocket listener = raw_listen(own_host(), &silent);

  const uint64_t start = clock_now();
  pirn_peer *peer = nullptr;
  EXPECT_ERROR(PIRN_ERR_TIMEOUT, pirn_peer_connect(pair.endpoint(), silent.c_str(), 500 * ms, &peer), silent.c_str());

  assert_in_range(clock_now() - start, 480 * ms, at_most(1500 * ms));
}

void connect__to_first_byte__stays_far_below_a_second(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  Target &target = pair.target();
  const std::string address = target.listen();
  target.accept_start();
  const uint64_t buffer = target.alloc(8, 1);
  const WindowBlob blob = target.advertise(buffer, 0, 8);
  const Memory &local = pair.memory(8, 77);

  const uint64_t start = clock_now();
  pirn_peer *peer = nullptr;
  pirn_window *window = nullptr;
  EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
  EXPECT_OK(pirn_window_import(peer, blob.bytes.data(), blob.bytes.size(), &window));
  EXPECT_OK(pirn_write(local.region, 0, window, 0, 8, nullptr, nullptr));
  const uint64_t took = clock_now() - start;

  EXPECT_MATCH(target.check(buffer, 0, 8, 77));
  std::printf("connect to first byte: %.2f ms\n", static_cast<double>(took) / 1e6);
  assert_true(took < at_most(second));
}

void add__malformed_blob__is_invalid(void **state) {
  Pair &pair = pair_of(state);
  open_both(pair);
  const std::string good = pair.target().metadata();
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 + pair.random.below(255)));
    pirn_peer *peer = reinterpret_cast<pirn_peer *>(state);
    EXPECT(PIRN_ERR_INVALID, pirn_peer_add(pair.endpoint(), bad.data(), bad.size(), &peer));
    assert_null(peer);
    EXPECT(PIRN_ERR_INVALID, pirn_peer_add(pair.endpoint(), good.data(), i, &peer));
  }
}

void open__address_of_no_nic__is_invalid_and_named(void **state) {
  Pair &pair = pair_of(state);
  OpenOptions options;
  options.nics = "192.0.2.77";
  EXPECT_ERROR(PIRN_ERR_INVALID, pair.own.open(with_defaults(options, false)), "192.0.2.77");
}

// Whether the provider speaks IP on this machine's own addresses; NICs have addresses of other kinds, or none of these.
bool on_loopback() {
  pirn_context *context = nullptr;
  EXPECT_OK(pirn_context_open(nullptr, &context));
  bool found = false;
  pirn_nic_info nic{};
  nic.struct_size = sizeof nic;
  for (uint64_t i = 0; !found && pirn_info_nic(context, i, &nic) == PIRN_OK; ++i)
    found = nic.provider == provider() && (std::strncmp(nic.address, "127.", 4) == 0 || std::strcmp(nic.address, "::1") == 0);
  EXPECT_OK(pirn_context_close(context));
  return found;
}

}  // namespace

int main(int argc, char **argv) {
  std::vector<CMUnitTest> tests = {
      CASE(connect__waiting_accept__both_get_a_peer_that_is_up),
      CASE(accept__nobody_comes__is_timeout_at_its_deadline),
      CASE(connect__background_accept__works_without_a_call_of_accept),
      CASE(connect__background_accept_callback__gets_the_peer),
      CASE(accept_stop__later_peer__waits_for_accept),
      CASE(add__binary_blob_only__works_without_listener_or_answer_call),
      CASE(add__text_blob_only__works_without_listener_or_answer_call),
      CASE(add__transfer_posted_before_hello_is_done__waits_for_it),
      CASE(connect__twice__is_the_same_handle),
      CASE(add__after_connect__is_the_same_handle),
      CASE(connect__after_add__is_the_same_handle),
      CASE(connect__from_both_sides_at_once__is_one_peer),
      CASE(add__own_metadata_both_ways__is_one_peer_on_each_side),
      CASE(one_connection__traffic__flows_both_ways),
      CASE(listen__port_zero__address_names_the_real_port),
      CASE(address__not_listening__is_busy),
      CASE(listen__port_taken__is_one_error_with_the_address),
      CASE(listen__malformed_address__is_invalid_and_named),
      CASE(connect__closed_port__is_refused_at_once),
      CASE(connect__listener_never_answers__is_timeout_at_its_deadline),
      CASE(connect__to_first_byte__stays_far_below_a_second),
      CASE(add__malformed_blob__is_invalid),
      CASE(open__address_of_no_nic__is_invalid_and_named),
  };
  // ::1 is one machine's own address. The other process (with arguments) needs no list.
  if (argc == 1 && mode() != Mode::hosts && on_loopback()) tests.push_back(CASE(connect__ipv6_endpoints__carry_traffic));
  return run(argc, argv, "bringup", tests);
}
