// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <pirn/pirn.h>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <random>
#include <sstream>

namespace {

constexpr uint64_t largest = 4ull << 30;
const std::vector<std::string> known_tests{"write", "read", "lat", "read-lat", "vector", "paged", "notify", "connect"};

bool parse_size(const std::string &text, uint64_t *size) {
  const char *const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *size);
  if (error != std::errc()) return false;
  const std::string unit(rest, end);
  const std::map<std::string, int> shifts{{"", 0}, {"K", 10}, {"M", 20}, {"G", 30}};
  const auto shift = shifts.find(unit);
  if (shift == shifts.end() || *size > (largest >> shift->second)) return false;
  *size <<= shift->second;
  return *size >= 1;
}

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

std::string check_sizes(const std::string &text) {
  std::vector<uint64_t> sizes;
  return parse_sizes(text, &sizes) ? "" : "not a size, list or range up to 4G: " + text;
}

std::string check_tests(const std::string &text) {
  for (const std::string &test : split(text))
    if (std::find(known_tests.begin(), known_tests.end(), test) == known_tests.end())
      return "unknown test " + test + "; known: " + CLI::detail::join(known_tests, ", ");
  return "";
}

std::string check_streamed(const std::vector<std::string> &tests) {
  for (const std::string &test : tests)
    if (test != "write" && test != "read" && test != "vector" && test != "paged")
      return "test " + test + " cannot be posted by a stream; with --stream and --graph: write, read, vector, paged";
  return "";
}

std::string check_memory(const std::string &text) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto kind = std::find_if_not(text.begin(), text.end(), lower);
  const auto end = text.size() > 6 && text.compare(text.size() - 6, 6, "/plain") == 0 ? text.end() - 6 : text.end();
  const bool device = kind != text.begin() && kind < end && *kind == ':' && kind + 1 != end &&
                      std::all_of(kind + 1, end, digit);
  if (device || text == "host" || text == "shared") return "";
  return "no memory: \"" + text + "\"; allowed: host, shared, or a device (cuda:0, hip:0, cuda:0/plain)";
}

struct Texts {
  std::string tests, sizes, listen, connect, path;
  double timeout_s = 30;
  bool local = false;
};

void add_where(CLI::App &app, Options *o, Texts *t) {
  auto *local = app.add_flag("--local", t->local, "start a partner on this machine and run against it (default)");
  auto *server = app.add_option("--server", t->listen, "be the partner: listen on [host]:port")->expected(0, 1);
  auto *connect = app.add_option("--connect", t->connect, "run against the partner at host:port");
  local->excludes(server)->excludes(connect);
  server->excludes(connect);
  app.add_option("--mem", o->memory, "memory of this side: host, shared (by pirn_memory_alloc), or a device (cuda:0, hip:0; cuda:0/plain: by cudaMalloc)")
      ->check(check_memory);
  auto *peer = app.add_option("--peer-mem", o->peer_memory, "memory of the partner; with --connect: what it must have");
  peer->check(check_memory)->excludes(server);
  app.add_option("--path", t->path, "demand a path: self (both ends in this process), ipc, fabric; auto: as PIRN_PATH says")
      ->check(CLI::IsMember({"auto", "self", "ipc", "fabric"}));
  app.add_option("--provider", o->provider, "demand a provider (tcp, shm, ...)");
  app.add_option("--nics", o->nics, "demand NICs: names, globs or addresses");
  const std::map<std::string, uint32_t> progress{
      {"thread", PIRN_PROGRESS_THREAD}, {"spin", PIRN_PROGRESS_SPIN}, {"manual", PIRN_PROGRESS_MANUAL}};
  app.add_option("--progress", o->progress, "who makes progress: thread, spin or manual")
      ->transform(CLI::CheckedTransformer(progress));
}

