// SPDX-License-Identifier: Apache-2.0
// What the two sides say to each other: hello, notifications, windows opened and withdrawn, sessions that end.
#include "rig.h"

#include "wire/metadata.h"

#include <algorithm>
#include <atomic>
#include <thread>

using namespace pirn;
using namespace pirn::core;

namespace {

RigOptions quick() {
  RigOptions options;
  options.settings = {"HEARTBEAT=10ms", "QUIET_TIME=10ms"};
  return options;
}

RigOptions apart() {
  RigOptions options = quick();
  options.connect = false;
  return options;
}

size_t peers_of(Side &side) {
  size_t count = 0;
  side.endpoint->members().each([&](Peer &) { ++count; });
  return count;
}

void write_works(Rig &rig) {
  pirn_result result = rig.finish(rig.write(0, 0, 4096));
  if (result.status != PIRN_OK) fail_test("status %d: %s", result.status, result.text);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 4096, "B");
}

void hello__repeated_frames__make_one_peer(void **) {
  Rig rig(apart());
  rig.a.peer = must(rig.a.endpoint->add(rig.b.endpoint->metadata()), "add");
  // B is deaf for a while, and A says hello again and again.
  uint64_t sends = rig.fake.counters().sends;
  rig.for_ms(900, [&] { rig.a.endpoint->progress_manually(); });
  assert_true(rig.fake.counters().sends - sends >= 3);
  assert_true(rig.until([&] { return rig.a.peer->state == PIRN_PEER_UP; }));
  rig.b.peer = must(rig.b.endpoint->accept(ns_per_s), "accept");
  for (int i = 0; i < 100; ++i) rig.pump();
  assert_int_equal(peers_of(rig.a), 1);
  assert_int_equal(peers_of(rig.b), 1);
  assert_int_equal(rig.b.endpoint->accept(ns_per_ms).status().code, PIRN_ERR_TIMEOUT);
  rig.a.window = rig.import(rig.a, rig.b.blob);
  write_works(rig);
}

