// SPDX-License-Identifier: Apache-2.0
#include "partner.h"

#include "handles.h"
#include "measure.h"
#include "server.h"

#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>

namespace {

constexpr uint64_t exit_patience_ns = 10'000'000'000;

std::atomic<bool> told_to_stop{false};  // in the child

[[noreturn]] void child_main(const Options &options, int out, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGTERM, [](int) { told_to_stop = true; });
  if (getppid() != parent) _exit(1);
  int result = 0;
  try {
    serve(options, [out](const std::string &address) {
      if (write(out, address.data(), address.size()) < 0) throw Failure("the parent does not listen");
      close(out);
    }, told_to_stop);
  } catch (const std::exception &error) {
    fmt::print(stderr, "pirn-perf (partner): {}\n", error.what());
    result = 1;
  }
  std::fflush(nullptr);
  _exit(result);
}

}  // namespace

Partner::Partner(const Options &options) : options_(options) {
  options_.memory = options.peer_memory;
  options.same_process() ? start_thread() : start_process();
}

void Partner::start_process() {
  int ends[2];
  if (pipe(ends) != 0) throw Failure("pipe failed");
  const pid_t parent = getpid();
  child_ = fork();
  if (child_ < 0) throw Failure("fork failed");
  if (child_ == 0) {
    close(ends[0]);
    child_main(options_, ends[1], parent);
  }
  close(ends[1]);
  char text[256];
  for (ssize_t got; (got = read(ends[0], text, sizeof text)) > 0;) address_.append(text, static_cast<size_t>(got));
  close(ends[0]);
  if (!address_.empty()) return;
  waitpid(child_, nullptr, 0);
  throw Failure("the partner could not start; its message is above");
}

void Partner::start_thread() {
  std::promise<std::string> address;
  auto ready = address.get_future();
  thread_ = std::thread([this, address = std::move(address)]() mutable {
    bool announced = false;
    try {
      serve(options_, [&](const std::string &text) {
        announced = true;
        address.set_value(text);
      }, stop_);
    } catch (const std::exception &error) {
      fmt::print(stderr, "pirn-perf (partner): {}\n", error.what());
      if (!announced) address.set_value("");
    }
  });
  address_ = ready.get();
  if (!address_.empty()) return;
  thread_.join();
  throw Failure("the partner could not start; its message is above");
}

Partner::~Partner() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  if (child_ > 0) kill(child_, SIGTERM);  // it hears of the end by a message only if a session came to be
  const uint64_t deadline = now_ns() + exit_patience_ns;
  while (child_ > 0 && waitpid(child_, nullptr, WNOHANG) == 0) {
    if (now_ns() > deadline) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
      return;
    }
    usleep(1000);
  }
}