void add_what(CLI::App &app, Options *o, Texts *t) {
  app.add_option("--test", t->tests, "comma-separated: " + CLI::detail::join(known_tests, ", "))->check(check_tests);
  app.add_option("--size", t->sizes, "bytes: 64K..64M (powers of two), 8,4K,1M or one size")->check(check_sizes);
  app.add_option("--iters", o->iterations, "operations per row; 0: by size")->check(CLI::Range(0, 1'000'000'000));
  app.add_option("--window", o->window, "operations in flight per thread")->check(CLI::Range(1, 4096));
  app.add_option("--blocks", o->blocks, "blocks per operation of vector and paged")->check(CLI::Range(1, 524'288));
  app.add_option("--threads", o->threads, "threads that post on one endpoint")->check(CLI::Range(1, 256));
  auto *bidir = app.add_flag("--bidir", o->bidir, "write and read: the partner does the same at the same time");
  auto *stream = app.add_flag("--stream", o->stream, "write, read, vector, paged: posted and waited for by a GPU's stream");
  auto *graph = app.add_flag("--graph", o->graph, "the same, captured once and replayed");
  stream->excludes(bidir)->excludes(graph);
  graph->excludes(bidir);
  app.add_flag("--verify", o->verify, "check every byte; any wrong one ends the run with exit 1")->excludes(bidir);
  app.add_option("--seed", o->seed, "seed of patterns and offsets; 0: a random one");
  app.add_option("--timeout", t->timeout_s, "seconds for each transfer and connection")->check(CLI::Range(0.001, 86400.0));
  app.add_option("--json", o->json, "write a JSON report to this file (-: standard output)");
  app.add_flag("--csv", o->csv, "rows as CSV instead of a table");
}

void finish(const Texts &texts, bool server, Options *o) {
  o->mode = server ? Mode::server : !texts.connect.empty() ? Mode::connect : Mode::local;
  o->address = server ? (texts.listen.empty() ? ":0" : texts.listen) : texts.connect;
  const char *const usual = o->stream || o->graph ? "write,read" : "write,read,lat";
  o->tests = split(texts.tests.empty() ? usual : texts.tests);
  if (texts.path != "auto") o->path = texts.path;
  if (o->mode == Mode::local && o->peer_memory.empty()) o->peer_memory = "host";
  if (!texts.sizes.empty()) parse_sizes(texts.sizes, &o->sizes);
  o->timeout_ns = static_cast<uint64_t>(texts.timeout_s * 1e9);
  while (o->seed == 0) o->seed = std::random_device{}();
}

}  // namespace

bool parse_sizes(const std::string &text, std::vector<uint64_t> *sizes) {
  sizes->clear();
  const auto dots = text.find("..");
  uint64_t size = 0, last = 0;
  if (dots != std::string::npos) {
    if (!parse_size(text.substr(0, dots), &size) || !parse_size(text.substr(dots + 2), &last)) return false;
    for (; size <= last; size *= 2) sizes->push_back(size);
    return !sizes->empty();
  }
  for (const std::string &part : split(text)) {
    if (!parse_size(part, &size)) return false;
    sizes->push_back(size);
  }
  return !sizes->empty();
}

std::string size_text(uint64_t bytes) {
  constexpr std::array<const char *, 4> units{"B", "KiB", "MiB", "GiB"};
  size_t unit = 0;
  while (unit + 1 < units.size() && bytes >= 1024 && bytes % 1024 == 0) bytes /= 1024, ++unit;
  return fmt::format("{} {}", bytes, units[unit]);
}

bool parse_options(int argc, char **argv, Options *options, int *exit_code) {
  CLI::App app{"pirn-perf: speed and latency of pirn between two processes, verified on request"};
  Texts texts;
  add_where(app, options, &texts);
  add_what(app, options, &texts);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    *exit_code = app.exit(error) == 0 ? 0 : 2;
    return false;
  }
  finish(texts, app.count("--server") > 0, options);
  const std::string bad = options->stream || options->graph ? check_streamed(options->tests) : "";
  if (bad.empty()) return true;
  fmt::print(stderr, "{}\n", bad);
  *exit_code = 2;
  return false;
}
