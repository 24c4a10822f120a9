// SPDX-License-Identifier: Apache-2.0
#include "target.h"

#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace pirn_test {

namespace {

// What travels before the texts. Both ends are the same program on the same machine.
struct Head {
  uint32_t op;
  int32_t status;
  std::array<uint64_t, 6> values;
  uint64_t number;  // of the request: an answer that a failed test did not wait for is not the next one's
  uint64_t text;
  uint64_t payload;
};

bool write_all(int fd, const void *data, size_t length) {
  const auto *at = static_cast<const char *>(data);
  while (length > 0) {
    const ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
    if (n <= 0) return false;
    at += n;
    length -= static_cast<size_t>(n);
  }
  return true;
}

bool read_all(int fd, void *data, size_t length, int timeout_ms) {
  auto *at = static_cast<char *>(data);
  while (length > 0) {
    pollfd ready{fd, POLLIN, 0};
    if (poll(&ready, 1, timeout_ms) <= 0) return false;
    const ssize_t n = read(fd, at, length);
    if (n <= 0) return false;
    at += n;
    length -= static_cast<size_t>(n);
  }
  return true;
}

bool send_message(int fd, const Head &head, const std::string &text, const std::string &payload) {
  return write_all(fd, &head, sizeof head) && write_all(fd, text.data(), text.size()) &&
         write_all(fd, payload.data(), payload.size());
}

bool receive_message(int fd, Head *head, std::string *text, std::string *payload, int timeout_ms) {
  if (!read_all(fd, head, sizeof *head, timeout_ms)) return false;
  text->resize(head->text);
  payload->resize(head->payload);
  return read_all(fd, text->data(), text->size(), timeout_ms) &&
         read_all(fd, payload->data(), payload->size(), timeout_ms);
}

class LocalTarget : public Target {
 public:
  ~LocalTarget() override {
    if (worker_.joinable()) worker_.join();
  }
  void begin(const Request &request) override {
    if (worker_.joinable()) worker_.join();  // left by a test that failed
    worker_ = std::thread([this, request] { reply_ = node_.handle(request); });
  }
  Reply finish(uint64_t) override {
    worker_.join();
    return reply_;
  }

 private:
  Node node_;
  std::thread worker_;
  Reply reply_;
};

// In the child between fork and exec: only calls that are safe there.
[[noreturn]] void become_server(int fd, const char *net_namespace) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (net_namespace != nullptr) {
    const int ns = ::open(net_namespace, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0) _exit(71);
  }
  char number[4] = {static_cast<char>('0' + fd / 100), static_cast<char>('0' + fd / 10 % 10),
                    static_cast<char>('0' + fd % 10), '\0'};
  execl("/proc/self/exe", "conformance-server", "--serve", number, static_cast<char *>(nullptr));
  _exit(72);
}

class ProcessTarget : public Target {
 public:
  ProcessTarget() {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
      std::perror("socketpair");
      std::exit(1);
    }
    fcntl(pair[1], F_SETFD, 0);
    const std::string name = variable("PIRN_TEST_NETNS_B", "");
    const std::string net_namespace = name.empty() ? "" : "/var/run/netns/" + name;
    pid_ = fork();
    if (pid_ == 0) become_server(pair[1], net_namespace.empty() ? nullptr : net_namespace.c_str());
    ::close(pair[1]);
    fd_ = pair[0];
  }

  ~ProcessTarget() override {
    if (fd_ >= 0) ::close(fd_);  // the server sees the end and leaves in order
    if (pid_ > 0) reap();
  }

  void begin(const Request &request) override {
    const Head head{static_cast<uint32_t>(request.op), 0, request.args, ++number_, 0, request.payload.size()};
    send_message(fd_, head, "", request.payload);
  }

  Reply finish(uint64_t timeout_ms) override {
    Head head{};
    Reply out;
    do {
      if (!receive_message(fd_, &head, &out.text, &out.payload, static_cast<int>(timeout_ms))) {
        out.status = no_answer;
        out.text = "the other process gave no answer";
        return out;
      }
    } while (head.number != number_);
    out.status = head.status;
    out.values = {head.values[0], head.values[1], head.values[2]};
    return out;
  }

  pid_t pid() const override { return pid_; }
  bool alive() const override { return pid_ > 0; }
  void signal_now(int number) override {
    if (pid_ <= 0) return;
    kill(pid_, number);
    stopped_ = number == SIGSTOP;
    // kill() returns while the threads of the target still run; stopped means all of them.
    siginfo_t stopped;
    if (stopped_) waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WNOWAIT);
  }
  // Not sent to a process that runs: it would undo the stop that LeakSanitizer's tracer waits for at its exit.
  void resume() override {
    if (stopped_) signal_now(SIGCONT);
  }
  void kill_now() override {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  // A server that does not leave in forty seconds hangs in pirn: said aloud, then killed. (A sanitizer's search for leaks
  // takes seconds on a busy machine.)
  void reap() {
    resume();
    for (int i = 0; i < 4000; ++i) {
      int state = 0;
      if (waitpid(pid_, &state, WNOHANG) == pid_) {
        if (!WIFEXITED(state) || WEXITSTATUS(state) != 0) report_trouble("the other process ended badly", state);
        return;
      }
      usleep(10000);
    }
    report_trouble("the other process did not end", 0);
    kill_now();
  }

  int fd_ = -1;
  pid_t pid_ = -1;
  uint64_t number_ = 0;
  bool stopped_ = false;
};

}  // namespace

