// SPDX-License-Identifier: Apache-2.0
// The other side: a Node in this process, or in a process of its own (a fresh image
// of the test program, perhaps in another network namespace) behind a socket pair. Helpers end the running test
// when a command that must succeed fails; they belong to the test's main thread.
#pragma once

#include "node.h"

#include <sys/types.h>

#include <memory>
#include <string>

namespace pirn_test {

struct WindowBlob {
  uint64_t id = 0;
  std::string bytes;
};

class Target {
 public:
  virtual ~Target() = default;

  virtual void begin(const Request &request) = 0;     // starts a command
  virtual Reply finish(uint64_t timeout_ms = 60000) = 0;  // waits for its answer
  Reply call(const Request &request);
  virtual pid_t pid() const { return 0; }              // 0: lives in this process
  virtual void kill_now() {}                           // SIGKILL, reaped on return
  virtual void signal_now(int) {}                      // SIGSTOP: stopped on return
  virtual void resume() {}                             // SIGCONT, if it was stopped
  virtual bool alive() const { return true; }

  void open(const OpenOptions &options = {});
  std::string listen(const std::string &address);
  std::string listen();  // on the address that this mode uses, port 0
  std::string metadata();
  uint64_t connect(const std::string &address);
  uint64_t add(const std::string &blob);
  uint64_t accept();
  void accept_start();
  uint64_t alloc(uint64_t size, uint64_t seed);
  void fill(uint64_t buffer, uint64_t offset, uint64_t length, uint64_t seed);
  uint64_t check(uint64_t buffer, uint64_t offset, uint64_t length, uint64_t seed, uint64_t start = 0);
  uint64_t digest(uint64_t buffer);
  WindowBlob advertise(uint64_t buffer, uint64_t offset, uint64_t length, uint32_t access = read_write);
  pirn_status withdraw(uint64_t buffer, uint64_t id, uint64_t timeout = second);
  uint64_t import_window(uint64_t peer, const std::string &blob);
  pirn_status write(uint64_t buffer, uint64_t offset, uint64_t window, uint64_t remote, uint64_t length,
                    uint64_t timeout = 10 * second);
  pirn_status read(uint64_t buffer, uint64_t offset, uint64_t window, uint64_t remote, uint64_t length,
                   uint64_t timeout = 10 * second);
  pirn_status notify(uint64_t peer, const std::string &message, uint64_t timeout = 10 * second);
  Reply take(uint64_t timeout = 10 * second);
  uint64_t cpu_ns();

 private:
  Reply must(const Request &request, const char *what);
};

std::unique_ptr<Target> make_local_target();
std::unique_ptr<Target> make_process_target();
// Body of the other process: serves commands until its end of the socket is closed.
int serve(int fd);

}  // namespace pirn_test
