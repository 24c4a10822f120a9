// SPDX-License-Identifier: Apache-2.0
// The HIP table where the versions of the runtime differ: the library over libcuda (tests/sim/device/hip_over_cuda)
// shows the version that the one argument names, with that version's traps. One process per version, because a process
// loads one runtime.
#include "../unit/check.h"

#include "device/operations.h"

#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace pirn;
using namespace pirn::device;

namespace {

constexpr uint64_t patience = 30'000'000'000;  // ns

int shown_major = 0, shown_minor = 0;
bool shown_since(int major, int minor) {
  return shown_major > major || (shown_major == major && shown_minor >= minor);
}

const Operations &table() { return *find_table("hip"); }

void check(const Status &status) {
  if (!status.is_ok()) fail_test("status %d: %s", status.code, status.text.c_str());
}
template <typename T>
T take(Result<T> result) {
  check(result.status());
  return result.take();
}

Info first_device() { return take(table().devices()).at(0); }

// Copies by a stream of device 0, and waits.
void copy(void *to, const void *from, uint64_t length) {
  void *stream = take(table().make_stream(0));
  check(table().copy(0, stream, to, from, length));
  check(table().finish(0, stream, patience));
  check(table().drop_stream(0, stream));
}

void write(void *to, const std::vector<std::byte> &bytes) {
  void *host = take(table().allocate_host(bytes.size()));
  std::memcpy(host, bytes.data(), bytes.size());
  copy(to, host, bytes.size());
  check(table().release_host(host));
}

std::vector<std::byte> read(const void *from, uint64_t length) {
  void *host = take(table().allocate_host(length));
  copy(host, from, length);
  const auto *bytes = static_cast<std::byte *>(host);
  std::vector<std::byte> result(bytes, bytes + length);
  check(table().release_host(host));
  return result;
}

HandleKind kind_of(const Allocation &allocation) {
  return allocation.backing == Backing::chunks ? HandleKind::file : HandleKind::legacy;
}

// -- The other process: started by fork() before this one has loaded anything.

struct Wanted {
  Handle handle;
  uint64_t length;
  uint64_t bytes;
};

void send_wanted(int socket, const Wanted &wanted) {
  iovec data{const_cast<Wanted *>(&wanted), sizeof wanted};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (wanted.handle.kind == HandleKind::file) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &wanted.handle.file, sizeof(int));
  }
  assert_int_equal(sendmsg(socket, &message, 0), sizeof wanted);
}

bool receive_wanted(int socket, Wanted &wanted) {
  iovec data{&wanted, sizeof wanted};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(socket, &message, 0) != static_cast<ssize_t>(sizeof wanted)) return false;
  const cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != nullptr) std::memcpy(&wanted.handle.file, CMSG_DATA(header), sizeof(int));
  return true;
}

// Answers with the bytes that it finds there, or with the error's text.
int serve(int socket) {
  Wanted wanted;
  while (receive_wanted(socket, wanted)) {
    std::string answer;
    Status status = table().load(false);
    if (status.is_ok()) {
      const Result<void *> address = table().map(0, wanted.handle, wanted.length, false);
      status = address.status();
      if (status.is_ok()) {
        const std::vector<std::byte> bytes = read(address.value(), wanted.bytes);
        answer.assign(reinterpret_cast<const char *>(bytes.data()), bytes.size());
        status = table().unmap(0, address.value(), wanted.length, wanted.handle.kind);
      }
    }
    if (wanted.handle.kind == HandleKind::file) close(wanted.handle.file);
    if (!status.is_ok()) answer = status.text;
    if (send(socket, answer.data(), answer.size(), 0) < 0) return 1;
  }
  return 0;
}

int other_process = -1;

