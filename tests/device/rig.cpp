// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include "base/clock.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace rig {
namespace {

struct Chosen {
  const Operations *table = nullptr;
  std::unique_ptr<Application> application;
  std::vector<Info> devices;
  uint32_t captured_device = 0;
  void *captured = nullptr;  // the stream of a capture that has not ended well
};

Chosen &chosen() {
  static Chosen one;
  return one;
}

}  // namespace

const Operations &table() { return *chosen().table; }
Application &application() { return *chosen().application; }
const std::vector<Info> &devices() { return chosen().devices; }

Seeded &dice() {
  static Seeded one;
  return one;
}

uint32_t any_device() { return static_cast<uint32_t>(dice().between(0, devices().size() - 1)); }

uint32_t other_device(uint32_t device) {
  return static_cast<uint32_t>((device + dice().between(1, std::max<uint64_t>(devices().size() - 1, 1))) %
                               devices().size());
}

void choose() {
  const char *wanted = std::getenv("PIRN_TEST_DEVICE");
  const std::string name = wanted != nullptr ? wanted : "cuda";
  chosen().table = find_table(name);
  if (name == "cuda") chosen().application = make_cuda_application();
  if (name == "hip") chosen().application = make_hip_application();
  if (chosen().table != nullptr && chosen().application != nullptr) return;
  std::fprintf(stderr, "PIRN_TEST_DEVICE=%s: cuda and hip are allowed\n", name.c_str());
  std::exit(2);
}

int open_devices(void **) {
  application().open();
  check(table().load(false));
  chosen().devices = take(table().devices());
  assert_true(!devices().empty());
  return 0;
}

void check(const Status &status) {
  if (!status.is_ok()) fail_test("status %d: %s", status.code, status.text.c_str());
}

void check_refused(const Status &status, pirn_status code, const std::vector<std::string> &parts) {
  if (status.code != code) fail_test("status %d, not %d: %s", status.code, code, status.text.c_str());
  assert_true(!status.text.empty());
  for (const std::string &part : parts) assert_contains(status.text, part.c_str());
}

Allocation identified(const void *address) {
  const std::optional<Allocation> found = take(table().identify(address));
  if (!found) fail_test("%p is nobody's", address);
  return *found;
}

bool known(const void *address) { return take(table().identify(address)).has_value(); }

void begin_capture(const OwnStream &stream) {
  application().begin_capture(stream.get());
  chosen().captured_device = stream.device();
  chosen().captured = stream.get();
}

void *end_capture(const OwnStream &stream) {
  void *graph = application().end_capture(stream.get());
  chosen().captured = nullptr;
  return graph;
}

int drop_capture(void **) {
  void *const stream = std::exchange(chosen().captured, nullptr);
  if (stream == nullptr) return 0;
  application().abandon_capture(stream);
  (void)table().drop_stream(chosen().captured_device, stream).is_ok();  // the scenario has failed already
  return 0;
}

void write_device(uint32_t device, void *to, const std::vector<std::byte> &bytes) {
  if (bytes.empty()) return;
  const HostMemory host(bytes.size());
  std::memcpy(host.bytes(), bytes.data(), bytes.size());
  OwnStream stream(device);
  stream.copy(to, host.bytes(), bytes.size());
  stream.finish();
}

std::vector<std::byte> read_device(uint32_t device, const void *from, uint64_t length) {
  const HostMemory host(length);
  OwnStream stream(device);
  stream.copy(host.bytes(), from, length);
  stream.finish();
  return {host.bytes(), host.bytes() + length};
}

void assert_same(const std::vector<std::byte> &actual, const std::vector<std::byte> &expected) {
  assert_int_equal(actual.size(), expected.size());
  if (actual == expected) return;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (actual[i] == expected[i]) continue;
    fail_test("byte %zu of %zu is %02x, not %02x", i, actual.size(), static_cast<unsigned>(actual[i]),
              static_cast<unsigned>(expected[i]));
  }
}

void wait_until(const std::function<bool()> &reached, const char *what) {
  const uint64_t deadline = now_ns() + patience;
  while (!reached()) {
    if (now_ns() > deadline) fail_test("never came: %s", what);
    const timespec pause = {0, 100'000};
    nanosleep(&pause, nullptr);
  }
}

std::vector<std::byte> pattern(uint64_t seed, uint64_t length) {
  std::mt19937_64 engine(seed);
  std::vector<std::byte> bytes(length);
  for (uint64_t at = 0; at < length; at += 8) {
    const uint64_t word = engine();
    std::memcpy(bytes.data() + at, &word, std::min<uint64_t>(8, length - at));
  }
  return bytes;
}

std::vector<std::byte> noise(uint64_t length) { return pattern(dice().any(), length); }

}  // namespace rig
