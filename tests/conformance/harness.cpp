// SPDX-License-Identifier: Apache-2.0
#include "harness.h"

#include <fnmatch.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>

namespace pirn_test {

namespace {

const char *running_test = "";
uint64_t seed_of_run = 0;
int troubles = 0;

// The suite's own variables, taken out of the environment: pirn would call them misspelt settings.
std::map<std::string, std::string> &variables() {
  static std::map<std::string, std::string> all;
  return all;
}

void take_variables() {
  for (char **entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (text.rfind("PIRN_TEST_", 0) != 0) continue;
    const size_t equals = text.find('=');
    variables()[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto &variable : variables()) unsetenv(variable.first.c_str());
}

// Without the tests that PIRN_TEST_SKIP names: patterns, separated by commas.
std::vector<CMUnitTest> without_skipped(const std::vector<CMUnitTest> &tests) {
  std::vector<CMUnitTest> kept = tests;
  std::istringstream patterns(variable("PIRN_TEST_SKIP", ""));
  for (std::string pattern; std::getline(patterns, pattern, ',');) {
    std::erase_if(kept, [&](const CMUnitTest &test) {
      if (fnmatch(pattern.c_str(), test.name, 0) != 0) return false;
      std::printf("left out by PIRN_TEST_SKIP: %s\n", test.name);
      return true;
    });
  }
  return kept;
}

void hang(int) {
  const char *parts[] = {"\nHANG: test ", running_test, " did not end in time\n"};
  for (const char *part : parts) {
    if (write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
  }
  _exit(70);
}

}  // namespace

std::string variable(const char *name, const char *otherwise) {
  if (variables().empty()) take_variables();
  const auto found = variables().find(name);
  return found != variables().end() ? found->second : otherwise;
}

Mode mode() {
  const std::string name = variable("PIRN_TEST_MODE", "same");
  if (name == "same") return Mode::same;
  if (name == "processes") return Mode::processes;
  if (name == "hosts") return Mode::hosts;
  std::fprintf(stderr, "PIRN_TEST_MODE=%s: allowed are same, processes, hosts\n", name.c_str());
  std::exit(2);
}

std::string provider() { return variable("PIRN_TEST_PROVIDER", "tcp"); }
bool two_processes() { return mode() != Mode::same; }
std::string own_host() { return variable("PIRN_TEST_HOST_A", "127.0.0.1"); }
std::string target_host() { return variable("PIRN_TEST_HOST_B", "127.0.0.1"); }
uint64_t base_seed() { return seed_of_run; }

OpenOptions with_defaults(const OpenOptions &options, bool target) {
  OpenOptions full = options;
  if (full.provider.empty()) full.provider = provider();
  if (full.nics.empty() && mode() == Mode::hosts) full.nics = target ? target_host() : own_host();
  if (full.memory.empty()) full.memory = variable(target ? "PIRN_TEST_PEER_MEMORY" : "PIRN_TEST_MEMORY", "host");
  return full;
}

void fail_test(const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  print_error("%s\n", text);
  _fail(__FILE__, __LINE__);
  std::abort();  // _fail does not return while a test runs
}

void report_trouble(const char *what, int detail) {
  print_error("%s (%d)\n", what, detail);
  ++troubles;
}

const char *status_name(pirn_status status) {
  return status == no_answer ? "no answer" : pirn_status_string(status);
}

void expect_status(pirn_status want, pirn_status got, const char *call, const char *file, int line) {
  if (want == got) return;
  fail_test("%s:%d: %s\n  gave %d (%s), expected %d (%s)\n  last error: %s", file, line, call, got, status_name(got),
            want, status_name(want), pirn_last_error());
}

void expect_error(pirn_status want, pirn_status got, std::initializer_list<const char *> words, const char *call,
                  const char *file, int line) {
  expect_status(want, got, call, file, line);
  const std::string text = pirn_last_error();
  for (const char *word : words) {
    if (text.find(word) == std::string::npos) {
      fail_test("%s:%d: %s\n  the error text lacks \"%s\": %s", file, line, call, word, text.c_str());
    }
  }
}

uint64_t clock_now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * second + static_cast<uint64_t>(t.tv_nsec);
}

uint64_t at_most(uint64_t duration) {
  static const uint64_t patience = std::strtoull(variable("PIRN_TEST_PATIENCE", "1").c_str(), nullptr, 10);
  return duration * patience;
}

void sleep_ms(uint64_t milliseconds) { usleep(static_cast<useconds_t>(milliseconds * 1000)); }

bool wait_until(uint64_t milliseconds, const std::function<bool()> &condition) {
  const uint64_t end = clock_now() + milliseconds * ms;
  while (!condition()) {
    if (clock_now() > end) return false;
    usleep(500);
  }
  return true;
}

pirn_transfer_params params_with(uint64_t timeout, uint64_t flags, uint64_t user_data) {
  pirn_transfer_params params{};
  params.struct_size = sizeof params;
  params.timeout_ns = timeout;
  params.flags = flags;
  params.user_data = user_data;
  return params;
}

pirn_result empty_result() {
  pirn_result result{};
  result.struct_size = sizeof result;
  return result;
}

std::string metadata_of(pirn_endpoint *endpoint) {
  size_t length = 0;
  EXPECT(PIRN_ERR_TOO_SMALL, pirn_endpoint_metadata(endpoint, nullptr, &length));
  std::string blob(length, '\0');
  EXPECT_OK(pirn_endpoint_metadata(endpoint, blob.data(), &length));
  blob.resize(length);
  return blob;
}

std::string listen_on(pirn_endpoint *endpoint, const std::string &address) {
  EXPECT_OK(pirn_endpoint_listen(endpoint, address.c_str()));
  char text[256];
  size_t length = sizeof text;
  EXPECT_OK(pirn_endpoint_address(endpoint, text, &length));
  assert_int_equal(std::strlen(text) + 1, length);
  return text;
}

std::string blob_text(const std::string &blob) {
  size_t length = 0;
  EXPECT(PIRN_ERR_TOO_SMALL, pirn_blob_to_text(blob.data(), blob.size(), nullptr, &length));
  std::string text(length, '\0');
  EXPECT_OK(pirn_blob_to_text(blob.data(), blob.size(), text.data(), &length));
  text.resize(length - 1);
  return text;
}

uint32_t peer_state(pirn_peer *peer) {
  pirn_peer_info info{};
  info.struct_size = sizeof info;
  EXPECT_OK(pirn_peer_get_info(peer, &info));
  return info.state;
}

void Pair::open(const OpenOptions &options) { EXPECT_OK(own.open(with_defaults(options, false))); }

Target &Pair::spawn() {
  targets_.push_back(two_processes() ? make_process_target() : make_local_target());
  return *targets_.back();
}

pirn_peer *Pair::connect(Target &target) {
  const std::string address = target.listen();
  target.accept_start();
  pirn_peer *peer = nullptr;
  EXPECT_OK(pirn_peer_connect(endpoint(), address.c_str(), 10 * second, &peer));
  return peer;
}

pirn_peer *Pair::start(const OpenOptions &options) {
  open(options);
  Target &other = spawn();
  other.open(options);
  return connect(other);
}

Memory &Pair::memory(uint64_t size, uint64_t seed) {
  Memory *memory = own.allocate(size, seed);
  if (memory == nullptr) fail_test("register %llu bytes: %s", static_cast<unsigned long long>(size), pirn_last_error());
  return *memory;
}

Remote Pair::remote(Target &target, pirn_peer *peer, uint64_t size, uint64_t seed, uint32_t access) {
  Remote out;
  out.target = &target;
  out.buffer = target.alloc(size, seed);
  const WindowBlob blob = target.advertise(out.buffer, 0, size, access);
  out.window_id = blob.id;
  out.blob = blob.bytes;
  EXPECT_OK(pirn_window_import(peer, out.blob.data(), out.blob.size(), &out.window));
  return out;
}

WindowBlob advertise(const Memory &memory) {
  WindowBlob out;
  char blob[8192];
  size_t length = sizeof blob;
  EXPECT_OK(pirn_region_advertise(memory.region, 0, memory.buffer.size(), read_write, blob, &length, &out.id));
  out.bytes.assign(blob, length);
  return out;
}

bool Pair::close() {
  for (auto &target : targets_) {
    if (!target->alive()) continue;
    target->resume();
    const Reply canaries = target->call({Op::canaries, {}, ""});
    if (canaries.status != PIRN_OK) report_trouble("target: no word on its canaries", canaries.status);
    else if (canaries.values[0] != 1) report_trouble("target: bytes outside of a buffer were changed", 0);
  }
  if (!own.canaries_intact()) report_trouble("bytes outside of an own buffer were changed", 0);
  own.close();
  targets_.clear();
  return troubles == 0;
}

int set_up(void **state) {
  running_test = static_cast<const char *>(*state);
  troubles = 0;
  const std::string limit = variable("PIRN_TEST_WATCHDOG", std::to_string(at_most(120)).c_str());
  alarm(static_cast<unsigned>(std::strtoul(limit.c_str(), nullptr, 10)));
  *state = new Pair;
  return 0;
}

int tear_down(void **state) {
  Pair *pair = static_cast<Pair *>(*state);
  const bool clean = pair->close();
  delete pair;
  *state = const_cast<char *>(running_test);
  alarm(0);
  return clean ? 0 : -1;
}

int run(int argc, char **argv, const char *suite, const std::vector<CMUnitTest> &tests) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && std::strcmp(argv[1], "--serve") == 0) return serve(std::atoi(argv[2]));
  signal(SIGALRM, hang);
  const std::string seed = variable("PIRN_TEST_SEED", ""), filter = variable("PIRN_TEST_FILTER", "");
  seed_of_run = !seed.empty() ? std::strtoull(seed.c_str(), nullptr, 0) : mix(clock_now()) >> 32;
  if (!filter.empty()) cmocka_set_test_filter(filter.c_str());
  std::printf("%s: provider %s, mode %s, PIRN_TEST_SEED=%llu\n", suite, provider().c_str(),
              variable("PIRN_TEST_MODE", "same").c_str(), static_cast<unsigned long long>(seed_of_run));
  const std::vector<CMUnitTest> chosen = without_skipped(tests);
  std::fflush(stdout);
  return _cmocka_run_group_tests(suite, chosen.data(), chosen.size(), nullptr, nullptr);
}

}  // namespace pirn_test
