// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <algorithm>

namespace pirn::core {

static void print_log(void *, uint32_t level, const char *message) {
  if (std::getenv("TEST_LOG") != nullptr) std::fprintf(stderr, "log %u: %s\n", level, message);
}

RigOptions several_nics(size_t count) {
  RigOptions options;
  options.persona = sim::verbs_persona();
  options.persona.nics.clear();
  for (size_t i = 0; i < count; ++i)
    options.persona.nics.push_back({.name = text("mlx5_%zu", i),
                                    .address = text("192.0.2.%zu", i + 1),
                                    .fabric = "IB-0xfe80000000000000",
                                    .pci = text("0000:%02zx:00.0", 0x21 + i),
                                    .speed = 200'000'000'000});
  options.provider = "verbs";
  options.settings = {"HEARTBEAT=10ms", "QUIET_TIME=10ms", "RAIL_TIMEOUT=30ms", "CHUNK_SIZE=16384"};
  return options;
}

RigOptions rekeying_nics(size_t count) {
  RigOptions options = several_nics(count);
  std::vector<sim::FakeNic> nics = std::move(options.persona.nics);
  options.persona = sim::cxi_persona();
  options.persona.mr_mode |= FI_MR_PROV_KEY;
  for (size_t i = 0; i < count; ++i) nics[i].name = text("cxi%zu", i), nics[i].fabric = "cxi";
  options.persona.nics = std::move(nics);
  options.provider = "cxi";
  return options;
}

Rig::Rig(const RigOptions &options) : fake({options.persona}) {
  std::vector<std::string> settings = {"LOG_LEVEL=debug", "PATH=fabric", "LOCAL_DIR="};
  settings.insert(settings.end(), options.settings.begin(), options.settings.end());
  context = must(Context::open(settings, print_log, nullptr, fake.calls()), "context");
  open(a, options);
  RigOptions others = options;
  if (!options.nics_b.empty()) others.nics = options.nics_b;
  open(b, others);
  if (options.connect) connect();
}

Rig::~Rig() {
  a.endpoint.reset();
  b.endpoint.reset();
  context.reset();
}

void Rig::open(Side &side, const RigOptions &options) {
  EndpointOptions opening;
  opening.provider = options.provider;
  opening.nics = options.nics;
  opening.progress = ProgressMode::manual;
  NicChoice choice = must(choose(*context, opening), "choice");
  if (!options.far.empty()) choice.far = options.far;
  choice.spares = options.spares;
  side.endpoint = must(Endpoint::open(*context, opening, std::move(choice)), "endpoint");
  side.memory = random.bytes(options.bytes);
  side.region = must(side.endpoint->register_memory(side.memory.data(), side.memory.size()), "register");
  side.blob = advertise(side, 0, side.memory.size(), PIRN_ACCESS_READ | PIRN_ACCESS_WRITE, &side.window_id);
}

std::vector<std::byte> Rig::advertise(Side &side, uint64_t offset, uint64_t length, uint32_t access, uint64_t *id) {
  std::vector<std::byte> blob(4096);
  size_t size = 0;
  require(side.endpoint->advertise(side.region, offset, length, access, blob, &size, id), "advertise");
  blob.resize(size);
  return blob;
}

void Rig::connect() {
  a.peer = must(a.endpoint->add(b.endpoint->metadata()), "add");
  assert_true(until([&] { return a.peer->state == PIRN_PEER_UP; }));
  b.peer = must(b.endpoint->accept(ns_per_s), "accept");
  a.window = import(a, b.blob);
  b.window = import(b, a.blob);
  calm();
}

Window *Rig::import(Side &side, const std::vector<std::byte> &blob) {
  Window *window = must(side.endpoint->import(*side.peer, blob), "import");
  assert_true(until([&] { return window->state != WindowState::opening; }));
  return window;
}

void Rig::calm() {
  auto silent = [](Side &side) {
    Endpoint &endpoint = *side.endpoint;
    return side.peer->mailbox.idle() && !endpoint.engine().busy() && !endpoint.health().busy() &&
           !endpoint.control().talking();
  };
  assert_true(until([&] { return fake.in_flight() == 0 && silent(a) && silent(b); }));
  for (int i = 0; i < 3; ++i) pump();
}

pirn_transfer Rig::write(uint64_t from, uint64_t to, uint64_t length, const TransferOptions &options) {
  pirn_transfer id = 0;
  require(a.endpoint->transfer(OpKind::write, segment(from, to, length), options, &id), "write");
  return id;
}

pirn_transfer Rig::read(uint64_t into, uint64_t from, uint64_t length, const TransferOptions &options) {
  pirn_transfer id = 0;
  require(a.endpoint->transfer(OpKind::read, segment(into, from, length), options, &id), "read");
  return id;
}

pirn_transfer Rig::vectored(OpKind kind, const std::vector<Segment> &segments, const TransferOptions &options) {
  auto copy = std::make_unique<Segment[]>(segments.size());
  std::copy(segments.begin(), segments.end(), copy.get());
  pirn_transfer id = 0;
  require(a.endpoint->transfer(kind, std::move(copy), static_cast<uint32_t>(segments.size()), options, &id), "vector");
  return id;
}

pirn_result Rig::look(pirn_transfer id) {
  pirn_result result{};
  pirn_status status = a.endpoint->test(id, &result).code;
  assert_int_equal(status, result.status);
  return result;
}

pirn_result Rig::finish(pirn_transfer id, uint64_t ms) {
  pirn_result result{};
  bool ended = until([&] { return (result = look(id)).status != PIRN_IN_PROGRESS; }, ms);
  if (!ended) fail_test("transfer 0x%llx did not end", static_cast<unsigned long long>(id));
  require(a.endpoint->release(id), "release");
  return result;
}

void Rig::notify(const std::vector<std::byte> &message, const TransferOptions &options, pirn_transfer *id) {
  TransferOptions own = options;
  own.notify = message;
  require(a.endpoint->notify(*a.peer, own, id), "notify");
}

std::vector<std::byte> Rig::take_at_b() {
  std::vector<std::byte> message(PIRN_NOTIFICATION_MAX);
  size_t length = 0;
  Peer *from = nullptr;
  if (b.endpoint->take_notification(PIRN_POLL_NOW, message, &length, &from).code != PIRN_OK) return {};
  assert_ptr_equal(from, b.peer);
  message.resize(length);
  return message;
}

void write_and_read_back(Rig &rig, const Ends &ends, uint64_t room,
                         const std::function<void(OpKind kind, const Segment &segment)> &run) {
  const uint64_t from = rig.random.between(0, 999), to = rig.random.between(0, 999), length = room - 1000;
  const std::vector<std::byte> before(ends.remote, ends.remote + room);
  const Segment segment{ends.region, from, ends.window, to, length};
  run(OpKind::write, segment);
  assert_bytes(ends.remote + to, ends.local + from, length, "written");
  assert_bytes(ends.remote, before.data(), to, "before");
  assert_bytes(ends.remote + to + length, before.data() + to + length, room - to - length, "behind");
  const std::vector<std::byte> fresh = rig.random.bytes(length);
  std::copy(fresh.begin(), fresh.end(), ends.remote + to);
  run(OpKind::read, segment);
  assert_bytes(ends.local + from, fresh.data(), length, "read");
}

void assert_bytes(const std::byte *actual, const std::byte *expected, size_t length, const char *what) {
  if (length == 0 || memcmp(actual, expected, length) == 0) return;
  for (size_t i = 0; i < length; ++i)
    if (actual[i] != expected[i])
      fail_test("%s: byte %zu of %zu is %02x, expected %02x", what, i, length, static_cast<unsigned>(actual[i]),
                static_cast<unsigned>(expected[i]));
}

pirn_result move_and_check(Rig &rig, bool write, const std::function<void()> &meanwhile) {
  Side &to = write ? rig.b : rig.a;
  Side &from = write ? rig.a : rig.b;
  uint64_t length = rig.random.between(500'000, 900'000), source = rig.random.between(0, 100'000),
           target = rig.random.between(0, 100'000);
  std::vector<std::byte> expected = to.memory;
  std::copy_n(from.memory.begin() + static_cast<ptrdiff_t>(source), length,
              expected.begin() + static_cast<ptrdiff_t>(target));
  pirn_transfer id = write ? rig.write(source, target, length) : rig.read(target, source, length);
  meanwhile();
  pirn_result result = rig.finish(id);
  if (result.status != PIRN_OK) fail_test("ended with %d: %s", result.status, result.text);
  assert_int_equal(result.bytes, length);
  assert_bytes(to.memory.data(), expected.data(), expected.size(), "memory");
  return result;
}

}  // namespace pirn::core
