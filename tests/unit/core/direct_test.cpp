// SPDX-License-Identifier: Apache-2.0
// Device memory registered with the rails, over cxi's rules: offsets, and keys that a reset changes. Host memory passes for the
// device's.
#include "rig.h"

#include <cstdlib>
#include <cstring>

using namespace pirn;
using namespace pirn::core;

namespace {

constexpr uint64_t room = 1 << 20;
uint64_t copies = 0, ordered = 0, flushes = 0;
device::RemoteWrites writes = device::RemoteWrites::seen;
pirn_status flushed = PIRN_OK;

device::Operations operations() {
  device::Operations table = device::unsupported("fake");
  table.fabric_interface = 1;
  table.identify = [](const void *address) -> Result<std::optional<device::Allocation>> {
    device::Allocation found;
    found.address = const_cast<void *>(address);
    found.length = room;
    found.device = 2;
    return std::optional<device::Allocation>(found);
  };
  table.order_with_nics = [](const device::Allocation &) {
    ++ordered;
    return Status::ok();
  };
  table.remote_writes = [](uint32_t) -> Result<device::RemoteWrites> { return writes; };
  table.flush_remote_writes = [](uint32_t device) {
    assert_int_equal(device, 2);
    ++flushes;
    return flushed == PIRN_OK ? Status::ok() : fail(flushed, "made to fail");
  };
  table.allocate_host = [](uint64_t length) -> Result<void *> { return std::malloc(length); };
  table.release_host = [](void *address) {
    std::free(address);
    return Status::ok();
  };
  table.make_stream = [](uint32_t) -> Result<void *> { return static_cast<void *>(&copies); };
  table.drop_stream = [](uint32_t, void *) { return Status::ok(); };
  table.make_event = table.make_stream;
  table.drop_event = table.drop_stream;
  table.record = [](uint32_t, void *, void *) { return Status::ok(); };
  table.copy = [](uint32_t, void *, void *to, const void *from, uint64_t length) {
    ++copies;
    std::memcpy(to, from, length);
    return Status::ok();
  };
  table.reached = [](uint32_t, void *) -> Result<bool> { return true; };
  table.finish = [](uint32_t, void *, uint64_t) { return Status::ok(); };
  return table;
}

const device::Operations &table() {
  static const device::Operations made = operations();
  return made;
}

RigOptions demanding(const char *way) {
  RigOptions options = rekeying_nics(2);
  options.persona.device_memory = true;
  options.settings.push_back(std::string("DEVICE_MEMORY=") + way);
  return options;
}

// A rig with "device" memory on both sides; A has imported B's.
struct Devices {
  explicit Devices(const RigOptions &options, device::RemoteWrites how = device::RemoteWrites::seen) : rig(options) {
    copies = ordered = flushes = 0;
    writes = how;
    flushed = PIRN_OK;
    near = rig.random.bytes(room);
    far = rig.random.bytes(room);
    Memory &memory = rig.b.endpoint->memory();
    source = must(rig.a.endpoint->memory().add(rig.a.endpoint.get(), near.data(), room, Home{&table(), 2}), "add");
    target = must(memory.add(rig.b.endpoint.get(), far.data(), room, Home{&table(), 2}), "add");
    advertised = must(memory.advertise(target, 0, room, PIRN_ACCESS_READ | PIRN_ACCESS_WRITE), "advertise");
    window = rig.import(rig.a, wire::encode_window(advertised->blob));
    over_fabric.path = Route::fabric;
  }
  pirn_result run(OpKind kind, const Segment &segment) { return rig.finish(rig.vectored(kind, {segment}, over_fabric)); }
  // Writes all of it, with a notification.
  void write_and_tell(const std::vector<std::byte> &message) {
    TransferOptions telling = over_fabric;
    telling.notify = message;
    const pirn_result result = rig.finish(rig.vectored(OpKind::write, {{source, 0, window, 0, room}}, telling));
    if (result.status != PIRN_OK) fail_test("%s", result.text);
  }
  Status take(std::vector<std::byte> *message) {
    message->resize(room);
    size_t length = 0;
    Peer *peer = nullptr;
    const Status status = rig.b.endpoint->take_notification(PIRN_POLL_NOW, *message, &length, &peer);
    message->resize(status.is_ok() ? length : 0);
    return status;
  }

