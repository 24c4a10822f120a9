// SPDX-License-Identifier: Apache-2.0
// The partner of --local: a child process, or a thread where the provider cannot leave the process.
#pragma once

#include "options.h"

#include <sys/types.h>

#include <atomic>
#include <string>
#include <thread>

class Partner {
 public:
  // Must come before anything of pirn is used in this process: it may fork. Throws Failure.
  explicit Partner(const Options &options);
  // Waits for the partner to end; it has been told to, or is made to.
  ~Partner();
  Partner(const Partner &) = delete;
  Partner &operator=(const Partner &) = delete;

  const std::string &address() const { return address_; }

 private:
  void start_process();
  void start_thread();

  Options options_;  // the partner's
  std::string address_;
  pid_t child_ = -1;
  std::thread thread_;
  std::atomic<bool> stop_{false};
};