int serve(int fd) {
  Node node;
  Head head{};
  std::string text;
  Request request;
  while (receive_message(fd, &head, &text, &request.payload, -1)) {
    request.op = static_cast<Op>(head.op);
    request.args = head.values;
    const Reply reply = node.handle(request);
    const Head answer{head.op, reply.status, {reply.values[0], reply.values[1], reply.values[2]}, head.number,
                      reply.text.size(), reply.payload.size()};
    if (!send_message(fd, answer, reply.text, reply.payload)) break;
  }
  node.close();
  return 0;
}

std::unique_ptr<Target> make_local_target() { return std::make_unique<LocalTarget>(); }
std::unique_ptr<Target> make_process_target() { return std::make_unique<ProcessTarget>(); }

Reply Target::call(const Request &request) {
  begin(request);
  return finish();
}

Reply Target::must(const Request &request, const char *what) {
  Reply reply = call(request);
  if (reply.status != PIRN_OK) fail_test("target: %s: %s: %s", what, status_name(reply.status), reply.text.c_str());
  return reply;
}

void Target::open(const OpenOptions &options) {
  const OpenOptions full = with_defaults(options, true);
  std::string payload = full.provider + "\n" + full.nics + "\n" + full.memory + "\n";
  for (const auto &setting : full.settings) payload += setting + "\n";
  must({Op::open, {full.progress}, payload}, "open");
}

std::string Target::listen(const std::string &address) { return must({Op::listen, {}, address}, "listen").payload; }
std::string Target::listen() { return listen(target_host() + ":0"); }
std::string Target::metadata() { return must({Op::metadata, {}, ""}, "metadata").payload; }

uint64_t Target::connect(const std::string &address) {
  return must({Op::connect, {10 * second}, address}, "connect").values[0];
}

uint64_t Target::add(const std::string &blob) { return must({Op::add, {}, blob}, "add").values[0]; }
uint64_t Target::accept() { return must({Op::accept, {10 * second}, ""}, "accept").values[0]; }
void Target::accept_start() { must({Op::accept_start, {}, ""}, "accept_start"); }

uint64_t Target::alloc(uint64_t size, uint64_t seed) {
  return must({Op::alloc, {size, seed}, ""}, "alloc and register").values[0];
}

void Target::fill(uint64_t buffer, uint64_t offset, uint64_t length, uint64_t seed) {
  must({Op::fill, {buffer, offset, length, seed}, ""}, "fill");
}

uint64_t Target::check(uint64_t buffer, uint64_t offset, uint64_t length, uint64_t seed, uint64_t start) {
  return must({Op::check, {buffer, offset, length, seed, start}, ""}, "check").values[0];
}

uint64_t Target::digest(uint64_t buffer) { return must({Op::digest, {buffer}, ""}, "digest").values[0]; }

WindowBlob Target::advertise(uint64_t buffer, uint64_t offset, uint64_t length, uint32_t access) {
  Reply reply = must({Op::advertise, {buffer, offset, length, access}, ""}, "advertise");
  return {reply.values[0], reply.payload};
}

pirn_status Target::withdraw(uint64_t buffer, uint64_t id, uint64_t timeout) {
  return call({Op::withdraw, {buffer, id, timeout}, ""}).status;
}

uint64_t Target::import_window(uint64_t peer, const std::string &blob) {
  return must({Op::import_window, {peer}, blob}, "import").values[0];
}

pirn_status Target::write(uint64_t buffer, uint64_t offset, uint64_t window, uint64_t remote, uint64_t length,
                          uint64_t timeout) {
  return call({Op::write, {buffer, offset, window, remote, length, timeout}, ""}).status;
}

pirn_status Target::read(uint64_t buffer, uint64_t offset, uint64_t window, uint64_t remote, uint64_t length,
                         uint64_t timeout) {
  return call({Op::read, {buffer, offset, window, remote, length, timeout}, ""}).status;
}

pirn_status Target::notify(uint64_t peer, const std::string &message, uint64_t timeout) {
  return call({Op::notify, {peer, timeout}, message}).status;
}

Reply Target::take(uint64_t timeout) { return call({Op::take, {timeout}, ""}); }
uint64_t Target::cpu_ns() { return must({Op::cpu, {}, ""}, "cpu").values[0]; }

}  // namespace pirn_test