  std::vector<std::byte> near, far;
  Rig rig;
  Region *source = nullptr, *target = nullptr;
  Advertised *advertised = nullptr;
  Window *window = nullptr;
  TransferOptions over_fabric;
};

void expect_way(const pirn_result &result, const char *way) {
  if (result.status != PIRN_OK) fail_test("%s", result.text);
  assert_int_equal(std::string(result.rail).find(std::string(", ") + way) != std::string::npos, true);
}

void direct__each_pair_of_memories__bytes_are_right_and_nothing_is_copied(void **) {
  Devices devices(demanding("direct"));
  Rig &rig = devices.rig;
  assert_true(devices.advertised->blob.on_device);
  for (const auto &key : devices.advertised->blob.rails) assert_true(key.key != wire::no_key);
  const Ends pairs[] = {{devices.source, devices.near.data(), devices.window, devices.far.data()},
                        {devices.source, devices.near.data(), rig.a.window, rig.b.memory.data()},
                        {rig.a.region, rig.a.memory.data(), devices.window, devices.far.data()}};
  for (const Ends &pair : pairs)
    write_and_read_back(rig, pair, room, [&](OpKind kind, const Segment &segment) {
      expect_way(devices.run(kind, segment), "direct");
    });
  assert_int_equal(copies, 0);
  assert_int_equal(ordered, 2);  // region and region; the window is a part of one
  const auto registrations = rig.fake.device_registrations();
  assert_int_equal(registrations.size(), 6);  // each of the three on two rails
  for (const auto &each : registrations) {
    assert_int_equal(each.interface, 1);
    assert_int_equal(each.device, 2);
  }
}

void direct__rails_reset__go_on_with_other_keys(void **) {
  Devices devices(demanding("direct"));
  expect_way(devices.run(OpKind::write, {devices.source, 0, devices.window, 0, room}), "direct");
  const auto before = devices.advertised->keys;
  for (auto &rail : devices.rig.b.endpoint->rails()) devices.rig.b.endpoint->engine().reset_rail(*rail);
  assert_true(before[0].key != devices.advertised->keys[0].key && before[1].key != devices.advertised->keys[1].key);
  const std::vector<std::byte> fresh = devices.rig.random.bytes(room);
  std::copy(fresh.begin(), fresh.end(), devices.near.begin());
  expect_way(devices.run(OpKind::write, {devices.source, 0, devices.window, 0, room}), "direct");
  assert_bytes(devices.far.data(), fresh.data(), room, "written");
  assert_int_equal(copies, 0);
}

void direct__demanded_and_refused__ends_with_each_reason(void **) {
  RigOptions options = demanding("direct");
  options.persona.refuses_address = FI_ENOSYS;
  Devices devices(options);
  for (const auto &key : devices.advertised->blob.rails) assert_true(key.key == wire::no_key);
  for (Region *region : {devices.source, devices.rig.a.region}) {
    const pirn_result result = devices.run(OpKind::write, {region, 0, devices.window, 0, 64});
    assert_int_equal(result.status, PIRN_ERR_UNAVAILABLE);
    const bool own = region == devices.source;
    assert_non_null(std::strstr(result.text, "PIRN_DEVICE_MEMORY=direct"));
    assert_non_null(std::strstr(result.text, own ? "by address: fi_mr_regattr: Function not implemented"
                                                 : "the window's owner has not registered it with its rail 0"));
  }
  assert_int_equal(copies, 0);
}

// No runtime of a device is loaded in this process, whatever passes for one here.
void direct__not_demanded_and_no_runtime_initialized__is_staged(void **) {
  for (const char *way : {"auto", "staged"}) {
    Devices devices(demanding(way));
    expect_way(devices.run(OpKind::write, {devices.source, 0, devices.window, 0, room}), "staged");
    assert_bytes(devices.far.data(), devices.near.data(), room, "written");
    assert_true(copies > 0);
    assert_true(devices.rig.fake.device_registrations().empty());
    const std::string text = devices.rig.a.endpoint->explain();
    const char *why = std::strcmp(way, "auto") == 0 ? "no device's runtime was initialized when the endpoint was opened"
                                                    : "PIRN_DEVICE_MEMORY=staged";
    assert_true(text.find(std::string("device memory: cannot be registered: ") + why) != std::string::npos);
  }
}

// -- What NICs wrote, and work of the device that runs already

void flush__notifications_after_writes__once_before_those_that_are_there(void **) {
  Devices devices(demanding("direct"), device::RemoteWrites::flushed);
  const std::vector<std::byte> first = devices.rig.random.bytes(20), second = devices.rig.random.bytes(30);
  devices.write_and_tell(first);
  devices.write_and_tell(second);
  assert_int_equal(flushes, 0);
  std::vector<std::byte> message;
  require(devices.take(&message), "take");
  assert_true(message == first);
  assert_int_equal(flushes, 1);
  require(devices.take(&message), "take");
  assert_true(message == second);
  assert_int_equal(flushes, 1);
  devices.write_and_tell(first);
  require(devices.take(&message), "take");
  assert_int_equal(flushes, 2);
  assert_bytes(devices.far.data(), devices.near.data(), room, "written");
}

void flush__it_fails__the_notification_stays_until_it_does_not(void **) {
  Devices devices(demanding("direct"), device::RemoteWrites::flushed);
  const std::vector<std::byte> sent = devices.rig.random.bytes(20);
  devices.write_and_tell(sent);
  flushed = PIRN_ERR_IO;
  std::vector<std::byte> message;
  for (int i = 0; i < 2; ++i) {
    const Status status = devices.take(&message);
    assert_int_equal(status.code, PIRN_ERR_IO);
    assert_contains(status.text, "what NICs have written may not be seen by work of fake:2: made to fail");
  }
  flushed = PIRN_OK;
  require(devices.take(&message), "take");
  assert_true(message == sent);
  assert_int_equal(flushes, 3);
}

void flush__read_into_a_device__before_it_ends(void **) {
  Devices devices(demanding("direct"), device::RemoteWrites::flushed);
  expect_way(devices.run(OpKind::read, {devices.source, 0, devices.window, 0, room}), "direct");
  assert_int_equal(flushes, 1);
  assert_bytes(devices.near.data(), devices.far.data(), room, "read");
  expect_way(devices.run(OpKind::read, {devices.rig.a.region, 0, devices.window, 0, room}), "direct");
  expect_way(devices.run(OpKind::write, {devices.source, 0, devices.window, 0, room}), "direct");
  assert_int_equal(flushes, 1);  // host memory, and what the device only gave
  flushed = PIRN_ERR_IO;
  const pirn_result result = devices.run(OpKind::read, {devices.source, 0, devices.window, 0, 64});
  assert_int_equal(result.status, PIRN_ERR_IO);
  assert_contains(result.text, "what was read may not be seen by work of fake:2: made to fail");
}

void flush__withdrawn_windows__at_the_end_and_no_more(void **) {
  Devices devices(demanding("direct"), device::RemoteWrites::flushed);
  Endpoint &owner = *devices.rig.b.endpoint;
  const std::vector<std::byte> sent = devices.rig.random.bytes(20);
  devices.write_and_tell(sent);
  const uint64_t id = devices.advertised->blob.window;
  Call withdraw([&] { return owner.withdraw(devices.target, id, ns_per_s); });
  assert_true(devices.rig.until([&] { return withdraw.done.load(); }));
  require(withdraw.status, "withdraw");
  assert_int_equal(flushes, 1);
  std::vector<std::byte> message;
  require(devices.take(&message), "take");
  assert_true(message == sent);
  assert_int_equal(flushes, 1);
}

void flush__seen_by_themselves__never(void **) {
  Devices devices(demanding("direct"));
  devices.write_and_tell(devices.rig.random.bytes(20));
  std::vector<std::byte> message;
  require(devices.take(&message), "take");
  expect_way(devices.run(OpKind::read, {devices.source, 0, devices.window, 0, room}), "direct");
  assert_int_equal(flushes, 0);
}

void direct__writes_that_nothing_flushes__only_what_reads_the_device(void **) {
  Devices devices(demanding("direct"), device::RemoteWrites::unseen);
  Rig &rig = devices.rig;
  for (const auto &key : devices.advertised->blob.rails) assert_true(key.key == wire::no_key);
  pirn_result result = devices.run(OpKind::write, {rig.a.region, 0, devices.window, 0, 64});
  assert_int_equal(result.status, PIRN_ERR_UNAVAILABLE);
  assert_contains(result.text, "the window's owner has not registered it with its rail 0");
  result = devices.run(OpKind::read, {devices.source, 0, rig.a.window, 0, 64});
  assert_int_equal(result.status, PIRN_ERR_UNAVAILABLE);
  assert_contains(result.text, "NICs do not write into memory of fake:2: its work that runs already may never see it");
  auto readable = must(rig.b.endpoint->memory().advertise(devices.target, 0, room, PIRN_ACCESS_READ), "advertise");
  Window *window = rig.import(rig.a, wire::encode_window(readable->blob));
  expect_way(devices.run(OpKind::read, {rig.a.region, 0, window, 0, room}), "direct");
  assert_bytes(rig.a.memory.data(), devices.far.data(), room, "read");
  expect_way(devices.run(OpKind::write, {devices.source, 0, rig.a.window, 0, room}), "direct");
  assert_bytes(rig.b.memory.data(), devices.near.data(), room, "written");
  assert_int_equal(copies, 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(direct__each_pair_of_memories__bytes_are_right_and_nothing_is_copied),
      cmocka_unit_test(direct__rails_reset__go_on_with_other_keys),
      cmocka_unit_test(direct__demanded_and_refused__ends_with_each_reason),
      cmocka_unit_test(flush__notifications_after_writes__once_before_those_that_are_there),
      cmocka_unit_test(flush__it_fails__the_notification_stays_until_it_does_not),
      cmocka_unit_test(flush__read_into_a_device__before_it_ends),
      cmocka_unit_test(flush__withdrawn_windows__at_the_end_and_no_more),
      cmocka_unit_test(flush__seen_by_themselves__never),
      cmocka_unit_test(direct__writes_that_nothing_flushes__only_what_reads_the_device),
      cmocka_unit_test(direct__not_demanded_and_no_runtime_initialized__is_staged),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
