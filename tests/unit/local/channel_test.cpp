// SPDX-License-Identifier: Apache-2.0
// The same-host channel between two that know each other: meeting, proof, questions, descriptors, ends.
#include "fixture.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

using namespace fixture;

namespace {

constexpr uint8_t owner_id = 1, asker_id = 2, secret = 9;

// An owner that listens and an asker that is connected to it.
struct Pair {
  explicit Pair(const Settings &settings) : owner(owner_id, settings), asker(asker_id, settings) {
    owner.knows(asker_id, secret);
    asker.knows(owner_id, secret);
    assert_text(owner.channel.listen().text, "");
    connection = asker.connect_to(owner);
    assert_int_equal(asker.ups.count(connection), 1);
    assert_true(drive({&owner, &asker}, [&] { return owner.peers.size() == 1; }));
  }

  const Side::Answer &ask(const wire::ShareAsk &question, uint64_t limit_ms = 5000) {
    const size_t before = asker.answers.size();
    const auto request = asker.channel.ask(connection, question, now_ns() + limit_ms * ns_per_ms);
    assert_text(request.status().text, "");
    assert_true(drive({&owner, &asker}, [&] { return asker.answers.size() > before; }));
    assert_int_equal(asker.answers.back().request, request.value());
    return asker.answers.back();
  }