void assert_seen_elsewhere(const Allocation &allocation, const std::vector<std::byte> &expected) {
  const Handle handle = take(table().share(allocation, kind_of(allocation)));
  send_wanted(other_process, {handle, allocation.length, expected.size()});
  if (handle.kind == HandleKind::file) close(handle.file);
  std::vector<char> answer(expected.size() + 4096);
  const ssize_t got = recv(other_process, answer.data(), answer.size(), 0);
  if (got != static_cast<ssize_t>(expected.size())) {
    fail_test("the other process: %.*s", static_cast<int>(std::max<ssize_t>(got, 0)), answer.data());
  }
  assert_memory_equal(answer.data(), expected.data(), expected.size());
}

}  // namespace

static void load__only_if_loaded__does_not_load(void **) {
  const Status status = table().load(true);
  assert_int_equal(status.code, PIRN_ERR_UNAVAILABLE);
  assert_contains(status.text, "libamdhip64.so.5");
  check(table().load(false));
  check(table().load(true));
}

static void version__names_the_runtime(void **) {
  const std::string expected = "HIP runtime " + std::to_string(shown_major) + "." + std::to_string(shown_minor) + ".0";
  assert_contains(take(table().version()), expected.c_str());
}

static void features__of_this_version(void **) {
  const Info info = first_device();
  assert_int_equal((info.features & shares_files) != 0, shown_since(6, 1));
  assert_int_equal((info.features & waits_on_words) != 0, shown_since(6, 0));
  assert_int_equal(info.features & shares_legacy, shares_legacy);
  assert_int_equal(info.features & shares_fabric, 0);
  assert_true(info.memory > 0 && info.processors > 0 && !info.name.empty());
}

static void allocate__bytes__come_back_and_are_identified(void **) {
  Seeded random;
  const uint64_t length = random.between(1, 3 << 20);
  const Allocation made = take(table().allocate(0, length));
  assert_int_equal(made.backing, shown_since(6, 1) ? Backing::chunks : Backing::plain);
  assert_true(made.length >= length);
  const std::vector<std::byte> bytes = random.bytes(length);
  write(made.address, bytes);
  assert_true(read(made.address, length) == bytes);
  const auto *inside = static_cast<std::byte *>(made.address) + random.between(0, length - 1);
  const std::optional<Allocation> found = take(table().identify(inside));
  assert_true(found.has_value());
  assert_ptr_equal(found->address, made.address);
  assert_int_equal(found->length, made.length);
  assert_int_equal(found->backing, made.backing);
  assert_int_equal(found->id, made.id);
  check(table().release(made));
  assert_int_equal(table().release(made).code, PIRN_ERR_INVALID);
}

static void identify__memory_of_the_host__nothing_or_page_locked(void **) {
  std::vector<std::byte> nobodys(1 << 16);
  assert_false(take(table().identify(nobodys.data())).has_value());
  void *host = take(table().allocate_host(4096));
  assert_int_equal(take(table().identify(host))->backing, Backing::pinned);
  check(table().release_host(host));
  check(table().pin(nobodys.data(), nobodys.size()));
  assert_int_equal(take(table().identify(nobodys.data()))->backing, Backing::registered);
  check(table().unpin(nobodys.data()));
  assert_false(take(table().identify(nobodys.data())).has_value());
}

// The second handle is made after the first one's descriptor is closed.
static void share__same_memory_twice__another_process_sees_it_both_times(void **) {
  Seeded random;
  const Allocation made = take(table().allocate(0, 1 << 20));
  for (int round = 0; round < 2; round++) {
    const std::vector<std::byte> bytes = random.bytes(1 << 16);
    write(made.address, bytes);
    assert_seen_elsewhere(made, bytes);
  }
  check(table().release(made));
}

// With its standard input closed, a process is given descriptor 0, which passed by value is a null pointer.
static void map__descriptor_0__is_mapped(void **) {
  if (!shown_since(6, 1)) {
    assert_int_equal(first_device().features & shares_files, 0);
    return;
  }
  const Allocation made = take(table().allocate(0, 1 << 20));
  Handle handle = take(table().share(made, HandleKind::file));
  const int input = fcntl(0, F_DUPFD_CLOEXEC, 3);
  assert_int_equal(dup2(handle.file, 0), 0);
  close(handle.file);
  handle.file = 0;
  void *address = take(table().map(0, handle, made.length, true));
  const std::vector<std::byte> bytes = Seeded().bytes(4096);
  write(address, bytes);
  assert_true(read(made.address, bytes.size()) == bytes);
  check(table().unmap(0, address, made.length, HandleKind::file));
  dup2(input, 0);
  close(input);
  check(table().release(made));
}

