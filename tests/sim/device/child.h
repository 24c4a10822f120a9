// SPDX-License-Identifier: Apache-2.0
// The environment of the fake is read once per process, so a test runs what it tests in a process of its own.
#pragma once

#include "cuda_abi.h"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace pirn::fake_gpu::test {

using Environment = std::vector<std::pair<const char *, const char *>>;

struct Outcome {
  bool passed = false;
  int signal = 0;
  std::string errors;  // what it wrote to stderr
  size_t lines(const char *with) const;
};

// Runs `body` in a new process, which exits as a program does; ends it after 60 s.
Outcome run(const Environment &environment, const std::function<void()> &body);

// Two processes with a socket between them. The first one starts; `second` may read the socket to wait for it.
struct Both {
  Outcome first, second;
};
Both run_two(const Environment &of_first, const std::function<void(int socket)> &first, const Environment &of_second,
             const std::function<void(int socket)> &second);

void send_bytes(int socket, const void *bytes, size_t length, int file = -1);
int receive_bytes(int socket, void *bytes, size_t length);  // the file that came with them, or -1

// In such a process: says what is wrong, and ends it.
[[noreturn]] void give_up(const char *file, int line, const char *what, long long got, long long wanted);
inline void check_equal(const char *file, int line, const char *what, long long got, long long wanted) {
  if (got != wanted) give_up(file, line, what, got, wanted);
}
#define CHECK_IS(got, wanted) \
  pirn::fake_gpu::test::check_equal(__FILE__, __LINE__, #got, static_cast<long long>(got), static_cast<long long>(wanted))
#define CHECK(condition) CHECK_IS(static_cast<bool>(condition), true)

// -- Shorter ways to what most tests need; each gives up when the call fails

cuda::Handle use_device(int ordinal);  // initializes; its primary context becomes current
cuda::Handle new_stream();             // that does not keep order with the null stream
std::vector<uint8_t> random_bytes(size_t length, uint64_t seed);
cuda::Pointer put(const std::vector<uint8_t> &bytes);  // into new device memory
std::vector<uint8_t> get(cuda::Pointer from, size_t length);
uint64_t seed_of_run();  // printed once

struct Mapped {
  cuda::Physical handle = 0;
  cuda::Pointer address = 0;
  size_t length = 0;
};
Mapped map_memory(int device, size_t length, const std::vector<int> &for_devices);
cuda::Pointer map_handle(cuda::Physical handle, size_t length, const std::vector<int> &for_devices);
void unmap(const Mapped &mapped);
constexpr size_t mebibyte = 1 << 20;

}  // namespace pirn::fake_gpu::test