  Side owner, asker;
  ConnectionId connection = 0;
};

std::vector<std::byte> bytes_in(int file, size_t length) {
  std::vector<std::byte> bytes(length);
  assert_int_equal(pread(file, bytes.data(), length, 0), length);
  return bytes;
}

Offer offer_of(const std::vector<std::byte> &bytes, uint64_t allocation) {
  Offer offer;
  offer.answer = answer_of_file(bytes.size(), allocation);
  offer.files.push_back(memory_of(bytes));
  return offer;
}

void connect__by_either_way__proves_both(void **) {
  const Directory directory;
  for (const std::string &used : {directory.path(), std::string()}) {
    Pair pair(settings_for(used));
    const Peer &owner = pair.asker.ups.at(pair.connection);
    const Peer &asker = pair.owner.peers.begin()->second;
    assert_true(owner.instance == instance_of(owner_id));
    assert_true(asker.instance == instance_of(asker_id));
    assert_int_equal(owner.holder.pid, getpid());
    assert_int_equal(asker.holder.uid, geteuid());
    // Each was told where a word of the other is; here both are in this process.
    assert_true(*reinterpret_cast<const uint64_t *>(owner.word.address) == owner.word.value);
    assert_true(*reinterpret_cast<const uint64_t *>(asker.word.address) == asker.word.value);
    assert_true(owner.word.value != asker.word.value);
    assert_int_equal(pair.owner.channel.counters().admitted, 1);
    assert_int_equal(pair.owner.lines.size() + pair.asker.lines.size(), 0);
  }
}

void ask__of_an_open_window__brings_its_file(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  Seeded random;
  const auto content = random.bytes(random.between(1, 9000));
  pair.owner.offers = [&](const wire::ShareAsk &) { return offer_of(content, 77); };

  const Side::Answer &answer = pair.ask({5, 6, 0, 0x3e});

  assert_text(answer.status.text, "");
  assert_true(pair.owner.asks.at(0) == (wire::ShareAsk{5, 6, 0, 0x3e}));
  assert_true(answer.offer.answer == answer_of_file(content.size(), 77));
  assert_int_equal(answer.offer.files.size(), 1);
  assert_true(bytes_in(answer.offer.files[0].get(), content.size()) == content);
  assert_int_equal(fcntl(answer.offer.files[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

void ask__of_a_window_not_offered__is_refused_with_the_reason(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  const Side::Answer &answer = pair.ask({41, 0, 0, 0x3e});
  assert_int_equal(answer.status.code, PIRN_ERR_WINDOW_GONE);
  assert_text(answer.status.text, "window 41 is not open to you");
  assert_int_equal(pair.owner.channel.counters().malformed, 0);
}

// The most that an answer can hold; asked for so often that sockets fill up.
void ask__64_answers_of_128_files__all_arrive(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  const Fd file = memory_of(std::vector<std::byte>(64, std::byte{3}));
  pair.owner.offers = [&](const wire::ShareAsk &ask) {
    Offer offer;
    offer.answer.window_length = wire::max_share_chunks;
    for (size_t i = 0; i < wire::max_share_chunks; ++i) {
      wire::ShareChunk chunk;
      chunk.offset = i;
      chunk.length = chunk.allocation_length = 1;
      chunk.allocation = ask.window;
      for (const size_t index : {2 * i, 2 * i + 1}) {
        chunk.handles.push_back({wire::ShareHandleKind::host_file, static_cast<uint8_t>(index), {}});
        offer.files.emplace_back(dup(file.get()));
      }
      offer.answer.chunks.push_back(chunk);
    }
    return offer;
  };
  const size_t before = open_descriptors();
  for (uint64_t window = 0; window < 64; ++window)
    assert_true(pair.asker.channel.ask(pair.connection, {window, 0, 0, 1}, now_ns() + 20 * ns_per_s).is_ok());
  const auto refused = pair.asker.channel.ask(pair.connection, {65, 0, 0, 1}, now_ns() + ns_per_s);
  assert_int_equal(refused.status().code, PIRN_ERR_AGAIN);

  size_t seen = 0;
  assert_true(drive({&pair.owner, &pair.asker}, [&] {
    for (Side::Answer &answer : pair.asker.answers) {
      assert_text(answer.status.text, "");
      assert_int_equal(answer.offer.files.size(), wire::max_share_files);
      assert_int_equal(answer.offer.answer.chunks[63].allocation, seen++);
    }
    pair.asker.answers.clear();  // closes the files
    return seen == 64;
  }, 20000));
  assert_int_equal(open_descriptors(), before);
}

void ask__unanswered__ends_at_its_deadline_and_a_late_answer_is_dropped(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  pair.owner.offers = [](const wire::ShareAsk &) { return offer_of(std::vector<std::byte>(10), 1); };
  const size_t before = open_descriptors();
  const uint64_t start = now_ns();
  assert_true(pair.asker.channel.ask(pair.connection, {5, 6, 0, 1}, start + 50 * ns_per_ms).is_ok());
  assert_true(drive({&pair.asker}, [&] { return pair.asker.answers.size() == 1; }));
  assert_true(now_ns() - start >= 49 * ns_per_ms);
  assert_int_equal(pair.asker.answers[0].status.code, PIRN_ERR_TIMEOUT);

  assert_true(drive({&pair.owner}, [&] { return pair.owner.asks.size() == 1; }));
  drive({&pair.owner, &pair.asker}, [] { return false; }, 50);
  assert_int_equal(pair.asker.answers.size(), 1);
  assert_int_equal(open_descriptors(), before);
  assert_text(pair.ask({5, 6, 0, 1}).status.text, "");  // the connection still serves
}

void ask__descriptors_used_up__is_no_memory_and_the_connection_lives(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  pair.owner.offers = [](const wire::ShareAsk &) { return offer_of(std::vector<std::byte>(10), 1); };
  assert_true(pair.asker.channel.ask(pair.connection, {5, 6, 0, 1}, now_ns() + 5 * ns_per_s).is_ok());
  assert_true(drive({&pair.owner}, [&] { return pair.owner.asks.size() == 1; }));
  rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int next = dup(0);
  close(next);
  const rlimit none{static_cast<rlim_t>(next), limit.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  pair.asker.channel.progress(now_ns());
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  assert_int_equal(pair.asker.answers.size(), 1);
  assert_int_equal(pair.asker.answers[0].status.code, PIRN_ERR_NO_MEMORY);
  assert_text(pair.ask({5, 6, 0, 1}).status.text, "");
}

void answer__that_does_not_begin_where_asked__is_invalid(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  pair.owner.offers = [](const wire::ShareAsk &) { return offer_of(std::vector<std::byte>(10), 1); };
  const Side::Answer &answer = pair.ask({5, 6, 10, 1});
  assert_int_equal(answer.status.code, PIRN_ERR_INVALID);
  assert_contains(answer.status.text, "does not begin at 10");
}

void answer__with_more_files_than_named__is_the_owners_error(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  pair.owner.offers = [](const wire::ShareAsk &) {
    Offer offer = offer_of(std::vector<std::byte>(10), 1);
    offer.files.push_back(memory_of(std::vector<std::byte>(1)));
    return offer;
  };
  const size_t before = open_descriptors();
  assert_int_equal(pair.ask({5, 6, 0, 1}).status.code, PIRN_ERR_INTERNAL);
  assert_int_equal(open_descriptors(), before);
}

void offer__closes_its_asker__ends_quietly(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  pair.owner.close_asker = true;
  pair.owner.offers = [](const wire::ShareAsk &) { return offer_of(std::vector<std::byte>(10), 1); };
  assert_true(pair.asker.channel.ask(pair.connection, {5, 6, 0, 1}, now_ns() + 5 * ns_per_s).is_ok());
  assert_true(drive({&pair.owner, &pair.asker}, [&] { return pair.asker.ends.size() == 1; }));
  assert_int_equal(pair.asker.answers.size(), 0);
  assert_text(pair.asker.ends[0].text, "closed by the other end");
  assert_int_equal(pair.owner.ends.size(), 0);
}

void gone__reaches_those_that_were_offered_the_allocation_once(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  pair.owner.offers = [](const wire::ShareAsk &ask) { return offer_of(std::vector<std::byte>(10), ask.window); };
  pair.ask({71, 0, 0, 1});
  pair.ask({72, 0, 0, 1});
  pair.owner.channel.gone(70);
  pair.owner.channel.gone(72);
  pair.owner.channel.gone(72);
  pair.owner.channel.gone(71);
  assert_true(drive({&pair.owner, &pair.asker}, [&] { return pair.asker.gones.size() >= 2; }));
  drive({&pair.owner, &pair.asker}, [] { return false; }, 30);
  const std::vector<std::pair<ConnectionId, uint64_t>> wanted = {{pair.connection, 72}, {pair.connection, 71}};
  assert_true(pair.asker.gones == wanted);
}

void released__by_an_asker__reaches_the_owner_in_order(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  pair.owner.offers = [](const wire::ShareAsk &ask) { return offer_of(std::vector<std::byte>(10), ask.window); };
  pair.ask({71, 0, 0, 1});
  pair.asker.channel.released(pair.connection, 71);
  pair.asker.channel.released(pair.connection, 72);
  pair.asker.channel.released(pair.connection + 1000, 73);  // there is none
  assert_true(drive({&pair.owner, &pair.asker}, [&] { return pair.owner.releases.size() >= 2; }));
  drive({&pair.owner, &pair.asker}, [] { return false; }, 30);
  const std::vector<std::pair<wire::Instance, uint64_t>> wanted = {{instance_of(asker_id), 71}, {instance_of(asker_id), 72}};
  assert_true(pair.owner.releases == wanted);
  assert_true(pair.owner.ends.empty() && pair.asker.ends.empty());
}

// An asker that reads nothing is given up, not waited for.
void gone__to_an_asker_that_reads_nothing__ends_it(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path(), 150));
  pair.owner.offers = [](const wire::ShareAsk &ask) { return offer_of(std::vector<std::byte>(10), ask.window); };
  uint64_t told = 0;
  for (uint64_t window = 1; window <= 2000; ++window) pair.ask({window, 0, 0, 1});
  pair.asker.answers.clear();
  for (uint64_t window = 1; window <= 2000; ++window, ++told) pair.owner.channel.gone(window);
  assert_true(drive({&pair.owner}, [&] { return pair.owner.ends.size() == 1; }));
  assert_int_equal(told, 2000);
  assert_true(drive({&pair.asker}, [&] { return pair.asker.ends.size() == 1; }));
  assert_in_range(pair.asker.gones.size(), 1, 1999);
}

void connect__before_the_owner_knows_us__succeeds_as_soon_as_it_does(void **) {
  const Directory directory;
  Side owner(owner_id, settings_for(directory.path()));
  Side asker(asker_id, settings_for(directory.path()));
  asker.knows(owner_id, secret);
  assert_true(owner.channel.listen().is_ok());
  const ConnectionId id = asker.channel.connect(asker.known.begin()->second, now_ns() + 10 * ns_per_s);
  assert_true(drive({&owner, &asker}, [&] { return owner.channel.counters().refused >= 3; }));
  owner.knows(asker_id, secret);
  assert_true(drive({&owner, &asker}, [&] { return asker.ups.count(id) == 1; }));
  assert_int_equal(owner.lines.size(), 0);
}

void connect__to_one_who_never_knows_us__ends_with_again_by_the_deadline(void **) {
  const Directory directory;
  Side owner(owner_id, settings_for(directory.path()));
  Side asker(asker_id, settings_for(directory.path()));
  asker.knows(owner_id, secret);
  assert_true(owner.channel.listen().is_ok());
  // On a busy machine the deadline may pass in the middle of a try, which is a timeout then.
  for (unsigned limit_ms = 100; limit_ms < 10000; limit_ms *= 2) {
    asker.connect_to(owner, limit_ms);
    if (asker.failures.back().code == PIRN_ERR_AGAIN) break;
    assert_int_equal(asker.failures.back().code, PIRN_ERR_TIMEOUT);
  }
  assert_int_equal(asker.failures.back().code, PIRN_ERR_AGAIN);
  assert_contains(asker.failures.back().text, "path: refused: no handshake");
  assert_contains(asker.failures.back().text, "; abstract: refused: no handshake");
}

void connect__wrong_secret__is_refused_before_anything_is_asked(void **) {
  const Directory directory;
  Side owner(owner_id, settings_for(directory.path()));
  Side asker(asker_id, settings_for(directory.path()));
  owner.knows(asker_id, secret);
  asker.knows(owner_id, secret + 1);
  assert_true(owner.channel.listen().is_ok());
  asker.connect_to(owner);
  assert_int_equal(asker.failures.at(0).code, PIRN_ERR_REFUSED);
  assert_contains(asker.failures[0].text, "does not hold the secret");
  assert_true(drive({&owner, &asker}, [&] { return owner.channel.counters().abandoned == 2; }));
  assert_int_equal(owner.channel.counters().admitted, 0);
  assert_int_equal(owner.peers.size(), 0);
}

void connect__nobody_listens__fails_at_once_and_says_why_twice(void **) {
  const Directory directory;
  Side other(3, settings_for(directory.path()));
  Side asker(asker_id, settings_for(directory.path()));
  asker.knows(owner_id, secret);
  const ConnectionId id = asker.channel.connect(asker.known.begin()->second, UINT64_MAX);
  assert_int_equal(asker.failures.size(), 0);  // never from within connect()
  assert_true(drive({&asker}, [&] { return asker.failures.size() == 1; }));
  assert_int_equal(asker.failures[0].id, id);
  assert_int_equal(asker.failures[0].code, PIRN_ERR_UNAVAILABLE);
  assert_contains(asker.failures[0].text, "path: connect ");
  assert_contains(asker.failures[0].text, "No such file or directory; abstract: connect @pirn-5a5a");
  assert_int_equal(asker.channel.next_deadline(), UINT64_MAX);
}

void connect__again__replaces_the_older_connection(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  const ConnectionId second = pair.asker.connect_to(pair.owner);
  assert_true(drive({&pair.owner, &pair.asker}, [&] { return pair.asker.ends.size() == 1; }));
  assert_int_equal(pair.asker.ends[0].id, pair.connection);
  assert_int_equal(pair.owner.ends.size(), 1);
  assert_contains(pair.owner.ends[0].text, "replaced");
  pair.connection = second;
  assert_int_equal(pair.ask({1, 2, 0, 1}).status.code, PIRN_ERR_WINDOW_GONE);
}

void close__is_told_to_the_other_end(void **) {
  const Directory directory;
  Pair pair(settings_for(directory.path()));
  pair.asker.channel.close(pair.connection);
  assert_true(drive({&pair.owner, &pair.asker}, [&] { return pair.owner.ends.size() == 1; }));
  assert_text(pair.owner.ends[0].text, "closed by the other end");
  assert_int_equal(pair.asker.ends.size(), 0);
  assert_int_equal(pair.asker.channel.ask(pair.connection, {}, 1).status().code, PIRN_ERR_INVALID);
}

void channels__end__leave_no_descriptor_and_no_file(void **) {
  const Directory directory;
  const size_t before = open_descriptors();
  for (int round = 0; round < 3; ++round) {
    Pair pair(settings_for(directory.path()));
    pair.owner.offers = [](const wire::ShareAsk &) { return offer_of(std::vector<std::byte>(10), 1); };
    pair.ask({5, 6, 0, 1});
    assert_int_equal(directory.entries().size(), 1);
  }
  assert_int_equal(open_descriptors(), before);
  assert_int_equal(directory.entries().size(), 0);
}

void listen__directory_is_missing_or_too_long__warns_and_is_met_by_abstract_name(void **) {
  for (const std::string &path : {std::string("/nonexistent/pirn"), "/tmp/" + std::string(80, 'x')}) {
    Pair pair(settings_for(path));
    assert_int_equal(pair.owner.lines.size(), 1);
    assert_contains(pair.owner.lines[0], path.c_str());
  }
  Pair pair(settings_for(std::string()));
  assert_int_equal(pair.owner.lines.size(), 0);  // as the user wished
}

// Leaves a socket as a killed process would.
void leave_socket(const std::string &path, bool listening) {
  const Fd fd(socket(AF_UNIX, SOCK_SEQPACKET, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  assert_int_equal(bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
  if (listening) assert_int_equal(listen(fd.get(), 1), 0);
}

void sweep__removes_dead_sockets_of_this_host_only(void **) {
  const Directory directory;
  Side alive(4, settings_for(directory.path()));
  assert_true(alive.channel.listen().is_ok());
  wire::Instance elsewhere = this_host();
  elsewhere[0] ^= 1;
  const std::string base = directory.path() + "/";
  const std::string dead = socket_name(this_host(), instance_of(5));
  const std::string foreign = socket_name(elsewhere, instance_of(5));
  std::string unfinished = socket_name(this_host(), instance_of(6));
  unfinished[4] = '~';
  const std::string no_socket = socket_name(this_host(), instance_of(7));
  const std::string other_name = dead + "x";
  for (const std::string &name : {dead, foreign, unfinished, other_name}) leave_socket(base + name, true);
  close(open((base + no_socket).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));

  assert_int_equal(sweep(directory.path(), this_host()), 1);

  auto left = directory.entries();
  assert_int_equal(left.size(), 5);
  for (const std::string &name : left) assert_true(name != dead);
  assert_int_equal(sweep("/nonexistent/pirn", this_host()), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(connect__by_either_way__proves_both),
      cmocka_unit_test(ask__of_an_open_window__brings_its_file),
      cmocka_unit_test(ask__of_a_window_not_offered__is_refused_with_the_reason),
      cmocka_unit_test(ask__64_answers_of_128_files__all_arrive),
      cmocka_unit_test(ask__unanswered__ends_at_its_deadline_and_a_late_answer_is_dropped),
      cmocka_unit_test(ask__descriptors_used_up__is_no_memory_and_the_connection_lives),
      cmocka_unit_test(answer__that_does_not_begin_where_asked__is_invalid),
      cmocka_unit_test(answer__with_more_files_than_named__is_the_owners_error),
      cmocka_unit_test(offer__closes_its_asker__ends_quietly),
      cmocka_unit_test(gone__reaches_those_that_were_offered_the_allocation_once),
      cmocka_unit_test(released__by_an_asker__reaches_the_owner_in_order),
      cmocka_unit_test(gone__to_an_asker_that_reads_nothing__ends_it),
      cmocka_unit_test(connect__before_the_owner_knows_us__succeeds_as_soon_as_it_does),
      cmocka_unit_test(connect__to_one_who_never_knows_us__ends_with_again_by_the_deadline),
      cmocka_unit_test(connect__wrong_secret__is_refused_before_anything_is_asked),
      cmocka_unit_test(connect__nobody_listens__fails_at_once_and_says_why_twice),
      cmocka_unit_test(connect__again__replaces_the_older_connection),
      cmocka_unit_test(close__is_told_to_the_other_end),
      cmocka_unit_test(channels__end__leave_no_descriptor_and_no_file),
      cmocka_unit_test(listen__directory_is_missing_or_too_long__warns_and_is_met_by_abstract_name),
      cmocka_unit_test(sweep__removes_dead_sockets_of_this_host_only),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