static void share__kind_that_it_has_not__is_unavailable(void **) {
  const Allocation made = take(table().allocate(0, 1 << 20));
  const HandleKind other = kind_of(made) == HandleKind::file ? HandleKind::legacy : HandleKind::file;
  for (HandleKind kind : {other, HandleKind::fabric}) {
    const Result<Handle> handle = table().share(made, kind);
    assert_int_equal(handle.status().code, PIRN_ERR_UNAVAILABLE);
    assert_true(handle.status().text.size() > 10);
  }
  check(table().release(made));
}

static void wait_word__written_later__goes_on_then(void **) {
  void *stream = take(table().make_stream(0));
  auto *words = static_cast<uint64_t *>(take(table().allocate_host(16)));
  words[0] = words[1] = 0;
  const Status waits = table().wait_word(stream, &words[0], 7);
  if (shown_since(6, 0)) {
    check(waits);
    check(table().write_word(stream, &words[1], 9));
    assert_int_equal(table().finish(0, stream, 20'000'000).code, PIRN_ERR_TIMEOUT);
    __atomic_store_n(&words[0], 7, __ATOMIC_RELEASE);
    check(table().finish(0, stream, patience));
    assert_int_equal(__atomic_load_n(&words[1], __ATOMIC_ACQUIRE), 9);
  } else {
    assert_int_equal(waits.code, PIRN_ERR_INVALID);
    assert_contains(waits.text, "hipStreamWaitValue64: hipErrorInvalidValue (");
  }
  check(table().drop_stream(0, stream));
  check(table().release_host(words));
}

static void device_of__stream__is_the_one_it_was_made_on(void **) {
  const size_t count = take(table().devices()).size();
  for (uint32_t device = 0; device < count; device++) {
    void *stream = take(table().make_stream(device));
    assert_int_equal(take(table().device_of(stream)), device);
    assert_false(take(table().capturing(stream)));
    check(table().drop_stream(device, stream));
  }
  const Status none = table().make_stream(static_cast<uint32_t>(count)).status();
  assert_int_equal(none.code, PIRN_ERR_RANGE);
}

int main(int count, char **arguments) {
  if (count != 2 || std::sscanf(arguments[1], "%d.%d", &shown_major, &shown_minor) != 2) {
    std::fprintf(stderr, "usage: %s MAJOR.MINOR of HIP\n", arguments[0]);
    return 2;
  }
  setenv("PIRN_SHIM_HIP_VERSION", arguments[1], 1);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) return 2;
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    alarm(60);
    const int result = serve(ends[1]);
    std::exit(result);
  }
  close(ends[1]);
  other_process = ends[0];
  const CMUnitTest tests[] = {
      cmocka_unit_test(load__only_if_loaded__does_not_load),
      cmocka_unit_test(version__names_the_runtime),
      cmocka_unit_test(features__of_this_version),
      cmocka_unit_test(allocate__bytes__come_back_and_are_identified),
      cmocka_unit_test(identify__memory_of_the_host__nothing_or_page_locked),
      cmocka_unit_test(share__same_memory_twice__another_process_sees_it_both_times),
      cmocka_unit_test(map__descriptor_0__is_mapped),
      cmocka_unit_test(share__kind_that_it_has_not__is_unavailable),
      cmocka_unit_test(wait_word__written_later__goes_on_then),
      cmocka_unit_test(device_of__stream__is_the_one_it_was_made_on),
  };
  const int failed = cmocka_run_group_tests(tests, nullptr, nullptr);
  close(other_process);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) std::fprintf(stderr, "the other process ended with status %d\n", status);
  return failed != 0 || status != 0;
}
