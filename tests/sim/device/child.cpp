// SPDX-License-Identifier: Apache-2.0
#include "child.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <poll.h>
#include <random>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pirn::fake_gpu::test {

namespace {

struct Child {
  pid_t pid;
  int errors;  // the reading end of its stderr
};

Child start(const Environment &environment, const std::function<void()> &body) {
  int ends[2];
  if (pipe(ends) != 0) abort();
  fflush(nullptr);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    for (int number : {SIGSEGV, SIGBUS, SIGABRT}) signal(number, SIG_DFL);
    for (const auto &[name, value] : environment) setenv(name, value, 1);
    alarm(60);
    body();
    exit(0);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

Outcome finish(const Child &child) {
  Outcome outcome;
  char text[4096];
  for (ssize_t got; (got = read(child.errors, text, sizeof text)) > 0;)
    outcome.errors.append(text, static_cast<size_t>(got));
  close(child.errors);
  int status = 0;
  waitpid(child.pid, &status, 0);
  outcome.passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (!outcome.errors.empty()) fprintf(stderr, "%s", outcome.errors.c_str());
  return outcome;
}

}  // namespace

size_t Outcome::lines(const char *with) const {
  size_t count = 0;
  for (size_t start = 0; start < errors.size();) {
    size_t end = std::min(errors.find('\n', start), errors.size());
    count += errors.substr(start, end - start).find(with) != std::string::npos;
    start = end + 1;
  }
  return count;
}

Outcome run(const Environment &environment, const std::function<void()> &body) {
  return finish(start(environment, body));
}

Both run_two(const Environment &of_first, const std::function<void(int)> &first, const Environment &of_second,
             const std::function<void(int)> &second) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) abort();
  Child one = start(of_first, [&] {
    close(ends[1]);
    first(ends[0]);
  });
  Child other = start(of_second, [&] {
    close(ends[0]);
    second(ends[1]);
  });
  close(ends[0]);
  close(ends[1]);
  Outcome of_one = finish(one);
  return {of_one, finish(other)};
}

void send_bytes(int socket, const void *bytes, size_t length, int file) {
  iovec part{const_cast<void *>(bytes), length};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof file)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (file >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof file);
    memcpy(CMSG_DATA(header), &file, sizeof file);
  }
  CHECK_IS(sendmsg(socket, &message, MSG_NOSIGNAL), length);
}

int receive_bytes(int socket, void *bytes, size_t length) {
  iovec part{bytes, length};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  CHECK_IS(recvmsg(socket, &message, MSG_WAITALL), length);
  cmsghdr *header = CMSG_FIRSTHDR(&message);
  int file = -1;
  if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&file, CMSG_DATA(header), sizeof file);
  return file;
}

void give_up(const char *file, int line, const char *what, long long got, long long wanted) {
  fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", file, line, what, got, wanted);
  _exit(1);
}

cuda::Handle use_device(int ordinal) {
  cuda::Handle context = nullptr;
  CHECK_IS(cuda::cuInit(0), 0);
  CHECK_IS(cuda::cuDevicePrimaryCtxRetain(&context, ordinal), 0);
  CHECK_IS(cuda::cuCtxSetCurrent(context), 0);
  return context;
}

cuda::Handle new_stream() {
  cuda::Handle stream = nullptr;
  CHECK_IS(cuda::cuStreamCreate(&stream, 1), 0);
  return stream;
}

std::vector<uint8_t> random_bytes(size_t length, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> bytes(length);
  for (uint8_t &byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

cuda::Pointer put(const std::vector<uint8_t> &bytes) {
  cuda::Pointer address = 0;
  CHECK_IS(cuda::cuMemAlloc_v2(&address, bytes.size()), 0);
  CHECK_IS(cuda::cuMemcpyHtoD_v2(address, bytes.data(), bytes.size()), 0);
  return address;
}

std::vector<uint8_t> get(cuda::Pointer from, size_t length) {
  std::vector<uint8_t> bytes(length);
  CHECK_IS(cuda::cuMemcpyDtoH_v2(bytes.data(), from, length), 0);
  return bytes;
}

uint64_t seed_of_run() {
  static const uint64_t seed = [] {
    const char *given = getenv("PIRN_TEST_SEED");
    uint64_t value = given ? strtoull(given, nullptr, 10) : static_cast<uint64_t>(time(nullptr));
    printf("# PIRN_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

Mapped map_memory(int device, size_t length, const std::vector<int> &for_devices) {
  cuda::Properties properties{};
  properties.type = 1;
  properties.handle_types = 1;
  properties.location = {1, device};
  Mapped mapped;
  mapped.length = length;
  CHECK_IS(cuda::cuMemCreate(&mapped.handle, length, &properties, 0), 0);
  mapped.address = map_handle(mapped.handle, length, for_devices);
  return mapped;
}

cuda::Pointer map_handle(cuda::Physical handle, size_t length, const std::vector<int> &for_devices) {
  cuda::Pointer address = 0;
  CHECK_IS(cuda::cuMemAddressReserve(&address, length, 0, 0, 0), 0);
  CHECK_IS(cuda::cuMemMap(address, length, 0, handle, 0), 0);
  for (int device : for_devices) {
    cuda::Access access{{1, device}, 3};
    CHECK_IS(cuda::cuMemSetAccess(address, length, &access, 1), 0);
  }
  return address;
}

void unmap(const Mapped &mapped) {
  CHECK_IS(cuda::cuMemUnmap(mapped.address, mapped.length), 0);
  CHECK_IS(cuda::cuMemAddressFree(mapped.address, mapped.length), 0);
  CHECK_IS(cuda::cuMemRelease(mapped.handle), 0);
}

}  // namespace pirn::fake_gpu::test