// What a newer peer may say: it must not stop what comes behind it.
void frame__numbered_and_of_unknown_kind__is_acknowledged_and_passed_over(void **) {
  Rig rig(quick());
  auto news = std::make_shared<Message>();
  news->kind = static_cast<wire::Kind>(200);
  rig.a.endpoint->control().post(*rig.a.peer, news);
  std::vector<std::byte> message = rig.random.bytes(100);
  pirn_transfer id = 0;
  rig.notify(message, {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_true(rig.take_at_b() == message);
  assert_int_equal(rig.b.endpoint->control().counters().malformed, 0);
}

// Whose numbers nobody knows but that of the first.
void frame__several_that_do_not_decode__is_counted_and_passed_over(void **) {
  Rig rig(quick());
  auto bad = std::make_shared<Message>();
  bad->kind = wire::Kind::several;
  const std::vector<std::byte> message = rig.random.bytes(100);
  rig.a.endpoint->control().post(*rig.a.peer, bad, Control::When::end_of_round);
  pirn_transfer id = 0;
  rig.notify(message, {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_true(rig.take_at_b() == message);
  assert_int_equal(rig.b.endpoint->control().counters().malformed, 1);
}

void hello__first_frames_are_lost__comes_up_all_the_same(void **) {
  for (uint64_t lost = 1; lost <= 4; ++lost) {
    Rig rig(apart());
    for (uint64_t i = 1; i <= lost; ++i) rig.fake.fail_operation(i, FI_ETIMEDOUT, 0);
    rig.connect();
    write_works(rig);
  }
}

void hello__both_sides_at_once__make_one_peer_each(void **) {
  Rig rig(apart());
  rig.a.peer = must(rig.a.endpoint->add(rig.b.endpoint->metadata()), "add");
  rig.b.peer = must(rig.b.endpoint->add(rig.a.endpoint->metadata()), "add");
  assert_true(rig.until([&] { return rig.a.peer->state == PIRN_PEER_UP && rig.b.peer->state == PIRN_PEER_UP; }));
  assert_int_equal(peers_of(rig.a), 1);
  assert_int_equal(peers_of(rig.b), 1);
  rig.a.window = rig.import(rig.a, rig.b.blob);
  rig.b.window = rig.import(rig.b, rig.a.blob);
  write_works(rig);
  rig.for_ms(600, [&] { rig.pump(); });
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  assert_int_equal(rig.b.peer->state, PIRN_PEER_UP);
  write_works(rig);
}

void hello__never_answered__is_lost_in_time(void **) {
  RigOptions options = apart();
  options.settings.push_back("CONNECT_TIMEOUT=100ms");
  Rig rig(options);
  rig.a.peer = must(rig.a.endpoint->add(rig.b.endpoint->metadata()), "add");
  Status status = rig.a.endpoint->wait_up(*rig.a.peer, 3 * ns_per_s);
  assert_int_equal(status.code, PIRN_ERR_PEER_LOST);
  assert_contains(status.text, "hello");
}

void hello__own_metadata__is_refused(void **) {
  Rig rig(apart());
  assert_int_equal(rig.a.endpoint->add(rig.a.endpoint->metadata()).status().code, PIRN_ERR_INVALID);
}

void connect__over_the_bootstrap__moves_bytes(void **) {
  Rig rig(apart());
  require(rig.b.endpoint->listen("127.0.0.1:0"), "listen");
  std::string address = must(rig.b.endpoint->listen_address(), "address");
  {
    Call call([&] {
      auto connected = rig.a.endpoint->connect(address, 5 * ns_per_s);
      if (connected.is_ok()) rig.a.peer = connected.value();
      return connected.status();
    });
    rig.b.peer = must(rig.b.endpoint->accept(5 * ns_per_s), "accept");
    for (uint64_t end = now_ns() + 5 * ns_per_s; !call.done && now_ns() < end;) rig.b.endpoint->progress_manually();
    assert_true(call.done);
    assert_int_equal(call.status.code, PIRN_OK);
  }
  rig.a.window = rig.import(rig.a, rig.b.blob);
  write_works(rig);
}

// In band nothing reaches the listener any more; the bootstrap connection tells it all the same.
void connect__caller_leaves_at_once__listener_sees_it_closed(void **) {
  Rig rig(apart());
  require(rig.b.endpoint->listen("127.0.0.1:0"), "listen");
  std::string address = must(rig.b.endpoint->listen_address(), "address");
  {
    Call call([&] {
      auto connected = rig.a.endpoint->connect(address, 5 * ns_per_s);
      if (connected.is_ok()) rig.a.peer = connected.value();
      return connected.status();
    });
    rig.b.peer = must(rig.b.endpoint->accept(5 * ns_per_s), "accept");
    for (uint64_t end = now_ns() + 5 * ns_per_s; !call.done && now_ns() < end;) rig.b.endpoint->progress_manually();
    assert_true(call.done);
    assert_int_equal(call.status.code, PIRN_OK);
  }
  rig.fake.cut(rig.number(rig.b));
  rig.a.endpoint->close(*rig.a.peer);
  assert_true(rig.until([&] { return !rig.b.peer->live(); }));
  assert_int_equal(rig.b.peer->state, PIRN_PEER_CLOSED);
  assert_contains(rig.b.peer->why, "the peer closed");
}

// The old and the new peer object have the same addresses; they go with the last of the two.
void peer_closed__met_again__outlives_the_old_one(void **) {
  Rig rig(quick());
  for (int round = 0; round < 3; ++round) {
    Peer *old = rig.a.peer;
    rig.b.endpoint->close(*rig.b.peer);
    assert_true(rig.until([&] { return !old->live(); }));
    rig.a.peer = must(rig.a.endpoint->add(rig.b.endpoint->metadata()), "add");
    assert_ptr_not_equal(rig.a.peer, old);
    assert_true(rig.until([&] { return rig.a.peer->state == PIRN_PEER_UP; }));
    rig.b.peer = must(rig.b.endpoint->accept(ns_per_s), "accept");
    require(rig.a.endpoint->close(rig.a.window), "close");
    rig.a.endpoint->close(*old);
    assert_true(rig.until([&] { return peers_of(rig.a) == 1; }));
    rig.a.window = rig.import(rig.a, rig.b.blob);
    write_works(rig);
  }
  assert_int_equal(rig.fake.counters().strays, 0);
}

void notifications__under_errors__arrive_exactly_once_and_in_order(void **) {
  Rig rig(quick());
  constexpr size_t count = 60;
  std::vector<std::vector<std::byte>> messages;
  std::vector<pirn_transfer> ids(count);
  for (size_t i = 0; i < count; ++i) {
    messages.push_back(rig.random.bytes(rig.random.between(1, i % 10 == 0 ? PIRN_NOTIFICATION_MAX : 3000)));
    rig.notify(messages.back(), {}, &ids[i]);
  }
  rig.fake.reorder(rig.random.any() | 1);
  rig.fake.again_every(9, 3);
  size_t taken = 0;
  uint64_t next_fault = 0;
  bool all = rig.until([&] {
    if (now_ns() > next_fault) {
      rig.fake.fail_operation(rig.random.between(1, 6), FI_ECONNRESET, 0);
      next_fault = now_ns() + 20 * ns_per_ms;
    }
    std::vector<std::byte> got = rig.take_at_b();
    if (got.empty()) return taken == count;
    assert_true(taken < count);
    assert_true(got == messages[taken]);
    ++taken;
    return false;
  }, 30000);
  if (!all) fail_test("%zu of %zu arrived", taken, count);
  rig.fake.again_every(0, 0);
  for (pirn_transfer id : ids) assert_int_equal(rig.finish(id).status, PIRN_OK);
  for (int i = 0; i < 200; ++i) rig.pump();
  assert_true(rig.take_at_b().empty());
}

void notifications__inbox_full__senders_wait_and_resume(void **) {
  RigOptions options = quick();
  options.settings.push_back("NOTIFICATION_MEMORY=65536");
  options.settings.push_back("PEER_TIMEOUT=300ms");
  Rig rig(options);
  std::vector<std::vector<std::byte>> messages;
  std::vector<pirn_transfer> ids(4);
  for (pirn_transfer &id : ids) {
    messages.push_back(rig.random.bytes(40000));
    rig.notify(messages.back(), {}, &id);
  }
  // Longer than the peer may be silent: waiting for room is not a sign of death.
  rig.for_ms(900, [&] { rig.pump(); });
  assert_int_equal(rig.look(ids[0]).status, PIRN_OK);
  for (size_t i = 1; i < ids.size(); ++i) assert_int_equal(rig.look(ids[i]).status, PIRN_IN_PROGRESS);
  for (size_t i = 0; i < messages.size(); ++i) {
    std::vector<std::byte> got;
    assert_true(rig.until([&] { return !(got = rig.take_at_b()).empty(); }));
    assert_true(got == messages[i]);
  }
  for (pirn_transfer id : ids) assert_int_equal(rig.finish(id).status, PIRN_OK);
}

void notification__buffer_too_small__stays_in_the_queue(void **) {
  Rig rig(quick());
  std::vector<std::byte> message = rig.random.bytes(100);
  pirn_transfer id = 0;
  rig.notify(message, {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  std::vector<std::byte> small(99);
  size_t length = 0;
  Peer *from = nullptr;
  Status status = rig.b.endpoint->take_notification(PIRN_POLL_NOW, small, &length, &from);
  assert_int_equal(status.code, PIRN_ERR_TOO_SMALL);
  assert_int_equal(length, 100);
  assert_true(rig.take_at_b() == message);
}

void notification__deadline_passes__the_ones_behind_it_still_arrive(void **) {
  RigOptions options = quick();
  options.settings.push_back("NOTIFICATION_MEMORY=65536");
  Rig rig(options);
  std::vector<std::byte> first = rig.random.bytes(60000), second = rig.random.bytes(60000), third = rig.random.bytes(10);
  TransferOptions soon;
  soon.timeout = 50 * ns_per_ms;
  pirn_transfer ids[3];
  rig.notify(first, {}, &ids[0]);
  rig.notify(second, soon, &ids[1]);
  rig.notify(third, {}, &ids[2]);
  assert_int_equal(rig.finish(ids[1]).status, PIRN_ERR_TIMEOUT);
  std::vector<std::vector<std::byte>> got;
  rig.until([&] {
    std::vector<std::byte> message = rig.take_at_b();
    if (!message.empty()) got.push_back(message);
    return !got.empty() && got.back() == third;
  });
  assert_int_equal(got.size(), 3);
  assert_true(got[0] == first && got[1] == second && got[2] == third);
  assert_int_equal(rig.finish(ids[0]).status, PIRN_OK);
  assert_int_equal(rig.finish(ids[2]).status, PIRN_OK);
}

// A gave B up and said hello again, all before B took in anything: what A's old peer object sent may still come.
void session__late_frame_of_a_peer_object_that_is_gone__is_dropped(void **) {
  RigOptions options;
  options.connect = false;
  Rig rig(options);
  rig.a.peer = must(rig.a.endpoint->add(rig.b.endpoint->metadata()), "add");
  assert_true(rig.until([&] { return rig.a.peer->state == PIRN_PEER_UP; }));
  rig.b.peer = must(rig.b.endpoint->accept(ns_per_s), "accept");
  wire::Header late;
  late.kind = wire::Kind::ping;
  late.token = rig.a.peer->remote_token;
  late.epoch = rig.a.peer->own_epoch;
  assert_true(rig.until([&] { return rig.b.peer->remote_epoch == late.epoch; }));
  rig.a.endpoint->health().lose(*rig.a.peer, PIRN_PEER_LOST, PIRN_ERR_PEER_LOST, "for the test");

  rig.a.peer = must(rig.a.endpoint->add(rig.b.endpoint->metadata()), "add again");
  assert_true(rig.until([&] { return rig.b.peer->remote_epoch == rig.a.peer->own_epoch; }));
  Window *window = rig.import(rig.a, rig.b.blob);  // B has taken something in from the new one
  assert_null(rig.b.endpoint->members().receiver(late));
  assert_int_equal(rig.b.peer->state, PIRN_PEER_UP);
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  assert_int_equal(window->state, WindowState::open);
}

// B still has the peer object that it had for one whom A gave up: it greets by that one, before the new one comes.
void session__greeting_of_the_object_before__does_not_end_the_new_one(void **) {
  Rig rig(quick());
  Window *window = rig.import(rig.a, rig.b.blob);
  assert_true(rig.until([&] { return rig.a.peer->mailbox.idle() && rig.b.peer->mailbox.idle(); }));
  wire::Header greeting;
  greeting.kind = wire::Kind::ping;
  greeting.token = rig.a.peer->sessions.front().own_token;
  greeting.epoch = rig.b.peer->own_epoch + 2;
  const uint32_t present = rig.a.peer->remote_epoch;
  assert_true(rig.a.peer->epoch_settled);
  assert_null(rig.a.endpoint->members().receiver(greeting));  // it comes late

  rig.a.peer->remote_epoch = greeting.epoch;  // it came first, and nothing else of it
  rig.a.peer->epoch_settled = false;
  const std::vector<std::byte> message = rig.random.bytes(8);
  pirn_transfer id = 0;
  rig.notify(message, {}, &id);
  assert_int_equal(rig.finish(id).status, PIRN_OK);
  assert_int_equal(rig.a.peer->remote_epoch, present);
  assert_int_equal(rig.a.peer->state, PIRN_PEER_UP);
  assert_int_equal(window->state, WindowState::open);
}

void session__epoch_changes__ends_it(void **) {
  Rig rig(quick());
  std::vector<std::byte> message = rig.random.bytes(8);
  pirn_transfer id = 0;
  rig.a.peer->own_epoch += 2;
  rig.notify(message, {}, &id);
  assert_true(rig.until([&] { return rig.b.peer->state == PIRN_PEER_LOST; }));
  assert_contains(rig.b.peer->why, "gave this session up");
  assert_true(rig.take_at_b().empty());
}

void peer_closed__the_other_side_sees_it_closed_and_its_transfers_end(void **) {
  Rig rig(quick());
  rig.fake.hang(rig.number(rig.b));
  pirn_transfer id = rig.write(0, 0, 8);
  rig.b.endpoint->close(*rig.b.peer);
  pirn_result result = rig.finish(id);
  assert_int_equal(result.status, PIRN_ERR_PEER_LOST);
  assert_contains(result.text, "the peer closed");
  assert_int_equal(rig.a.peer->state, PIRN_PEER_CLOSED);
  rig.fake.mend(rig.number(rig.b));
}

Window *import_now(Rig &rig, const std::vector<std::byte> &blob) {
  return must(rig.a.endpoint->import(*rig.a.peer, blob), "import");
}

pirn_result write_to(Rig &rig, Window *window, uint64_t length) {
  pirn_transfer id = 0;
  Status status = rig.a.endpoint->transfer(OpKind::write, {rig.a.region, 0, window, 0, length}, {}, &id);
  pirn_result result{};
  result.status = status.code;
  return status.is_ok() ? rig.finish(id) : result;
}

void window__altered_blob__is_refused_and_no_byte_moves(void **) {
  Rig rig(quick());
  std::vector<std::byte> before = rig.b.memory;
  uint64_t id = 0;
  std::vector<std::byte> blob = rig.advertise(rig.b, 1000, 5000, PIRN_ACCESS_READ, &id);
  for (int field = 0; field < 4; ++field) {
    wire::WindowBlob altered = must(wire::decode_window(blob), "decode");
    if (field == 0) altered.access = PIRN_ACCESS_READ | PIRN_ACCESS_WRITE;
    if (field == 1) altered.length += 4096, altered.access |= PIRN_ACCESS_WRITE;
    if (field == 2) altered.rails[0].address += 8, altered.access |= PIRN_ACCESS_WRITE;
    if (field == 3) altered.capability ^= 1, altered.access |= PIRN_ACCESS_WRITE;
    Window *window = import_now(rig, wire::encode_window(altered));
    pirn_result result = write_to(rig, window, 100);
    assert_int_equal(result.status, PIRN_ERR_ACCESS);
    assert_int_equal(window->state, WindowState::gone);
    require(rig.a.endpoint->close(window), "close");
  }
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B");
  Window *honest = rig.import(rig.a, blob);
  assert_int_equal(honest->state, WindowState::open);
}

void window__transfers_posted_before_it_is_open__wait_for_it(void **) {
  Rig rig(quick());
  uint64_t id = 0, writes = rig.fake.counters().writes;
  Window *window = import_now(rig, rig.advertise(rig.b, 0, 65536, PIRN_ACCESS_WRITE, &id));
  assert_int_equal(window->state, WindowState::opening);
  pirn_transfer transfer = 0;
  require(rig.a.endpoint->transfer(OpKind::write, {rig.a.region, 0, window, 0, 65536}, {}, &transfer), "write");
  for (int i = 0; i < 50; ++i) rig.a.endpoint->progress_manually();
  assert_int_equal(rig.fake.counters().writes, writes);
  assert_int_equal(rig.finish(transfer).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 65536, "B");
}

void withdraw__importer_has_a_write_in_flight__waits_until_it_is_quiet(void **) {
  RigOptions options = quick();
  options.settings = {"HEARTBEAT=10ms", "QUIET_TIME=5s"};
  Rig rig(options);
  size_t registered = rig.fake.live_registrations();
  rig.fake.hang(rig.number(rig.b));
  pirn_transfer id = rig.write(0, 0, 4096);
  Call call([&] { return rig.b.endpoint->withdraw(rig.b.region, rig.b.window_id, 10 * ns_per_s); });
  rig.for_ms(100, [&] { rig.a.endpoint->progress_manually(); });
  assert_false(call.done);
  assert_int_equal(rig.fake.live_registrations(), registered);
  assert_int_equal(rig.a.window->state, WindowState::gone);
  rig.fake.mend(rig.number(rig.b));
  for (uint64_t end = now_ns() + 5 * ns_per_s; !call.done && now_ns() < end;) rig.a.endpoint->progress_manually();
  assert_true(call.done);
  assert_int_equal(call.status.code, PIRN_OK);
  assert_int_equal(rig.fake.live_registrations(), registered - 1);
  pirn_result result = rig.finish(id);
  assert_int_equal(result.status, PIRN_ERR_WINDOW_GONE);
  assert_int_equal(write_to(rig, rig.a.window, 8).status, PIRN_ERR_WINDOW_GONE);
}

void withdraw__importer_is_hung__is_cut_off_and_no_late_byte_lands(void **) {
  Rig rig(quick());
  std::vector<std::byte> before = rig.b.memory;
  uint64_t kept_id = 0;
  Window *kept = rig.import(rig.a, rig.advertise(rig.b, 0, 4096, PIRN_ACCESS_WRITE, &kept_id));
  rig.fake.hold();
  pirn_transfer id = rig.write(0, 0, 4096);
  size_t registered = rig.fake.live_registrations();
  uint64_t start = now_ns();
  require(rig.b.endpoint->withdraw(rig.b.region, rig.b.window_id, 100 * ns_per_ms), "withdraw");
  uint64_t took = (now_ns() - start) / ns_per_ms;
  assert_true(took >= 95 && took < 3000);
  assert_int_equal(rig.fake.live_registrations(), registered - 1);
  rig.fake.release();
  assert_int_not_equal(rig.finish(id).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), before.data(), before.size(), "B");
  // The importer lives again: what it may still use works.
  assert_true(rig.until([&] { return rig.a.peer->state == PIRN_PEER_UP && rig.b.peer->state == PIRN_PEER_UP; }));
  assert_int_equal(write_to(rig, kept, 4096).status, PIRN_OK);
  assert_bytes(rig.b.memory.data(), rig.a.memory.data(), 4096, "B");
}

void withdraw__importer_closed_the_window__is_immediate(void **) {
  Rig rig(quick());
  require(rig.a.endpoint->close(rig.a.window), "close");
  rig.calm();
  uint64_t start = now_ns();
  require(rig.b.endpoint->withdraw(rig.b.region, rig.b.window_id, 5 * ns_per_s), "withdraw");
  assert_true(now_ns() - start < ns_per_s);
}

void import__same_blob_twice__is_one_window_with_two_handles(void **) {
  Rig rig(quick());
  Window *again = rig.import(rig.a, rig.b.blob);
  assert_ptr_equal(again, rig.a.window);
  require(rig.a.endpoint->close(again), "first handle");
  write_works(rig);
  require(rig.a.endpoint->close(rig.a.window), "second handle");
}

// A's library follows no rule: it asks for windows that are none, and takes no answer in.
void peer__asks_and_acknowledges_nothing__is_lost_when_too_many_answers_wait(void **) {
  RigOptions options = quick();
  options.settings.push_back("PEER_TIMEOUT=60s");
  Rig rig(options);
  rig.calm();
  const Peer &from = *rig.a.peer;
  rig.fake.hang(rig.number(rig.a));
  wire::Header header;
  header.kind = wire::Kind::window_open;
  header.token = from.remote_token;
  header.epoch = from.own_epoch;
  header.sequence = rig.b.peer->mailbox.acknowledgement();
  const Path &path = from.paths.front();
  std::vector<std::byte> frame(wire::max_control_frame);
  for (size_t asked = 0; asked <= Mailbox::most_answers; ++asked) {
    assert_int_equal(rig.b.peer->state == PIRN_PEER_LOST, false);
    ++header.sequence;
    const size_t size = wire::encode_window_ref(frame, header, {1'000'000 + asked, 5});
    assert_true(rig.until([&] {
      return rig.a.endpoint->control().send_raw(path.local, path.address, rig.a.peer, std::span(frame).first(size));
    }));
  }
  assert_true(rig.until([&] { return rig.b.peer->state == PIRN_PEER_LOST; }));
  assert_int_equal(rig.b.peer->end_status, PIRN_ERR_PEER_LOST);
  assert_contains(rig.b.peer->why, "it asks on and on and acknowledges nothing: 65536 answers wait, at most 65536 may");
}

}  // namespace

int main(int argc, char **argv) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  const CMUnitTest tests[] = {
      cmocka_unit_test(hello__repeated_frames__make_one_peer),
      cmocka_unit_test(frame__several_that_do_not_decode__is_counted_and_passed_over),
      cmocka_unit_test(hello__first_frames_are_lost__comes_up_all_the_same),
      cmocka_unit_test(frame__numbered_and_of_unknown_kind__is_acknowledged_and_passed_over),
      cmocka_unit_test(hello__both_sides_at_once__make_one_peer_each),
      cmocka_unit_test(hello__never_answered__is_lost_in_time),
      cmocka_unit_test(hello__own_metadata__is_refused),
      cmocka_unit_test(connect__over_the_bootstrap__moves_bytes),
      cmocka_unit_test(connect__caller_leaves_at_once__listener_sees_it_closed),
      cmocka_unit_test(peer_closed__met_again__outlives_the_old_one),
      cmocka_unit_test(notifications__under_errors__arrive_exactly_once_and_in_order),
      cmocka_unit_test(notifications__inbox_full__senders_wait_and_resume),
      cmocka_unit_test(notification__buffer_too_small__stays_in_the_queue),
      cmocka_unit_test(notification__deadline_passes__the_ones_behind_it_still_arrive),
      cmocka_unit_test(session__greeting_of_the_object_before__does_not_end_the_new_one),
      cmocka_unit_test(session__epoch_changes__ends_it),
      cmocka_unit_test(session__late_frame_of_a_peer_object_that_is_gone__is_dropped),
      cmocka_unit_test(peer_closed__the_other_side_sees_it_closed_and_its_transfers_end),
      cmocka_unit_test(window__altered_blob__is_refused_and_no_byte_moves),
      cmocka_unit_test(window__transfers_posted_before_it_is_open__wait_for_it),
      cmocka_unit_test(withdraw__importer_has_a_write_in_flight__waits_until_it_is_quiet),
      cmocka_unit_test(withdraw__importer_is_hung__is_cut_off_and_no_late_byte_lands),
      cmocka_unit_test(withdraw__importer_closed_the_window__is_immediate),
      cmocka_unit_test(peer__asks_and_acknowledges_nothing__is_lost_when_too_many_answers_wait),
      cmocka_unit_test(import__same_blob_twice__is_one_window_with_two_handles),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
